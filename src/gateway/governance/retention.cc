#include "gateway/governance/retention.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

#include "base/file.h"
#include "gateway/analytics/rollups.h"
#include "gateway/analytics/search_index.h"
#include "gateway/events/event.h"
#include "gateway/events/event_log.h"
#include "net/blocking.h"

namespace asahi::gateway {
namespace {

/// Erasures are completed in the files of every node within this time; then their record goes too.
constexpr std::chrono::days kErasuresKept{30};
constexpr std::int64_t kRowsAtATime = 5'000;

/// False where the file's day alone tells that nothing in it has to go.
bool concerns(const std::string& file, const LogRules& rules) {
  const Clock::Time day = day_of_log(file);
  const auto newest = [](const auto& map, Clock::Time start) {
    for (const auto& [key, time] : map) start = std::max(start, time);
    return start;
  };
  return day < newest(rules.cutoffs, rules.default_cutoff) ||
         day <= newest(rules.erasures, Clock::Time{});
}

/// Calls `keep` with each line of a file that stays, `gone` counts the others; `emptied` when no
/// event stays.
Result<std::int64_t> sift(const std::string& path, const LogRules& rules, bool& emptied,
                          const std::function<bool(const std::string& line)>& keep) {
  std::ifstream in(path);
  if (!in) return file_error("read", path);
  std::string line;
  std::int64_t gone = 0;
  emptied = true;
  while (std::getline(in, line)) {
    const auto event = event_from_json(line);
    if (event && must_go(*event, rules)) {
      ++gone;
      continue;
    }
    // A line that cannot be read belongs to nobody: it stays as long as its neighbours do.
    if (event) emptied = false;
    if (!keep(line)) return file_error("write", path);
  }
  if (in.bad()) return file_error("read", path);
  emptied = emptied && gone > 0;
  return gone;
}

/// A day's file may be larger than memory: it is read twice, and written line by line.
Result<std::int64_t> clean_file(const std::string& path, const LogRules& rules, bool& emptied) {
  ASAHI_TRY(const std::int64_t gone,
            sift(path, rules, emptied, [](const std::string&) { return true; }));
  if (gone == 0) return 0;
  if (emptied) {
    if (::unlink(path.c_str()) != 0) return file_error("remove", path);
    return gone;
  }
  const std::string fresh = path + ".new";
  std::ofstream out(fresh, std::ios::trunc | std::ios::binary);
  auto written = sift(path, rules, emptied, [&](const std::string& line) {
    out << line << '\n';
    return out.good();
  });
  out.close();
  if (written && !out) written = file_error("write", fresh);
  if (written) {
    if (auto placed = place_file(fresh, path); !placed)
      written = std::unexpected(std::move(placed.error()));
  }
  if (!written) ::unlink(fresh.c_str());
  return written;
}

Task<RetentionReport::Org> clean_org(const RetentionParts& parts, std::string org, int days) {
  RetentionReport::Org done{.org_id = org, .cutoff = parts.clock.now() - std::chrono::days(days)};
  std::vector<sql::Value> params{org, format_rfc3339(done.cutoff)};
  ASAHI_CO_TRY(done.events, co_await delete_events(parts.database, "org_id = ? AND timestamp < ?",
                                                   std::move(params)));
  if (auto expired = co_await analytics::expire_rollups(parts.database, org, done.cutoff); !expired)
    co_return std::unexpected(std::move(expired.error()));
  if (auto expired = co_await analytics::expire_search(parts.database, org, done.cutoff); !expired)
    co_return std::unexpected(std::move(expired.error()));
  sql::Statement opinions{"DELETE FROM routing_feedback WHERE org_id = ? AND created_at < ?",
                          {org, format_rfc3339(done.cutoff)}};
  ASAHI_CO_TRY(const sql::Rows forgotten, co_await parts.database.query(std::move(opinions)));
  static_cast<void>(forgotten);
  ASAHI_CO_TRY(done.cache_entries,
               co_await erase_answers(parts.cache, parts.store, org,
                                      [cutoff = done.cutoff](const Answer& answer) {
                                        return answer.created < cutoff;
                                      }));
  if (parts.steps != nullptr) {
    ASAHI_CO_TRY(const std::int64_t steps,
                 co_await erase_answers(*parts.steps, parts.store, org,
                                        [cutoff = done.cutoff](const Answer& answer) {
                                          return answer.created < cutoff;
                                        }));
    done.cache_entries += steps;
  }
  if (parts.semantic != nullptr) {
    ASAHI_CO_TRY(const std::int64_t similar,
                 co_await erase_similar(*parts.semantic, org,
                                        [cutoff = done.cutoff](const semantic::EntryRow& row) {
                                          return row.created < cutoff;
                                        }));
    done.cache_entries += similar;
  }
  const auto audit_cutoff =
      parts.clock.now() - std::chrono::days(std::max(days, parts.least_audit_days));
  ASAHI_CO_TRY(done.audit_entries, co_await parts.audit.trim(org, audit_cutoff));
  sql::Statement record{
      "INSERT INTO retention_runs (org_id, ran_at, cutoff, events, cache_entries, audit_entries) "
      "VALUES (?, ?, ?, ?, ?, ?) "
      "ON CONFLICT (org_id) DO UPDATE SET ran_at = excluded.ran_at, cutoff = excluded.cutoff, "
      "events = excluded.events, "
      "cache_entries = excluded.cache_entries, audit_entries = excluded.audit_entries",
      {org, format_rfc3339(parts.clock.now()), format_rfc3339(done.cutoff), done.events,
       done.cache_entries, done.audit_entries}};
  ASAHI_CO_TRY(const sql::Rows stored, co_await parts.database.query(std::move(record)));
  static_cast<void>(stored);
  co_return done;
}

/// Erasures asked for lately. Rows that were loaded from a file after the erasure go now.
Task<void> complete_erasures(const RetentionParts& parts, LogRules& rules) {
  sql::Statement old{"DELETE FROM gdpr_erasures WHERE requested_at < ?",
                     {format_rfc3339(parts.clock.now() - kErasuresKept)}};
  ASAHI_CO_TRY(const sql::Rows forgotten, co_await parts.database.query(std::move(old)));
  static_cast<void>(forgotten);
  sql::Statement all{"SELECT org_id, user_id, requested_at FROM gdpr_erasures", {}};
  ASAHI_CO_TRY(const sql::Rows rows, co_await parts.database.query(std::move(all)));
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const std::string org = rows.text(row, "org_id"), user = rows.text(row, "user_id");
    const std::string until = rows.text(row, "requested_at");
    ASAHI_CO_TRY(rules.erasures[std::pair(org, user)], parse_rfc3339(until));
    ASAHI_CO_TRY(const std::int64_t late,
                 co_await delete_events_of(parts.database, org, user, until));
    if (late == 0) continue;
    ASAHI_CO_TRY([[maybe_unused]] const std::int64_t rollups,
                 co_await analytics::erase_rollups_of(parts.database, org, user));
    auto unsearchable = co_await analytics::erase_search_of(parts.database, org, user,
                                                            rules.erasures[std::pair(org, user)]);
    if (!unsearchable) co_return std::unexpected(std::move(unsearchable.error()));
  }
  co_return Result<void>{};
}

}  // namespace

