// What the hot tier does for rows that move: down or up a tier, or to another node of it
// (ShardRows).
#include <algorithm>
#include <functional>
#include <shared_mutex>
#include <unordered_map>

#include "memory/hot/engine.h"
#include "memory/hot/shelf.h"

namespace asahi::memory::hot {
namespace {

/// Rows that a move reads and sums with a shelf locked, before readers get in between: a thousand
/// take some 20 ms.
constexpr std::size_t kRowsOfTurn = 32;
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

Result<std::uint64_t> Engine::stage_erase_unchanged(const std::vector<std::pair<Key, Digest>>& rows,
                                                    Bound bound) {
  std::uint64_t count = 0;
  std::size_t seen = 0;
  Exclusive lock;
  // Duplicates first: they would else be handed what goes next. Of what goes to another tier they
  // are no rows of their own.
  for (const bool aliases : {true, false}) {
    if (aliases && bound == Bound::kTier) continue;
    for (const auto& [key, checksum] : rows) {
      Shelf* const shelf = find_shelf(key.tenant);
      if (shelf == nullptr) continue;
      if (seen++ % kRowsOfTurn == 0) lock.move_to(nullptr);
      lock.move_to(shelf);
      const LogReader reader = log_->staging_reader();
      const std::uint32_t slot =
          find(*shelf, reader, key.system_id, key.conversation_id, Table::kCurrent);
      if (slot == kNoSlot || shelf->table.has(slot, Table::kAlias) != aliases) continue;
      if (checksum == Digest{}) {
        shelf->marks.erase(slot);
        continue;
      }
      ASAHI_TRY(const Memory held, bound == Bound::kTier ? read_memory(*shelf, reader, slot)
                                   : aliases             ? read_alias(*shelf, reader, slot)
                                                         : read_row(*shelf, reader, slot));
      if (row_checksum(held) != checksum) continue;
      if (auto ok = erase_slot(*shelf, slot, key, bound); !ok) return std::unexpected(ok.error());
      ++count;
    }
  }
  return count;
}

/// Nobody moves it, and it is what is wanted. The writing thread is the only one that changes the
/// table; compactions change positions only.
bool Engine::is_due(const Shelf& shelf, std::uint32_t slot, const ScanQuery& wanted) const {
  const Table& table = shelf.table;
  const Table::Columns& columns = table.columns();
  if (columns.visible[slot] == 0 || !table.has(slot, Table::kCurrent)) return false;
  if (columns.timestamp[slot] >= wanted.before.time_since_epoch().count()) return false;
  const auto mark = shelf.marks.find(slot);
  if (mark != shelf.marks.end() && mark->second > options_.clock->now()) return false;
  if (!wanted.without_model) return true;
  if (const VectorSet* const set = shelf.set_of(slot)) return set->model() != *wanted.without_model;
  const std::shared_lock lock(shelf.gate);
  return model_name(shelf, log_->staging_reader(), slot) != *wanted.without_model;
}

std::vector<Engine::Old> Engine::oldest_of(const ScanQuery& wanted) const {
  std::vector<Old> oldest;  // a heap, the newest of them on top
  for (Shelf* const shelf : shelves()) {
    if (!wanted.tenant.empty() && shelf->tenant != wanted.tenant) continue;
    const Table::Columns& columns = shelf->table.columns();
    for (std::uint32_t slot = 0; slot < shelf->table.slots() && wanted.limit > 0; ++slot) {
      const Old row{columns.timestamp[slot], shelf, slot};
      // The cheap question first: most rows are too new.
      if (oldest.size() == wanted.limit && !(row < oldest.front())) continue;
      if (!is_due(*shelf, slot, wanted)) continue;
      if (oldest.size() == wanted.limit) {
        std::ranges::pop_heap(oldest, std::less<>{});
        oldest.pop_back();
      }
      oldest.push_back(row);
      std::ranges::push_heap(oldest, std::less<>{});
    }
  }
  std::ranges::sort_heap(oldest, std::less<>{});
  return oldest;
}

std::vector<Engine::Old> Engine::named_in(const ScanQuery& wanted) const {
  std::vector<Old> named;
  for (const Key& key : wanted.keys) {
    if (!wanted.tenant.empty() && key.tenant != wanted.tenant) continue;
    Shelf* const shelf = find_shelf(key.tenant);
    if (shelf == nullptr) continue;
    std::uint32_t slot = kNoSlot;
    {
      const std::shared_lock lock(shelf->gate);
      slot =
          find(*shelf, log_->staging_reader(), key.system_id, key.conversation_id, Table::kCurrent);
    }
    if (slot == kNoSlot || !is_due(*shelf, slot, wanted)) continue;
    named.push_back({shelf->table.columns().timestamp[slot], shelf, slot});
  }
  std::ranges::sort(named, std::less<>{});
  const auto same = [](const Old& a, const Old& b) {
    return a.shelf == b.shelf && a.slot == b.slot;
  };
  named.erase(std::unique(named.begin(), named.end(), same), named.end());
  if (named.size() > wanted.limit) named.resize(wanted.limit);
  return named;
}

Result<std::vector<Eligible>> Engine::mark_eligible(const ScanQuery& wanted) {
  const std::vector<Old> due = wanted.keys.empty() ? oldest_of(wanted) : named_in(wanted);
  const Clock::Time until = options_.clock->now() + options_.migration_lease;
  std::vector<Eligible> out;
  out.reserve(due.size());
  Exclusive lock;
  for (const Old& row : due) {
    if (out.size() % kRowsOfTurn == 0) lock.move_to(nullptr);
    lock.move_to(row.shelf);
    Eligible& made = out.emplace_back();
    ASAHI_TRY(made.memory, read_memory(*row.shelf, log_->staging_reader(), row.slot));
    made.checksum = row_checksum(made.memory);
    row.shelf->marks[row.slot] = until;
  }
  return out;
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
