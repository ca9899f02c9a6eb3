#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "memory/model/store.h"

namespace asahi::memory::ageing_testing {

/// Another store with something of the test's before or after a call.
class HookedStore final : public Store {
 public:
  explicit HookedStore(Store& store) : store_(store) {}

  std::function<void(std::vector<Memory>&)> before_upsert;
  std::function<Aw<void>()> after_upsert;
  std::function<Aw<void>()> before_delete;

  Tier tier() const override { return store_.tier(); }
  Task<std::vector<UpsertOutcome>> upsert_batch(std::vector<Memory> memories,
                                                UpsertOptions options) override {
    if (before_upsert) before_upsert(memories);
    auto outcomes = co_await store_.upsert_batch(std::move(memories), options);
    if (after_upsert) co_await after_upsert();
    co_return outcomes;
  }
  Task<std::vector<std::optional<Memory>>> get(std::vector<Key> keys) override {
    return store_.get(std::move(keys));
  }
  Task<std::uint64_t> delete_batch(std::vector<Key> keys) override {
    if (before_delete) co_await before_delete();
    co_return co_await store_.delete_batch(std::move(keys));
  }
  Task<std::uint64_t> delete_system(std::string tenant, std::string system_id) override {
    return store_.delete_system(std::move(tenant), std::move(system_id));
  }
  Task<StorePage> search(StoreQuery query) override { return store_.search(std::move(query)); }
  Task<std::vector<Eligible>> scan_eligible(Clock::Time before, std::size_t limit) override {
    return store_.scan_eligible(before, limit);
  }
  Task<std::uint64_t> delete_migrated(std::vector<std::pair<Key, Digest>> rows) override {
    return store_.delete_migrated(std::move(rows));
  }
  Task<std::vector<std::optional<Digest>>> checksum(std::vector<Key> keys) override {
    return store_.checksum(std::move(keys));
  }
  Task<TierStats> stats(std::string tenant) override { return store_.stats(std::move(tenant)); }
  Task<void> snapshot(std::string folder) override { return store_.snapshot(std::move(folder)); }

 private:
  Store& store_;
};

}  // namespace asahi::memory::ageing_testing
