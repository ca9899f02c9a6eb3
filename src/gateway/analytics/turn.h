#pragma once

#include "storage/sql/database.h"

namespace asahi::gateway::analytics {

/// First in a transaction that inserts events or changes their rollups or search index: such
/// transactions of all nodes run one after the other, so that ids are committed in their order and
/// what is read stays true until it is written. SQLite has one writer anyway. Errors: those of the
/// database.
inline Result<void> take_turn(sql::Session& session) {
  if (session.dialect() == sql::Dialect::kSqlite) return {};
  constexpr std::int64_t kLock = 0x6173'6168'6901;
  // Nothing else writes these tables: the lock alone keeps readings true. What is looked up is a
  // few thousand rows among millions; without fresh statistics the planner would read them all.
  auto level = session.script(
      "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; SET LOCAL enable_seqscan = off; SET LOCAL "
      "jit = off");
  if (!level) return level;
  auto locked = session.query({"SELECT pg_advisory_xact_lock(CAST(? AS BIGINT))", {kLock}});
  if (!locked) return std::unexpected(std::move(locked.error()));
  return {};
}

}  // namespace asahi::gateway::analytics
