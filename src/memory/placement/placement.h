#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "memory/model/shards.h"

namespace asahi::memory {

/// A process that keeps a part of a tier.
struct Node {
  /// Its name decides about its shards, not its address: it may move house. 1 to 100 of
  /// [A-Za-z0-9._:-].
  std::string name;
  double weight = 1;  ///< its part of all shards, against the others'; 0.01 to 100
  bool operator==(const Node&) const = default;
};

/// Which node has which shard: rendezvous hashing with weights. Each node draws a number u of (0,
/// 1) for a shard, from SHA-256 of both; the shard is with the node of the highest -weight / ln(u)
/// (Thaler and Ravishankar 1998; the weights: Schindelhauer and Schomaker 2005). So a node wins
/// shards in proportion to its weight, one that joins takes its part from all others, one that
/// leaves gives its own to all others, and nothing else moves. Pure; the order of the list does not
/// matter.
class Placement {
 public:
  /// Errors: invalid_argument (no node, a name twice or that cannot be one, a weight out of range).
  static Result<Placement> make(std::vector<Node> nodes, std::uint32_t shards = kShards);

  const std::vector<Node>& nodes() const { return nodes_; }
  std::uint32_t shards() const { return static_cast<std::uint32_t>(owners_.size()); }
  /// The place in nodes() of the one that has a shard, or the shard of a system.
  std::size_t owner(std::uint32_t shard) const { return owners_[shard]; }
  std::size_t owner_of(std::string_view system_id) const {
    return owners_[shard_of(system_id, shards())];
  }
  /// The same by name.
  const std::string& owner_name(std::uint32_t shard) const { return nodes_[owners_[shard]].name; }
  /// "256;a,b*2": equal for placements that are. `parse` reads it back.
  std::string to_string() const;
  static Result<Placement> parse(std::string_view text);

 private:
  Placement() = default;
  std::vector<Node> nodes_;  ///< by name
  std::vector<std::size_t> owners_;
};

/// A shard that another node has after a change of the list.
struct ShardMove {
  std::uint32_t shard = 0;
  std::string from, to;
  bool operator==(const ShardMove&) const = default;
};
/// Of two placements of as many shards.
std::vector<ShardMove> moves_between(const Placement& before, const Placement& after);

}  // namespace asahi::memory
