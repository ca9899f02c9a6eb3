#include "jobs/queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "base/ids.h"
#include "base/log.h"
#include "base/utf8.h"

namespace asahi::jobs {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLongestBackOff = std::chrono::hours(1);
constexpr std::size_t kMaxErrorBytes = 2'048;
constexpr std::size_t kMaxNoteBytes = 512;
constexpr std::size_t kMaxPayloadDepth = 64;
constexpr std::size_t kMaxPayloadBytes = 1 << 20;
/// PostgreSQL indexes no more than about 2,700 bytes of a row.
constexpr std::size_t kMaxNameBytes = 512;
constexpr std::string_view kLeaseRanOut = "the lease of the last attempt ran out";
constexpr auto kLongestDelay = std::chrono::hours(24 * 366 * 10);
/// Longer than a worker makes up for missed minutes, or they would be enqueued twice.
constexpr auto kKeepCronMinutes = std::chrono::hours(48);

const Logger& logger() {
  static const Logger instance("jobs");
  return instance;
}

std::int64_t to_ms(Clock::Time time) {
  return std::chrono::floor<milliseconds>(time).time_since_epoch().count();
}

/// Text that any database takes: UTF-8, no NUL, not too long.
std::string storable(std::string_view text, std::size_t max_bytes) {
  std::string out = mended_utf8(text, max_bytes);
  std::replace(out.begin(), out.end(), '\0', ' ');
  return out;
}

bool is_name(std::string_view text) {
  return text.size() <= kMaxNameBytes && is_utf8(text) && !text.contains('\0');
}

/// 2^attempt seconds, at most an hour.
milliseconds back_off(int attempt) {
  const auto pause = std::chrono::seconds(1LL << std::clamp(attempt, 0, 20));
  return std::min<milliseconds>(pause, kLongestBackOff);
}

std::string placeholders(std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += i == 0 ? "?" : ", ?";
  return out;
}

/// Takes due jobs; ?: until, now, now, worker, kinds…, now, now, limit.
std::string lease_sql(sql::Dialect dialect, std::size_t kinds) {
  // A job that took its process down with it must not do so for ever: when the lease of the last
  // attempt ran out it is dead.
  constexpr std::string_view kSet =
      " SET state = CASE WHEN q.state = 'leased' AND q.attempt >= q.max_attempts THEN 'dead' ELSE "
      "'leased' END,"
      " attempt = CASE WHEN q.state = 'leased' AND q.attempt >= q.max_attempts THEN q.attempt"
      " ELSE q.attempt + 1 END,"
      " fence = q.fence + 1, due_at_ms = ?,"
      " finished_at_ms = CASE WHEN q.state = 'leased' AND q.attempt >= q.max_attempts THEN CAST(? "
      "AS BIGINT) END,"
      " last_error = CASE WHEN q.state = 'leased' AND q.attempt >= q.max_attempts"
      " THEN '{}' ELSE q.last_error END,"
      " worker = ?";
  constexpr std::string_view kReturning =
      " RETURNING q.id, q.org_id, q.kind, q.payload, q.state, q.priority, q.attempt, "
      "q.max_attempts, q.fence,"
      " q.run_at_ms";
  const std::string set = fmt::format(kSet, kLeaseRanOut);
  const std::string due = fmt::format(
      "SELECT id FROM jobs_queue WHERE kind IN ({}) AND state IN ('queued', 'leased')"
      " AND run_at_ms <= ? AND due_at_ms <= ? ORDER BY priority DESC, run_at_ms, id LIMIT ?",
      placeholders(kinds));
  if (dialect == sql::Dialect::kSqlite) {
    // RETURNING takes no alias there.
    std::string text =
        fmt::format("UPDATE jobs_queue AS q{} WHERE q.id IN ({}){}", set, due, kReturning);
    const auto returning = text.rfind(" RETURNING ");
    std::string columns = text.substr(returning);
    for (auto at = columns.find("q."); at != std::string::npos; at = columns.find("q."))
      columns.erase(at, 2);
    return text.substr(0, returning) + columns;
  }
  // As a sub-select of IN the planner might run it more than once and lock more than `limit`.
  return fmt::format(
      "WITH due AS MATERIALIZED ({} FOR UPDATE SKIP LOCKED) UPDATE jobs_queue q{} FROM due WHERE "
      "q.id = due.id{}",
      due, set, kReturning);
}

}  // namespace

struct Queue::Impl {
  Impl(sql::Database& database, const Clock& time) : db(database), clock(time) {}

