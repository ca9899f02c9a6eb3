#include "identity/keys/sql_values.h"

#include <fmt/format.h>

#include "base/json.h"

namespace asahi::identity {

std::string list_json(const std::vector<std::string>& items) {
  json::array list;
  for (const std::string& item : items) list.emplace_back(item);
  return write_json(list);
}

Result<std::vector<std::string>> read_list(const sql::Rows& rows, std::size_t row,
                                           std::string_view column) {
  std::vector<std::string> items;
  if (rows.is_null(row, column)) return items;
  const auto parsed = parse_json(rows.text(row, column));
  if (!parsed || !parsed->is_array())
    return fail(Errc::kCorrupt, fmt::format("column {} holds no JSON list", column));
  for (const json::value& item : parsed->get_array()) {
    if (!item.is_string())
      return fail(Errc::kCorrupt,
                  fmt::format("column {} holds a list of other than texts", column));
    items.emplace_back(item.get_string());
  }
  return items;
}

Result<Clock::Time> read_time(const sql::Rows& rows, std::size_t row, std::string_view column) {
  auto time = parse_rfc3339(rows.text(row, column));
  if (!time) return fail(Errc::kCorrupt, fmt::format("column {} holds no time", column));
  return *time;
}

Result<std::optional<Clock::Time>> read_time_or_null(const sql::Rows& rows, std::size_t row,
                                                     std::string_view column) {
  if (rows.is_null(row, column)) return std::nullopt;
  ASAHI_TRY(const Clock::Time time, read_time(rows, row, column));
  return time;
}

std::optional<std::int64_t> read_integer_or_null(const sql::Rows& rows, std::size_t row,
                                                 std::string_view column) {
  if (rows.is_null(row, column)) return std::nullopt;
  return rows.integer(row, column);
}

}  // namespace asahi::identity
