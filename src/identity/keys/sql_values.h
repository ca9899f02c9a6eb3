#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "storage/sql/database.h"

namespace asahi::identity {

// How this module's tables hold values that SQL has no common type for.

/// ["a","b"] as JSON text and back. Errors: corrupt.
std::string list_json(const std::vector<std::string>& items);
Result<std::vector<std::string>> read_list(const sql::Rows& rows, std::size_t row,
                                           std::string_view column);

Result<Clock::Time> read_time(const sql::Rows& rows, std::size_t row, std::string_view column);
Result<std::optional<Clock::Time>> read_time_or_null(const sql::Rows& rows, std::size_t row,
                                                     std::string_view column);
std::optional<std::int64_t> read_integer_or_null(const sql::Rows& rows, std::size_t row,
                                                 std::string_view column);

inline sql::Value value_or_null(const std::optional<std::int64_t>& value) {
  return value ? sql::Value(*value) : sql::Value();
}
inline sql::Value text_or_null(const std::string& text) {
  return text.empty() ? sql::Value() : sql::Value(text);
}

}  // namespace asahi::identity
