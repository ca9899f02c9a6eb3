// Rows that get another vector, because the embedder is another one now.
#include <fmt/format.h>

#include <map>
#include <shared_mutex>

#include "memory/hot/engine.h"
#include "memory/hot/incoming.h"
#include "memory/hot/shelf.h"

namespace asahi::memory::hot {
namespace {

/// Rows that are read, summed and staged with a shelf locked, before readers get in between.
constexpr std::size_t kRowsOfTurn = 16;

}  // namespace

std::string Engine::model_name(const Shelf& shelf, const LogReader& reader,
                               std::uint32_t slot) const {
  if (const VectorSet* const set = shelf.set_of(slot)) return set->model();
  // None, or one of which nothing can be compared (all zeros): the record knows.
  std::string scratch;
  const auto bytes = reader.payload(shelf.table.place(slot).position, scratch);
  const auto view = bytes ? parse_upsert(*bytes) : std::nullopt;
  return view && view->dimensions > 0 ? std::string(view->model) : std::string();
}

std::map<std::string, std::uint64_t> Engine::models(const std::string& tenant) const {
  std::map<std::string, std::uint64_t> out;
  for (const Shelf* const shelf : shelves()) {
    if (!tenant.empty() && shelf->tenant != tenant) continue;
    const std::shared_lock lock(shelf->gate);
    const LogReader reader = log_->reader();
    std::uint64_t known = 0;
    for (const auto& set : shelf->vectors) {
      if (set->listed() > 0) out[set->model()] += set->listed();
      known += set->listed();
    }
    // Mostly all rows have a vector that can be compared.
    const Table& table = shelf->table;
    for (std::uint32_t slot = 0; slot < table.slots() && known < table.rows(); ++slot) {
      if (table.columns().visible[slot] == 0 || shelf->set_of(slot) != nullptr) continue;
      ++out[model_name(*shelf, reader, slot)];
      ++known;
    }
  }
  return out;
}

Result<std::uint64_t> Engine::stage_vectors(std::vector<NewVector>& rows) {
  std::map<std::pair<std::string_view, std::string_view>, std::size_t> widths;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].checksum == Digest{}) continue;
    Memory like;
    like.embedding_model = rows[i].model;
    like.embedding.resize(rows[i].embedding.size());
    auto ok = check_width(shelf_of(rows[i].key.tenant), like, i);
    const auto [at, fresh] = widths.emplace(
        std::pair<std::string_view, std::string_view>(rows[i].key.tenant, rows[i].model),
        rows[i].embedding.size());
    if (ok && at->second != rows[i].embedding.size())
      ok = fail_field("", "another vector of the batch has another width");
    if (ok) continue;
    ok.error().field = fmt::format("rows[{}].embedding", i);
    return std::unexpected(std::move(ok.error()));
  }
  std::uint64_t count = 0;
  Exclusive lock;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Shelf* const shelf = find_shelf(rows[i].key.tenant);
    if (shelf == nullptr) continue;
    if (i % kRowsOfTurn == 0) lock.move_to(nullptr);
    lock.move_to(shelf);
    ASAHI_TRY(const bool replaced, stage_vector(*shelf, rows[i]));
    count += replaced ? 1 : 0;
  }
  return count;
}

/// The row anew, with its vector and its duplicates. False: it is another one than was scanned.
Result<bool> Engine::stage_vector(Shelf& shelf, NewVector& row) {
  Table& table = shelf.table;
  const LogReader reader = log_->staging_reader();
  const std::uint32_t slot =
      find(shelf, reader, row.key.system_id, row.key.conversation_id, Table::kCurrent);
  if (slot == kNoSlot || table.has(slot, Table::kAlias)) return false;
  if (row.checksum == Digest{}) {
    shelf.marks.erase(slot);
    return false;
  }
  ASAHI_TRY(const Memory held, read_memory(shelf, reader, slot));
  if (row_checksum(held) != row.checksum) return false;
  ASAHI_TRY(Memory memory, read_row(shelf, reader, slot));
  memory.key.tenant = shelf.tenant;
  memory.embedding = std::move(row.embedding);
  memory.embedding_model = std::move(row.model);
  std::vector<std::pair<std::uint32_t, Memory>> repeats;
  if (const auto* const list = table.aliases(slot)) {
    for (const std::uint32_t alias : *list) {
      if (!table.has(alias, Table::kCurrent)) continue;
      ASAHI_TRY(Memory repeat, read_alias(shelf, reader, alias));
      repeat.key.tenant = shelf.tenant;
      repeats.emplace_back(alias, std::move(repeat));
    }
  }
  for (const auto& [alias, repeat] : repeats) retire(shelf, alias);
  retire(shelf, slot);
  const Key key = memory.key;
  handed_.push_back(std::make_unique<Incoming>(prepare(std::move(memory))));
  const std::uint32_t fresh = store(shelf, *handed_.back());
  for (const auto& [alias, repeat] : repeats) {
    if (auto ok = store_alias(shelf, fresh, key, repeat, read_fields(repeat.metadata)); !ok)
      return std::unexpected(ok.error());
  }
  return true;
}

}  // namespace asahi::memory::hot
