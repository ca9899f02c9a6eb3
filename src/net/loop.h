#pragma once

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "base/cancel.h"
#include "base/task.h"
#include "net/timer_wheel.h"

namespace asahi::net {

class Event;

/// One thread with one io_context. Everything that belongs to a loop (sockets, pools, timers,
/// requests) is touched by its thread only; other threads reach it through `post`.
class Loop {
 public:
  explicit Loop(std::size_t index);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  std::size_t index() const { return index_; }
  boost::asio::io_context& io() { return io_; }
  IoExecutor executor() { return io_.get_executor(); }

  /// Thread-safe: runs `work` on the loop's thread soon.
  void post(std::move_only_function<void()> work);

  /// Starts a coroutine here. What escapes it as an exception is logged with `what`, never lost.
  void spawn(std::string what, std::function<Aw<void>()> body);
  void spawn(std::string what, Aw<void> task);

  /// A deadline on the loop's single coarse timer (10 ms grain): cheap to set and drop, meant for
  /// request, idle and header timeouts. Dropping the handle disarms it. Loop thread only.
  class [[nodiscard]] Deadline {
   public:
    Deadline() = default;
    Deadline(Deadline&&) noexcept;
    Deadline& operator=(Deadline&&) noexcept;
    ~Deadline();
    void reset();

   private:
    friend class Loop;
    explicit Deadline(TimerWheel::Entry* entry) : entry_(entry) {}
    TimerWheel::Entry* entry_ = nullptr;
  };
  /// `expired` runs once, at or up to 20 ms after `when`, never inside this call;
  /// time_point::max(): never.
  Deadline at(std::chrono::steady_clock::time_point when, std::function<void()> expired);

  /// Waits without blocking; true when the time passed, false when `cancel` fired first (may be
  /// null).
  Aw<bool> sleep_for(std::chrono::nanoseconds time, CancelSource* cancel = nullptr);

  /// The loop whose thread this is; null elsewhere.
  static Loop* current();

 private:
  friend class LoopPool;
  friend class Event;
  struct Timers;
  void run();
  std::size_t index_;
  boost::asio::io_context io_;
  std::unique_ptr<Timers> timers_;
  Event* waiting_ = nullptr;  ///< events with a waiter
};

/// The process's loops: one per core, each on its own thread once `run` is called.
class LoopPool {
 public:
  /// `count` 0: one per CPU this process may use.
  explicit LoopPool(std::size_t count);
  ~LoopPool();

  std::size_t size() const { return loops_.size(); }
  Loop& at(std::size_t index) { return *loops_[index]; }
  /// Starts the threads and returns.
  void start();
  bool running() const { return !threads_.empty(); }
  /// Stops every loop and joins. Idempotent; called by the destructor.
  void stop();

 private:
  std::vector<std::unique_ptr<Loop>> loops_;
  std::vector<std::thread> threads_;
  std::vector<boost::asio::executor_work_guard<IoExecutor>> work_;
};

/// One T per loop, made up front; `local()` is the calling loop's own and needs no lock.
template <class T>
class PerLoop {
 public:
  template <class Make>
  PerLoop(LoopPool& loops, Make make) {
    for (std::size_t i = 0; i < loops.size(); ++i) items_.push_back(make(loops.at(i)));
  }
  T& local() { return *items_[Loop::current()->index()]; }
  T& at(std::size_t index) { return *items_[index]; }
  std::size_t size() const { return items_.size(); }

 private:
  std::vector<std::unique_ptr<T>> items_;
};

}  // namespace asahi::net
