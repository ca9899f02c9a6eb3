#pragma once

#include <boost/asio/thread_pool.hpp>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "jobs/queue.h"
#include "memory/access/hits.h"
#include "memory/ageing/access_rules.h"
#include "memory/ageing/mover.h"
#include "memory/ageing/older_below.h"
#include "memory/ageing/runs.h"
#include "memory/backup/upward_turn.h"
#include "memory/cold/tier.h"
#include "memory/model/store.h"
#include "net/background.h"
#include "net/loop.h"
#include "telemetry/metrics.h"

namespace asahi::memory::ageing {

/// The job of a run that was asked for, and how often one is tried: three retries.
inline constexpr std::string_view kMigrate = "memory.migrate";
inline constexpr int kAttempts = 4;

struct AgeingOptions {
  int hot_days = 7;                         ///< age from which memories go from hot to warm
  int warm_days = 90;                       ///< … from warm to cold
  std::string schedule = "0 2 * * *";       ///< cron, UTC
  std::string compaction = "23 */6 * * *";  ///< of cold files
  std::size_t batch_size = 1000;
  bool in_batches = true;                       ///< false: row by row
  std::uint64_t pressure_bytes = 100ULL << 30;  ///< hot beyond this: an extra run
  std::chrono::milliseconds longest{std::chrono::hours(2)};
  /// A run goes on for so long, or so many batches, then others have their turn.
  std::chrono::milliseconds turn{10'000};
  std::size_t turn_batches = 50;
  std::chrono::milliseconds poll{2'000};  ///< how soon an asked-for run begins
  AccessRules access;                     ///< of runs that the schedule begins
  /// What comes back waits so long for a copy of the tiers that is being made (UpwardTurn).
  std::chrono::milliseconds up_patience{std::chrono::minutes(5)};
};

/// Lets the memory age: by the clock, on demand, and when the hot tier gets too large. Its runs are
/// jobs of the one queue (jobs/queue.h), so that a run that was asked for outlives the process; in
/// a process one batch moves at a time, and runs take turns. A run moves no more rows than its tier
/// had when it began: it ends however many arrive. What it did stands in `memory_migrations`.
class Ageing {
 public:
  /// All outlive it. A tier that is not here is null: what would go there stays.
  struct Parts {
    Store* hot = nullptr;
    Store* warm = nullptr;
    Store* cold = nullptr;
    sql::Database& database;
    net::Loop& loop;
    boost::asio::thread_pool& work;
    const Clock& clock;
    telemetry::Registry& metrics;
    /// Called with each tenant whose memories moved: kept answers name other tiers.
    std::function<Aw<void>(std::string tenant)> moved;
    /// Merges cold files for about that long; empty: there are none.
    std::function<Task<cold::Compacted>(std::chrono::milliseconds)> compact;
    /// Merges cold files where many small ones have gathered; empty: there are none.
    std::function<Task<cold::Compacted>(std::chrono::milliseconds)> tidy;
  };
  Ageing(Parts parts, AgeingOptions options);
  ~Ageing();

  void start();
  /// Gives the run under way back; it goes on with the next start. Ordinary thread.
  void stop(std::chrono::milliseconds grace);

  struct Request {
    Step step;
    std::optional<int> cutoff_days;  ///< 0 to 36500; nothing: as configured
    std::size_t batch_size = 1000;   ///< 1 to 10000
    bool dry_run = false;
  };
  /// Reads a body of POST /storage/migrations. Errors: invalid_argument naming the field.
  static Result<Request> parse(const json::object& body);
  /// Queues a run that moves memories of this organisation only, or, dry, counts what it would
  /// move. Errors: unavailable (such a tier is not served here).
  Task<Run> request(std::string org_id, Request request);
  /// One that this organisation asked for. Errors: not_found.
  Task<Run> find(std::string org_id, std::string id);
  /// Runs of an organisation, newest first.
  Task<RunPage> list(RunQuery query);

  /// When and from which age memories go down by themselves.
  struct Plan {
    std::string schedule;                 ///< cron, UTC
    std::optional<Clock::Time> next_run;  ///< nothing: never
    int hot_days = 0, warm_days = 0;
  };
  Plan plan() const;

  /// Both steps, with the configured ages and access rules; what the schedule calls.
  Task<void> age();
  /// Merges cold files until nothing is left to merge.
  Task<void> compact();

 private:
  struct Metrics;
  Store* store(Tier tier) const;
  bool possible(const Step& step) const { return store(step.source) && store(step.target); }
  /// How far a run is, beyond what its record says.
  struct Progress {
    std::chrono::steady_clock::time_point started;
    std::uint64_t left = 0;  ///< rows: what its tier and those above had of its own when it began
    std::uint64_t told = 0;
    int idle = 0;                ///< batches in a row of which nothing could be moved
    std::vector<Key> kept = {};  ///< that stay hot; the first so many, marked until the end
  };
  /// Errors: the run has failed, and its record says so.
  Task<Progress> begin(Run& run);
  /// One turn of a run. True: it has ended, and its record says how.
  Task<bool> turn(Run& run, Progress& progress);
  Task<bool> batches(Run& run, Progress& progress);
  Task<void> end(Run& run, const Progress& progress, const Result<void>& result);
  /// Merges small cold files for about as long as a batch took: so merging costs what moving costs.
  Aw<void> tidy(std::chrono::steady_clock::duration took);
  Task<void> run_asked(std::string id);
  Clock::Time cutoff(const Run& run) const;
  // By access rules (ageing_access.cc).
  bool goes_by_access(const Run& run) const {
    return options_.access.enabled && run.org_id == kSchedule && run.step == kToWarm;
  }
  /// Whether the run may meet rows that a way up has left behind (promoter.h).
  bool goes_up_instead(const Run& run) const {
    return options_.access.enabled && run.step == kToCold && parts_.hot != nullptr;
  }
  std::int64_t first_day_of_window() const;
  /// Whether hits are known for the whole window: else nothing goes early.
  Task<bool> demotes();
  Mover::Stays stays(Run& run, Clock::Time old);
  /// Those of the rows that may stay are known as kept from now on, and are in no tier below. The
  /// others, which have to go down.
  Task<std::set<Key>> keep(std::vector<RowVersion> rows);
  /// Ends the marks of what stays; from the warm tier that goes up now.
  Task<void> let_go(Run& run, Progress& progress);
  /// Lets memories come back that are asked for often.
  Task<void> promote();
  Task<void> promote_all(Run& run, UpwardTurn& turn);
  /// One batch, when it may. False: not now.
  Task<bool> promote_batch(Run& run, UpwardTurn& turn, std::vector<Key> keys);
  /// False: a copy of the tiers is being made for longer than `up_patience`.
  Task<bool> may_go_up(UpwardTurn& turn);
  void add_jobs();
  /// The gauges of sizes and counts.
  Aw<void> measure();
  Aw<void> press(std::uint64_t hot_bytes);
  Aw<void> watch(net::Background::Sleep sleep);

  const Parts parts_;
  const AgeingOptions options_;
  Logger logger_{"memory.ageing"};
  Runs runs_;
  Originals originals_;
  Hits hits_;
  jobs::Queue queue_;
  jobs::Worker worker_;
  std::unique_ptr<Metrics> metrics_;
  bool pressed_ = false;  ///< an extra run was asked for and the hot tier has not shrunk since
  std::map<std::string, Progress> asked_;  ///< runs between two turns, by id; on the loop
  net::Background background_;             ///< `watch`, and marks of runs
};

}  // namespace asahi::memory::ageing
