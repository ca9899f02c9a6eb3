#pragma once

#include <functional>

#include "base/task.h"
#include "net/blocking.h"
#include "net/loop.h"

namespace asahi::memory::testing {

/// A loop on which a test's stores are called.
class OnLoop {
 public:
  OnLoop() { loops_.start(); }
  ~OnLoop() { loops_.stop(); }
  OnLoop(const OnLoop&) = delete;
  OnLoop& operator=(const OnLoop&) = delete;

  /// The end of a task that `call` begins on the loop.
  template <class T>
  Result<T> wait(std::function<Task<T>()> call) {
    return net::run_sync<Result<T>>(loops_.at(0), std::move(call));
  }
  net::Loop& loop() { return loops_.at(0); }
  net::LoopPool& loops() { return loops_; }

 private:
  net::LoopPool loops_{1};
};

}  // namespace asahi::memory::testing
