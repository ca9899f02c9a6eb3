#pragma once

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include "net/blocking.h"
#include "net/loop.h"

namespace asahi::cache_testing {

/// Runs a coroutine on the loop from the test's thread and returns what it returns.
template <class Body>
auto on_loop(net::Loop& loop, Body body) {
  using Value = typename std::invoke_result_t<Body>::value_type;
  return net::run_sync<Value>(loop, std::move(body));
}

/// Runs `count` coroutines `body(i)` at once, in turn on the loops of the pool; returns when all
/// ended.
template <class Body>
void in_parallel(net::LoopPool& loops, std::size_t count, Body body) {
  struct Shared {
    Shared(Body work, std::size_t count) : body(std::move(work)), left(count) {}
    Body body;
    std::atomic<std::size_t> left;
    std::promise<void> done;
  };
  const auto shared = std::make_shared<Shared>(std::move(body), count);
  auto future = shared->done.get_future();
  for (std::size_t i = 0; i < count; ++i) {
    loops.at(i % loops.size()).spawn("parallel test", [shared, i]() -> Aw<void> {
      co_await shared->body(i);
      if (--shared->left == 0) shared->done.set_value();
    });
  }
  future.get();
}

}  // namespace asahi::cache_testing
