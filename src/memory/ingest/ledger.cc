#include "memory/ingest/ledger.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <set>
#include <tuple>
#include <utility>

#include "base/ids.h"
#include "base/log.h"
#include "base/utf8.h"
#include "net/waiting.h"

namespace asahi::memory {

namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMaxError = 2'048;
constexpr std::size_t kRowsOfStatement = 500;
constexpr std::int64_t kSweepRows = 5'000;
constexpr std::string_view kLeaseRanOut = "the lease of the last try ran out";
constexpr std::string_view kProcessDied = "the process that took it in ended";
constexpr std::string_view kColumns =
    "row_id, tenant, system_id, upload_id, origin, state, priority, attempts, fence, lease_owner,"
    " due_at_ms, position, items, stored, replaced, unchanged, older, duplicates, near_duplicates,"
    " skipped, errors, bytes, error, bad_items, discovered_at_ms, started_at_ms, finished_at_ms,"
    " updated_at_ms";
constexpr std::string_view kInWork = "('leased', 'processing')";

const Logger& logger() {
  static const Logger instance("memory.ingest");
  return instance;
}

std::int64_t to_ms(Clock::Time time) {
  return std::chrono::floor<milliseconds>(time).time_since_epoch().count();
}
Clock::Time from_ms(std::int64_t ms) { return Clock::Time(milliseconds(ms)); }

/// Text that any database takes.
std::string storable(std::string_view text) {
  std::string out = mended_utf8(text, kMaxError);
  std::ranges::replace(out, '\0', ' ');
  return out;
}

std::int64_t number(std::uint64_t value) { return static_cast<std::int64_t>(value); }

std::string placeholders(std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += i == 0 ? "?" : ", ?";
  return out;
}

UploadOrigin origin_of(std::string_view name) {
  if (name == "push") return UploadOrigin::kPush;
  return name == "import" ? UploadOrigin::kImport : UploadOrigin::kBucket;
}

UploadLease read_row(const sql::Rows& rows, std::size_t i) {
  UploadLease lease;
  lease.row = rows.text(i, "row_id");
  lease.fence = rows.integer(i, "fence");
  Upload& upload = lease.upload;
  upload.id = {rows.text(i, "tenant"), rows.text(i, "system_id"), rows.text(i, "upload_id")};
  upload.origin = origin_of(rows.text(i, "origin"));
  upload.state = parse_state(rows.text(i, "state")).value_or(UploadState::kFailed);
  upload.priority =
      rows.integer(i, "priority") > 0 ? UploadPriority::kHigh : UploadPriority::kNormal;
  upload.attempts = static_cast<int>(rows.integer(i, "attempts"));
  const Clock::Time due = from_ms(rows.integer(i, "due_at_ms"));
  if (upload.state == UploadState::kLeased || upload.state == UploadState::kProcessing) {
    upload.lease_owner = rows.text(i, "lease_owner");
    upload.lease_until = due;
  } else if (upload.state == UploadState::kDiscovered) {
    upload.not_before = due;
  }
  const auto count = [&](std::string_view column) {
    return static_cast<std::uint64_t>(rows.integer(i, column));
  };
  upload.position = count("position");
  upload.counts = {.items = count("items"),
                   .stored = count("stored"),
                   .replaced = count("replaced"),
                   .unchanged = count("unchanged"),
                   .older = count("older"),
                   .duplicates = count("duplicates"),
                   .near_duplicates = count("near_duplicates"),
                   .skipped = count("skipped"),
                   .errors = count("errors"),
                   .bytes = count("bytes")};
  upload.error = rows.text(i, "error");
  upload.bad_items = rows.text(i, "bad_items");
  upload.discovered_at = from_ms(rows.integer(i, "discovered_at_ms"));
  upload.updated_at = from_ms(rows.integer(i, "updated_at_ms"));
  if (!rows.is_null(i, "started_at_ms"))
    upload.started_at = from_ms(rows.integer(i, "started_at_ms"));
  if (!rows.is_null(i, "finished_at_ms"))
    upload.finished_at = from_ms(rows.integer(i, "finished_at_ms"));
  return lease;
}

/// ?: until, now, now, owner / now, limit; which half comes first depends on the dialect.
std::string lease_sql(sql::Dialect dialect) {
  // An upload that takes its process down must not do so for ever.
  constexpr std::string_view kDies =
      "CASE WHEN state IN ('leased', 'processing') AND attempts >= {}";
  const std::string set = fmt::format(
      " SET state = {0} THEN 'failed' ELSE 'leased' END,"
      " attempts = {0} THEN attempts ELSE attempts + 1 END,"
      " finished_at_ms = {0} THEN CAST(? AS BIGINT) END,"
      " error = {0} THEN '{1}' ELSE error END,"
      " fence = fence + 1, due_at_ms = ?, updated_at_ms = ?, lease_owner = ?",
      fmt::format(kDies, "CAST(? AS INTEGER)"), kLeaseRanOut);
  constexpr std::string_view kDue =
      "SELECT row_id FROM memory_uploads WHERE state IN ('discovered', 'leased', 'processing')"
      " AND origin = 'bucket' AND due_at_ms <= ? ORDER BY priority DESC, discovered_at_ms, row_id"
      " LIMIT ?";
  if (dialect == sql::Dialect::kSqlite)
    return fmt::format("UPDATE memory_uploads{} WHERE row_id IN ({}) RETURNING {}", set, kDue,
                       kColumns);
  // As a sub-select of IN the planner might run it more than once and lock more than `limit`.
  return fmt::format(
      "WITH due AS MATERIALIZED ({} FOR UPDATE SKIP LOCKED) UPDATE memory_uploads{}"
      " WHERE row_id IN (SELECT row_id FROM due) RETURNING {}",
      kDue, set, kColumns);
}

}  // namespace

