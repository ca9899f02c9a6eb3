#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "base/task.h"
#include "storage/sql/completion.h"
#include "storage/sql/pg_connect.h"

namespace asahi::sql {

/// Statements that succeed or fail together, and who waits for them. Without statements: a check
/// that the connection lives.
struct PgRequest {
  std::vector<PgStatement> statements;
  std::chrono::steady_clock::time_point deadline;
  Done<std::vector<Rows>> done;
  /// How often another statement's cancel request hit this one, which then ran again.
  int restarts = 0;
};
using PgRequestPtr = std::unique_ptr<PgRequest>;

/// One non-blocking connection in pipeline mode, driven by an io_context; loop thread only.
///
/// Each request is followed by its own sync, so the server runs it as one transaction of its own:
/// an error rolls back the request and no neighbour. A request is done when the answer to its
/// *sync* arrives: only then has the server committed. Statements are unnamed and nothing is left
/// in the session, as PgBouncer's transaction mode needs.
class PgPipeline : public std::enable_shared_from_this<PgPipeline> {
 public:
  using Steady = std::chrono::steady_clock::time_point;

  /// What the pool hears; called from inside send(), tick() and socket events, never after close().
  struct Events {
    /// Requests were answered: there is room.
    std::function<void()> progressed;
    /// The connection is gone. The requests that were not answered have been told already.
    std::function<void(PgPipeline*)> broken;
    /// Run again: a cancel request meant for another statement hit this one, which was rolled back.
    std::function<void(PgRequestPtr)> again;
    /// Ask the server, on a thread that may block, to cancel; then call back on the loop.
    std::function<void(PgCancel, std::function<void()>)> cancel;
  };

  /// Errors: unavailable when libpq will not go to pipeline mode.
  static Result<std::shared_ptr<PgPipeline>> open(boost::asio::io_context& io, PgHandle connection,
                                                  Events events);
  ~PgPipeline();

  void send(PgRequestPtr request);
  /// Enforces the deadline of the request at the head; call it every few dozen milliseconds.
  void tick(Steady now);
  /// Fails what is under way with unavailable and closes.
  void close();

  std::size_t in_flight() const { return in_flight_.size(); }
  /// Whether a request sent now would probably not wait behind a slow one.
  bool has_room(Steady now) const;
  /// Unused for so long that the server may have gone unnoticed.
  bool needs_check(Steady now) const;
  /// Sends a sync alone; `has_room` is false until it is answered.
  void check();

 private:
  PgPipeline(boost::asio::io_context& io, PgHandle connection, Events events);
  struct InFlight {
    PgRequestPtr request;
    std::vector<Rows> rows;
    std::optional<Error> error;
    std::string state;  ///< SQLSTATE of `error`
  };

  void wait_readable();
  void flush();
  void read_results();
  void take(const PGresult* result);
  void finish_head();
  void break_off(const std::string& why);
  void fail_all(const std::string& why);

  PgHandle connection_;
  boost::asio::posix::basic_stream_descriptor<IoExecutor> socket_;
  Events events_;
  std::deque<InFlight> in_flight_;
  bool writing_ = false;
  bool open_ = true;
  bool checking_ = false;
  bool cancelling_ = false;      ///< a cancel request is on its way
  bool head_cancelled_ = false;  ///< one was made for the request at the head
  Steady last_cancel_{};
  Steady head_since_{};
  Steady last_answer_{};
};

}  // namespace asahi::sql
