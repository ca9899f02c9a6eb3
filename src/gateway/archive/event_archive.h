#pragma once

#include <boost/asio/thread_pool.hpp>

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/task.h"
#include "gateway/archive/config.h"
#include "gateway/governance/log_rules.h"
#include "storage/object/store.h"
#include "storage/sql/database.h"
#include "telemetry/metrics.h"

namespace asahi::gateway {

/// What one run did.
struct ArchiveReport {
  std::int64_t stored = 0;        ///< files put into the store and read back
  std::int64_t removed_here = 0;  ///< files that stand in the store only now
  std::int64_t expired = 0;       ///< objects older than `keep_days`, deleted
  std::int64_t rewritten = 0;     ///< objects that lost lines to retention or erasure
  std::int64_t erased_lines = 0;  ///< of these
};
json::object report_json(const ArchiveReport& report);

/// Carries daily event files into an object store once their day is over and the loader has left
/// them behind: `events/YYYY-MM-DD/{node}.jsonl.gz`. What retention and erasures take from files it
/// takes from archived ones too, those of nodes that are gone included. Each step may be cut short
/// and done again: an object counts as stored when it was read back and noted in `event_archives`,
/// a file leaves only when that note still fits it. One run at a time.
class EventArchive {
 public:
  struct Parts {
    const ArchiveConfig& config;
    sql::Database& database;
    const Clock& clock;
    telemetry::Registry& metrics;
    std::string log_dir;
    std::string node_id;
  };
  /// Null: no archive is configured. Errors: invalid_argument (settings), unavailable.
  static Result<std::unique_ptr<EventArchive>> make(Parts parts);
  /// With a store of the caller's.
  EventArchive(Parts parts, std::unique_ptr<object::ObjectStore> store);
  ~EventArchive();

  /// Everything that is due. `rules` have been applied to the files here already; files from
  /// `open_file` on are still written or read. A failed file does not keep others from being
  /// stored; the first failure is returned at the end. Runs on a thread of its own, at low
  /// priority.
  Task<ArchiveReport> run(LogRules rules, std::string open_file);
  /// The same at once, on an ordinary thread.
  Result<ArchiveReport> run_blocking(const LogRules& rules, const std::string& open_file);
  /// Ends what runs, soon; what comes is refused. Any thread.
  void stop();

 private:
  struct Note;
  struct Run;
  Result<void> read_notes(Run& run) const;
  Result<void> write_note(const Note& note);
  Result<void> store_file(Run& run, const std::string& file);
  Result<void> remove_file(Run& run, const std::string& file);
  Result<void> sweep(Run& run);
  Result<bool> rewrite(Run& run, const object::ObjectInfo& object, const std::string& day,
                       const Note* note);
  Result<void> verify(const std::string& key, std::uint64_t bytes, const std::string& sha256);
  void failed(Run& run, std::string_view doing, const std::string& what, Error error);

  const ArchiveConfig& config_;
  sql::Database& database_;
  const Clock& clock_;
  std::string log_dir_, node_id_;
  std::unique_ptr<object::ObjectStore> store_;
  telemetry::Counter &stored_, &failed_, &removed_, &expired_, &rewritten_, &bytes_;
  telemetry::Gauge &waiting_, &last_success_;
  Logger logger_{"archive"};
  boost::asio::thread_pool thread_{1};
};

/// Writes the archived events of [first, last] (days, "2026-11-22") below `folder`, as
/// `{node}/events_YYYY-MM-DD.jsonl`; how many files. Blocking.
Result<std::int64_t> restore_events(object::ObjectStore& store, const std::string& first,
                                    const std::string& last, const std::string& folder);
/// Opens the store that the settings name. Errors: those of object::open_store.
Result<std::unique_ptr<object::ObjectStore>> open_archive(const ArchiveConfig& config);

}  // namespace asahi::gateway