std::string_view state_name(UploadState state) {
  switch (state) {
    case UploadState::kDiscovered:
      return "discovered";
    case UploadState::kLeased:
      return "leased";
    case UploadState::kProcessing:
      return "processing";
    case UploadState::kDone:
      return "done";
    case UploadState::kPartial:
      return "partial";
    case UploadState::kRejected:
      return "rejected";
    case UploadState::kFailed:
      return "failed";
  }
  return "failed";
}

std::optional<UploadState> parse_state(std::string_view name) {
  for (const auto state :
       {UploadState::kDiscovered, UploadState::kLeased, UploadState::kProcessing,
        UploadState::kDone, UploadState::kPartial, UploadState::kRejected, UploadState::kFailed}) {
    if (state_name(state) == name) return state;
  }
  return std::nullopt;
}

std::string_view origin_name(UploadOrigin origin) {
  switch (origin) {
    case UploadOrigin::kBucket:
      return "bucket";
    case UploadOrigin::kPush:
      return "push";
    case UploadOrigin::kImport:
      return "import";
  }
  return "bucket";
}

std::string_view priority_name(UploadPriority priority) {
  return priority == UploadPriority::kHigh ? "high" : "normal";
}

UploadCounts& UploadCounts::operator+=(const UploadCounts& other) {
  items += other.items;
  stored += other.stored;
  replaced += other.replaced;
  unchanged += other.unchanged;
  older += other.older;
  duplicates += other.duplicates;
  near_duplicates += other.near_duplicates;
  skipped += other.skipped;
  errors += other.errors;
  bytes += other.bytes;
  return *this;
}

milliseconds retry_pause(int attempt, double jitter) {
  constexpr double kBase = 1'000;
  constexpr double kCap = 60'000;
  constexpr double kSpread = 0.1;
  const double pause =
      std::min(kBase * static_cast<double>(1LL << std::clamp(attempt - 1, 0, 20)), kCap);
  return milliseconds(static_cast<std::int64_t>(pause * (1 + kSpread * (2 * jitter - 1))));
}

std::uint64_t Ledger::Totals::queued() const {
  const auto found = states.find(UploadState::kDiscovered);
  return found == states.end() ? 0 : found->second;
}