  /// Runs an UPDATE of one leased job; conflict when it touches none.
  Task<void> update_leased(std::string set, std::vector<sql::Value> values, std::string id,
                           std::int64_t fence) {
    values.emplace_back(id);
    values.emplace_back(fence);
    ASAHI_CO_TRY(const auto rows,
                 co_await db.query({"UPDATE jobs_queue SET " + std::move(set) +
                                        " WHERE id = ? AND fence = ? AND state = 'leased'",
                                    std::move(values)}));
    if (rows.affected() == 0) {
      co_return asahi::fail(
          Errc::kConflict,
          fmt::format("the lease of job {} was lost: it ran out and the job was taken again, "
                      "or it is finished",
                      id));
    }
    co_return Result<void>{};
  }

  /// What lease_sql() returned as jobs, in their order, without those that it found dead.
  Aw<std::vector<Job>> taken(sql::Rows rows, std::int64_t now) {
    struct Taken {
      Job job;
      std::int64_t run_at_ms;
    };
    std::vector<Taken> all;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      Job job;
      job.id = rows.text(i, "id");
      job.org_id = rows.text(i, "org_id");
      job.kind = rows.text(i, "kind");
      job.priority = static_cast<int>(rows.integer(i, "priority"));
      job.attempt = static_cast<int>(rows.integer(i, "attempt"));
      job.max_attempts = static_cast<int>(rows.integer(i, "max_attempts"));
      job.fence = rows.integer(i, "fence");
      if (rows.text(i, "state") != "leased") {
        log_burial(job, kLeaseRanOut);
        continue;
      }
      auto payload = parse_json(rows.text(i, "payload"), kMaxPayloadDepth);
      if (!payload) {
        // Written by other hands. It must not keep its neighbours from being leased.
        const std::string reason =
            storable("the payload cannot be read: " + payload.error().message, kMaxErrorBytes);
        // If this fails the job is found again when its lease has run out.
        auto buried = co_await update_leased("state = 'dead', last_error = ?, finished_at_ms = ?",
                                             {reason, now}, job.id, job.fence);
        if (buried) log_burial(job, reason);
        continue;
      }
      job.payload = std::move(*payload);
      all.push_back({std::move(job), rows.integer(i, "run_at_ms")});
    }
    // RETURNING keeps no order.
    std::ranges::sort(all, [](const Taken& a, const Taken& b) {
      return std::tuple(-a.job.priority, a.run_at_ms, std::string_view(a.job.id)) <
             std::tuple(-b.job.priority, b.run_at_ms, std::string_view(b.job.id));
    });
    std::vector<Job> jobs;
    jobs.reserve(all.size());
    for (auto& item : all) jobs.push_back(std::move(item.job));
    co_return jobs;
  }

  static void log_burial(const Job& job, std::string_view reason) {
    logger().error(
        "job is a dead letter",
        {{"job", job.id}, {"kind", job.kind}, {"attempt", job.attempt}, {"error", reason}});
  }

  sql::Database& db;
  const Clock& clock;
};

Queue::Queue(sql::Database& db, const Clock& clock) : impl_(std::make_unique<Impl>(db, clock)) {}
Queue::~Queue() = default;

Task<std::string> Queue::enqueue(std::string kind, json::value payload, EnqueueOptions options) {
  if (kind.empty() || !is_name(kind) || !is_name(options.unique_key) || !is_name(options.org_id)) {
    co_return asahi::fail(
        Errc::kInvalidArgument,
        fmt::format("a job needs a kind; kind, unique key and organisation are UTF-8 of at most {} "
                    "bytes without NUL",
                    kMaxNameBytes));
  }
  if (options.max_attempts < 1 || options.delay.count() < 0 || options.delay > kLongestDelay) {
    co_return asahi::fail(Errc::kInvalidArgument,
                          "a job needs at least one attempt, and a delay from 0 to ten years");
  }
  std::string text = json::serialize(payload);
  if (text.size() > kMaxPayloadBytes) {
    co_return asahi::fail(
        Errc::kTooLarge,
        fmt::format("the payload of a {} job has {} bytes of JSON; at most {} fit: store the data "
                    "elsewhere and name it in the payload",
                    kind, text.size(), kMaxPayloadBytes));
  }
  if (auto readable = parse_json(text, kMaxPayloadDepth); !readable) {
    co_return asahi::fail(Errc::kInvalidArgument, "the job's payload: " + readable.error().message);
  }
  const auto now = impl_->clock.now();
  const std::string id = entity_id("job_", now);
  const sql::Value key = options.unique_key.empty() ? sql::Value{} : sql::Value(options.unique_key);
  const std::int64_t due = to_ms(now + options.delay);
  const sql::Statement insert{
      "INSERT INTO jobs_queue (id, org_id, kind, payload, state, priority, attempt, max_attempts, "
      "fence,"
      " unique_key, run_at_ms, due_at_ms, created_at_ms)"
      " VALUES (?, ?, ?, ?, 'queued', ?, 0, ?, 0, ?, ?, ?, ?)"
      " ON CONFLICT (org_id, kind, unique_key)"
      " WHERE unique_key IS NOT NULL AND state IN ('queued', 'leased') DO NOTHING",
      {id, options.org_id, kind, std::move(text), std::int64_t{options.priority},
       std::int64_t{options.max_attempts}, key, due, due, to_ms(now)}};
  // The unfinished job may end between the two statements; then there is room for this one.
  for (int attempt = 0; attempt < 3; ++attempt) {
    ASAHI_CO_TRY(const auto inserted, co_await impl_->db.query(insert));
    if (inserted.affected() > 0) co_return id;
    ASAHI_CO_TRY(
        const auto other,
        co_await impl_->db.query({"SELECT id FROM jobs_queue WHERE org_id = ? AND kind = ? AND"
                                  " unique_key = ? AND state IN ('queued', 'leased')",
                                  {options.org_id, kind, options.unique_key}}));
    if (!other.empty()) co_return other.text(0, "id");
  }
  co_return asahi::fail(Errc::kConflict,
                        "jobs with this unique key come and go too fast; try again");
}

