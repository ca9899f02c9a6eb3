#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "storage/sql/database.h"

namespace asahi::gateway::analytics {

/// Lists are cut into pieces of these lengths, so that a handful of prepared statements serves all.
inline constexpr std::size_t kListSizes[] = {256, 32, 4, 1};

inline std::string placeholders(std::size_t count) {
  std::string text = "(";
  for (std::size_t i = 0; i < count; ++i) text += i == 0 ? "?" : ", ?";
  return text + ")";
}

/// Runs "`head.sql` (?, ?, …)" over all of `list`, a piece at a time, behind the head's own
/// parameters.
inline Result<void> each_list(sql::Session& session, const sql::Statement& head,
                              const std::vector<sql::Value>& list,
                              const std::function<Result<void>(const sql::Rows&)>& visit) {
  for (std::size_t begin = 0; begin < list.size();) {
    const std::size_t left = list.size() - begin;
    const std::size_t size =
        *std::ranges::find_if(kListSizes, [&](std::size_t one) { return one <= left; });
    sql::Statement statement{head.sql + placeholders(size), head.params};
    statement.params.insert(statement.params.end(),
                            list.begin() + static_cast<std::ptrdiff_t>(begin),
                            list.begin() + static_cast<std::ptrdiff_t>(begin + size));
    auto rows = session.query(statement);
    if (!rows) return std::unexpected(std::move(rows.error()));
    if (auto visited = visit(*rows); !visited) return visited;
    begin += size;
  }
  return {};
}

/// Runs "`head` (?, …), (?, …) … `tail`" over all rows, which it empties.
inline Result<void> insert_all(sql::Session& session, const std::string& head,
                               const std::string& tail,
                               std::vector<std::vector<sql::Value>>& rows) {
  constexpr std::size_t kRowSizes[] = {64, 8, 1};
  for (std::size_t begin = 0; begin < rows.size();) {
    const std::size_t left = rows.size() - begin;
    const std::size_t size =
        *std::ranges::find_if(kRowSizes, [&](std::size_t one) { return one <= left; });
    sql::Statement statement{head, {}};
    const std::string row = placeholders(rows[begin].size());
    for (std::size_t i = 0; i < size; ++i) {
      statement.sql += i == 0 ? row : ", " + row;
      for (sql::Value& value : rows[begin + i]) statement.params.push_back(std::move(value));
    }
    statement.sql += tail;
    if (auto stored = session.query(statement); !stored)
      return std::unexpected(std::move(stored.error()));
    begin += size;
  }
  return {};
}

}  // namespace asahi::gateway::analytics