bool must_go(const InferenceEvent& event, const LogRules& rules) {
  const auto own = rules.cutoffs.find(event.org_id);
  if (event.timestamp < (own == rules.cutoffs.end() ? rules.default_cutoff : own->second))
    return true;
  if (rules.erasures.empty() || event.user_id.empty()) return false;
  const auto erased = rules.erasures.find({event.org_id, event.user_id});
  return erased != rules.erasures.end() && event.timestamp <= erased->second;
}

Clock::Time day_of_log(std::string_view file) {
  constexpr std::string_view kBeginning = "events_";
  if (!file.starts_with(kBeginning)) return Clock::Time::max();
  const auto day = parse_rfc3339(fmt::format("{}T00:00:00Z", file.substr(kBeginning.size(), 10)));
  return day ? *day : Clock::Time::max();
}

json::object report_json(const RetentionReport& report) {
  json::array orgs;
  std::int64_t events = 0, cache_entries = 0, audit_entries = 0;
  for (const RetentionReport::Org& org : report.orgs) {
    events += org.events;
    cache_entries += org.cache_entries;
    audit_entries += org.audit_entries;
    orgs.push_back(json::object{{"org_id", org.org_id},
                                {"cutoff", format_rfc3339(org.cutoff)},
                                {"events", org.events},
                                {"cache_entries", org.cache_entries},
                                {"audit_entries", org.audit_entries}});
  }
  json::object out{{"events", events},
                   {"cache_entries", cache_entries},
                   {"audit_entries", audit_entries},
                   {"log_files", report.log_files},
                   {"log_lines", report.log_lines},
                   {"orgs", std::move(orgs)}};
  if (!report.archive.empty()) out["archive"] = report.archive;
  return out;
}

