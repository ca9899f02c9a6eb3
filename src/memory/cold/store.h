#pragma once

#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "memory/cold/shared_searches.h"
#include "memory/cold/tier.h"
#include "memory/model/store.h"
#include "net/blocking.h"

namespace asahi::memory::cold {

/// The cold tier as every other: its work runs on threads of its own, searches, look-ups and
/// changes each on theirs, so that none of them waits for the others' turns. A batch is not
/// deduplicated against other keys (that has happened before memories get here), and nothing ages
/// further: `scan_eligible` gives nothing.
class ColdStore final : public Store {
 public:
  /// `tier` outlives it. Of searches, look-ups and changes at most `threads` each work at a time
  /// and `max_waiting` wait; more are refused (rate_limited).
  ColdStore(ColdTier& tier, unsigned threads, std::size_t max_waiting);
  /// Waits for what runs.
  ~ColdStore() override;

  Tier tier() const override { return Tier::kCold; }
  Task<std::vector<UpsertOutcome>> upsert_batch(std::vector<Memory> memories,
                                                UpsertOptions options) override;
  Task<std::vector<std::optional<Memory>>> get(std::vector<Key> keys) override;
  Task<std::uint64_t> delete_batch(std::vector<Key> keys) override;
  Task<std::uint64_t> delete_system(std::string tenant, std::string system_id) override;
  Task<StorePage> search(StoreQuery query) override;
  /// The same, with what could not be read. It takes as long as the query's caller waits, at most
  /// the tier's budget. Equal searches share one scan.
  Task<ColdPage> search_all(StoreQuery query);
  Task<std::vector<Eligible>> scan_eligible(ScanQuery wanted) override;
  /// Errors: unavailable: files of rows are never written anew for their vectors.
  Task<std::uint64_t> replace_vectors(std::vector<NewVector> rows) override;
  /// Errors: unavailable: that would be a look into every file.
  Task<std::map<std::string, std::uint64_t>> models(std::string tenant) override;
  Task<std::uint64_t> delete_migrated(std::vector<std::pair<Key, Digest>> rows) override;
  Task<std::vector<std::optional<Digest>>> checksum(std::vector<Key> keys) override;
  Task<TierStats> stats(std::string tenant) override;
  Task<std::vector<HeldFile>> snapshot(std::string folder, HeldSums held) override;
  Task<Compacted> compact(std::chrono::milliseconds budget);
  /// See ColdTier::expire.
  Task<Expired> expire(std::string tenant, Clock::Time before, bool only_count);
  Task<Compacted> tidy(std::chrono::milliseconds budget);

 private:
  /// Threads for one kind of work, and who waits for them.
  struct Turns {
    explicit Turns(unsigned threads) : pool(threads) {}
    std::atomic<std::size_t> waiting{0};
    boost::asio::thread_pool pool;
  };
  template <class Work>
  Aw<std::invoke_result_t<Work>> run(Turns& turns, Work work) {
    if (turns.waiting.fetch_add(1) >= most_) {
      --turns.waiting;
      co_return fail(Errc::kRateLimited, "the cold tier has enough to do; try again later");
    }
    auto value = co_await net::run_blocking(turns.pool, std::move(work));
    --turns.waiting;
    co_return value;
  }

  ColdTier& tier_;
  const std::size_t most_;
  SharedSearches shared_;
  Turns searches_, lookups_, changes_;
};

}  // namespace asahi::memory::cold
