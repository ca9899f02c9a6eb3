#include "storage/cache/redis/connection.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace asahi::cache {
namespace {

constexpr std::size_t kReadBytes = 16 << 10;
constexpr std::size_t kWriteBytes = 256 << 10;
/// A session that ended sooner counts as a failed attempt: no tight loop with a server that hangs
/// up.
constexpr std::chrono::seconds kRealSession{1};
/// While replies are overdue the timer looks no more often than this.
constexpr std::chrono::milliseconds kTimerGrain{10};
constexpr std::string_view kAskingWire = "*1\r\n$6\r\nASKING\r\n";

const Logger& logger() {
  static const Logger instance("redis");
  return instance;
}

}  // namespace

Connection::Connection(net::Loop& loop, std::shared_ptr<const RedisOptions> options,
                       RedisEndpoint endpoint, std::function<void(bool)> on_ready)
    : loop_(loop),
      options_(std::move(options)),
      endpoint_(std::move(endpoint)),
      on_ready_(std::move(on_ready)),
      pipeline_(options_->limits),
      pause_(loop.io()),
      timer_(loop.io()) {}

std::optional<Error> Connection::refusal() const {
  const auto unavailable = [this](std::string_view why) {
    return fail(Errc::kUnavailable, fmt::format("Redis at {} {}", endpoint_.address(), why))
        .error();
  };
  if (state_ == State::kClosed) return unavailable("is closed");
  if (state_ == State::kAway) return last_error_;
  if (state_ == State::kReady && pipeline_.overdue_since()) {
    return unavailable("owes a reply that is overdue; it is tried again as soon as it answers");
  }
  if (pipeline_.size() >= options_->max_commands) {
    return unavailable("has too many commands waiting; see max_commands");
  }
  if (pipeline_.queued_bytes() >= options_->max_queued_bytes) {
    return unavailable("has too many bytes waiting; see max_queued_bytes");
  }
  return std::nullopt;
}

void Connection::submit(std::string wire, Pipeline::Time deadline, Pipeline::Handler handler) {
  pipeline_.push(std::move(wire), deadline, std::move(handler));
  if (!armed_for_ || deadline < *armed_for_) arm(deadline);
  if (state_ == State::kIdle) start();
  if (state_ == State::kReady) wake_writer();
}

void Connection::start() {
  state_ = State::kConnecting;
  loop_.spawn("redis connection",
              [self = shared_from_this()]() mutable { return supervise(std::move(self)); });
}

void Connection::wake_writer() {
  if (std::exchange(writing_, true)) return;
  loop_.spawn("redis writer", [self = shared_from_this(), stream = stream_]() mutable {
    return write_queued(std::move(self), std::move(stream));
  });
}

void Connection::reconnect(std::string why) {
  if (stream_ == nullptr) return;
  ended_because_ = std::move(why);
  stream_->close();
}

void Connection::close() {
  if (std::exchange(state_, State::kClosed) == State::kClosed) return;
  pause_.cancel();
  timer_.cancel();
  if (stream_ != nullptr) stream_->close();
  const Error error = *refusal();
  auto answers = pipeline_.connection_lost(error);
  std::ranges::move(pipeline_.fail_queued(error), std::back_inserter(answers));
  run(std::move(answers));
}

Error Connection::away(const Error& cause) const {
  return fail(Errc::kUnavailable,
              fmt::format("Redis at {} is away: {}", endpoint_.address(), cause.message))
      .error();
}

void Connection::run(std::vector<Pipeline::Answer> answers) {
  for (Pipeline::Answer& answer : answers) answer.handler(std::move(answer.result));
}

