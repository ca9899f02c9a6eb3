#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>

namespace asahi {

/// Counts work that must have ended before what it uses may go: whoever stops waits for none to be
/// left. Every thread may call it; it must outlive its marks.
class InFlight {
 public:
  /// One piece of work, for as long as this lives.
  class Mark {
   public:
    explicit Mark(InFlight& counted) : counted_(counted) {
      const std::scoped_lock lock(counted_.mutex_);
      ++counted_.count_;
    }
    ~Mark() {
      // Told under the lock: whoever waits may delete the counter as soon as it is free.
      const std::scoped_lock lock(counted_.mutex_);
      --counted_.count_;
      counted_.changed_.notify_all();
    }
    Mark(const Mark&) = delete;
    Mark& operator=(const Mark&) = delete;

   private:
    InFlight& counted_;
  };

  std::size_t count() const {
    const std::scoped_lock lock(mutex_);
    return count_;
  }
  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return count_ == 0; });
  }
  /// False: some were left at `until`.
  bool wait_until(std::chrono::steady_clock::time_point until) {
    std::unique_lock lock(mutex_);
    return changed_.wait_until(lock, until, [this] { return count_ == 0; });
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t count_ = 0;
};

}  // namespace asahi
