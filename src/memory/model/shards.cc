#include "memory/model/shards.h"

#include "base/hash.h"

namespace asahi::memory {

std::uint32_t shard_of(std::string_view system_id, std::uint32_t shards) {
  const Digest256 digest = sha256(system_id);
  std::uint32_t first = 0;
  for (std::size_t i = 0; i < 4; ++i) first = first << 8 | digest[i];
  return first % shards;
}

}  // namespace asahi::memory
