#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "memory/model/store.h"

namespace asahi::memory {

/// Another store, call by call: for those that change a few calls of one.
class ForwardingStore : public Store {
 public:
  /// `store` outlives it.
  explicit ForwardingStore(Store& store) : inner_(store) {}
  // A copy of one that changes calls would pass it over.
  ForwardingStore(const ForwardingStore&) = delete;
  ForwardingStore& operator=(const ForwardingStore&) = delete;

  Tier tier() const override { return inner_.tier(); }
  Task<std::vector<UpsertOutcome>> upsert_batch(std::vector<Memory> memories,
                                                UpsertOptions options) override {
    return inner_.upsert_batch(std::move(memories), options);
  }
  Task<std::vector<std::optional<Memory>>> get(std::vector<Key> keys) override {
    return inner_.get(std::move(keys));
  }
  Task<std::uint64_t> delete_batch(std::vector<Key> keys) override {
    return inner_.delete_batch(std::move(keys));
  }
  Task<std::uint64_t> delete_system(std::string tenant, std::string system_id) override {
    return inner_.delete_system(std::move(tenant), std::move(system_id));
  }
  Task<StorePage> search(StoreQuery query) override { return inner_.search(std::move(query)); }
  Task<std::vector<Eligible>> scan_eligible(ScanQuery wanted) override {
    return inner_.scan_eligible(std::move(wanted));
  }
  Task<std::uint64_t> delete_migrated(std::vector<std::pair<Key, Digest>> rows) override {
    return inner_.delete_migrated(std::move(rows));
  }
  Task<std::uint64_t> replace_vectors(std::vector<NewVector> rows) override {
    return inner_.replace_vectors(std::move(rows));
  }
  Task<std::map<std::string, std::uint64_t>> models(std::string tenant) override {
    return inner_.models(std::move(tenant));
  }
  Task<std::vector<std::optional<Digest>>> checksum(std::vector<Key> keys) override {
    return inner_.checksum(std::move(keys));
  }
  Task<TierStats> stats(std::string tenant) override { return inner_.stats(std::move(tenant)); }
  Task<std::vector<HeldFile>> snapshot(std::string folder, HeldSums held) override {
    return inner_.snapshot(std::move(folder), std::move(held));
  }

  Store& inner() { return inner_; }

 private:
  Store& inner_;
};

}  // namespace asahi::memory
