#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"

namespace asahi::sql {

/// True on a thread of any Lane: a blocking call there could wait for itself.
bool on_database_thread();

/// Threads that each own one blocking connection and take jobs from one bounded queue, first in
/// first out. Threads start when work finds no idle one, up to `max_threads`. Thread-safe.
/// `Connection` offers `void idle()`, called on its own thread once after 30 s without work.
template <class Connection>
class Lane {
 public:
  /// Gets the thread's connection, or the reason why the job will not run (timeout: it waited
  /// longer than its deadline; unavailable: the lane is closing). Called exactly once.
  using Job = std::move_only_function<void(Result<Connection*>)>;
  using Make = std::function<std::unique_ptr<Connection>()>;
  using Steady = std::chrono::steady_clock::time_point;

  Lane(std::string name, std::size_t max_threads, std::size_t max_queued, Make make)
      : name_(std::move(name)),
        max_threads_(max_threads),
        max_queued_(max_queued),
        make_(std::move(make)) {}
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;
  ~Lane() { stop(); }

  /// `deadline`: the job is refused when it has not started by then. A refusal because the queue is
  /// full (too_large) or closing reaches the job on the calling thread.
  void submit(Steady deadline, Job job) {
    std::unique_lock lock(mutex_);
    if (stopping_ || queue_.size() >= max_queued_) {
      const bool closing = stopping_;
      lock.unlock();
      job(closing ? closed() : full());
      return;
    }
    queue_.push_back({deadline, std::move(job)});
    if (queue_.size() > idle_ && threads_.size() < max_threads_) {
      threads_.emplace_back([this] { run(); });
    } else {
      wake_.notify_one();
    }
  }

  /// Threads whose connection works now.
  std::size_t busy() const {
    const std::lock_guard lock(mutex_);
    return threads_.size() - std::min(idle_, threads_.size());
  }

  /// Refuses what is queued, waits for what runs. Idempotent.
  void stop() {
    std::deque<Entry> refused;
    std::vector<std::thread> threads;
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      refused.swap(queue_);
      threads.swap(threads_);
    }
    wake_.notify_all();
    for (auto& entry : refused) entry.job(closed());
    for (auto& thread : threads) thread.join();
  }

 private:
  struct Entry {
    Steady deadline;
    Job job;
  };
  static constexpr std::chrono::seconds kIdle{30};

  std::unexpected<Error> closed() const {
    return fail(Errc::kUnavailable, "the database is closing; no new statements are taken");
  }
  std::unexpected<Error> full() const {
    return fail(Errc::kTooLarge, "the database's " + name_ + " queue is full (" +
                                     std::to_string(max_queued_) +
                                     " statements); send less or raise max_queued");
  }
  std::unexpected<Error> late() const {
    return fail(Errc::kTimeout, "the statement waited in the database's " + name_ +
                                    " queue for longer than statement_timeout");
  }

  void run();

  const std::string name_;
  const std::size_t max_threads_;
  const std::size_t max_queued_;
  const Make make_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Entry> queue_;
  std::vector<std::thread> threads_;
  std::size_t idle_ = 0;
  bool stopping_ = false;
};

namespace internal {
/// Marks the calling thread as a database thread.
void enter_database_thread();
}  // namespace internal

template <class Connection>
void Lane<Connection>::run() {
  internal::enter_database_thread();
  const std::unique_ptr<Connection> connection = make_();
  bool rested = true;
  std::unique_lock lock(mutex_);
  while (true) {
    if (queue_.empty()) {
      if (stopping_) return;
      ++idle_;
      const auto ready = [this] { return stopping_ || !queue_.empty(); };
      if (rested) {
        wake_.wait(lock, ready);
        --idle_;
        continue;
      }
      const bool work = wake_.wait_for(lock, kIdle, ready);
      --idle_;
      if (!work) {
        lock.unlock();
        connection->idle();
        rested = true;
        lock.lock();
      }
      continue;
    }
    Entry entry = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    if (std::chrono::steady_clock::now() > entry.deadline) {
      entry.job(late());
    } else {
      entry.job(connection.get());
    }
    entry.job = nullptr;  // what it captured dies here, not under the lock
    rested = false;
    lock.lock();
  }
}

}  // namespace asahi::sql
