#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "memory/hot/hot_store.h"

namespace asahi::memory {

/// The warm tier: what is left of memories from 7 to 90 days old, in files of its own. Vectors are
/// kept as one byte a number; `get` and `checksum` tell of what is kept. A batch is not compared
/// with other keys' content (that has happened before memories get here).
class WarmStore final : public Store {
 public:
  /// Reads its log; blocking. `options.engine.make_near_duplicates` is not asked. Errors: those of
  /// HotStore::open.
  static Result<std::unique_ptr<WarmStore>> open(HotOptions options);

  Tier tier() const override { return Tier::kWarm; }
  Task<std::vector<UpsertOutcome>> upsert_batch(std::vector<Memory> memories,
                                                UpsertOptions options) override;
  Task<std::vector<std::optional<Memory>>> get(std::vector<Key> keys) override {
    return rows_->get(std::move(keys));
  }
  Task<std::uint64_t> delete_batch(std::vector<Key> keys) override {
    return rows_->delete_batch(std::move(keys));
  }
  Task<std::uint64_t> delete_system(std::string tenant, std::string system_id) override {
    return rows_->delete_system(std::move(tenant), std::move(system_id));
  }
  Task<StorePage> search(StoreQuery query) override;
  Task<std::vector<Eligible>> scan_eligible(ScanQuery wanted) override {
    return rows_->scan_eligible(std::move(wanted));
  }
  Task<std::uint64_t> delete_migrated(std::vector<std::pair<Key, Digest>> rows) override {
    return rows_->delete_migrated(std::move(rows));
  }
  Task<std::uint64_t> replace_vectors(std::vector<NewVector> rows) override;
  Task<std::map<std::string, std::uint64_t>> models(std::string tenant) override {
    return rows_->models(std::move(tenant));
  }
  Task<std::vector<std::optional<Digest>>> checksum(std::vector<Key> keys) override {
    return rows_->checksum(std::move(keys));
  }
  Task<TierStats> stats(std::string tenant) override { return rows_->stats(std::move(tenant)); }
  Task<std::vector<HeldFile>> snapshot(std::string folder, HeldSums held) override {
    return rows_->snapshot(std::move(folder), std::move(held));
  }

  hot::EngineStats engine_stats() const { return rows_->engine_stats(); }

 private:
  explicit WarmStore(std::unique_ptr<HotStore> rows) : rows_(std::move(rows)) {}
  std::unique_ptr<HotStore> rows_;
};

}  // namespace asahi::memory
