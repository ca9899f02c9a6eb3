#pragma once

#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "memory/cold/tier.h"
#include "memory/model/store.h"
#include "net/blocking.h"

namespace asahi::memory::cold {

/// The cold tier as every other: its work runs on threads of its own. A batch is not deduplicated
/// against other keys (that has happened before memories get here), and nothing ages further:
/// `scan_eligible` gives nothing.
class ColdStore final : public Store {
 public:
  /// `tier` outlives it. At most `threads` calls work at a time and `max_waiting` wait; more are
  /// refused (rate_limited).
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
  /// The same, with what could not be read; the time begins when it gets its turn.
  Task<ColdPage> search_all(StoreQuery query);
  Task<std::vector<Eligible>> scan_eligible(Clock::Time before, std::size_t limit) override;
  Task<std::uint64_t> delete_migrated(std::vector<std::pair<Key, Digest>> rows) override;
  Task<std::vector<std::optional<Digest>>> checksum(std::vector<Key> keys) override;
  Task<TierStats> stats(std::string tenant) override;
  Task<void> snapshot(std::string folder) override;
  Task<Compacted> compact(std::chrono::milliseconds budget);

 private:
  template <class Work>
  Aw<std::invoke_result_t<Work>> run(Work work) {
    if (waiting_.fetch_add(1) >= most_) {
      --waiting_;
      co_return fail(Errc::kRateLimited, "the cold tier has enough to do; try again later");
    }
    auto value = co_await net::run_blocking(pool_, std::move(work));
    --waiting_;
    co_return value;
  }

  ColdTier& tier_;
  const std::size_t most_;
  std::atomic<std::size_t> waiting_{0};
  boost::asio::thread_pool pool_;
};

}  // namespace asahi::memory::cold
