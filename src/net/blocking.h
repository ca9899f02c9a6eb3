#pragma once

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include <functional>
#include <future>
#include <type_traits>
#include <utility>

#include "base/task.h"
#include "net/loop.h"

namespace asahi::net {

/// Runs `work` on `pool` and resumes the caller on its own loop with the result; the way every
/// blocking library (SQLite, files, password hashes) is called from a coroutine.
template <class Work>
Aw<std::invoke_result_t<Work>> run_blocking(boost::asio::thread_pool& pool, Work work) {
  using Value = std::invoke_result_t<Work>;
  Loop* const home = Loop::current();
  auto start = [&pool, home](auto handler, Work body) {
    auto shared = std::make_shared<decltype(handler)>(std::move(handler));
    boost::asio::post(pool, [home, shared, body = std::move(body)]() mutable {
      auto value = std::make_shared<Value>(body());
      home->post([shared, value] { std::move (*shared)(std::move(*value)); });
    });
  };
  co_return co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<IoExecutor>,
                                                 void(Value)>(std::move(start), use_aw,
                                                              std::move(work));
}

/// Runs a task to its end from an ordinary thread (start-up, CLI, writers). Never call it on a
/// loop's thread.
template <class T>
T run_sync(Loop& loop, std::function<Aw<T>()> body) {
  std::promise<T> promise;
  auto future = promise.get_future();
  loop.spawn("run_sync", [&promise, body = std::move(body)]() -> Aw<void> {
    try {
      promise.set_value(co_await body());
    } catch (...) {
      promise.set_exception(std::current_exception());
    }
  });
  return future.get();
}

}  // namespace asahi::net
