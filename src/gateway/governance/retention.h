#pragma once

#include <boost/asio/thread_pool.hpp>

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/task.h"
#include "gateway/cache/exact_cache.h"
#include "gateway/cache/semantic_cache.h"
#include "gateway/governance/log_rules.h"
#include "gateway/governance/policy_store.h"
#include "identity/audit/audit.h"
#include "storage/cache/store.h"
#include "storage/sql/database.h"

namespace asahi::gateway {

/// What `run_retention` works on; all outlive it.
struct RetentionParts {
  PolicyStore& policies;
  sql::Database& database;
  ExactCache& cache;
  cache::Store& store;  ///< the cache's primary store
  identity::AuditLog& audit;
  boost::asio::thread_pool& files;  ///< for work on event files
  const Clock& clock;
  std::string log_dir;  ///< of the daily event files
  std::string node_id;  ///< whose files those are (event_log_positions)
  int default_days = 365;
  int least_audit_days = 365;         ///< audit entries are kept at least this long
  ExactCache* steps = nullptr;        ///< tier 3; null: there is none
  SemanticCache* semantic = nullptr;  ///< tier 2; null: there is none
  /// Carries files away once `rules` have been applied to them, and applies the rules to what was
  /// carried away before; what it did. `open_file` is still read. Null: files stay.
  std::function<Task<json::object>(LogRules rules, std::string open_file)> archive = nullptr;
};

/// What one run deleted.
struct RetentionReport {
  struct Org {
    std::string org_id;
    Clock::Time cutoff{};
    std::int64_t events = 0, cache_entries = 0, audit_entries = 0;
  };
  std::vector<Org> orgs;
  std::int64_t log_files = 0;  ///< gone as a whole
  std::int64_t log_lines = 0;  ///< in those and in files that stay
  json::object archive;        ///< what `RetentionParts::archive` says
};
json::object report_json(const RetentionReport& report);

/// Deletes what is older than each organisation's retention_days: rows and daily files of events,
/// cached answers, audit entries (by AuditLog::trim, which leaves an anchor). Completes erasures in
/// files that could not be touched when they were asked for. Meant to run once a day on every node;
/// running it again is harmless. A failed organisation does not keep the others from being cleaned;
/// the first failure is returned at the end.
Task<RetentionReport> run_retention(RetentionParts parts);

struct LogCleaning {
  std::int64_t files = 0, lines = 0;
};
/// Cleans the files before `open_file` (the one still written or read). A file is replaced as a
/// whole, so that a crash leaves the old or the new one. Blocking. Errors: unavailable.
Result<LogCleaning> clean_logs(const std::string& dir, const std::string& open_file,
                               const LogRules& rules);

/// Deletes rows of `inference_events` in portions, so that no statement runs long. `where` is SQL.
Task<std::int64_t> delete_events(sql::Database& database, std::string where,
                                 std::vector<sql::Value> params);
/// Deletes the rows of a user's events up to a time (RFC 3339). Returns how many.
Task<std::int64_t> delete_events_of(sql::Database& database, std::string org_id,
                                    std::string user_id, std::string until);
/// Erases cached answers of one organisation for which `gone` holds; returns how many.
Task<std::int64_t> erase_answers(ExactCache& cache, cache::Store& store, std::string org,
                                 std::function<bool(const Answer&)> gone);
/// The same of tier 2.
Task<std::int64_t> erase_similar(SemanticCache& cache, std::string org,
                                 std::function<bool(const semantic::EntryRow&)> gone);

}  // namespace asahi::gateway
