#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "memory/model/forwarding_store.h"
#include "net/waiting.h"

namespace asahi::memory::ageing {

struct GateOptions {
  /// An erasure that waits for a move longer than that is refused.
  std::chrono::milliseconds patience{30'000};
  /// Whoever moves rows and does not end it in that time is taken for dead: erasures go on.
  std::chrono::milliseconds lease{600'000};
};

/// A tier whose rows may be on their way down: keeps erasures and moves of one row apart, so that
/// what was erased does not come back with a copy that was on its way. From scan_eligible on the
/// rows it gave are moving, until delete_migrated or replace_vectors names them; an erasure of one
/// waits for that, a scan waits for erasures under way. Everything else goes straight through. An
/// erasure asks the tiers from the hottest down: then it meets a row wherever it is, or waits for
/// it there.
///
/// Any loop. Works for local stores and for the process that serves one to others.
class MoveGate final : public ForwardingStore, public ShardRows {
 public:
  /// `clock` outlives it.
  MoveGate(std::unique_ptr<Store> store, const Clock& clock, GateOptions options = {});

  /// Errors: also unavailable, when a row is being moved for longer than `patience`.
  Task<std::uint64_t> delete_batch(std::vector<Key> keys) override;
  /// An erasure of rows that are still what these checksums say.
  Task<std::uint64_t> delete_unchanged(std::vector<std::pair<Key, Digest>> rows);
  Task<std::uint64_t> delete_system(std::string tenant, std::string system_id) override;
  Task<std::vector<Eligible>> scan_eligible(ScanQuery wanted) override;
  Task<std::uint64_t> delete_migrated(std::vector<std::pair<Key, Digest>> rows) override;
  Task<std::uint64_t> replace_vectors(std::vector<NewVector> rows) override;

  /// Null where the store within has none. Rows that move to another node are kept apart from
  /// erasures just as those that go down a tier; there the erasure asks the old node first.
  ShardRows* shard_rows() override { return shards_ != nullptr ? this : nullptr; }
  Task<std::vector<ShardRow>> scan_shards(ShardSet wanted, std::size_t limit, Marks marks) override;
  Task<std::uint64_t> delete_moved(std::vector<std::pair<Key, Digest>> rows) override;
  Task<std::vector<std::uint64_t>> shard_counts() override { return shards_->shard_counts(); }

 private:
  /// Under the lock: whether the caller may go on, and if so that it does.
  using TryEnter = std::function<bool()>;
  /// Errors: unavailable after `patience`.
  Task<void> enter(TryEnter try_enter);
  void leave_erasure();
  /// From here on no erasure begins; those under way end. Then leave_scan.
  Task<void> enter_scan();
  void leave_scan(const std::vector<Key>& moving);
  void end_moves(const std::vector<std::pair<Key, Digest>>& rows);
  bool is_moving(const Key& key);
  bool is_moving(const std::string& tenant, const std::string& system_id);

  const std::unique_ptr<Store> store_;
  ShardRows* const shards_;  ///< of the store; null: none
  const Clock& clock_;
  const GateOptions options_;
  std::mutex mutex_;
  std::map<Key, Clock::Steady> moving_;  ///< until when
  std::size_t erasing_ = 0, scanning_ = 0;
  net::Changes changes_;  ///< of what a caller of `enter` may wait for
};

}  // namespace asahi::memory::ageing
