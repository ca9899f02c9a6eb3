#include "storage/sql/pg_pool.h"

#include <fmt/format.h>
#include <boost/asio/post.hpp>

namespace asahi::sql {
namespace {

using SteadyClock = std::chrono::steady_clock;

/// Grain of statement deadlines.
constexpr std::chrono::milliseconds kTick{25};
/// When opening a connection takes this long, statements share those that are open.
constexpr std::chrono::milliseconds kSlowConnect{50};

}  // namespace

PgPool::PgPool(const PgTarget& target, PgGate& gate, const PgClosing& closing, std::size_t size,
               std::size_t max_queued)
    : target_(target),
      gate_(gate),
      closing_(closing),
      size_(size),
      max_queued_(max_queued),
      work_(io_.get_executor()),
      tick_timer_(io_.get_executor()),
      retry_timer_(io_.get_executor()),
      thread_([this] { io_.run(); }) {}

PgPool::~PgPool() {
  // Helpers first: what they still post runs before shut_down().
  helpers_.join();
  boost::asio::post(io_, [this] { shut_down(); });
  work_.reset();
  thread_.join();
}

void PgPool::submit(PgRequestPtr request) {
  if (pending_.fetch_add(1, std::memory_order_relaxed) >= max_queued_) {
    pending_.fetch_sub(1, std::memory_order_relaxed);
    request->done(fail(Errc::kTooLarge,
                       fmt::format("the database queue is full ({} statements); send less or raise "
                                   "max_queued",
                                   max_queued_)));
    return;
  }
  request->done = [this,
                   done = std::move(request->done)](Result<std::vector<Rows>> outcome) mutable {
    pending_.fetch_sub(1, std::memory_order_relaxed);
    done(std::move(outcome));
  };
  boost::asio::post(
      io_, [this, request = std::move(request)]() mutable { enqueue(std::move(request)); });
}

void PgPool::enqueue(PgRequestPtr request) {
  if (closing_.load(std::memory_order_relaxed)) {
    return request->done(fail(Errc::kUnavailable, "the database is closing"));
  }
  if (connections_.empty() && gate_.down()) {
    retry_later();
    return request->done(gate_.refusal());
  }
  queue_.push_back(std::move(request));
  arm_tick();
  dispatch();
}

std::shared_ptr<PgPipeline> PgPool::pick(Steady now) {
  // While the pool can still grow, a statement rather waits for a connection of its own than behind
  // another that may turn out to be slow.
  const bool growing = connections_.size() < size_ && !gate_.down() &&
                       !(connecting_ && now - connecting_since_ > kSlowConnect);
  std::shared_ptr<PgPipeline> best;
  for (const auto& connection : connections_) {
    if (!connection->has_room(now) || (growing && connection->in_flight() > 0)) continue;
    if (!best || connection->in_flight() < best->in_flight()) best = connection;
  }
  return best;
}

void PgPool::dispatch() {
  if (std::exchange(dispatching_, true)) return;  // an event of send() below
  const auto now = SteadyClock::now();
  bool busy = false;
  while (!queue_.empty()) {
    const auto connection = pick(now);
    if (!connection) {
      busy = true;
      break;
    }
    if (connection->needs_check(now)) {
      connection->check();
      continue;
    }
    busy = connection->in_flight() > 0;
    PgRequestPtr request = std::move(queue_.front());
    queue_.pop_front();
    connection->send(std::move(request));
  }
  dispatching_ = false;
  if (busy || (connections_.empty() && !queue_.empty())) grow();
}

void PgPool::grow() {
  if (connecting_ || closing_.load(std::memory_order_relaxed) || connections_.size() >= size_)
    return;
  if (gate_.down() && SteadyClock::now() < gate_.next_attempt()) return retry_later();
  connecting_ = true;
  connecting_since_ = SteadyClock::now();
  boost::asio::post(helpers_, [this] {
    auto connection = target_.connect(closing_);
    boost::asio::post(io_, [this, connection = std::move(connection)]() mutable {
      connected(std::move(connection));
    });
  });
}

void PgPool::connected(Result<PgHandle> connection) {
  connecting_ = false;
  if (closing_.load(std::memory_order_relaxed)) return;
  auto opened = connection
                    ? PgPipeline::open(io_, std::move(*connection), events())
                    : Result<std::shared_ptr<PgPipeline>>(std::unexpected(connection.error()));
  if (!opened) {
    gate_.failed(opened.error());
    if (connections_.empty()) {
      fail_queued(gate_.refusal());
      retry_later();
    }
    return;
  }
  gate_.succeeded();
  connections_.push_back(std::move(*opened));
  dispatch();
}

void PgPool::retry_later() {
  if (retrying_ || connecting_) return;
  retrying_ = true;
  retry_timer_.expires_at(gate_.next_attempt());
  retry_timer_.async_wait([this](boost::system::error_code error) {
    retrying_ = false;
    if (error || closing_.load(std::memory_order_relaxed)) return;
    if (connections_.empty() || !queue_.empty()) grow();
  });
}

void PgPool::fail_queued(const std::unexpected<Error>& error) {
  std::deque<PgRequestPtr> queued;
  queued.swap(queue_);
  for (auto& request : queued) request->done(error);
}

PgPipeline::Events PgPool::events() {
  return {
      .progressed = [this] { dispatch(); },
      .broken =
          [this](PgPipeline* gone) {
            // Later: this is called from inside the connection, perhaps while dispatch() walks the
            // list.
            boost::asio::post(io_, [this, gone] {
              std::erase_if(connections_,
                            [gone](const auto& known) { return known.get() == gone; });
              dispatch();
            });
          },
      .again =
          [this](PgRequestPtr request) {
            queue_.push_front(std::move(request));
            arm_tick();
          },
      .cancel =
          [this](PgCancel cancel, std::function<void()> finished) {
            boost::asio::post(helpers_, [this, cancel = std::move(cancel),
                                         finished = std::move(finished)]() mutable {
              pg_cancel(cancel.get());
              boost::asio::post(io_, std::move(finished));
            });
          },
  };
}

void PgPool::arm_tick() {
  if (ticking_) return;
  ticking_ = true;
  tick_timer_.expires_after(kTick);
  tick_timer_.async_wait([this](boost::system::error_code error) {
    ticking_ = false;
    if (!error && !closing_.load(std::memory_order_relaxed)) tick();
  });
}

void PgPool::tick() {
  const auto now = SteadyClock::now();
  while (!queue_.empty() && now >= queue_.front()->deadline) {
    PgRequestPtr late = std::move(queue_.front());
    queue_.pop_front();
    late->done(
        fail(Errc::kTimeout,
             "the statement waited for a PostgreSQL connection for longer than statement_timeout"));
  }
  bool busy = !queue_.empty();
  for (const auto& connection : connections_) {
    connection->tick(now);
    busy = busy || connection->in_flight() > 0;
  }
  dispatch();
  if (busy) arm_tick();
}

void PgPool::shut_down() {
  fail_queued(fail(Errc::kUnavailable, "the database is closing"));
  for (const auto& connection : connections_) connection->close();
  connections_.clear();
  tick_timer_.cancel();
  retry_timer_.cancel();
}

}  // namespace asahi::sql
