#include "memory/ageing/front.h"

#include <set>

#include "base/hash.h"
#include "base/log.h"

namespace asahi::memory::ageing {

Task<std::vector<UpsertOutcome>> Front::upsert_batch(std::vector<Memory> memories,
                                                     UpsertOptions options) {
  std::vector<Key> keys;
  keys.reserve(memories.size());
  for (const Memory& memory : memories) keys.push_back(memory.key);
  const auto below = co_await warm_.get(std::move(keys));
  if (!below || below->size() != memories.size()) {
    // Storing goes on without it; what is below is found when the memory ages.
    Logger("memory.ageing")
        .warning("the warm tier was not asked what it has already",
                 {{"error", below ? "it told of other rows" : below.error().message}});
    co_return co_await inner().upsert_batch(std::move(memories), options);
  }
  std::vector<UpsertOutcome> outcomes(memories.size(), UpsertOutcome::kUnchanged);
  std::vector<Memory> fresh;
  std::vector<std::size_t> places;
  std::set<Key> replaced;
  for (std::size_t i = 0; i < memories.size(); ++i) {
    Memory& memory = memories[i];
    if (memory.content_hash == Digest{}) memory.content_hash = sha256(memory.content);
    // Of a key that this batch has replaced already the hot tier judges.
    if (const auto& row = (*below)[i]; row && !replaced.contains(memory.key)) {
      if (row->content_hash == memory.content_hash) continue;
      if (memory.timestamp <= row->timestamp) {
        outcomes[i] = UpsertOutcome::kOlder;
        continue;
      }
      replaced.insert(memory.key);
    }
    places.push_back(i);
    fresh.push_back(std::move(memory));
  }
  if (fresh.empty()) co_return outcomes;
  ASAHI_CO_TRY(const std::vector<UpsertOutcome> stored,
               co_await inner().upsert_batch(std::move(fresh), options));
  for (std::size_t i = 0; i < places.size() && i < stored.size(); ++i)
    outcomes[places[i]] = stored[i];
  std::vector<std::pair<Key, Digest>> outdated;
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (!(*below)[places[i]]) continue;
    UpsertOutcome& outcome = outcomes[places[i]];
    // Skipped as a near duplicate of another: then the hot tier has no version of it.
    if (outcome == UpsertOutcome::kNearDuplicate && options.skip_near_duplicates) continue;
    if (outcome == UpsertOutcome::kStored) outcome = UpsertOutcome::kReplaced;
    outdated.emplace_back((*below)[places[i]]->key, row_checksum(*(*below)[places[i]]));
  }
  if (outdated.empty()) co_return outcomes;
  // Only if it is still the old version: the new one may have moved down meanwhile. Stored is
  // stored: an old version that stays below is hidden by the hot one.
  if (auto gone = co_await warm_.delete_unchanged(std::move(outdated)); !gone) {
    Logger("memory.ageing")
        .warning("an old version stays in the warm tier for now",
                 {{"error", gone.error().message}});
  }
  co_return outcomes;
}

}  // namespace asahi::memory::ageing
