#include <fmt/format.h>
#include <boost/asio/thread_pool.hpp>

#include <utility>

#include "base/log.h"
#include "identity/audit/audit.h"
#include "identity/audit/verify.h"
#include "identity/audit/writer.h"
#include "net/blocking.h"
#include "storage/sql/completion.h"

namespace asahi::identity {
namespace {

using audit::ChainRow;

/// Rows per transaction of a trim: the organisation's writers wait for it.
constexpr std::int64_t kTrimRows = 5'000;
/// Verifications and trims that may wait for their turn: each reads a whole chain.
constexpr int kMaxWaitingChecks = 8;

sql::Statement select(const AuditFilter& filter) {
  sql::Statement statement{
      fmt::format("SELECT {} FROM audit_entries WHERE org_id = ?", audit::kRowColumns),
      {filter.org_id}};
  const auto add = [&](std::string_view condition, sql::Value value) {
    statement.sql += condition;
    statement.params.push_back(std::move(value));
  };
  if (!filter.action.empty()) add(" AND action = ?", filter.action);
  if (!filter.user_id.empty()) add(" AND user_id = ?", filter.user_id);
  if (filter.start) add(" AND timestamp >= ?", format_rfc3339(*filter.start));
  if (filter.end) add(" AND timestamp <= ?", format_rfc3339(*filter.end));
  if (filter.before_seq > 0) add(" AND seq < ?", filter.before_seq);
  add(" ORDER BY seq DESC LIMIT ?", filter.limit);
  add(" OFFSET ?", filter.offset);
  return statement;
}

class SqlAuditLog final : public AuditLog {
 public:
  SqlAuditLog(AuditOptions options, sql::Database& database, const Clock& clock,
              std::unique_ptr<audit::Spool> own,
              std::vector<std::unique_ptr<audit::Spool>> left_behind)
      : append_timeout_(options.append_timeout),
        database_(database),
        clock_(clock),
        writer_(options, database, clock, std::move(own), std::move(left_behind)) {}
  ~SqlAuditLog() override {
    stopping_ = true;
    checks_.join();
  }

  bool record(AuditEntry entry) override {
    if (entry.org_id.empty() || entry.org_id.size() > audit::kMaxOrgId) {
      writer_.intake().count_refusal();
      if (auto held_back = refusals_.pass(clock_.steady_now())) {
        log_.error("an audit entry without a valid organisation was refused",
                   {{"action", entry.action}, {"suppressed", *held_back}});
      }
      return false;
    }
    return writer_.intake().put({std::move(entry), clock_.now(), nullptr});
  }

  Task<std::string> append(AuditEntry entry) override {
    if (entry.org_id.empty() || entry.org_id.size() > audit::kMaxOrgId) {
      co_return fail(
          Errc::kInvalidArgument,
          fmt::format("an audit entry needs an organisation of 1 to {} bytes", audit::kMaxOrgId));
    }
    co_return co_await sql::await_done<std::string>(
        [this, entry = std::move(entry)](sql::Done<std::string> done) mutable {
          auto waiter = std::make_shared<audit::Waiter>(
              std::move(done), std::chrono::steady_clock::now() + append_timeout_);
          if (!writer_.intake().put({std::move(entry), clock_.now(), waiter})) {
            waiter->tell(fail(Errc::kUnavailable,
                              "the audit log's queue is full; the entry was not stored"));
          }
        });
  }

  Task<std::vector<StoredAuditEntry>> query(AuditFilter filter) override {
    if (filter.limit < 1 || filter.limit > AuditFilter::kMaxLimit) {
      co_return fail_field("limit", fmt::format("limit is {}; it must be from 1 to {}",
                                                filter.limit, AuditFilter::kMaxLimit));
    }
    if (filter.offset < 0) co_return fail_field("offset", "offset must be 0 or more");
    const sql::Dialect dialect = database_.dialect();  // the log may be gone when the rows come
    ASAHI_CO_TRY(const auto rows, co_await database_.query(select(filter)));
    std::vector<StoredAuditEntry> entries;
    entries.reserve(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      entries.push_back(audit::stored_entry(audit::read_row(rows, i, dialect)));
    }
    co_return entries;
  }

  Task<AuditVerification> verify(std::string org_id) override {
    return checked<AuditVerification>([this, org = std::move(org_id)] {
      return verify_audit_chain(database_, writer_.store().head_key(), org, &stopping_);
    });
  }

