#include "memory/ageing/originals.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/hash.h"
#include "base/json.h"

namespace asahi::memory::ageing {
namespace {

constexpr std::size_t kRowsOfStatement = 500;

constexpr std::string_view kUp = R"sql(
CREATE TABLE memory_repeats (
  tenant TEXT NOT NULL,
  system_id TEXT NOT NULL,
  conversation_id TEXT NOT NULL,
  original_system TEXT NOT NULL,
  original_conversation TEXT NOT NULL,
  content_hash TEXT NOT NULL,
  PRIMARY KEY (tenant, system_id, conversation_id)
);
CREATE INDEX memory_repeats_original
  ON memory_repeats (tenant, original_system, original_conversation);
)sql";
constexpr std::string_view kDown = "DROP TABLE memory_repeats;";

std::string text_of(const json::object& object, std::string_view name) {
  const json::value* const value = find_member(object, name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

}  // namespace

std::vector<Repeat> repeats_of(const Memory& memory) {
  std::vector<Repeat> out;
  // Most have none, and are not parsed for it.
  if (!memory.metadata.contains("\"seen_in\"")) return out;
  const auto metadata = JsonDocument::parse(memory.metadata);
  if (!metadata || !(*metadata)->root().is_object()) return out;
  const json::value* const list = find_member((*metadata)->root().get_object(), "seen_in");
  if (list == nullptr || !list->is_array()) return out;
  for (const json::value& each : list->get_array()) {
    if (!each.is_object()) continue;
    Key key{memory.key.tenant, text_of(each.get_object(), "system_id"),
            text_of(each.get_object(), "conversation_id")};
    if (!check_key(key) || key == memory.key) continue;
    out.push_back({std::move(key), memory.key, memory.content_hash});
  }
  return out;
}

Task<void> Originals::add(std::vector<Repeat> repeats) {
  // One statement takes a key once; the last said counts.
  std::ranges::reverse(repeats);
  std::set<Key> taken;
  std::erase_if(repeats, [&](const Repeat& each) { return !taken.insert(each.key).second; });
  for (std::size_t at = 0; at < repeats.size(); at += kRowsOfStatement) {
    std::string values;
    std::vector<sql::Value> params;
    const std::size_t end = std::min(at + kRowsOfStatement, repeats.size());
    for (std::size_t i = at; i < end; ++i) {
      const Repeat& each = repeats[i];
      values += values.empty() ? "(?, ?, ?, ?, ?, ?)" : ", (?, ?, ?, ?, ?, ?)";
      params.insert(params.end(), {each.key.tenant, each.key.system_id, each.key.conversation_id,
                                   each.original.system_id, each.original.conversation_id,
                                   to_hex(each.content_hash)});
    }
    const auto done = co_await database_.query(
        {"INSERT INTO memory_repeats (tenant, system_id, conversation_id, original_system,"
         " original_conversation, content_hash) VALUES " +
             values +
             " ON CONFLICT (tenant, system_id, conversation_id) DO UPDATE SET"
             " original_system = excluded.original_system,"
             " original_conversation = excluded.original_conversation,"
             " content_hash = excluded.content_hash",
         std::move(params)});
    if (!done) co_return std::unexpected(done.error());
  }
  co_return Result<void>{};
}

Task<std::optional<Found>> Originals::find(std::vector<Store*> stores, Key key) {
  ASAHI_CO_TRY(const sql::Rows rows,
               co_await database_.query(
                   {"SELECT original_system, original_conversation, content_hash FROM"
                    " memory_repeats WHERE tenant = ? AND system_id = ? AND conversation_id = ?",
                    {key.tenant, key.system_id, key.conversation_id}}));
  if (rows.empty()) co_return std::optional<Found>{};
  const Key original{key.tenant, rows.text(0, "original_system"),
                     rows.text(0, "original_conversation")};
  ASAHI_CO_TRY(auto found, co_await ageing::find(std::move(stores), original));
  // It was written anew: what both said once is nowhere any more.
  if (found && to_hex(found->memory.content_hash) != rows.text(0, "content_hash")) found.reset();
  co_return found;
}

Task<std::uint64_t> Originals::erase(std::vector<sql::Statement> statements) {
  ASAHI_CO_TRY(const auto rows, co_await database_.batch(std::move(statements)));
  co_return static_cast<std::uint64_t>(std::max<std::int64_t>(rows.front().affected(), 0));
}

Task<std::uint64_t> Originals::forget(Key key) {
  std::vector<sql::Statement> statements;
  for (const std::string_view where : {"system_id = ? AND conversation_id = ?",
                                       "original_system = ? AND original_conversation = ?"}) {
    statements.push_back({"DELETE FROM memory_repeats WHERE tenant = ? AND " + std::string(where),
                          {key.tenant, key.system_id, key.conversation_id}});
  }
  return erase(std::move(statements));
}

Task<std::uint64_t> Originals::forget_system(std::string tenant, std::string system_id) {
  std::vector<sql::Statement> statements;
  for (const std::string_view where : {"system_id = ?", "original_system = ?"}) {
    statements.push_back({"DELETE FROM memory_repeats WHERE tenant = ? AND " + std::string(where),
                          {tenant, system_id}});
  }
  return erase(std::move(statements));
}

std::vector<sql::Migration> originals_migrations() {
  return {{.version = 312,
           .name = "memory_repeats",
           .up = {.sqlite = kUp, .postgres = kUp},
           .down = {.sqlite = kDown, .postgres = kDown}}};
}

}  // namespace asahi::memory::ageing
