#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "storage/sql/copy_rows.h"
#include "storage/sql/pg_connect.h"

namespace asahi::sql {

/// A blocking PostgreSQL connection for interactive transactions. It connects when first used,
/// checks itself after a pause (the server may have restarted), and closes when nobody needs it.
/// Used by one thread.
class PgSession final : public Session {
 public:
  /// The references outlive the session.
  PgSession(const PgTarget& target, PgGate& gate, const PgClosing& closing,
            std::chrono::milliseconds statement_timeout);

  Dialect dialect() const override { return Dialect::kPostgres; }
  Result<Rows> query(const Statement& statement) override;
  Result<void> script(std::string_view sql) override;
  /// For `copy` (copy_rows.h).
  Result<std::int64_t> copy(CopyRows& rows);

  /// BEGIN SERIALIZABLE … COMMIT around `body`. Errors: as Session's; unavailable with the reason
  /// "outcome_unknown" when the connection broke during COMMIT.
  Result<void> transaction(const std::function<Result<void>(Session&)>& body);

  /// Closes the connection. Called by Lane after a while without work.
  void idle();

 private:
  using Send = std::function<bool(PGconn*)>;
  Result<void> ensure_connected();
  enum class Until { kAnswered, kSent };
  /// Waits until the server has answered, or has taken all there is to send. After the deadline the
  /// server is asked to cancel, and the connection is given up when it does not.
  Result<void> wait(Until until, std::chrono::steady_clock::time_point deadline);
  /// Starts a COPY and sends its rows.
  Result<void> send_rows(CopyRows& rows, std::chrono::steady_clock::time_point deadline);
  /// Sends, waits, and gives the last result that matters; the first failure wins.
  Result<PgResult> run(const Send& send, std::chrono::milliseconds timeout);
  Result<PgResult> run_text(const std::string& sql, std::chrono::milliseconds timeout);
  Result<PgResult> collect();
  std::unexpected<Error> broken();

  const PgTarget& target_;
  PgGate& gate_;
  const PgClosing& closing_;
  const std::chrono::milliseconds statement_timeout_;
  PgHandle connection_;
  std::chrono::steady_clock::time_point last_used_;
  /// The first failure inside the running transaction: the server would answer 25P02 to all that
  /// follows.
  std::optional<Error> transaction_error_;
};

}  // namespace asahi::sql
