#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/hash.h"
#include "base/result.h"

namespace asahi::memory {

/// Who a memory belongs to and which one it is. Two records with one key are two versions of one
/// memory. Everything is looked up within a tenant; nothing crosses tenants.
struct Key {
  std::string tenant;           ///< organisation; see check_key
  std::string system_id;        ///< the agent system: 1 to 100 of [A-Za-z0-9_-]
  std::string conversation_id;  ///< the memory in its system: 1 to 200 bytes
  auto operator<=>(const Key&) const = default;
  bool operator==(const Key&) const = default;
};

enum class Tier : std::uint8_t { kHot, kWarm, kCold };
/// "hot", "warm", "cold".
std::string_view tier_name(Tier tier);

using Digest = Digest256;
/// MinHash over 128 permutations (dedup/minhash.h); 512 bytes where it is stored, little-endian.
using Fingerprint = std::array<std::uint32_t, 128>;

/// One memory as ingestion makes it and the hot tier holds it.
struct Memory {
  Key key;
  std::string content;           ///< UTF-8, not empty, at most kMaxContent bytes
  std::vector<float> embedding;  ///< unit length; empty: none yet
  std::string embedding_model;   ///< vectors of two models are never compared
  Clock::Time timestamp;         ///< when it was said or done: its age counts from here
  Clock::Time uploaded_at;       ///< when it came here
  /// A JSON object: user_id, project, tags, language, topic, type, source, upload_id, original_id,
  /// correlation_id, ... At most kMaxMetadata bytes.
  std::string metadata = "{}";
  Digest content_hash{};  ///< SHA-256 of content
  Fingerprint fingerprint{};
  /// The memory that this one nearly repeats (same tenant); empty: none.
  std::optional<Key> near_duplicate_of;
  bool operator==(const Memory&) const = default;
};

inline constexpr std::size_t kMaxContent = 1'000'000;
inline constexpr std::size_t kMaxMetadata = 64 * 1024;

/// The rules of ids, each named in the error's field. Errors: invalid_argument.
Result<void> check_system_id(std::string_view id);
Result<void> check_conversation_id(std::string_view id);
/// Bundles: like system ids, and '.' but not "..".
Result<void> check_upload_id(std::string_view id);
Result<void> check_key(const Key& key);

/// SHA-256 over every column of the row in a fixed order with lengths before them: what ageing
/// compares after it has read a copy back.
Digest row_checksum(const Memory& memory);

}  // namespace asahi::memory
