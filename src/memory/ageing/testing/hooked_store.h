#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "memory/model/forwarding_store.h"

namespace asahi::memory::ageing_testing {

/// Another store with something of the test's before or after a call.
class HookedStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;

  std::function<void(std::vector<Memory>&)> before_upsert;
  std::function<Aw<void>()> after_upsert;
  std::function<Aw<void>()> before_delete;

  Task<std::vector<UpsertOutcome>> upsert_batch(std::vector<Memory> memories,
                                                UpsertOptions options) override {
    if (before_upsert) before_upsert(memories);
    auto outcomes = co_await inner().upsert_batch(std::move(memories), options);
    if (after_upsert) co_await after_upsert();
    co_return outcomes;
  }
  Task<std::uint64_t> delete_batch(std::vector<Key> keys) override {
    if (before_delete) co_await before_delete();
    co_return co_await inner().delete_batch(std::move(keys));
  }
};

}  // namespace asahi::memory::ageing_testing
