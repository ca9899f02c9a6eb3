#pragma once

#include <string>
#include <utility>
#include <vector>

#include "memory/ageing/move_gate.h"
#include "memory/model/store.h"

namespace asahi::memory::ageing {

/// What ingestion writes to: the hot tier, which also knows what has moved on to the warm one. The
/// same memory told again is `unchanged` there as well, an older version `older`; a newer one goes
/// to the hot tier and takes the place of the warm row. (The cold tier is not asked: a look into
/// files per memory would hold ingestion up. What is there already is found when it ages again;
/// until then a search shows the hotter one.)
class Front final : public Store {
 public:
  /// Both outlive it.
  Front(Store& hot, MoveGate& warm) : hot_(hot), warm_(warm) {}

  Tier tier() const override { return hot_.tier(); }
  Task<std::vector<UpsertOutcome>> upsert_batch(std::vector<Memory> memories,
                                                UpsertOptions options) override;
  Task<std::vector<std::optional<Memory>>> get(std::vector<Key> keys) override {
    return hot_.get(std::move(keys));
  }
  Task<std::uint64_t> delete_batch(std::vector<Key> keys) override {
    return hot_.delete_batch(std::move(keys));
  }
  Task<std::uint64_t> delete_system(std::string tenant, std::string system_id) override {
    return hot_.delete_system(std::move(tenant), std::move(system_id));
  }
  Task<StorePage> search(StoreQuery query) override { return hot_.search(std::move(query)); }
  Task<std::vector<Eligible>> scan_eligible(Clock::Time before, std::size_t limit) override {
    return hot_.scan_eligible(before, limit);
  }
  Task<std::uint64_t> delete_migrated(std::vector<std::pair<Key, Digest>> rows) override {
    return hot_.delete_migrated(std::move(rows));
  }
  Task<std::vector<std::optional<Digest>>> checksum(std::vector<Key> keys) override {
    return hot_.checksum(std::move(keys));
  }
  Task<TierStats> stats(std::string tenant) override { return hot_.stats(std::move(tenant)); }
  Task<void> snapshot(std::string folder) override { return hot_.snapshot(std::move(folder)); }

 private:
  Store& hot_;
  MoveGate& warm_;
};

}  // namespace asahi::memory::ageing
