#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "gateway/analytics/rollups.h"
#include "gateway/analytics/search_index.h"
#include "gateway/events/event_log.h"
#include "storage/sql/database.h"

namespace asahi::gateway {

/// Carries the event log into `inference_events` and its rollups. The log is the truth: a batch's
/// rows, what they add to the rollups, and the position behind them are committed in one
/// transaction, so a crash or an absent database neither loses an event nor counts one twice. While
/// the database is away the log grows on disk and is read on from the stored position afterwards.
/// Runs on a low-priority thread: under saturation rows lag behind, requests do not.
class EventLoader {
 public:
  struct Options {
    std::string dir = "data/logs";
    std::string
        node_id;  ///< several nodes may share one database; each has its own log and position
    /// Of the log, in one transaction at most: the more are behind, the less each event costs. 0:
    /// what suits the engine, 4 MiB for SQLite and 8 MiB for PostgreSQL.
    std::size_t batch_bytes = 0;
    std::chrono::milliseconds gather{50};  ///< new lines, before one transaction
    std::chrono::milliseconds retry{1'000};
    /// What decides which rollups are still kept.
    const Clock* clock = &system_clock();
  };
  /// `first_caught_up` runs once on the loader's thread, when all that the log held at the start is
  /// in the table; again after `retry` as long as it fails. May be null.
  EventLoader(Options options, sql::Database& database,
              std::function<Result<void>()> first_caught_up = nullptr);
  ~EventLoader();

  void start();
  /// New lines are in the log; they are loaded after a little gathering.
  void wake();
  /// Loads what the log holds now, waiting at most `limit`; true when nothing was left.
  bool catch_up(std::chrono::milliseconds limit);
  /// All lines that `wake` told of are loaded. Any thread.
  bool caught_up() const;
  /// What comes next is loaded without gathering: somebody waits for it. Any thread.
  void hurry();
  /// Rows that were there before rollups were are in them too.
  bool rollups_complete() const { return rollups_complete_.load(std::memory_order_relaxed); }
  bool healthy() const { return healthy_.load(std::memory_order_relaxed); }
  std::uint64_t skipped_lines() const { return skipped_.load(std::memory_order_relaxed); }

 private:
  void run();
  /// One batch; true when there was something to load.
  Result<bool> load_batch();
  /// Whether some of the events may be in the table already.
  enum class Repeats { kNone, kSome };
  /// Those that were new, and their rows.
  struct Stored {
    bool all = false;  ///< all were new; else `some` were
    std::vector<InferenceEvent> some;
    std::vector<std::int64_t> ids;
  };
  Result<Stored> insert(sql::Session& session, const std::vector<InferenceEvent>& events,
                        Repeats repeats) const;
  /// One transaction: rows, rollups and the position behind them. Errors: conflict with the reason
  /// "repeats" when some were there although none was expected to be (events, or pages of rollups);
  /// nothing is stored then.
  Result<Stored> store(const std::vector<InferenceEvent>& events, const LogPosition& behind,
                       Repeats repeats);
  /// Brings search up to date with rows just stored.
  Result<void> index(std::span<const InferenceEvent> events, std::span<const std::int64_t> ids);
  /// What is left to do when the log is read; true when it has to go on soon.
  Result<bool> upkeep();

  Options options_;
  sql::Database& database_;
  std::function<Result<void>()> first_caught_up_;
  Logger logger_{"events"};
  analytics::RollupWriter rollups_;
  std::atomic<bool> rollups_complete_{false};
  Clock::Steady pruned_{};
  analytics::FreshBlock fresh_;
  std::int64_t block_ = -1;  ///< of the last row; its end has not been looked for
  bool position_known_ = false;
  LogPosition position_;
  mutable std::mutex mutex_;
  std::condition_variable wake_, idle_;
  bool pending_ = true, stop_ = false, caught_up_ = false;
  bool at_once_ = true;  ///< somebody waits for it; the start of the process does
  std::atomic<bool> healthy_{true};
  std::atomic<std::uint64_t> skipped_{0};
  std::thread thread_;
};

}  // namespace asahi::gateway
