#include "memory/residency/staying.h"

namespace asahi::memory {

Task<std::vector<Eligible>> StayingStore::scan_eligible(Clock::Time before, std::size_t limit) {
  // No row's sum: the row stays, and stays marked; whoever holds erasures back for it no longer
  // does.
  Digest nobodys{};
  nobodys.fill(0xff);
  for (;;) {
    ASAHI_CO_TRY(std::vector<Eligible> due, co_await store_->scan_eligible(before, limit));
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

}  // namespace asahi::memory
