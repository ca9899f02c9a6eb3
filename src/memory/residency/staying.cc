#include "memory/residency/staying.h"

#include <fmt/format.h>

#include <utility>

namespace asahi::memory {

Task<std::vector<Eligible>> StayingStore::scan_eligible(ScanQuery wanted) {
  if (wanted.without_model || !wanted.keys.empty())
    co_return co_await store_->scan_eligible(std::move(wanted));
  // No row's sum: the row stays, and stays marked; whoever holds erasures back for it no longer
  // does.
  Digest nobodys{};
  nobodys.fill(0xff);
  for (;;) {
    ASAHI_CO_TRY(std::vector<Eligible> due, co_await store_->scan_eligible(wanted));
    if (due.empty()) co_return due;
    std::vector<Eligible> going;
    std::vector<std::pair<Key, Digest>> staying;
    for (Eligible& one : due) {
      if (stays_here(rules_, one.memory)) {
        staying.emplace_back(std::move(one.memory.key), nobodys);
      } else {
        going.push_back(std::move(one));
      }
    }
    if (!staying.empty()) {
      auto ended = co_await store_->delete_migrated(std::move(staying));
      if (!ended) co_return std::unexpected(std::move(ended.error()));
    }
    if (!going.empty()) co_return going;
  }
}

Task<std::vector<UpsertOutcome>> ClosedStore::upsert_batch(std::vector<Memory> memories,
                                                           UpsertOptions options) {
  for (const Memory& memory : memories) {
    if (!stays_here(rules_, memory)) continue;
    co_return fail(
        Errc::kForbidden,
        fmt::format("a memory of '{}' is to stay here (memory.residency): the {} tier is "
                    "elsewhere and does not take it",
                    memory.key.system_id, tier_name(tier())));
  }
  co_return co_await store_->upsert_batch(std::move(memories), options);
}

}  // namespace asahi::memory
