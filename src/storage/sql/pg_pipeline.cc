#include "storage/sql/pg_pipeline.h"

#include <fmt/format.h>

namespace asahi::sql {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t kDepth = 32;
/// A request that has run for this long is slow: nothing more queues up behind it.
constexpr std::chrono::milliseconds kSlow{5};
/// How long the server may take to obey a cancel request before the connection is given up.
constexpr std::chrono::milliseconds kCancelGrace{1'000};
constexpr std::chrono::milliseconds kTrustedFor{1'000};
constexpr std::chrono::milliseconds kCheckTimeout{1'000};
/// Until when a cancelled statement may have been hit by the request for its neighbour.
constexpr std::chrono::milliseconds kStrayCancel{5'000};
constexpr int kMaxRestarts = 3;

}  // namespace

PgPipeline::PgPipeline(boost::asio::io_context& io, PgHandle connection, Events events)
    : connection_(std::move(connection)),
      socket_(io.get_executor(), PQsocket(connection_.get())),
      events_(std::move(events)),
      last_answer_(SteadyClock::now()) {}

PgPipeline::~PgPipeline() {
  if (socket_.is_open()) socket_.release();  // libpq owns the socket and closes it
}

Result<std::shared_ptr<PgPipeline>> PgPipeline::open(boost::asio::io_context& io,
                                                     PgHandle connection, Events events) {
  if (PQenterPipelineMode(connection.get()) != 1) {
    return fail(Errc::kUnavailable,
                "PostgreSQL: no pipeline mode: " + pg_message(connection.get()));
  }
  std::shared_ptr<PgPipeline> pipeline(
      new PgPipeline(io, std::move(connection), std::move(events)));  // NOLINT: private constructor
  pipeline->wait_readable();
  return pipeline;
}

bool PgPipeline::has_room(Steady now) const {
  if (!open_ || checking_ || cancelling_ || head_cancelled_ || in_flight_.size() >= kDepth)
    return false;
  return in_flight_.empty() || now - head_since_ < kSlow;
}

bool PgPipeline::needs_check(Steady now) const {
  return in_flight_.empty() && now - last_answer_ > kTrustedFor;
}

void PgPipeline::check() {
  checking_ = true;
  auto request = std::make_unique<PgRequest>();
  request->deadline = SteadyClock::now() + kCheckTimeout;
  request->done = [this](const Result<std::vector<Rows>>&) { checking_ = false; };
  send(std::move(request));
}

void PgPipeline::send(PgRequestPtr request) {
  bool sent = true;
  for (const auto& statement : request->statements)
    sent = sent && statement.send(connection_.get());
  sent = sent && PQpipelineSync(connection_.get()) == 1;
  if (in_flight_.empty()) head_since_ = SteadyClock::now();
  in_flight_.push_back({std::move(request), {}, {}, {}});
  if (!sent) return break_off(pg_message(connection_.get()));
  flush();
}

void PgPipeline::flush() {
  if (!open_ || writing_) return;
  const int unsent = PQflush(connection_.get());
  if (unsent < 0) return break_off(pg_message(connection_.get()));
  if (unsent == 0) return;
  writing_ = true;
  socket_.async_wait(socket_.wait_write,
                     [self = shared_from_this()](boost::system::error_code error) {
                       self->writing_ = false;
                       if (!error) self->flush();
                     });
}

void PgPipeline::wait_readable() {
  // Armed even when nothing is expected: that is how a closing server is noticed.
  socket_.async_wait(socket_.wait_read,
                     [self = shared_from_this()](boost::system::error_code error) {
                       if (error || !self->open_) return;
                       self->read_results();
                       if (self->open_) self->wait_readable();
                     });
}

void PgPipeline::read_results() {
  if (PQconsumeInput(connection_.get()) != 1) {
    // The server's parting words ("terminating connection …") may stand before the end of the
    // stream.
    const std::string why = pg_message(connection_.get());
    return break_off(why);
  }
  const std::size_t before = in_flight_.size();
  while (open_ && !in_flight_.empty() && PQisBusy(connection_.get()) == 0) {
    const PgResult result{PQgetResult(connection_.get())};
    if (result) take(result.get());  // null separates the results of one statement from the next
    if (open_ && PQstatus(connection_.get()) != CONNECTION_OK) {
      return break_off(pg_message(connection_.get()));
    }
  }
  if (!open_) return;
  PQisBusy(connection_.get());  // lets libpq digest notices that came without a question
  flush();
  if (open_ && in_flight_.size() != before) events_.progressed();
}

void PgPipeline::take(const PGresult* result) {
  InFlight& head = in_flight_.front();
  switch (PQresultStatus(result)) {
    case PGRES_PIPELINE_SYNC:
      return finish_head();
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY: {
      auto rows = to_rows(result);
      if (!rows && !head.error) head.error = std::move(rows.error());
      head.rows.push_back(std::move(rows).value_or(Rows()));
      return;
    }
    case PGRES_PIPELINE_ABORTED:
      return;  // follows the error that is kept already
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH:
      return break_off("COPY was sent, which is not supported; use INSERT with several rows");
    default:
      if (head.error) return;
      head.error = pg_error(result);
      head.state = sqlstate(result);
      if (const auto count = head.request->statements.size(); head.rows.size() == count) {
        head.error->message = "at commit: " + head.error->message;  // a deferred constraint
      } else if (count > 1) {
        head.error->message =
            fmt::format("statement {} of {}: {}", head.rows.size() + 1, count, head.error->message);
      }
  }
}

void PgPipeline::finish_head() {
  InFlight head = std::move(in_flight_.front());
  in_flight_.pop_front();
  const auto now = SteadyClock::now();
  last_answer_ = head_since_ = now;
  head_cancelled_ = false;
  // A cancel request names a connection, not a statement: it may hit the one behind.
  const bool stray_cancel =
      head.state == "57014" && now < head.request->deadline && now - last_cancel_ < kStrayCancel;
  if (stray_cancel && head.request->restarts < kMaxRestarts) {
    ++head.request->restarts;
    return events_.again(std::move(head.request));
  }
  if (head.error) {
    head.request->done(std::unexpected(std::move(*head.error)));
  } else {
    head.request->done(std::move(head.rows));
  }
}

void PgPipeline::tick(Steady now) {
  if (!open_ || in_flight_.empty() || now < in_flight_.front().request->deadline) return;
  if (in_flight_.front().request->statements.empty()) {
    return break_off("no answer to a connection check");
  }
  if (now >= std::max(in_flight_.front().request->deadline, head_since_) + kCancelGrace) {
    return break_off("the statement passed statement_timeout and could not be cancelled");
  }
  if (head_cancelled_ || cancelling_) return;
  PgCancel cancel(PQgetCancel(connection_.get()));
  if (!cancel) return break_off("out of memory");
  head_cancelled_ = true;
  cancelling_ = true;
  last_cancel_ = now;
  events_.cancel(std::move(cancel), [self = shared_from_this()] {
    self->cancelling_ = false;
    if (self->open_) self->events_.progressed();
  });
}

void PgPipeline::break_off(const std::string& why) {
  if (!open_) return;
  fail_all("the connection to PostgreSQL broke: " + why);
  events_.broken(this);
}

void PgPipeline::close() {
  if (open_) fail_all("the database is closing");
}

void PgPipeline::fail_all(const std::string& why) {
  open_ = false;
  socket_.cancel();
  socket_.release();
  connection_.reset();
  const auto now = SteadyClock::now();
  std::deque<InFlight> lost;
  lost.swap(in_flight_);
  for (auto& item : lost) {
    // An error that came before the end is the answer: the server rolled the request back.
    if (item.error && !item.state.empty()) {
      item.request->done(std::unexpected(std::move(*item.error)));
      continue;
    }
    const bool late = now >= item.request->deadline;
    auto error = fail(late ? Errc::kTimeout : Errc::kUnavailable, why);
    error.error().reason = "outcome_unknown";
    item.request->done(std::move(error));
  }
}

}  // namespace asahi::sql
