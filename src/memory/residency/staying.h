#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "memory/model/forwarding_store.h"
#include "memory/residency/rules.h"

namespace asahi::memory {

/// A tier of which memories that stay here are never due to go on. Below the move gate: erasures do
/// not wait for them. A scan marks them, so that one scan after the other comes past them to those
/// that may go; the marks end by themselves, a lease later.
class StayingStore final : public ForwardingStore {
 public:
  StayingStore(std::unique_ptr<Store> store, ResidencyRules rules)
      : ForwardingStore(*store), store_(std::move(store)), rules_(std::move(rules)) {}

  Task<std::vector<Eligible>> scan_eligible(Clock::Time before, std::size_t limit) override;
  ShardRows* shard_rows() override { return store_->shard_rows(); }

 private:
  const std::unique_ptr<Store> store_;
  const ResidencyRules rules_;
};

}  // namespace asahi::memory