std::uint64_t Ledger::Totals::in_work() const {
  std::uint64_t all = 0;
  for (const auto state : {UploadState::kLeased, UploadState::kProcessing}) {
    if (const auto found = states.find(state); found != states.end()) all += found->second;
  }
  return all;
}

Ledger::Ledger(sql::Database& db, const Clock& clock, Options options)
    : db_(db), clock_(clock), options_(options) {}

Task<std::vector<std::string>> Ledger::unknown(std::string tenant, std::string system_id,
                                               std::vector<std::string> upload_ids) {
  std::vector<std::string> missing;
  for (std::size_t at = 0; at < upload_ids.size(); at += kRowsOfStatement) {
    const std::size_t end = std::min(at + kRowsOfStatement, upload_ids.size());
    std::vector<sql::Value> params{tenant, system_id};
    for (std::size_t i = at; i < end; ++i) params.emplace_back(upload_ids[i]);
    ASAHI_CO_TRY(const auto rows,
                 co_await db_.query({"SELECT upload_id FROM memory_uploads WHERE tenant = ? AND"
                                     " system_id = ? AND upload_id IN (" +
                                         placeholders(end - at) + ")",
                                     std::move(params)}));
    std::set<std::string> known;
    for (std::size_t i = 0; i < rows.size(); ++i) known.insert(rows.text(i, "upload_id"));
    for (std::size_t i = at; i < end; ++i) {
      if (!known.contains(upload_ids[i])) missing.push_back(upload_ids[i]);
    }
  }
  co_return missing;
}

Task<std::uint64_t> Ledger::discover(std::vector<UploadId> uploads, UploadPriority priority) {
  const Clock::Time now = clock_.now();
  std::uint64_t made = 0;
  for (std::size_t at = 0; at < uploads.size(); at += kRowsOfStatement) {
    const std::size_t end = std::min(at + kRowsOfStatement, uploads.size());
    std::string values;
    std::vector<sql::Value> params;
    for (std::size_t i = at; i < end; ++i) {
      values += values.empty() ? "" : ", ";
      values += "(?, ?, ?, ?, 'bucket', 'discovered', ?, 0, 0, ?, 0, ?, ?)";
      const UploadId& id = uploads[i];
      params.insert(params.end(), {entity_id("upl_", now), id.tenant, id.system_id, id.upload_id,
                                   std::int64_t{priority == UploadPriority::kHigh}, to_ms(now),
                                   to_ms(now), to_ms(now)});
    }
    ASAHI_CO_TRY(const auto rows,
                 co_await db_.query(
                     {"INSERT INTO memory_uploads (row_id, tenant, system_id, upload_id, origin,"
                      " state, priority, attempts, fence, due_at_ms, position, discovered_at_ms,"
                      " updated_at_ms) VALUES " +
                          values + " ON CONFLICT (tenant, system_id, upload_id) DO NOTHING",
                      std::move(params)}));
    made += static_cast<std::uint64_t>(std::max<std::int64_t>(rows.affected(), 0));
  }
  co_return made;
}

