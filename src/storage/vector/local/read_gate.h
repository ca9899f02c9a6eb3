#pragma once

#include <mutex>
#include <shared_mutex>

namespace asahi::vector {

/// Many readers or one writer, who need not wait until no reader comes any more: readers that come
/// after a waiting writer wait behind it. Satisfies SharedLockable.
class ReadGate {
 public:
  void lock_shared() {
    {
      const std::lock_guard turn(entry_);
    }
    readers_.lock_shared();
  }
  void unlock_shared() { readers_.unlock_shared(); }
  void lock() {
    entry_.lock();
    readers_.lock();
  }
  void unlock() {
    readers_.unlock();
    entry_.unlock();
  }

 private:
  std::mutex entry_;
  std::shared_mutex readers_;
};

}  // namespace asahi::vector
