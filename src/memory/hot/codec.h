#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "memory/model/record.h"

namespace asahi::memory::hot {

enum class RecordType : std::uint8_t {
  kUpsert = 1,     ///< a memory, whole
  kTombstone = 2,  ///< a key that is no more
  kSeen = 3,       ///< a key whose content is that of another memory
};

/// What an upsert record holds, as it lies in its bytes.
struct UpsertView {
  std::string_view tenant, system_id, conversation_id, content, metadata, model;
  std::string_view vector;  ///< numbers of `vector_width` bytes
  std::uint32_t dimensions = 0;
  /// 4: float32; 2: float16, 1: codes of `scale` (summary/quantise.h), where these lose nothing.
  std::uint8_t vector_width = 4;
  float scale = 1;
  std::string_view fingerprint;  ///< 512 bytes, or empty: none
  std::string_view near_tenant, near_system, near_conversation;
  Clock::Time timestamp, uploaded_at;
  Digest content_hash{};

  /// Into `out` of `dimensions` numbers.
  void read_vector(float* out) const;
  Fingerprint read_fingerprint() const;
  Memory decode() const;
};

/// What a seen record holds: `owner` has the content; the rest is what the duplicate had of its
/// own.
struct SeenView {
  std::string_view tenant, owner_system, owner_conversation, system_id, conversation_id, metadata;
  Clock::Time timestamp, uploaded_at;
};

struct TombstoneView {
  std::string_view tenant, system_id, conversation_id;
};

/// Little-endian, lengths first; a vector whose numbers are all float16 takes half the room,
/// one that was quantised a quarter.
/// Appended to `out`.
void encode_upsert(const Memory& memory, std::string& out);
/// Adds what it nearly repeats to a record that says nothing of it.
void add_near_duplicate_of(const Key& near, std::string& record);
void encode_seen(const Key& owner, const Memory& duplicate, std::string& out);
void encode_tombstone(const Key& key, std::string& out);

/// Nothing: not what `encode_…` makes. The views point into `bytes`.
std::optional<UpsertView> parse_upsert(std::string_view bytes);
std::optional<SeenView> parse_seen(std::string_view bytes);
std::optional<TombstoneView> parse_tombstone(std::string_view bytes);

/// True when there is a fingerprint: ingestion's are never all zero.
bool has_fingerprint(const Fingerprint& fingerprint);

}  // namespace asahi::memory::hot