Task<std::vector<UploadLease>> Ledger::lease(std::string owner, std::size_t limit) {
  std::vector<UploadLease> leases;
  if (limit == 0) co_return leases;
  // Rows that are buried instead of taken must not look like an empty queue; each round buries
  // some.
  for (;;) {
    const std::int64_t now = to_ms(clock_.now());
    const std::int64_t most = options_.max_attempts;
    const std::vector<sql::Value> set{most, most, most, now, most, now + options_.lease.count(),
                                      now,  owner};
    const std::vector<sql::Value> due{now, number(limit)};
    const bool due_first = db_.dialect() == sql::Dialect::kPostgres;
    std::vector<sql::Value> params = due_first ? due : set;
    params.insert(params.end(), due_first ? set.begin() : due.begin(),
                  due_first ? set.end() : due.end());
    ASAHI_CO_TRY(const auto rows,
                 co_await db_.query({lease_sql(db_.dialect()), std::move(params)}));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      UploadLease taken = read_row(rows, i);
      if (taken.upload.state == UploadState::kLeased) {
        leases.push_back(std::move(taken));
        continue;
      }
      logger().error("upload is a dead letter", {{"system_id", taken.upload.id.system_id},
                                                 {"upload_id", taken.upload.id.upload_id},
                                                 {"error", taken.upload.error}});
    }
    if (rows.empty() || !leases.empty()) break;
  }
  // RETURNING keeps no order.
  std::ranges::sort(leases, [](const UploadLease& a, const UploadLease& b) {
    return std::tuple(a.upload.priority != UploadPriority::kHigh, a.upload.discovered_at,
                      std::string_view(a.row)) <
           std::tuple(b.upload.priority != UploadPriority::kHigh, b.upload.discovered_at,
                      std::string_view(b.row));
  });
  co_return leases;
}

Task<UploadLease> Ledger::open(UploadId id, UploadOrigin origin, std::string owner) {
  const Clock::Time time = clock_.now();
  const std::int64_t now = to_ms(time);
  const std::int64_t until = to_ms(time + options_.lease);
  // A push that comes again is read from its start: its counts are those of this time.
  const std::string_view anew =
      origin == UploadOrigin::kPush
          ? ", position = 0, items = 0, stored = 0, replaced = 0, unchanged = 0, older = 0,"
            " duplicates = 0, near_duplicates = 0, skipped = 0, errors = 0, bytes = 0,"
            " bad_items = '[]'"
          : "";
  ASAHI_CO_TRY(
      const auto rows,
      co_await db_.query(
          {fmt::format("INSERT INTO memory_uploads AS u (row_id, tenant, system_id, upload_id,"
                       " origin, state, priority, attempts, fence, due_at_ms, position,"
                       " discovered_at_ms, started_at_ms, updated_at_ms, lease_owner)"
                       " VALUES (?, ?, ?, ?, ?, 'processing', 0, 1, 1, ?, 0, ?, ?, ?, ?)"
                       " ON CONFLICT (tenant, system_id, upload_id) DO UPDATE SET"
                       " state = 'processing', attempts = u.attempts + 1, fence = u.fence + 1,"
                       " due_at_ms = excluded.due_at_ms, updated_at_ms = excluded.updated_at_ms,"
                       " started_at_ms = excluded.started_at_ms, finished_at_ms = NULL,"
                       " lease_owner = excluded.lease_owner, error = ''{}"
                       " WHERE u.origin = excluded.origin AND (u.state NOT IN {} OR u.due_at_ms <="
                       " CAST(? AS BIGINT)) RETURNING {}",
                       anew, kInWork, kColumns),
           {entity_id("upl_", time), id.tenant, id.system_id, id.upload_id,
            std::string(origin_name(origin)), until, now, now, now, owner, now}}));
  if (rows.empty())
    co_return asahi::fail(
        Errc::kConflict,
        fmt::format("upload '{}' of system '{}' is being taken in, or came another way than by {};"
                    " use another upload_id, or wait until it is finished",
                    id.upload_id, id.system_id, origin_name(origin)));
  co_return read_row(rows, 0);
}

Task<void> Ledger::update(const UploadLease& lease, std::string set,
                          std::vector<sql::Value> values) {
  std::string text = fmt::format(
      "UPDATE memory_uploads SET {}, updated_at_ms = ? WHERE row_id = ? AND fence = ? AND state IN"
      " {}",
      set, kInWork);
  values.insert(values.end(), {to_ms(clock_.now()), lease.row, lease.fence});
  std::string lost = fmt::format(
      "the lease of upload '{}' of system '{}' was lost: it ran out and the upload was taken again",
      lease.upload.id.upload_id, lease.upload.id.system_id);
  ASAHI_CO_TRY(const auto rows, co_await db_.query({std::move(text), std::move(values)}));
  if (rows.affected() == 0) co_return asahi::fail(Errc::kConflict, std::move(lost));
  co_return Result<void>{};
}

