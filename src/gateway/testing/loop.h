#pragma once
// One loop for tests, and calls on it that are under way while the test looks on.

#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "base/cancel.h"
#include "net/blocking.h"
#include "net/loop.h"

namespace asahi::gateway::testing {

/// Loops on their threads. What the test looks at on a loop's side it looks at through `on`.
class Loops {
 public:
  explicit Loops(std::size_t count = 1) : pool_(count) { pool_.start(); }
  net::LoopPool& pool() { return pool_; }
  net::Loop& loop(std::size_t index = 0) { return pool_.at(index); }

  /// Runs `work` on the loop's thread and returns what it returns.
  template <class Work>
  auto on(Work work, std::size_t index = 0) {
    using Value = std::invoke_result_t<Work>;
    std::promise<Value> promise;
    auto future = promise.get_future();
    loop(index).post([&promise, &work] {
      if constexpr (std::is_void_v<Value>) {
        work();
        promise.set_value();
      } else {
        promise.set_value(work());
      }
    });
    return future.get();
  }
  /// Runs a coroutine to its end.
  template <class Body>
  auto wait_for(Body body, std::size_t index = 0) {
    using Value = typename std::invoke_result_t<Body>::value_type;
    return net::run_sync<Value>(loop(index), std::function<Aw<Value>()>(std::move(body)));
  }
  /// Returns when `condition`, asked on the loop's thread, holds; false when it never came.
  bool until(std::function<bool()> condition, std::size_t index = 0) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!on(condition, index)) {
      if (std::chrono::steady_clock::now() > give_up) return false;
      std::this_thread::yield();
    }
    return true;
  }

 private:
  net::LoopPool pool_;
};

/// A coroutine under way on a loop, with the client that may leave it.
template <class Value>
class Pending {
 public:
  template <class Body>
  Pending(Loops& loops, Body body, std::size_t index = 0)
      : loops_(loops), index_(index), shared_(std::make_shared<Shared>()) {
    loops.loop(index).spawn("pending", [shared = shared_, body = std::move(body)]() -> Aw<void> {
      try {
        shared->promise.set_value(co_await body(shared->cancel));
      } catch (...) {
        shared->promise.set_exception(std::current_exception());
      }
    });
  }
  /// The client goes away.
  void leave() {
    loops_.on([this] { shared_->cancel.cancel(); }, index_);
  }
  bool done() const {
    return shared_->future.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  }
  Value get() {
    if (shared_->future.wait_for(std::chrono::seconds(30)) != std::future_status::ready) {
      ADD_FAILURE() << "the call never ended";
      std::abort();
    }
    return shared_->future.get();
  }

 private:
  struct Shared {
    CancelSource cancel;
    std::promise<Value> promise;
    std::future<Value> future = promise.get_future();
  };
  Loops& loops_;
  std::size_t index_;
  std::shared_ptr<Shared> shared_;
};

}  // namespace asahi::gateway::testing
