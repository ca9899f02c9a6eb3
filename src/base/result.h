#pragma once

#include <expected>
#include <utility>

#include "base/error.h"

namespace asahi {

/// A value or the reason why there is none.
template <class T>
using Result = std::expected<T, Error>;

/// The one way to make a failure: `return fail(Errc::kNotFound, "no model named 'x'; see GET
/// /models");`
[[nodiscard]] inline std::unexpected<Error> fail(
    Errc code, std::string message, std::source_location where = std::source_location::current()) {
  Error error;
  error.code = code;
  error.message = std::move(message);
  error.where = where;
  return std::unexpected(std::move(error));
}

/// The same with the input field that broke the rule.
[[nodiscard]] inline std::unexpected<Error> fail_field(
    std::string field, std::string message,
    std::source_location where = std::source_location::current()) {
  auto failure = fail(Errc::kInvalidArgument, std::move(message), where);
  failure.error().field = std::move(field);
  return failure;
}

}  // namespace asahi

#define ASAHI_CONCAT_INNER(a, b) a##b
#define ASAHI_CONCAT(a, b) ASAHI_CONCAT_INNER(a, b)
#define ASAHI_TRY_IMPL(ret, tmp, decl, ...)                \
  auto tmp = (__VA_ARGS__);                                \
  if (!tmp) ret ::std::unexpected(std::move(tmp).error()); \
  decl = std::move(*tmp)

/// `ASAHI_TRY(auto rows, db.query(...));` leaves the function with the error, or goes on with the
/// value. A Result<void> has no value to take: `if (auto ok = f(); !ok) return
/// std::unexpected(ok.error());`
#define ASAHI_TRY(decl, ...) \
  ASAHI_TRY_IMPL(return, ASAHI_CONCAT(asahi_try_, __LINE__), decl, __VA_ARGS__)
/// The same inside a coroutine; the expression usually starts with co_await.
#define ASAHI_CO_TRY(decl, ...) \
  ASAHI_TRY_IMPL(co_return, ASAHI_CONCAT(asahi_try_, __LINE__), decl, __VA_ARGS__)
