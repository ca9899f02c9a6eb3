#include "memory/ageing/erase.h"

namespace asahi::memory::ageing {
namespace {

/// The colder ones from the coldest up, then all from the hottest down, then the hottest again: a
/// row may have gone down, and up by access rules, behind the erasure's back. Such a row stays.
std::vector<Store*> order_of(const std::vector<Store*>& stores) {
  std::vector<Store*> order;
  for (std::size_t i = stores.size(); i-- > 1;) order.push_back(stores[i]);
  order.insert(order.end(), stores.begin(), stores.end());
  if (stores.size() > 1) order.push_back(stores.front());
  return order;
}

}  // namespace

Task<std::uint64_t> erase(std::vector<Store*> stores, std::vector<Key> keys) {
  std::uint64_t erased = 0;
  for (Store* store : order_of(stores)) {
    ASAHI_CO_TRY(const std::uint64_t count, co_await store->delete_batch(keys));
    erased += count;
  }
  co_return erased;
}

Task<std::uint64_t> erase_system(std::vector<Store*> stores, std::string tenant,
                                 std::string system_id) {
  std::uint64_t erased = 0;
  for (Store* store : order_of(stores)) {
    ASAHI_CO_TRY(const std::uint64_t count, co_await store->delete_system(tenant, system_id));
    erased += count;
  }
  co_return erased;
}

}  // namespace asahi::memory::ageing