Task<void> Ledger::begin(const UploadLease& lease) {
  return update(lease, "state = 'processing', started_at_ms = ?", {to_ms(clock_.now())});
}

Task<void> Ledger::renew(const UploadLease& lease) {
  return update(lease, "due_at_ms = ?", {to_ms(clock_.now() + options_.lease)});
}

Task<void> Ledger::progress(const UploadLease& lease, std::uint64_t position, UploadCounts counts,
                            std::string bad_items) {
  return update(
      lease,
      "due_at_ms = ?, position = ?, items = ?, stored = ?, replaced = ?, unchanged = ?,"
      " older = ?, duplicates = ?, near_duplicates = ?, skipped = ?, errors = ?,"
      " bytes = ?, bad_items = ?",
      {to_ms(clock_.now() + options_.lease), number(position), number(counts.items),
       number(counts.stored), number(counts.replaced), number(counts.unchanged),
       number(counts.older), number(counts.duplicates), number(counts.near_duplicates),
       number(counts.skipped), number(counts.errors), number(counts.bytes), std::move(bad_items)});
}

Task<void> Ledger::finish(const UploadLease& lease, UploadState state, std::string error) {
  return update(lease, "state = ?, error = ?, finished_at_ms = ?, lease_owner = NULL",
                {std::string(state_name(state)), storable(error), to_ms(clock_.now())});
}

Task<UploadState> Ledger::fail(const UploadLease& lease, std::string error, double jitter) {
  const Clock::Time now = clock_.now();
  const bool last = lease.upload.attempts >= options_.max_attempts ||
                    lease.upload.origin != UploadOrigin::kBucket;
  if (last) {
    const auto buried = co_await finish(lease, UploadState::kFailed, std::move(error));
    if (!buried) co_return std::unexpected(buried.error());
    co_return UploadState::kFailed;
  }
  const auto done =
      co_await update(lease, "state = 'discovered', error = ?, due_at_ms = ?, lease_owner = NULL",
                      {storable(error), to_ms(now + retry_pause(lease.upload.attempts, jitter))});
  if (!done) co_return std::unexpected(done.error());
  co_return UploadState::kDiscovered;
}

Task<void> Ledger::release(const UploadLease& lease) {
  return update(lease,
                "state = 'discovered', attempts = attempts - 1, due_at_ms = ?, lease_owner = NULL",
                {to_ms(clock_.now())});
}

/// What shares one statement, and who waits for it.
struct Ledger::Tally {
  std::map<UploadId, UploadCounts> pushed;
  std::vector<std::move_only_function<void()>> waiters;
  std::optional<Result<void>> written;
  bool leads = false;  ///< the first who is woken writes it
};

Aw<void> Ledger::wait_for_tally(std::shared_ptr<Tally> tally) {
  return net::suspend([this, tally = std::move(tally)](std::move_only_function<void()> resume) {
    {
      const std::lock_guard lock(pushed_mutex_);
      if (!tally->written && !tally->leads) {
        tally->waiters.push_back(std::move(resume));
        return;
      }
    }
    resume();
  });
}

Task<void> Ledger::add_pushed(std::map<UploadId, UploadCounts> pushed) {
  if (pushed.empty()) co_return Result<void>{};
  std::shared_ptr<Tally> own;
  for (bool first = true;; first = false) {
    {
      const std::lock_guard lock(pushed_mutex_);
      if (first) {
        if (gathering_ == nullptr) gathering_ = std::make_shared<Tally>();
        own = gathering_;
        for (const auto& [id, counts] : pushed) own->pushed[id] += counts;
      }
      if (own->written) co_return *own->written;
      // The one on its way wakes the next's leader when it is there.
      if (first ? !writing_pushed_ : std::exchange(own->leads, false)) {
        writing_pushed_ = true;
        gathering_ = nullptr;
        break;
      }
    }
    co_await wait_for_tally(own);
  }
  auto written = co_await write_pushed(std::move(own->pushed));
  std::vector<std::move_only_function<void()>> woken;
  {
    const std::lock_guard lock(pushed_mutex_);
    own->written = written;
    woken.swap(own->waiters);
    writing_pushed_ = gathering_ != nullptr;
    if (gathering_ != nullptr) {
      gathering_->leads = true;
      auto& waiting = gathering_->waiters;
      // Who has not begun to wait yet sees that it leads.
      if (!waiting.empty()) {
        woken.push_back(std::move(waiting.back()));
        waiting.pop_back();
      }
    }
  }
  for (auto& wake : woken) wake();
  co_return written;
}

