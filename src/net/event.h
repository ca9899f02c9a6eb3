#pragma once

#include <functional>

#include "base/task.h"

namespace asahi::net {

class Loop;

/// One coroutine waits here until another piece of the same loop calls `set`. Loop thread only.
class Event {
 public:
  explicit Event(Loop& loop) : loop_(loop) {}
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  /// Resumes after `set`, whether that comes before or after; takes the signal. One waiter at a
  /// time.
  Aw<void> wait();
  /// Wakes the waiter from the loop's queue, never from inside this call. Setting twice counts
  /// once.
  void set();
  /// Forgets a `set` that nobody took.
  void clear() { set_ = false; }

 private:
  friend class Loop;
  Loop& loop_;
  bool set_ = false;
  // Waiting: the coroutine. The loop holds the waiting events in a list, because a waiter that owns
  // its event would else be a cycle that nobody frees when the loop ends.
  std::move_only_function<void()> waiter_;
  Event* prev_ = nullptr;
  Event* next_ = nullptr;
};

}  // namespace asahi::net
