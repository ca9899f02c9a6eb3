#pragma once

#include <fmt/format.h>

#include <atomic>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "memory/ageing/move_gate.h"
#include "memory/hot/hot_store.h"
#include "memory/model/forwarding_store.h"
#include "memory/placement/rebalance.h"
#include "memory/placement/sharded_store.h"

namespace asahi::memory::testing {

/// A node that can go away, answer late, or die in the middle of a row's move.
class FlakyNode final : public ForwardingStore, public ShardRows {
 public:
  explicit FlakyNode(Store& store) : ForwardingStore(store) {}
  bool away = false;
  std::atomic<bool> late = false;  ///< searches wait until it is not
  int calls_left = -1;             ///< until it goes away; negative: never
  std::size_t searches = 0, searched = 0, writes = 0;
  std::function<void(bool begins)> copied;  ///< when a copy begins and ends; empty: nobody asks

  Task<std::vector<UpsertOutcome>> upsert_batch(std::vector<Memory> memories,
                                                UpsertOptions options) override {
    ++writes;
    if (gone()) co_return refusal();
    co_return co_await inner().upsert_batch(std::move(memories), options);
  }
  Task<std::vector<std::optional<Memory>>> get(std::vector<Key> keys) override {
    if (gone()) co_return refusal();
    co_return co_await inner().get(std::move(keys));
  }
  Task<std::uint64_t> delete_batch(std::vector<Key> keys) override {
    if (gone()) co_return refusal();
    co_return co_await inner().delete_batch(std::move(keys));
  }
  Task<StorePage> search(StoreQuery query) override {
    ++searches;
    while (late) co_await net::Loop::current()->sleep_for(std::chrono::milliseconds(1));
    ++searched;
    if (gone()) co_return refusal();
    co_return co_await inner().search(std::move(query));
  }
  Task<TierStats> stats(std::string tenant) override {
    if (gone()) co_return refusal();
    co_return co_await inner().stats(std::move(tenant));
  }
  Task<std::vector<Eligible>> scan_eligible(ScanQuery wanted) override {
    if (gone()) co_return refusal();
    co_return co_await inner().scan_eligible(std::move(wanted));
  }
  Task<std::vector<HeldFile>> snapshot(std::string, HeldSums) override {
    if (copied) copied(true);
    co_await net::Loop::current()->sleep_for(std::chrono::milliseconds(1));
    if (copied) copied(false);
    std::vector<HeldFile> left_out{{"log", 1, {}}};
    co_return left_out;
  }
  ShardRows* shard_rows() override { return this; }
  Task<std::vector<ShardRow>> scan_shards(ShardSet wanted, std::size_t limit,
                                          Marks marks) override {
    if (gone()) co_return refusal();
    co_return co_await inner().shard_rows()->scan_shards(std::move(wanted), limit, marks);
  }
  Task<std::uint64_t> delete_moved(std::vector<std::pair<Key, Digest>> rows) override {
    if (gone()) co_return refusal();
    co_return co_await inner().shard_rows()->delete_moved(std::move(rows));
  }
  Task<std::vector<std::uint64_t>> shard_counts() override {
    if (gone()) co_return refusal();
    co_return co_await inner().shard_rows()->shard_counts();
  }

 private:
  bool gone() {
    if (calls_left == 0) away = true;
    if (calls_left > 0) --calls_left;
    return away;
  }
  static std::unexpected<Error> refusal() { return fail(Errc::kUnavailable, "the node is away"); }
};

/// Hot stores in this process, by name, each behind its gate as a process would have it.
class Nodes {
 public:
  struct One {
    std::unique_ptr<ageing::MoveGate> gate;
    std::unique_ptr<PlacementRecord> record;
    std::unique_ptr<FlakyNode> node;
  };
  One& add(const std::string& name) {
    One& one = nodes_[name];
    one.gate = std::make_unique<ageing::MoveGate>(HotStore::open({}).value(), system_clock());
    one.record = PlacementRecord::open(":memory:").value();
    one.node = std::make_unique<FlakyNode>(*one.gate);
    return one;
  }
  FlakyNode& operator[](const std::string& name) { return *nodes_.at(name).node; }
  PlacementRecord& record(const std::string& name) { return *nodes_.at(name).record; }

  static Placement placement(const std::vector<std::string>& names) {
    std::vector<Node> nodes;
    for (const std::string& name : names) nodes.push_back({name});
    return Placement::make(std::move(nodes)).value();
  }
  /// The tier over all of them.
  std::unique_ptr<ShardedStore> tier(const std::vector<std::string>& now,
                                     const std::vector<std::string>& before = {}) {
    std::vector<ShardedStore::Part> parts;
    for (auto& [name, one] : nodes_)
      parts.push_back({.name = name,
                       .store = std::make_unique<ForwardingStore>(static_cast<Store&>(*one.node))});
    std::optional<Placement> old;
    if (!before.empty()) old = placement(before);
    return ShardedStore::make(placement(now), std::move(old), std::move(parts),
                              {.patience = std::chrono::milliseconds(100)})
        .value();
  }
  std::vector<RebalanceNode> all() {
    std::vector<RebalanceNode> out;
    for (auto& [name, one] : nodes_)
      out.push_back({.name = name, .store = *one.node, .rows = *one.node, .keeper = *one.record});
    return out;
  }

 private:
  std::map<std::string, One> nodes_;
};

/// Memory `i` of a system, unlike all others.
inline Memory placed(const std::string& system, int i, std::int64_t time = 0) {
  Memory out;
  out.key = {"acme", system, fmt::format("{}-{}", system, i)};
  out.content = fmt::format("note {} of {} about topic {}", i, system, i % 7);
  out.timestamp = Clock::Time{std::chrono::seconds{1'700'000'000 + i + time}};
  out.uploaded_at = out.timestamp + std::chrono::hours(1);
  out.metadata = fmt::format(R"({{"project":"p{}"}})", i % 3);
  const float x = static_cast<float>(i % 5) + 0.5F, length = std::sqrt(x * x + 1);
  out.embedding = {x / length, 1 / length, 0};
  out.embedding_model = "m";
  out.content_hash = sha256(out.content);
  return out;
}

/// `each` memories of each of `systems` systems.
inline std::vector<Memory> placed_memories(int systems, int each) {
  std::vector<Memory> all;
  for (int system = 0; system < systems; ++system) {
    for (int i = 0; i < each; ++i) all.push_back(placed(fmt::format("system-{}", system), i));
  }
  return all;
}

inline std::vector<Key> keys_of(const std::vector<Memory>& memories) {
  std::vector<Key> keys;
  for (const Memory& memory : memories) keys.push_back(memory.key);
  return keys;
}

}  // namespace asahi::memory::testing