Task<void> Ledger::write_pushed(std::map<UploadId, UploadCounts> pushed) {
  const Clock::Time time = clock_.now();
  const std::int64_t now = to_ms(time);
  std::vector<sql::Statement> statements;
  for (auto at = pushed.begin(); at != pushed.end();) {
    std::string values;
    std::vector<sql::Value> params;
    for (std::size_t rows = 0; at != pushed.end() && rows < kRowsOfStatement; ++at, ++rows) {
      const auto& [id, counts] = *at;
      values += values.empty() ? "" : ", ";
      values +=
          "(?, ?, ?, ?, 'push', 'done', 0, 1, 1, 0, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
      params.insert(params.end(),
                    {entity_id("upl_", time), id.tenant, id.system_id, id.upload_id,
                     number(counts.items), number(counts.stored), number(counts.replaced),
                     number(counts.unchanged), number(counts.older), number(counts.duplicates),
                     number(counts.near_duplicates), number(counts.skipped), number(counts.errors),
                     number(counts.bytes), now, now, now, now});
    }
    statements.push_back(
        {"INSERT INTO memory_uploads AS u (row_id, tenant, system_id, upload_id, origin, state,"
         " priority, attempts, fence, due_at_ms, position, items, stored, replaced, unchanged,"
         " older, duplicates, near_duplicates, skipped, errors, bytes, discovered_at_ms,"
         " started_at_ms, finished_at_ms, updated_at_ms) VALUES " +
             values +
             " ON CONFLICT (tenant, system_id, upload_id) DO UPDATE SET"
             " items = u.items + excluded.items, stored = u.stored + excluded.stored,"
             " replaced = u.replaced + excluded.replaced, unchanged = u.unchanged +"
             " excluded.unchanged, older = u.older + excluded.older, duplicates = u.duplicates +"
             " excluded.duplicates, near_duplicates = u.near_duplicates + excluded.near_duplicates,"
             " skipped = u.skipped + excluded.skipped, errors = u.errors + excluded.errors,"
             " bytes = u.bytes + excluded.bytes, finished_at_ms = excluded.finished_at_ms,"
             " updated_at_ms = excluded.updated_at_ms",
         std::move(params)});
  }
  if (statements.size() == 1) {
    const auto done = co_await db_.query(std::move(statements.front()));
    if (!done) co_return std::unexpected(done.error());
  } else {
    const auto done = co_await db_.batch(std::move(statements));
    if (!done) co_return std::unexpected(done.error());
  }
  co_return Result<void>{};
}

