#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "memory/model/store.h"
#include "memory/placement/placement.h"
#include "memory/placement/record.h"

namespace asahi::memory {

/// A node as a rebalancing sees it; all outlive it.
struct RebalanceNode {
  std::string name;
  Store& store;
  ShardRows& rows;
  PlacementKeeper& keeper;
};

struct Rebalanced {
  std::uint64_t moved = 0;    ///< rows and duplicates that lie on their node now
  std::uint64_t known = 0;    ///< whose node had them already, the same or newer: gone from the old
  std::uint64_t changed = 0;  ///< that somebody changed or erased meanwhile
  std::uint64_t errors = 0;   ///< whose copy is not what it should be: they stay
  std::uint64_t shards = 0;   ///< that had rows on a node which is not theirs
};

/// Brings every row of a tier to the node that has its shard: after the list of nodes changed. For
/// each node and batch: scan and mark, copy, read back and compare, remove. Whatever happens in
/// between, a row is on one node or, the same, on two, where it counts once; run again, it goes on.
/// One at a time. Any loop.
class Rebalance {
 public:
  struct Options {
    std::size_t batch = 500;
    /// After each batch; not empty.
    std::function<void(const Rebalanced&)> progress = [](const Rebalanced&) {};
  };
  /// `nodes`: those of `now`, and those that leave.
  Rebalance(Placement now, std::vector<RebalanceNode> nodes, Options options);

  /// Errors: unavailable (a node is away: what was moved stays moved), conflict (rows lie on a node
  /// that is not among `nodes`), corrupt (copies that differ: errors).
  Task<Rebalanced> run();
  /// Only counts: rows on nodes that are not theirs, as `moved`.
  Task<Rebalanced> look();

 private:
  Task<void> announce();
  Task<void> conclude();
  Task<void> empty_node(std::size_t node);
  Task<void> move(std::size_t from, std::vector<ShardRow> rows);
  Task<void> move_to(std::size_t to, std::vector<ShardRow> rows,
                     std::vector<std::pair<Key, Digest>>& ending);
  /// The shards that a node does not have.
  ShardSet foreign_to(std::size_t node) const;
  const RebalanceNode* find(const std::string& name) const;

  const Placement now_;
  const std::vector<RebalanceNode> nodes_;
  const Options options_;
  std::vector<std::size_t> home_;  ///< by shard: a place in nodes_
  Rebalanced sum_;
};

}  // namespace asahi::memory
