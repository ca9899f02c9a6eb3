#include "storage/sql/pg_session.h"

#include <fmt/format.h>

namespace asahi::sql {
namespace {

using SteadyClock = std::chrono::steady_clock;

/// Migrations may rebuild large tables, and wait for another replica's.
constexpr std::chrono::minutes kScriptTimeout{10};
/// How long the server may take to obey a cancel request.
constexpr std::chrono::milliseconds kCancelGrace{1'000};
/// An unused connection is checked after this long before it carries a transaction.
constexpr std::chrono::milliseconds kTrustedFor{1'000};
constexpr std::chrono::milliseconds kCheckTimeout{1'000};

}  // namespace

PgSession::PgSession(const PgTarget& target, PgGate& gate, const PgClosing& closing,
                     std::chrono::milliseconds statement_timeout)
    : target_(target), gate_(gate), closing_(closing), statement_timeout_(statement_timeout) {}

void PgSession::idle() { connection_.reset(); }

std::unexpected<Error> PgSession::broken() {
  auto error = fail(Errc::kUnavailable,
                    "the connection to PostgreSQL broke: " + pg_message(connection_.get()));
  connection_.reset();
  return error;
}

Result<void> PgSession::ensure_connected() {
  if (connection_) {
    // A server that shut down has said so on the socket; one that vanished has not.
    const bool said_something = pg_wait(connection_.get(), false, SteadyClock::now(), closing_);
    const bool old = SteadyClock::now() - last_used_ > kTrustedFor;
    if ((said_something || old) && !run_text("", kCheckTimeout)) connection_.reset();
  }
  if (connection_) return {};
  if (gate_.down() && SteadyClock::now() < gate_.next_attempt()) return gate_.refusal();
  auto connection = target_.connect(closing_);
  if (!connection) {
    gate_.failed(connection.error());
    return std::unexpected(connection.error());
  }
  gate_.succeeded();
  connection_ = std::move(*connection);
  return {};
}

Result<PgResult> PgSession::collect() {
  PgResult kept;
  std::optional<Error> error;
  while (PgResult result{PQgetResult(connection_.get())}) {
    const auto status = PQresultStatus(result.get());
    const bool good =
        status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY;
    if (good) {
      kept = std::move(result);
    } else if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
      connection_.reset();  // the protocol is in another mode now
      return fail(Errc::kInvalidArgument, "COPY as a statement is not supported; use sql::copy");
    } else if (!error) {
      error = pg_error(result.get());
    }
  }
  if (error) {
    if (PQstatus(connection_.get()) != CONNECTION_OK) connection_.reset();
    return std::unexpected(std::move(*error));
  }
  if (!kept) return broken();
  return kept;
}

Result<void> PgSession::wait(Until until, SteadyClock::time_point deadline) {
  bool cancelled = false;
  while (true) {
    const int unsent = PQflush(connection_.get());
    if (unsent < 0) return broken();
    if (unsent == 0 && (until == Until::kSent || PQisBusy(connection_.get()) == 0)) return {};
    if (pg_wait(connection_.get(), unsent == 1, deadline, closing_)) {
      if (PQconsumeInput(connection_.get()) != 1) return broken();
      continue;
    }
    // Nobody reads an answer while rows are being sent.
    if (cancelled || until == Until::kSent || closing_.load(std::memory_order_relaxed)) {
      connection_.reset();
      auto error = fail(Errc::kTimeout, "PostgreSQL did not answer within statement_timeout");
      error.error().reason = "outcome_unknown";
      return error;
    }
    cancelled = true;
    deadline = SteadyClock::now() + kCancelGrace;
    if (const PgCancel cancel{PQgetCancel(connection_.get())}) pg_cancel(cancel.get());
  }
}

Result<PgResult> PgSession::run(const Send& send, std::chrono::milliseconds timeout) {
  if (!connection_) return fail(Errc::kUnavailable, "the connection to PostgreSQL is gone");
  if (!send(connection_.get())) return broken();
  if (auto answered = wait(Until::kAnswered, SteadyClock::now() + timeout); !answered)
    return std::unexpected(std::move(answered.error()));
  last_used_ = SteadyClock::now();
  return collect();
}

Result<PgResult> PgSession::run_text(const std::string& sql, std::chrono::milliseconds timeout) {
  return run([&sql](PGconn* connection) { return PQsendQuery(connection, sql.c_str()) == 1; },
             timeout);
}

Result<Rows> PgSession::query(const Statement& statement) {
  if (transaction_error_) return std::unexpected(*transaction_error_);
  auto rows = [&]() -> Result<Rows> {
    // SET LOCAL and SET TRANSACTION end with the transaction, so they go through script().
    ASAHI_TRY(auto encoded, PgStatement::encode(statement));
    ASAHI_TRY(auto result, run([&encoded](PGconn* connection) { return encoded.send(connection); },
                               statement_timeout_));
    return to_rows(result.get());
  }();
  if (!rows) transaction_error_ = rows.error();
  return rows;
}

Result<void> PgSession::script(std::string_view sql) {
  if (transaction_error_) return std::unexpected(*transaction_error_);
  auto result = run_text(std::string(sql), kScriptTimeout);
  Result<void> outcome;
  if (!result) {
    outcome = std::unexpected(result.error());
  } else if (PQtransactionStatus(connection_.get()) != PQTRANS_INTRANS) {
    outcome = fail(Errc::kInvalidArgument,
                   "the script ended the transaction it runs in; leave COMMIT and ROLLBACK out");
  }
  if (!outcome) transaction_error_ = outcome.error();
  return outcome;
}

Result<void> PgSession::send_rows(CopyRows& rows, SteadyClock::time_point deadline) {
  constexpr std::size_t kPiece = 64 * 1024;
  if (PQsendQuery(connection_.get(), rows.statement().c_str()) != 1) return broken();
  if (auto answered = wait(Until::kAnswered, deadline); !answered) return answered;
  const PgResult ready{PQgetResult(connection_.get())};
  if (!ready) return broken();
  if (PQresultStatus(ready.get()) != PGRES_COPY_IN) {
    // The statement was refused; what follows the refusal says nothing new.
    while (const PgResult rest{PQgetResult(connection_.get())}) {
    }
    return std::unexpected(pg_error(ready.get()));
  }
  std::string_view left = rows.finish();
  while (!left.empty()) {
    const std::string_view piece = left.substr(0, kPiece);
    left.remove_prefix(piece.size());
    if (PQputCopyData(connection_.get(), piece.data(), static_cast<int>(piece.size())) != 1)
      return broken();
    // One piece at a time, so that libpq keeps no second copy of them all.
    if (auto sent = wait(Until::kSent, deadline); !sent) return sent;
  }
  if (PQputCopyEnd(connection_.get(), nullptr) != 1) return broken();
  return wait(Until::kAnswered, deadline);
}

Result<std::int64_t> PgSession::copy(CopyRows& rows) {
  if (transaction_error_) return std::unexpected(*transaction_error_);
  auto stored = [&]() -> Result<std::int64_t> {
    if (!connection_) return fail(Errc::kUnavailable, "the connection to PostgreSQL is gone");
    if (auto sent = send_rows(rows, SteadyClock::now() + statement_timeout_); !sent)
      return std::unexpected(std::move(sent.error()));
    last_used_ = SteadyClock::now();
    ASAHI_TRY(const PgResult result, collect());
    ASAHI_TRY(const Rows none, to_rows(result.get()));
    return none.affected();
  }();
  if (!stored) transaction_error_ = stored.error();
  return stored;
}

Result<void> PgSession::transaction(const std::function<Result<void>(Session&)>& body) {
  if (auto ok = ensure_connected(); !ok) return ok;
  if (auto begun = run_text("BEGIN ISOLATION LEVEL SERIALIZABLE", statement_timeout_); !begun) {
    return std::unexpected(begun.error());
  }
  transaction_error_.reset();
  Result<void> outcome;
  try {
    outcome = body(*this);
  } catch (const std::exception& error) {
    outcome = fail(Errc::kInternal, fmt::format("the transaction's body threw: {}", error.what()));
  }
  if (outcome && transaction_error_) outcome = std::unexpected(*transaction_error_);
  transaction_error_.reset();
  if (!connection_) return outcome;
  if (!outcome) {
    if (PQtransactionStatus(connection_.get()) != PQTRANS_IDLE &&
        !run_text("ROLLBACK", statement_timeout_)) {
      connection_.reset();
    }
    return outcome;
  }
  auto committed = run_text("COMMIT", statement_timeout_);
  if (committed) return {};
  Error error = std::move(committed).error();
  if (!connection_) {
    error.reason = "outcome_unknown";
  } else if (PQtransactionStatus(connection_.get()) != PQTRANS_IDLE) {
    connection_.reset();
  }
  return std::unexpected(std::move(error));
}

}  // namespace asahi::sql
