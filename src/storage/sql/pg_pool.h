#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>

#include <algorithm>
#include <atomic>
#include <deque>
#include <memory>
#include <thread>
#include <vector>

#include "storage/sql/pg_connect.h"
#include "storage/sql/pg_pipeline.h"

namespace asahi::sql {

/// Up to `size` pipelined connections on one thread with its own io_context. Connections open when
/// statements find none free; connecting and cancelling block, so two helper threads do that. While
/// the server is away statements fail at once and the pool keeps trying in the background. submit()
/// is thread-safe; everything else happens on the pool's thread.
class PgPool {
 public:
  /// The references outlive the pool; the owner sets `closing` before it destroys the pool.
  PgPool(const PgTarget& target, PgGate& gate, const PgClosing& closing, std::size_t size,
         std::size_t max_queued);
  ~PgPool();

  /// Errors reach `request->done`: too_large when `max_queued` requests wait or run.
  void submit(PgRequestPtr request);
  /// Connections that have statements to run; any thread.
  std::size_t busy() const { return std::min(pending_.load(std::memory_order_relaxed), size_); }

 private:
  using Steady = std::chrono::steady_clock::time_point;

  void enqueue(PgRequestPtr request);
  void dispatch();
  std::shared_ptr<PgPipeline> pick(Steady now);
  void grow();
  void connected(Result<PgHandle> connection);
  void retry_later();
  void fail_queued(const std::unexpected<Error>& error);
  void arm_tick();
  void tick();
  void shut_down();
  PgPipeline::Events events();

  const PgTarget& target_;
  PgGate& gate_;
  const PgClosing& closing_;
  const std::size_t size_;
  const std::size_t max_queued_;
  std::atomic<std::size_t> pending_{0};

  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<IoExecutor> work_;
  boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                    boost::asio::wait_traits<std::chrono::steady_clock>, IoExecutor>
      tick_timer_;
  decltype(tick_timer_) retry_timer_;
  boost::asio::thread_pool helpers_{2};

  std::deque<PgRequestPtr> queue_;
  std::vector<std::shared_ptr<PgPipeline>> connections_;
  bool connecting_ = false;
  Steady connecting_since_{};
  bool retrying_ = false;
  bool ticking_ = false;
  bool dispatching_ = false;
  std::thread thread_;
};

}  // namespace asahi::sql
