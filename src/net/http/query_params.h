#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "net/http/message.h"

namespace asahi::http {

/// Query parameters of one request, checked. An empty value is as good as none. Errors:
/// invalid_argument naming field, value and rule.
class QueryParams {
 public:
  explicit QueryParams(const Request& request) : request_(request) {}

  /// As it was sent; nothing where it is empty.
  std::optional<std::string> get(std::string_view name) const;
  Result<std::int64_t> integer(std::string_view name, std::int64_t fallback, std::int64_t least,
                               std::int64_t most) const;
  Result<double> number(std::string_view name, double fallback, double least, double most) const;
  /// One of `allowed`, or `fallback`.
  Result<std::string> word(std::string_view name, std::string_view fallback,
                           std::initializer_list<std::string_view> allowed) const;
  /// At most `most` bytes of UTF-8 without control characters.
  Result<std::string> text(std::string_view name, std::size_t most) const;
  Result<std::optional<bool>> flag(std::string_view name) const;
  /// RFC 3339.
  Result<std::optional<Clock::Time>> time(std::string_view name) const;
  /// RFC 3339 or a date; a date at the end of a range means the whole day.
  Result<std::optional<Clock::Time>> time_or_date(std::string_view name, bool end) const;

 private:
  const Request& request_;
};

}  // namespace asahi::http
