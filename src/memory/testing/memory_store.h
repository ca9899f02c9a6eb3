#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "memory/model/store.h"

namespace asahi::memory::testing {

/// A tier in plain maps that looks at every row for every question: slow, short and right. Other
/// stores are held against it. Thread-safe. `snapshot` writes one JSON line per memory.
///
/// Keyword search is BM25 (k1 1.2, b 0.75) over lower-case words of letters and digits; hybrid is
/// reciprocal rank fusion with k 60. Ties: newer first, then by key.
class MemoryStore final : public Store {
 public:
  explicit MemoryStore(Tier tier = Tier::kHot) : tier_(tier) {}

  Tier tier() const override { return tier_; }
  Task<std::vector<UpsertOutcome>> upsert_batch(std::vector<Memory> memories,
                                                UpsertOptions options) override;
  Task<std::vector<std::optional<Memory>>> get(std::vector<Key> keys) override;
  Task<std::uint64_t> delete_batch(std::vector<Key> keys) override;
  Task<std::uint64_t> delete_system(std::string tenant, std::string system_id) override;
  Task<StorePage> search(StoreQuery query) override;
  Task<std::vector<Eligible>> scan_eligible(ScanQuery wanted) override;
  Task<std::uint64_t> replace_vectors(std::vector<NewVector> rows) override;
  Task<std::map<std::string, std::uint64_t>> models(std::string tenant) override;
  Task<std::uint64_t> delete_migrated(std::vector<std::pair<Key, Digest>> rows) override;
  Task<std::vector<std::optional<Digest>>> checksum(std::vector<Key> keys) override;
  Task<TierStats> stats(std::string tenant) override;
  Task<std::vector<HeldFile>> snapshot(std::string folder, HeldSums held) override;

  /// The next calls of upsert_batch fail with this; 0: none any more.
  void fail_upserts(int times, Error error);
  std::vector<Memory> all() const;
  std::size_t batches() const;

 private:
  UpsertOutcome upsert(Memory memory, const UpsertOptions& options);
  void erase(const Key& key);

  const Tier tier_;
  mutable std::mutex mutex_;
  std::map<Key, Memory> rows_;
  /// Tenant and hash to the key that has the content.
  std::map<std::pair<std::string, Digest>, Key> by_hash_;
  std::set<Key> migrating_;
  std::size_t batches_ = 0;
  int failures_ = 0;
  Error failure_;
};

/// Whether a row answers a filter (without the tenant).
bool matches(const Filter& filter, const Memory& memory);
/// The share of equal places: an estimate of Jaccard similarity. 0 for empty fingerprints.
double estimated_jaccard(const Fingerprint& a, const Fingerprint& b);

}  // namespace asahi::memory::testing
