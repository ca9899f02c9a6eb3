#include "memory/ageing/find.h"

#include <utility>

namespace asahi::memory::ageing {

std::vector<Store*> reading_order(std::vector<Store*> stores) {
  if (stores.size() > 1) stores.push_back(stores.front());
  return stores;
}

Task<std::optional<Found>> find(std::vector<Store*> stores, Key key) {
  for (Store* const store : reading_order(std::move(stores))) {
    std::vector<Key> keys{key};
    ASAHI_CO_TRY(auto found, co_await store->get(std::move(keys)));
    if (!found.empty() && found.front())
      co_return Found{.memory = std::move(*found.front()), .tier = store->tier()};
  }
  co_return std::optional<Found>{};
}

}  // namespace asahi::memory::ageing