Task<UploadPage> Ledger::list(UploadQuery query) {
  constexpr std::size_t kMost = 1'000;
  if (query.limit < 1 || query.limit > kMost)
    co_return fail_field("limit", fmt::format("a page holds 1 to {} uploads", kMost));
  std::string where = "tenant = ?";
  std::vector<sql::Value> params{query.tenant};
  const auto any_of = [&](std::string_view column, const std::vector<std::string>& names) {
    where += names.empty() ? " AND 1 = 0"
                           : fmt::format(" AND {} IN ({})", column, placeholders(names.size()));
    params.insert(params.end(), names.begin(), names.end());
  };
  if (!query.system_id.empty()) any_of("system_id", {query.system_id});
  if (query.systems_allowed) any_of("system_id", *query.systems_allowed);
  if (!query.states.empty()) {
    std::vector<std::string> names;
    for (const UploadState state : query.states) names.emplace_back(state_name(state));
    any_of("state", names);
  }
  if (query.origin) any_of("origin", {std::string(origin_name(*query.origin))});
  if (query.since) {
    where += " AND discovered_at_ms >= ?";
    params.emplace_back(to_ms(*query.since));
  }
  if (!query.cursor.empty()) {
    const std::size_t dot = query.cursor.find('.');
    std::int64_t at = 0;
    const auto read = std::from_chars(query.cursor.data(),
                                      query.cursor.data() + std::min(dot, query.cursor.size()), at);
    if (dot == std::string::npos || read.ec != std::errc{} || read.ptr != query.cursor.data() + dot)
      co_return fail_field("cursor", "not one that a page of this list gave");
    where += " AND (discovered_at_ms, row_id) < (?, ?)";
    params.insert(params.end(), {at, query.cursor.substr(dot + 1)});
  }
  params.emplace_back(number(query.limit + 1));
  ASAHI_CO_TRY(const auto rows,
               co_await db_.query(
                   {fmt::format("SELECT {} FROM memory_uploads WHERE {} ORDER BY discovered_at_ms"
                                " DESC, row_id DESC LIMIT ?",
                                kColumns, where),
                    std::move(params)}));
  UploadPage page;
  for (std::size_t i = 0; i < std::min(rows.size(), query.limit); ++i) {
    UploadLease row = read_row(rows, i);
    if (i + 1 == query.limit && rows.size() > query.limit)
      page.next = fmt::format("{}.{}", to_ms(row.upload.discovered_at), row.row);
    page.uploads.push_back(std::move(row.upload));
  }
  co_return page;
}

Task<std::optional<Upload>> Ledger::find(UploadId id) {
  ASAHI_CO_TRY(const auto rows,
               co_await db_.query({fmt::format("SELECT {} FROM memory_uploads WHERE tenant = ? AND"
                                               " system_id = ? AND upload_id = ?",
                                               kColumns),
                                   {id.tenant, id.system_id, id.upload_id}}));
  if (rows.empty()) co_return std::optional<Upload>{};
  co_return read_row(rows, 0).upload;
}

Task<Upload> Ledger::retry(UploadId id, UploadPriority priority) {
  const std::int64_t now = to_ms(clock_.now());
  ASAHI_CO_TRY(
      const auto rows,
      co_await db_.query(
          {fmt::format("UPDATE memory_uploads SET state = 'discovered', attempts = 0,"
                       " fence = fence + 1, priority = ?, due_at_ms = ?, updated_at_ms = ?,"
                       " finished_at_ms = NULL, position = 0, items = 0, stored = 0, replaced = 0,"
                       " unchanged = 0, older = 0, duplicates = 0, near_duplicates = 0,"
                       " skipped = 0, errors = 0, bytes = 0, bad_items = '[]', error = ''"
                       " WHERE tenant = ? AND system_id = ? AND upload_id = ? AND origin = 'bucket'"
                       " AND state NOT IN {} RETURNING {}",
                       kInWork, kColumns),
           {std::int64_t{priority == UploadPriority::kHigh}, now, now, id.tenant, id.system_id,
            id.upload_id}}));
  if (!rows.empty()) co_return read_row(rows, 0).upload;
  ASAHI_CO_TRY(const auto there, co_await find(id));
  if (!there)
    co_return asahi::fail(Errc::kNotFound, fmt::format("no upload '{}' of system '{}' is known",
                                                       id.upload_id, id.system_id));
  co_return asahi::fail(Errc::kConflict,
                        there->origin == UploadOrigin::kBucket
                            ? std::string("the upload is in work now; wait until it is finished")
                            : fmt::format("the upload came by {}: send it again instead",
                                          origin_name(there->origin)));
}

