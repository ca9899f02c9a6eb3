#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/log.h"
#include "storage/sql/database.h"
#include "storage/sql/pg_value.h"

namespace asahi::sql {

struct PgFinish {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
using PgHandle = std::unique_ptr<PGconn, PgFinish>;

/// Set once, when the database closes: what waits for a server gives up soon after.
using PgClosing = std::atomic<bool>;

/// Whether the server can be reached, as the last attempts told: while it cannot, statements fail
/// at once and new attempts wait for a growing pause (100 ms to 2 s, jittered). Logs the change,
/// not each failure. Thread-safe.
class PgGate {
 public:
  using Steady = std::chrono::steady_clock::time_point;

  bool down() const;
  /// When the next attempt may go out; long past while the server is up.
  Steady next_attempt() const;
  void succeeded();
  void failed(const Error& error);
  /// What statements are told while the server is down.
  std::unexpected<Error> refusal() const;

 private:
  mutable std::mutex mutex_;
  int failures_ = 0;
  Steady next_attempt_{};
  Steady down_since_{};
  std::string last_message_;
  Logger log_{"storage.sql"};
};

/// How to reach one PostgreSQL database. Immutable.
class PgTarget {
 public:
  /// Errors: invalid_argument (never quoting the URL: it holds the password).
  static Result<PgTarget> parse(const std::string& url, std::chrono::milliseconds connect_timeout);

  /// A live, non-blocking connection that works in UTC with ISO dates. Blocks up to connect_timeout
  /// (a name look-up by the system may take longer), so it runs on a helper thread. Errors:
  /// unavailable.
  Result<PgHandle> connect(const PgClosing& closing) const;

 private:
  std::vector<std::pair<std::string, std::string>> keywords_;
  std::chrono::milliseconds connect_timeout_{};
  std::string where_;  ///< "host:port/name", for messages
};

/// Waits until `connection` may be read (or written, when output is pending), up to `deadline`.
/// False on the deadline, on `closing`, or when polling fails.
bool pg_wait(PGconn* connection, bool for_write, std::chrono::steady_clock::time_point deadline,
             const PgClosing& closing);

/// Asks the server to stop what `connection` runs. Blocking. Works through PgBouncer.
struct PgFreeCancel {
  void operator()(PGcancel* cancel) const { PQfreeCancel(cancel); }
};
using PgCancel = std::unique_ptr<PGcancel, PgFreeCancel>;
void pg_cancel(PGcancel* cancel);

/// libpq's message about the connection on one line.
std::string pg_message(const PGconn* connection);

}  // namespace asahi::sql
