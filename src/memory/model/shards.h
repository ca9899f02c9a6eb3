#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "base/task.h"
#include "memory/model/record.h"

namespace asahi::memory {

/// How many shards the systems of all tenants fall into (spec/memory §4.5): fixed for the data's
/// life, many times the nodes that there will be.
inline constexpr std::uint32_t kShards = 256;

/// Shard of a system: the first four bytes of SHA-256 of its id, big-endian, modulo the number of
/// shards.
std::uint32_t shard_of(std::string_view system_id, std::uint32_t shards = kShards);

/// A byte for each of kShards: 1, it belongs to the set.
using ShardSet = std::vector<std::uint8_t>;

/// A memory that may move to another node of its tier.
struct ShardRow {
  Memory memory;           ///< as it was written, without `seen_in`
  Digest checksum{};       ///< row_checksum of `memory`
  bool duplicate = false;  ///< its content is another row's, seen again
};

/// Of rows that a run marked which may be dead by now.
enum class Marks : std::uint8_t {
  kKeep,  ///< somebody moves them
  kDrop,  ///< nobody does: this is the beginning of a run, and there is one at a time
};

/// What lets rows of a store move to another node of the same tier, shard by shard. Callable from
/// any loop. Errors: as Store's; invalid_argument for a set of another size.
class ShardRows {
 public:
  virtual ~ShardRows() = default;
  /// At most `limit` rows of the shards of `wanted` that nobody moves, marked as
  /// Store::scan_eligible marks them. A row's duplicates come with it, behind it,
  /// beyond the limit, too.
  virtual Task<std::vector<ShardRow>> scan_shards(ShardSet wanted, std::size_t limit,
                                                  Marks marks) = 0;
  /// Removes the rows whose checksum is still the one given, duplicates among them; what else says
  /// the same keeps a row. Zeros: the row stays and loses its mark. How many went.
  virtual Task<std::uint64_t> delete_moved(std::vector<std::pair<Key, Digest>> rows) = 0;
  /// Rows and duplicates of each shard: kShards numbers.
  virtual Task<std::vector<std::uint64_t>> shard_counts() = 0;
};

}  // namespace asahi::memory
