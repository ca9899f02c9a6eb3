#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "memory/model/forwarding_store.h"
#include "memory/residency/rules.h"

namespace asahi::memory {

/// A tier of which memories that stay here are never due to go on: scans by age pass them over.
/// (Those for a model or for keys do not go on, and see them.) Below the move gate: erasures do not
/// wait for them. A scan marks them, so that one scan after the other comes past them to those that
/// may go; the marks end by themselves, a lease later.
class StayingStore final : public ForwardingStore {
 public:
  StayingStore(std::unique_ptr<Store> store, ResidencyRules rules)
      : ForwardingStore(*store), store_(std::move(store)), rules_(std::move(rules)) {}

  Task<std::vector<Eligible>> scan_eligible(ScanQuery wanted) override;
  ShardRows* shard_rows() override { return store_->shard_rows(); }

 private:
  const std::unique_ptr<Store> store_;
  const ResidencyRules rules_;
};

/// A tier elsewhere, which refuses memories that stay here, whoever brings them: a batch with one
/// of them is forbidden as a whole.
class ClosedStore final : public ForwardingStore {
 public:
  ClosedStore(std::unique_ptr<Store> store, ResidencyRules rules)
      : ForwardingStore(*store), store_(std::move(store)), rules_(std::move(rules)) {}

  Task<std::vector<UpsertOutcome>> upsert_batch(std::vector<Memory> memories,
                                                UpsertOptions options) override;

 private:
  const std::unique_ptr<Store> store_;
  const ResidencyRules rules_;
};

}  // namespace asahi::memory