Task<bool> Queue::enqueue_at_minute(std::string kind, json::value payload, Clock::Time minute) {
  const auto now = impl_->clock.now();
  const std::string id = entity_id("job_", now);
  const std::int64_t number =
      std::chrono::floor<std::chrono::minutes>(minute).time_since_epoch().count();
  const EnqueueOptions defaults;
  std::vector<sql::Statement> statements;
  statements.push_back(
      {"INSERT INTO jobs_cron (kind, minute, job_id) VALUES (?, ?, ?)"
       " ON CONFLICT (kind, minute) DO NOTHING",
       {kind, number, id}});
  statements.push_back(
      {"INSERT INTO jobs_queue (id, org_id, kind, payload, state, priority, attempt, max_attempts, "
       "fence,"
       " run_at_ms, due_at_ms, created_at_ms)"
       " SELECT job_id, CAST(? AS TEXT), kind, CAST(? AS TEXT), 'queued', 0, 0, CAST(? AS "
       "INTEGER), 0,"
       " CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT)"
       " FROM jobs_cron WHERE kind = ? AND minute = ? AND job_id = ?",
       {defaults.org_id, json::serialize(payload), std::int64_t{defaults.max_attempts}, to_ms(now),
        to_ms(now), to_ms(now), kind, number, id}});
  ASAHI_CO_TRY(const auto rows, co_await impl_->db.batch(std::move(statements)));
  co_return rows[1].affected() > 0;
}

Task<std::optional<Clock::Time>> Queue::newest_minute(std::string kind) {
  ASAHI_CO_TRY(const auto rows,
               co_await impl_->db.query({"SELECT minute FROM jobs_cron WHERE kind = ?"
                                         " ORDER BY minute DESC LIMIT 1",
                                         {std::move(kind)}}));
  if (rows.empty()) co_return std::nullopt;
  co_return Clock::Time(std::chrono::minutes(rows.integer(0, "minute")));
}

Task<std::vector<Job>> Queue::lease(std::vector<std::string> kinds, std::size_t limit,
                                    milliseconds lease, std::string worker) {
  if (kinds.empty() || limit == 0) co_return std::vector<Job>{};
  const std::string text = lease_sql(impl_->db.dialect(), kinds.size());
  // Jobs that are buried instead of taken must not look like an empty queue; each round buries
  // some.
  while (true) {
    const std::int64_t now = to_ms(impl_->clock.now());
    std::vector<sql::Value> set{now + lease.count(), now, worker};
    std::vector<sql::Value> due(kinds.begin(), kinds.end());
    due.insert(due.end(), {now, now, static_cast<std::int64_t>(limit)});
    const bool due_first = impl_->db.dialect() == sql::Dialect::kPostgres;
    std::vector<sql::Value> params = due_first ? due : set;
    for (auto& value : due_first ? set : due) params.push_back(std::move(value));
    ASAHI_CO_TRY(auto rows, co_await impl_->db.query({text, std::move(params)}));
    const bool none_due = rows.empty();
    auto jobs = co_await impl_->taken(std::move(rows), now);
    if (none_due || !jobs.empty()) co_return jobs;
  }
}

Task<void> Queue::complete(const Job& job) {
  return impl_->update_leased("state = 'done', progress = 1, finished_at_ms = ?",
                              {to_ms(impl_->clock.now())}, job.id, job.fence);
}

