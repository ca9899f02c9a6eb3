#include "memory/ageing/older_below.h"

#include <map>
#include <ranges>
#include <utility>

namespace asahi::memory::ageing {

Task<std::vector<bool>> end_older_below(std::vector<Store*> below, std::vector<RowVersion> rows) {
  std::vector<bool> may_stay(rows.size(), true);
  std::vector<Key> keys;
  keys.reserve(rows.size());
  for (const RowVersion& row : rows) keys.push_back(row.key);
  if (keys.empty()) co_return may_stay;
  std::map<Store*, std::vector<std::size_t>> older;
  for (Store* const store : below) {
    ASAHI_CO_TRY(const auto there, co_await store->get(keys));
    if (there.size() != rows.size())
      co_return fail(Errc::kCorrupt, "a store told of other rows than it was asked");
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (!there[i]) continue;
      if (there[i]->timestamp > rows[i].timestamp) {
        may_stay[i] = false;
      } else {
        older[store].push_back(i);
      }
    }
  }
  // The coldest first, as erasures do: what goes last is what would be seen.
  for (Store* const store : below | std::views::reverse) {
    std::vector<Key> going;
    for (const std::size_t i : older[store]) {
      if (may_stay[i]) going.push_back(keys[i]);
    }
    if (going.empty()) continue;
    ASAHI_CO_TRY([[maybe_unused]] const std::uint64_t gone,
                 co_await store->delete_batch(std::move(going)));
  }
  co_return may_stay;
}

}  // namespace asahi::memory::ageing