  Task<std::int64_t> trim(std::string org_id, Clock::Time before) override {
    return checked<std::int64_t>(
        [this, org = std::move(org_id), before] { return trim_blocking(org, before); });
  }

  bool flush(std::chrono::milliseconds limit) override { return writer_.flush(limit); }
  std::uint64_t dropped() const override { return std::as_const(writer_).intake().dropped(); }

 private:
  /// Runs work that reads whole chains on the one thread for it.
  template <class T>
  Task<T> checked(std::function<Result<T>()> work) {
    if (waiting_checks_.fetch_add(1) >= kMaxWaitingChecks) {
      --waiting_checks_;
      co_return fail(Errc::kUnavailable,
                     "too many verifications of audit chains at once; try again later");
    }
    std::function<Result<T>()> counted = [this, work = std::move(work)] {
      auto outcome = work();
      --waiting_checks_;
      return outcome;
    };
    co_return co_await net::run_blocking(checks_, std::move(counted));
  }

  Result<std::int64_t> trim_blocking(const std::string& org, Clock::Time before) {
    // By the order of the chain: it reads the rows that will go, not all that stay.
    ASAHI_TRY(const auto younger,
              database_.query_blocking({"SELECT seq FROM audit_entries WHERE org_id = ?"
                                        " AND timestamp >= ? ORDER BY seq LIMIT 1",
                                        {org, format_rfc3339(before)}}));
    std::int64_t last = 0;
    AuditVerification whole;
    if (!younger.empty()) {
      // With the row behind it, which says whether the last one to go is whole.
      const std::int64_t next = younger.integer(0, "seq");
      last = next - 1;
      ASAHI_TRY(whole,
                audit::verify_part(database_, writer_.store().head_key(), org, next, &stopping_));
    } else {
      ASAHI_TRY(const auto newest,
                database_.query_blocking({"SELECT max(seq) AS seq FROM audit_entries"
                                          " WHERE org_id = ?",
                                          {org}}));
      if (newest.is_null(0, "seq")) return 0;
      last = newest.integer(0, "seq");
      ASAHI_TRY(whole, verify_audit_chain(database_, writer_.store().head_key(), org, &stopping_));
      if (whole.problem == "head unsigned") whole = {};
    }
    if (!whole.valid) {
      return fail(Errc::kCorrupt,
                  fmt::format("the audit chain of '{}' does not verify ({} at {}); nothing was "
                              "deleted, because it is evidence",
                              org, whole.problem, whole.first_bad_entry));
    }
    std::int64_t total = 0;
    while (!stopping_) {
      std::int64_t deleted = 0;
      auto done = database_.transaction_blocking([&](sql::Session& session) -> Result<void> {
        ASAHI_TRY(deleted, writer_.store().trim(session, org, last, kTrimRows, clock_.now()));
        return {};
      });
      if (!done) return std::unexpected(done.error());
      if (deleted == 0) break;
      total += deleted;
    }
    return total;
  }

  const Logger log_{"audit"};
  RateLimited refusals_{std::chrono::seconds(10)};
  const std::chrono::milliseconds append_timeout_;
  sql::Database& database_;
  const Clock& clock_;
  audit::Writer writer_;
  std::atomic<bool> stopping_{false};
  std::atomic<int> waiting_checks_{0};
  boost::asio::thread_pool checks_{1};
};

}  // namespace

Result<std::unique_ptr<AuditLog>> open_audit_log(AuditOptions options, sql::Database& database,
                                                 const Clock& clock) {
  if (options.spool_dir.empty()) {
    return fail_field("audit.spool_dir", "the audit log needs a folder for what is not stored yet");
  }
  if (options.max_queued == 0 || options.batch == 0 || options.append_timeout.count() <= 0) {
    return fail_field("audit", "max_queued, batch and append_timeout must be above 0");
  }
  ASAHI_TRY(auto left_behind, audit::Spool::adopt(options.spool_dir));
  ASAHI_TRY(auto own, audit::Spool::create(options.spool_dir, options.max_spool_bytes));
  return std::make_unique<SqlAuditLog>(std::move(options), database, clock, std::move(own),
                                       std::move(left_behind));
}

}  // namespace asahi::identity
