#pragma once

#include <mutex>

namespace asahi::vector {

/// A mutex for writers that take it over and over: who waits gets it next, also when the last
/// holder comes back at once. Satisfies Lockable but for try_lock.
class WriteTurn {
 public:
  void lock() {
    const std::lock_guard next(next_);
    held_.lock();
  }
  void unlock() { held_.unlock(); }

 private:
  std::mutex next_, held_;
};

}  // namespace asahi::vector
