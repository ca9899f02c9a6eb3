#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/result.h"

namespace asahi {

/// Every coroutine runs on one io_context thread; the executor type is concrete because the
/// type-erased one costs an indirection per resume.
using IoExecutor = boost::asio::io_context::executor_type;

/// A coroutine that cannot fail (or whose failure is a bug).
template <class T>
using Aw = boost::asio::awaitable<T, IoExecutor>;

/// A coroutine that may fail in expected ways.
template <class T>
using Task = Aw<Result<T>>;

/// Completion token for Asio calls inside Aw/Task.
inline constexpr boost::asio::use_awaitable_t<IoExecutor> use_aw{};

}  // namespace asahi