Result<LogCleaning> clean_logs(const std::string& dir, const std::string& open_file,
                               const LogRules& rules) {
  LogCleaning done;
  for (const std::string& file : log_files(dir)) {
    if (file >= open_file || !concerns(file, rules)) continue;
    bool emptied = false;
    ASAHI_TRY(const std::int64_t lines, clean_file(dir + "/" + file, rules, emptied));
    done.lines += lines;
    done.files += emptied ? 1 : 0;
  }
  return done;
}

Task<std::int64_t> delete_events(sql::Database& database, std::string where,
                                 std::vector<sql::Value> params) {
  std::int64_t deleted = 0;
  for (;;) {
    sql::Statement statement{fmt::format("DELETE FROM inference_events WHERE id IN (SELECT id FROM "
                                         "inference_events WHERE {} LIMIT {})",
                                         where, kRowsAtATime),
                             params};
    ASAHI_CO_TRY(const sql::Rows rows, co_await database.query(std::move(statement)));
    deleted += rows.affected();
    if (rows.affected() < kRowsAtATime) co_return deleted;
  }
}

Task<std::int64_t> delete_events_of(sql::Database& database, std::string org_id,
                                    std::string user_id, std::string until) {
  const sql::Dialect dialect = database.dialect();
  ASAHI_CO_TRY(const std::vector<std::int64_t> ids,
               co_await analytics::rows_of_user(database, org_id, user_id));
  std::int64_t deleted = 0;
  for (std::span<const std::int64_t> left(ids); !left.empty();) {
    const auto some = left.first(std::min(left.size(), std::size_t{kRowsAtATime}));
    left = left.subspan(some.size());
    sql::Statement statement{fmt::format("DELETE FROM inference_events WHERE {} AND org_id = ? AND "
                                         "user_id = ? AND timestamp <= ?",
                                         analytics::among_ids(dialect)),
                             {analytics::list_of_ids(dialect, some), org_id, user_id, until}};
    ASAHI_CO_TRY(const sql::Rows rows, co_await database.query(std::move(statement)));
    deleted += rows.affected();
  }
  co_return deleted;
}

Task<std::int64_t> erase_answers(ExactCache& cache, cache::Store& store, std::string org,
                                 std::function<bool(const Answer&)> gone) {
  auto keys = std::make_shared<std::vector<std::string>>();
  auto seen = co_await cache.each(
      std::move(org),
      [keys, gone = std::move(gone)](const cache::Entry& entry, const Answer& answer) {
        if (gone(answer)) keys->push_back(entry.key);
        return true;
      });
  if (!seen) co_return std::unexpected(std::move(seen.error()));
  std::int64_t erased = 0;
  constexpr std::size_t kAtATime = 500;
  for (std::size_t at = 0; at < keys->size(); at += kAtATime) {
    const auto begin = keys->begin() + static_cast<std::ptrdiff_t>(at);
    const auto end =
        keys->begin() + static_cast<std::ptrdiff_t>(std::min(at + kAtATime, keys->size()));
    ASAHI_CO_TRY(const std::uint64_t count, co_await store.erase({begin, end}));
    erased += static_cast<std::int64_t>(count);
  }
  co_return erased;
}