Task<void> Queue::fail(const Job& job, std::string error) {
  const auto now = impl_->clock.now();
  error = storable(error, kMaxErrorBytes);
  if (job.attempt >= job.max_attempts) {
    return impl_->update_leased("state = 'dead', last_error = ?, finished_at_ms = ?",
                                {std::move(error), to_ms(now)}, job.id, job.fence);
  }
  const std::int64_t due = to_ms(now + back_off(job.attempt));
  return impl_->update_leased("state = 'queued', last_error = ?, run_at_ms = ?, due_at_ms = ?",
                              {std::move(error), due, due}, job.id, job.fence);
}

Task<void> Queue::release(const Job& job) {
  const std::int64_t now = to_ms(impl_->clock.now());
  return impl_->update_leased("state = 'queued', attempt = attempt - 1, due_at_ms = ?", {now},
                              job.id, job.fence);
}

Task<void> Queue::extend(const Job& job, milliseconds lease) {
  return impl_->update_leased("due_at_ms = ?", {to_ms(impl_->clock.now() + lease)}, job.id,
                              job.fence);
}

Task<void> Queue::progress(const Job& job, double fraction, std::string note) {
  return impl_->update_leased("progress = ?, note = ?",
                              {std::clamp(fraction, 0.0, 1.0), storable(note, kMaxNoteBytes)},
                              job.id, job.fence);
}

Task<Queue::Counts> Queue::counts() {
  ASAHI_CO_TRY(
      const auto rows,
      co_await impl_->db.query({"SELECT state, count(*) AS n FROM jobs_queue GROUP BY state", {}}));
  Counts counts;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string state = rows.text(i, "state");
    const std::int64_t n = rows.integer(i, "n");
    if (state == "queued") counts.queued = n;
    if (state == "leased") counts.leased = n;
    if (state == "dead") counts.dead = n;
    if (state == "done") counts.done = n;
  }
  co_return counts;
}

Task<std::int64_t> Queue::revive(std::string kind) {
  const std::int64_t now = to_ms(impl_->clock.now());
  // In two steps, and with no sub-select that looks at its outer row: with statistics that are out
  // of date PostgreSQL would run either once per dead letter.
  ASAHI_CO_TRY(
      const auto found,
      co_await impl_->db.query(
          {"SELECT id FROM (SELECT id, org_id, unique_key, finished_at_ms, row_number() OVER"
           " (PARTITION BY org_id, unique_key ORDER BY id DESC) AS place"
           " FROM jobs_queue WHERE state = 'dead' AND kind = ?) AS dead"
           " WHERE unique_key IS NULL OR (place = 1 AND (org_id, unique_key) NOT IN"
           " (SELECT org_id, unique_key FROM jobs_queue WHERE kind = ?"
           " AND unique_key IS NOT NULL AND state IN ('queued', 'leased')))"
           " ORDER BY finished_at_ms, id LIMIT ?",
           {kind, kind, kBatch}}));
  if (found.empty()) co_return 0;
  std::vector<sql::Value> params{now, now};
  for (std::size_t i = 0; i < found.size(); ++i) params.emplace_back(found.text(i, "id"));
  ASAHI_CO_TRY(const auto revived,
               co_await impl_->db.query({"UPDATE jobs_queue SET state = 'queued', attempt = 0,"
                                         " run_at_ms = ?, due_at_ms = ?, finished_at_ms = NULL"
                                         " WHERE state = 'dead' AND id IN (" +
                                             placeholders(found.size()) + ")",
                                         std::move(params)}));
  co_return revived.affected();
}

Task<std::int64_t> Queue::prune(Clock::Time done_before, Clock::Time dead_before) {
  const std::int64_t minute =
      std::chrono::floor<std::chrono::minutes>(impl_->clock.now() - kKeepCronMinutes)
          .time_since_epoch()
          .count();
  constexpr std::string_view kDelete =
      "DELETE FROM jobs_queue WHERE id IN (SELECT id FROM jobs_queue WHERE state = '{}'"
      " AND finished_at_ms < ? ORDER BY finished_at_ms LIMIT ?)";
  std::vector<sql::Statement> statements;
  statements.push_back({fmt::format(kDelete, "done"), {to_ms(done_before), kBatch}});
  statements.push_back({fmt::format(kDelete, "dead"), {to_ms(dead_before), kBatch}});
  // The newest of each kind stays: it tells when the kind came last.
  statements.push_back(
      {"DELETE FROM jobs_cron WHERE minute < ? AND minute < (SELECT max(newer.minute)"
       " FROM jobs_cron AS newer WHERE newer.kind = jobs_cron.kind)",
       {minute}});
  ASAHI_CO_TRY(const auto rows, co_await impl_->db.batch(std::move(statements)));
  co_return rows[0].affected() + rows[1].affected();
}

}  // namespace asahi::jobs
