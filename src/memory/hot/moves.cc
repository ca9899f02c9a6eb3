// What the hot tier does for rows that move to another node of it (ShardRows).
#include <algorithm>
#include <shared_mutex>
#include <unordered_map>

#include "memory/hot/engine.h"
#include "memory/hot/shelf.h"

namespace asahi::memory::hot {
namespace {

/// Of one row, in one batch.
constexpr std::size_t kMostDuplicates = 1000;

/// Shards of a table's systems; a tier has few systems and many rows.
class ShardsOf {
 public:
  explicit ShardsOf(const Table& table) : table_(table) {}
  std::uint32_t operator()(std::uint32_t slot) {
    const auto [at, fresh] = known_.try_emplace(table_.columns().system[slot]);
    if (fresh) at->second = shard_of(table_.system(slot));
    return at->second;
  }

 private:
  const Table& table_;
  std::unordered_map<std::uint32_t, std::uint32_t> known_;
};

}  // namespace

Result<std::vector<ShardRow>> Engine::mark_shards(const ShardSet& wanted, std::size_t limit,
                                                  Marks marks) {
  const Clock::Time now = options_.clock->now();
  std::vector<ShardRow> out;
  Exclusive lock;
  for (Shelf* const shelf : shelves()) {
    // The writing thread is the only one that changes the table; compactions change positions only.
    const Table& table = shelf->table;
    ShardsOf shard(table);
    if (marks == Marks::kDrop)
      std::erase_if(shelf->marks, [&](const auto& mark) { return wanted[shard(mark.first)] != 0; });
    const auto goes = [&](std::uint32_t slot) {
      if (!table.has(slot, Table::kCurrent) || !table.has(slot, Table::kDurable)) return false;
      if (wanted[shard(slot)] == 0) return false;
      const auto mark = shelf->marks.find(slot);
      return mark == shelf->marks.end() || mark->second <= now;
    };
    for (std::uint32_t slot = 0; slot < table.slots() && out.size() < limit; ++slot) {
      if (!goes(slot)) continue;
      const bool alias = table.has(slot, Table::kAlias);
      // It comes with its owner, so that it is one's duplicate over there as well.
      if (alias && goes(table.owner(slot))) continue;
      lock.move_to(shelf);
      if (auto ok = take_for_move(*shelf, slot, out); !ok) return std::unexpected(ok.error());
      const auto* const aliases = alias ? nullptr : table.aliases(slot);
      if (aliases == nullptr) continue;
      std::size_t taken = 0;
      for (const std::uint32_t each : *aliases) {
        // Those beyond are handed a row of their own when the owner has gone.
        if (taken >= kMostDuplicates) break;
        if (!goes(each)) continue;
        ++taken;
        if (auto ok = take_for_move(*shelf, each, out); !ok) return std::unexpected(ok.error());
      }
    }
  }
  return out;
}

Result<void> Engine::take_for_move(Shelf& shelf, std::uint32_t slot, std::vector<ShardRow>& out) {
  const bool alias = shelf.table.has(slot, Table::kAlias);
  const LogReader reader = log_->staging_reader();
  ASAHI_TRY(Memory memory, alias ? read_alias(shelf, reader, slot) : read_row(shelf, reader, slot));
  memory.key.tenant = shelf.tenant;
  ShardRow& row = out.emplace_back();
  row.checksum = row_checksum(memory);
  row.memory = std::move(memory);
  row.duplicate = alias;
  shelf.marks[slot] = options_.clock->now() + options_.migration_lease;
  return {};
}

Result<std::uint64_t> Engine::stage_erase_moved(const std::vector<std::pair<Key, Digest>>& rows) {
  std::uint64_t count = 0;
  Exclusive lock;
  // Duplicates first: they would else be handed what goes next.
  for (const bool aliases : {true, false}) {
    for (const auto& [key, checksum] : rows) {
      Shelf* const shelf = find_shelf(key.tenant);
      if (shelf == nullptr) continue;
      lock.move_to(shelf);
      const LogReader reader = log_->staging_reader();
      const std::uint32_t slot =
          find(*shelf, reader, key.system_id, key.conversation_id, Table::kCurrent);
      if (slot == kNoSlot || shelf->table.has(slot, Table::kAlias) != aliases) continue;
      if (checksum == Digest{}) {
        shelf->marks.erase(slot);
        continue;
      }
      ASAHI_TRY(const Memory held,
                aliases ? read_alias(*shelf, reader, slot) : read_row(*shelf, reader, slot));
      if (row_checksum(held) != checksum) continue;
      if (auto ok = erase_slot(*shelf, slot, key, false); !ok) return std::unexpected(ok.error());
      ++count;
    }
  }
  return count;
}

std::vector<std::uint64_t> Engine::shard_counts() const {
  std::vector<std::uint64_t> counts(kShards, 0);
  for (const Shelf* const shelf : shelves()) {
    const std::shared_lock lock(shelf->gate);
    ShardsOf shard(shelf->table);
    for (std::uint32_t slot = 0; slot < shelf->table.slots(); ++slot) {
      if (shelf->table.has(slot, Table::kDurable)) ++counts[shard(slot)];
    }
  }
  return counts;
}

}  // namespace asahi::memory::hot
