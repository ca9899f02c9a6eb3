#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace asahi::memory::cold {

/// Where a cold file lies:
/// `TENANT/conversations/SYSTEM/YYYY/MM/DD/batch_YYYYMMDD_HHMMSS_SHARD_SEQ.parquet`. The folder's
/// day is that of its memories, the file's time that of its writing. The tenant is the first part,
/// so that a bucket policy can part them; what is not [A-Za-z0-9_-] in it stands as %XX.
struct ObjectName {
  std::string tenant;
  std::string system_id;
  std::chrono::sys_days day;
  Clock::Time written;      ///< to the second
  std::uint32_t shard = 0;  ///< of the system, see shard_of
  std::uint32_t sequence = 0;

  bool operator==(const ObjectName&) const = default;
};

std::string object_key(const ObjectName& name);
/// What `object_key` wrote. Errors: invalid_argument.
Result<ObjectName> parse_object_key(std::string_view key);
/// All files of a tenant: the beginning of their keys.
std::string tenant_prefix(std::string_view tenant);

/// The first four bytes of SHA-256(system_id), big-endian, modulo `shards`.
std::uint32_t shard_of(std::string_view system_id, std::uint32_t shards);

}  // namespace asahi::memory::cold