Task<Ledger::Totals> Ledger::totals(std::string tenant,
                                    std::optional<std::vector<std::string>> systems) {
  std::string text =
      "SELECT state, count(*) AS n FROM memory_uploads WHERE (CAST(? AS TEXT) = '' OR tenant = ?)";
  std::vector<sql::Value> params{tenant, tenant};
  if (systems) {
    text += systems->empty() ? std::string(" AND 1 = 0")
                             : fmt::format(" AND system_id IN ({})", placeholders(systems->size()));
    params.insert(params.end(), systems->begin(), systems->end());
  }
  text += " GROUP BY state";
  ASAHI_CO_TRY(const auto rows, co_await db_.query({std::move(text), std::move(params)}));
  Totals totals;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (const auto state = parse_state(rows.text(i, "state")))
      totals.states[*state] = static_cast<std::uint64_t>(rows.integer(i, "n"));
  }
  co_return totals;
}

Task<Ledger::Totals> Ledger::queue() {
  std::vector<sql::Statement> statements;
  statements.push_back(
      {"SELECT state, count(*) AS n FROM memory_uploads WHERE state IN"
       " ('discovered', 'leased', 'processing') GROUP BY state",
       {}});
  statements.push_back({fmt::format("SELECT count(DISTINCT lease_owner) AS n FROM memory_uploads"
                                    " WHERE state IN {} AND origin = 'bucket'",
                                    kInWork),
                        {}});
  ASAHI_CO_TRY(const auto rows, co_await db_.batch(std::move(statements)));
  Totals totals;
  for (std::size_t i = 0; i < rows[0].size(); ++i) {
    if (const auto state = parse_state(rows[0].text(i, "state")))
      totals.states[*state] = static_cast<std::uint64_t>(rows[0].integer(i, "n"));
  }
  totals.workers = static_cast<std::uint64_t>(rows[1].integer(0, "n"));
  co_return totals;
}

Task<std::uint64_t> Ledger::sweep(Clock::Time before) {
  const std::int64_t now = to_ms(clock_.now());
  std::vector<sql::Statement> statements;
  statements.push_back(
      {fmt::format("UPDATE memory_uploads SET state = 'failed', error = '{}', fence = fence + 1,"
                   " lease_owner = NULL, finished_at_ms = ?, updated_at_ms = ?"
                   " WHERE origin <> 'bucket' AND state IN {} AND due_at_ms <= ?",
                   kProcessDied, kInWork),
       {now, now, now}});
  statements.push_back(
      {"DELETE FROM memory_uploads WHERE row_id IN (SELECT row_id FROM memory_uploads"
       " WHERE state IN ('done', 'partial', 'rejected', 'failed') AND finished_at_ms < ?"
       " ORDER BY finished_at_ms LIMIT ?)",
       {to_ms(before), kSweepRows}});
  ASAHI_CO_TRY(const auto rows, co_await db_.batch(std::move(statements)));
  co_return static_cast<std::uint64_t>(rows[1].affected());
}

Task<std::vector<UploadId>> Ledger::bundles_to_erase(Clock::Time before, std::size_t limit) {
  ASAHI_CO_TRY(const auto rows,
               co_await db_.query({"SELECT tenant, system_id, upload_id FROM memory_uploads WHERE"
                                   " origin = 'bucket' AND state = 'done' AND bundle_erased = 0"
                                   " AND finished_at_ms < ? ORDER BY finished_at_ms LIMIT ?",
                                   {to_ms(before), static_cast<std::int64_t>(limit)}}));
  std::vector<UploadId> out;
  for (std::size_t i = 0; i < rows.size(); ++i)
    out.push_back({rows.text(i, "tenant"), rows.text(i, "system_id"), rows.text(i, "upload_id")});
  co_return out;
}

Task<void> Ledger::bundle_erased(UploadId id) {
  auto done =
      co_await db_.query({"UPDATE memory_uploads SET bundle_erased = 1 WHERE tenant = ?"
                          " AND system_id = ? AND upload_id = ?",
                          {id.tenant, id.system_id, id.upload_id}});
  if (!done) co_return std::unexpected(std::move(done.error()));
  co_return Result<void>{};
}

}  // namespace asahi::memory
