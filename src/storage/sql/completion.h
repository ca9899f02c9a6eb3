#pragma once

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

#include <exception>
#include <functional>
#include <future>
#include <utility>

#include "base/task.h"

namespace asahi::sql {

/// Called exactly once with the outcome, on any thread.
template <class T>
using Done = std::move_only_function<void(Result<T>)>;

/// Awaits work that another thread does: `start` gets a Done to call from there, and the coroutine
/// resumes on its own executor.
template <class T, class Start>
Task<T> await_done(Start start) {
  auto initiate = [](auto handler, Start begin) {
    auto work = boost::asio::make_work_guard(boost::asio::get_associated_executor(handler));
    begin(
        Done<T>([handler = std::move(handler), work = std::move(work)](Result<T> outcome) mutable {
          auto executor = work.get_executor();
          boost::asio::post(executor, [handler = std::move(handler), work = std::move(work),
                                       outcome = std::move(outcome)]() mutable {
            std::move(handler)(std::move(outcome));
          });
        }));
  };
  co_return co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<IoExecutor>,
                                                 void(Result<T>)>(std::move(initiate), use_aw,
                                                                  std::move(start));
}

/// The same for an ordinary thread, which blocks until the outcome is there.
template <class T, class Start>
Result<T> wait_done(Start start) {
  // Shared with the other side: a promise must outlive its own set_value().
  auto promise = std::make_shared<std::promise<Result<T>>>();
  auto outcome = promise->get_future();
  start(Done<T>([promise](Result<T> value) { promise->set_value(std::move(value)); }));
  return outcome.get();
}

}  // namespace asahi::sql