Aw<void> Connection::supervise(std::shared_ptr<Connection> self) {
  Backoff backoff(self->options_->backoff_first, self->options_->backoff_cap);
  bool told = false;  // one line per outage, not per attempt
  while (self->state_ != State::kClosed) {
    auto session = co_await open_session(self->loop_, self->options_, self->endpoint_);
    if (self->state_ == State::kClosed) co_return;
    Error error;
    bool lived = false;
    if (session) {
      if (std::exchange(told, false)) {
        logger().info("Redis is back", {{"address", self->endpoint_.address()}});
      }
      const auto opened = std::chrono::steady_clock::now();
      self->stream_ = std::move(session->stream);
      self->state_ = State::kReady;
      self->writing_ = false;
      if (self->pipeline_.has_output()) self->wake_writer();
      self->on_ready_(session->cluster);
      error = self->away(co_await read_until_lost(self, self->stream_));
      if (self->state_ == State::kClosed) co_return;
      self->stream_->close();
      self->stream_.reset();
      lived = std::chrono::steady_clock::now() - opened >= kRealSession;
    } else {
      error = self->away(session.error());
    }
    auto answers = self->pipeline_.connection_lost(error);
    if (lived) {
      backoff.reset();
      self->state_ = State::kConnecting;
    } else {
      self->state_ = State::kAway;
      self->last_error_ = error;
      std::ranges::move(self->pipeline_.fail_queued(error), std::back_inserter(answers));
    }
    if (!lived && !std::exchange(told, true)) {
      logger().warning("Redis is away; trying again in the background", {{"error", error.message}});
    }
    run(std::move(answers));
    if (!lived && self->state_ != State::kClosed) {
      self->pause_.expires_after(backoff.next());
      co_await self->pause_.async_wait(boost::asio::as_tuple(use_aw));
    }
  }
}

Aw<Error> Connection::read_until_lost(std::shared_ptr<Connection> self,
                                      std::shared_ptr<net::Stream> stream) {
  std::vector<char> buffer(kReadBytes);
  while (true) {
    auto size = co_await stream->read_some(boost::asio::buffer(buffer));
    if (!size && !self->ended_because_.empty()) {
      co_return fail(Errc::kUnavailable, std::exchange(self->ended_because_, {})).error();
    }
    if (!size) co_return std::move(size.error());
    if (*size == 0) co_return fail(Errc::kUnavailable, "it closed the connection").error();
    auto fed = self->pipeline_.feed({buffer.data(), *size});
    run(std::move(fed.answers));
    if (fed.error) co_return std::move(*fed.error);
  }
}

Aw<void> Connection::write_queued(std::shared_ptr<Connection> self,
                                  std::shared_ptr<net::Stream> stream) {
  // Whatever else runs in this turn of the loop joins the first write.
  co_await boost::asio::post(use_aw);
  while (self->stream_ == stream && self->pipeline_.has_output()) {
    const std::string bytes = self->pipeline_.take_output(kWriteBytes);
    if (auto written = co_await stream->write(boost::asio::buffer(bytes)); !written) {
      stream->close();  // the reader notices and reports
      break;
    }
  }
  if (self->stream_ == stream) self->writing_ = false;
}

void Connection::arm(Pipeline::Time when) {
  armed_for_ = when;
  timer_.expires_at(when);
  timer_.async_wait([self = shared_from_this()](boost::system::error_code error) {
    if (!error) self->on_timer();
  });
}

void Connection::on_timer() {
  const auto now = std::chrono::steady_clock::now();
  armed_for_.reset();
  auto answers = pipeline_.expire(now);
  std::optional<Pipeline::Time> next = pipeline_.next_deadline();
  if (const auto since = pipeline_.overdue_since(); since) {
    const auto given_up = *since + options_->stall_limit;
    if (now >= given_up) {
      reconnect("it left a command unanswered for too long");
    } else {
      next = next ? std::min(*next, given_up) : given_up;
    }
  }
  if (next) arm(std::max(*next, now + kTimerGrain));
  run(std::move(answers));
}

Task<Reply> send_command(Connection& connection, std::string wire, Pipeline::Time deadline,
                         bool asking) {
  if (auto refusal = connection.refusal()) co_return std::unexpected(std::move(*refusal));
  if (asking) connection.submit(std::string(kAskingWire), deadline, {});
  co_return co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<IoExecutor>,
                                                 void(Result<Reply>)>(
      [&connection, deadline](auto handler, std::string bytes) {
        connection.submit(std::move(bytes), deadline,
                          [handler = std::move(handler)](Result<Reply> reply) mutable {
                            std::move(handler)(std::move(reply));
                          });
      },
      use_aw, std::move(wire));
}

}  // namespace asahi::cache
