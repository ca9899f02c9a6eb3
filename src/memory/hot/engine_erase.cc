// What the writing thread does with rows that go: erased, or moved down a tier or to another node.
#include <algorithm>

#include "memory/hot/engine.h"
#include "memory/hot/shelf.h"

namespace asahi::memory::hot {

Result<void> Engine::erase_slot(Shelf& shelf, std::uint32_t slot, const Key& key, Bound bound) {
  const bool alias = shelf.table.has(slot, Table::kAlias);
  if (!alias && bound == Bound::kTier) {
    // They went along, named in the copy's metadata.
    if (const auto* const list = shelf.table.aliases(slot)) {
      for (const std::uint32_t each : *list) {
        if (shelf.table.has(each, Table::kCurrent)) retire(shelf, each);
      }
    }
  } else if (!alias) {
    if (auto ok = hand_over(shelf, slot); !ok) return ok;
  }
  retire(shelf, slot);
  payload_.clear();
  encode_tombstone(key, payload_);
  log_->stage(RecordType::kTombstone, payload_);
  return {};
}

Result<std::uint64_t> Engine::stage_erase(const std::vector<Key>& keys) {
  std::uint64_t count = 0;
  Exclusive lock;
  // Duplicates first: they would else be handed what goes next.
  for (const bool aliases : {true, false}) {
    for (const Key& key : keys) {
      Shelf* const shelf = find_shelf(key.tenant);
      if (shelf == nullptr) continue;
      lock.move_to(shelf);
      const std::uint32_t slot =
          find(*shelf, log_->staging_reader(), key.system_id, key.conversation_id, Table::kCurrent);
      if (slot == kNoSlot || (aliases && !shelf->table.has(slot, Table::kAlias))) continue;
      if (auto ok = erase_slot(*shelf, slot, key, Bound::kNode); !ok)
        return std::unexpected(ok.error());
      ++count;
    }
  }
  return count;
}

Result<std::uint64_t> Engine::stage_erase_system(const std::string& tenant,
                                                 const std::string& system_id) {
  Shelf* const shelf = find_shelf(tenant);
  if (shelf == nullptr) return 0;
  Exclusive lock;
  lock.move_to(shelf);
  const Table& table = shelf->table;
  const std::uint32_t system = table.find_system(system_id);
  if (system == 0) return 0;
  std::uint64_t count = 0;
  for (const bool aliases : {true, false}) {
    std::vector<std::uint32_t> slots;
    for (std::uint32_t slot = 0; slot < table.slots(); ++slot) {
      if (table.columns().system[slot] == system && table.has(slot, Table::kCurrent) &&
          table.has(slot, Table::kAlias) == aliases) {
        slots.push_back(slot);
      }
    }
    std::ranges::sort(slots, {}, [&](std::uint32_t slot) { return table.place(slot).sequence; });
    for (const std::uint32_t slot : slots) {
      const LogReader reader = log_->staging_reader();
      ASAHI_TRY(const Key key, read_key(*shelf, reader, slot));
      if (auto ok = erase_slot(*shelf, slot, key, Bound::kNode); !ok)
        return std::unexpected(ok.error());
      ++count;
    }
  }
  return count;
}

}  // namespace asahi::memory::hot
