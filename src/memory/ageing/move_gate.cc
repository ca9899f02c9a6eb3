#include "memory/ageing/move_gate.h"

#include <algorithm>

namespace asahi::memory::ageing {

MoveGate::MoveGate(std::unique_ptr<Store> store, const Clock& clock, GateOptions options)
    : ForwardingStore(*store),
      store_(std::move(store)),
      shards_(store_->shard_rows()),
      clock_(clock),
      options_(options) {}

bool MoveGate::is_moving(const Key& key) {
  const auto found = moving_.find(key);
  return found != moving_.end() && clock_.steady_now() < found->second;
}

bool MoveGate::is_moving(const std::string& tenant, const std::string& system_id) {
  const Key first{.tenant = tenant, .system_id = system_id, .conversation_id = {}};
  for (auto at = moving_.lower_bound(first); at != moving_.end(); ++at) {
    if (at->first.tenant != tenant || at->first.system_id != system_id) return false;
    if (clock_.steady_now() < at->second) return true;
  }
  return false;
}

Task<void> MoveGate::enter(TryEnter try_enter) {
  const auto until = std::chrono::steady_clock::now() + options_.patience;
  while (true) {
    const std::uint64_t seen = changes_.seen();
    {
      const std::lock_guard lock(mutex_);
      if (try_enter()) co_return Result<void>{};
    }
    if (std::chrono::steady_clock::now() >= until) {
      co_return fail(Errc::kUnavailable,
                     "the memory is on its way to another tier; try again in a moment");
    }
    co_await changes_.since(seen, until);
  }
}

void MoveGate::leave_erasure() {
  {
    const std::lock_guard lock(mutex_);
    --erasing_;
  }
  changes_.tell();
}

Task<std::uint64_t> MoveGate::delete_batch(std::vector<Key> keys) {
  auto entered = co_await enter([this, &keys] {
    if (scanning_ > 0 || std::ranges::any_of(keys, [this](const Key& k) { return is_moving(k); }))
      return false;
    ++erasing_;
    return true;
  });
  if (!entered) co_return std::unexpected(std::move(entered.error()));
  auto erased = co_await store_->delete_batch(std::move(keys));
  leave_erasure();
  co_return erased;
}

Task<std::uint64_t> MoveGate::delete_unchanged(std::vector<std::pair<Key, Digest>> rows) {
  auto entered = co_await enter([this, &rows] {
    if (scanning_ > 0 ||
        std::ranges::any_of(rows, [this](const auto& row) { return is_moving(row.first); }))
      return false;
    ++erasing_;
    return true;
  });
  if (!entered) co_return std::unexpected(std::move(entered.error()));
  auto erased = co_await store_->delete_migrated(std::move(rows));
  leave_erasure();
  co_return erased;
}

Task<std::uint64_t> MoveGate::delete_system(std::string tenant, std::string system_id) {
  auto entered = co_await enter([this, &tenant, &system_id] {
    if (scanning_ > 0 || is_moving(tenant, system_id)) return false;
    ++erasing_;
    return true;
  });
  if (!entered) co_return std::unexpected(std::move(entered.error()));
  auto erased = co_await store_->delete_system(std::move(tenant), std::move(system_id));
  leave_erasure();
  co_return erased;
}

Task<void> MoveGate::enter_scan() {
  {
    const std::lock_guard lock(mutex_);
    ++scanning_;
  }
  co_return co_await enter([this] { return erasing_ == 0; });
}

void MoveGate::leave_scan(const std::vector<Key>& moving) {
  {
    const std::lock_guard lock(mutex_);
    --scanning_;
    const auto until = clock_.steady_now() + options_.lease;
    for (const Key& key : moving) moving_[key] = until;
  }
  changes_.tell();
}

void MoveGate::end_moves(const std::vector<std::pair<Key, Digest>>& rows) {
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, checksum] : rows) moving_.erase(key);
  }
  changes_.tell();
}

Task<std::vector<Eligible>> MoveGate::scan_eligible(ScanQuery wanted) {
  Result<std::vector<Eligible>> rows;
  if (auto entered = co_await enter_scan(); !entered) {
    rows = std::unexpected(std::move(entered.error()));
  } else {
    rows = co_await store_->scan_eligible(std::move(wanted));
  }
  std::vector<Key> moving;
  if (rows) {
    for (const Eligible& row : *rows) moving.push_back(row.memory.key);
  }
  leave_scan(moving);
  co_return rows;
}

Task<std::vector<ShardRow>> MoveGate::scan_shards(ShardSet wanted, std::size_t limit, Marks marks) {
  Result<std::vector<ShardRow>> rows;
  if (auto entered = co_await enter_scan(); !entered) {
    rows = std::unexpected(std::move(entered.error()));
  } else {
    rows = co_await shards_->scan_shards(std::move(wanted), limit, marks);
  }
  std::vector<Key> moving;
  if (rows) {
    for (const ShardRow& row : *rows) moving.push_back(row.memory.key);
  }
  leave_scan(moving);
  co_return rows;
}

Task<std::uint64_t> MoveGate::delete_migrated(std::vector<std::pair<Key, Digest>> rows) {
  auto gone = co_await store_->delete_migrated(rows);
  end_moves(rows);
  co_return gone;
}

Task<std::uint64_t> MoveGate::replace_vectors(std::vector<NewVector> rows) {
  std::vector<std::pair<Key, Digest>> ending;
  ending.reserve(rows.size());
  for (const NewVector& row : rows) ending.emplace_back(row.key, row.checksum);
  auto done = co_await store_->replace_vectors(std::move(rows));
  end_moves(ending);
  co_return done;
}

Task<std::uint64_t> MoveGate::delete_moved(std::vector<std::pair<Key, Digest>> rows) {
  auto gone = co_await shards_->delete_moved(rows);
  end_moves(rows);
  co_return gone;
}

}  // namespace asahi::memory::ageing