Task<std::int64_t> erase_similar(SemanticCache& cache, std::string org,
                                 std::function<bool(const semantic::EntryRow&)> gone) {
  constexpr std::size_t kPageOfAnswers = 100;
  std::vector<std::string> ids;
  for (std::string last;;) {
    ASAHI_CO_TRY(const auto rows, co_await cache.rows().list(org, last, kPageOfAnswers));
    for (const semantic::EntryRow& row : rows) {
      if (gone(row)) ids.push_back(row.id);
    }
    if (rows.size() < kPageOfAnswers) break;
    last = rows.back().id;
  }
  std::int64_t erased = 0;
  for (std::size_t at = 0; at < ids.size(); at += kPageOfAnswers) {
    const std::size_t end = std::min(at + kPageOfAnswers, ids.size());
    std::vector<std::string> some(ids.begin() + static_cast<std::ptrdiff_t>(at),
                                  ids.begin() + static_cast<std::ptrdiff_t>(end));
    ASAHI_CO_TRY(const std::int64_t count, co_await cache.erase(org, std::move(some)));
    erased += count;
  }
  co_return erased;
}

Task<RetentionReport> run_retention(RetentionParts parts) {
  RetentionReport report;
  std::optional<Error> first_failure;
  ASAHI_CO_TRY(const auto profiles, co_await parts.policies.profiles());
  std::map<std::string, int, std::less<>> days;
  for (const ComplianceProfile& profile : profiles) days[profile.org_id] = profile.retention_days;
  sql::Statement known{
      "SELECT DISTINCT org_id FROM inference_events UNION SELECT DISTINCT org_id FROM "
      "audit_entries",
      {}};
  ASAHI_CO_TRY(const sql::Rows orgs, co_await parts.database.query(std::move(known)));
  for (std::size_t row = 0; row < orgs.size(); ++row) {
    if (!orgs.is_null(row, "org_id")) days.emplace(orgs.text(row, "org_id"), parts.default_days);
  }

  LogRules rules{.as_of = parts.clock.now()};
  rules.default_cutoff = parts.clock.now() - std::chrono::days(parts.default_days);
  for (const auto& [org, kept] : days) {
    rules.cutoffs[org] = parts.clock.now() - std::chrono::days(kept);
    auto done = co_await clean_org(parts, org, kept);
    if (done) {
      report.orgs.push_back(std::move(*done));
    } else if (!first_failure) {
      first_failure = std::move(done.error());
    }
  }
  auto erased = co_await complete_erasures(parts, rules);
  if (!erased && !first_failure) first_failure = erased.error();

  // Only files that the loader has left behind: positions in the others must not move.
  sql::Statement position{"SELECT file FROM event_log_positions WHERE node_id = ?",
                          {parts.node_id}};
  ASAHI_CO_TRY(const sql::Rows reading, co_await parts.database.query(std::move(position)));
  if (!reading.empty()) {
    const std::string open_file = reading.text(0, "file");
    auto work = [dir = parts.log_dir, open_file, rules] {
      return clean_logs(dir, open_file, rules);
    };
    auto cleaned = co_await net::run_blocking(parts.files, std::move(work));
    if (cleaned) {
      report.log_files = cleaned->files;
      report.log_lines = cleaned->lines;
      // Only files that obey all rules are carried away.
      if (parts.archive && erased) {
        auto archived = co_await parts.archive(rules, open_file);
        if (archived) report.archive = *std::move(archived);
        if (!archived && !first_failure) first_failure = std::move(archived.error());
      }
    } else if (!first_failure) {
      first_failure = std::move(cleaned.error());
    }
  }
  if (first_failure) co_return std::unexpected(std::move(*first_failure));
  co_return report;
}

}  // namespace asahi::gateway
