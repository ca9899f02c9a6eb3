#include "memory/backup/upward_turn.h"

#include <utility>

namespace asahi::memory {
namespace {

constexpr std::string_view kUp = R"sql(
CREATE TABLE memory_upward_turn (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  owner TEXT NOT NULL,
  until_ms BIGINT NOT NULL,
  wanted INTEGER NOT NULL
);
)sql";
constexpr std::string_view kDown = "DROP TABLE memory_upward_turn;";

}  // namespace

Task<bool> UpwardTurn::take(std::chrono::milliseconds lease) {
  const std::int64_t now =
      std::chrono::floor<std::chrono::milliseconds>(clock_.now()).time_since_epoch().count();
  ASAHI_CO_TRY(
      const sql::Rows taken,
      co_await database_.query(
          {"INSERT INTO memory_upward_turn (one, owner, until_ms, wanted) VALUES (1, ?, ?, 0)"
           " ON CONFLICT (one) DO UPDATE SET owner = excluded.owner, until_ms = excluded.until_ms,"
           " wanted = 0 WHERE memory_upward_turn.until_ms <= ?"
           " OR (memory_upward_turn.owner = excluded.owner AND memory_upward_turn.wanted = 0)",
           {owner_, now + lease.count(), now}}));
  if (taken.affected() > 0) co_return true;
  ASAHI_CO_TRY([[maybe_unused]] const sql::Rows told,
               co_await database_.query(
                   {"UPDATE memory_upward_turn SET wanted = 1 WHERE owner <> ?", {owner_}}));
  co_return false;
}

Task<void> UpwardTurn::give_back() {
  ASAHI_CO_TRY(
      [[maybe_unused]] const sql::Rows gone,
      co_await database_.query({"DELETE FROM memory_upward_turn WHERE owner = ?", {owner_}}));
  co_return Result<void>{};
}

sql::Migration upward_turn_migration() {
  return {.version = 338,
          .name = "memory_upward_turn",
          .up = {.sqlite = kUp, .postgres = kUp},
          .down = {.sqlite = kDown, .postgres = kDown}};
}

}  // namespace asahi::memory
