#include "memory/model/record.h"

#include <array>
#include <bit>
#include <string>

#include <fmt/format.h>

#include "base/sha256_stream.h"
#include "base/utf8.h"

namespace asahi::memory {

namespace {

constexpr std::size_t kMaxId = 100;
constexpr std::size_t kMaxConversationId = 200;

bool is_plain(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

Result<void> check_plain_id(std::string_view field, std::string_view id, bool dots) {
  bool plain = !id.empty() && id.size() <= kMaxId;
  for (const char c : id) plain = plain && (is_plain(c) || (dots && c == '.'));
  if (plain && id.find("..") == std::string_view::npos) return {};
  return fail_field(std::string(field),
                    fmt::format("'{}' is not 1 to {} of letters, digits, '_'{} and '-'",
                                id.substr(0, kMaxId), kMaxId, dots ? ", '.' (not \"..\")" : ""));
}

/// Writes values with their lengths, so that no two rows of columns give the same bytes.
class Columns {
 public:
  void text(std::string_view value) {
    number(value.size());
    sum_.add(value);
  }
  void number(std::uint64_t value) {
    std::array<char, 8> bytes{};
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(value >> (8 * i));
    sum_.add(std::string_view(bytes.data(), bytes.size()));
  }
  /// Floats by their bits.
  template <class Numbers>
  void numbers(const Numbers& values) {
    std::string bytes;
    bytes.reserve(values.size() * 4);
    for (const auto value : values) {
      const auto word = std::bit_cast<std::uint32_t>(value);
      for (int i = 0; i < 4; ++i) bytes += static_cast<char>(word >> (8 * i));
    }
    text(bytes);
  }
  Digest finish() { return sum_.finish(); }

 private:
  Sha256Stream sum_;
};

}  // namespace

std::string_view tier_name(Tier tier) {
  switch (tier) {
    case Tier::kHot:
      return "hot";
    case Tier::kWarm:
      return "warm";
    case Tier::kCold:
      return "cold";
  }
  return "hot";
}

Result<void> check_system_id(std::string_view id) { return check_plain_id("system_id", id, false); }

Result<void> check_upload_id(std::string_view id) { return check_plain_id("upload_id", id, true); }

Result<void> check_conversation_id(std::string_view id) {
  bool clean = !id.empty() && id.size() <= kMaxConversationId && is_utf8(id);
  for (const char c : id) clean = clean && static_cast<unsigned char>(c) >= 0x20 && c != 0x7f;
  if (clean) return {};
  return fail_field(
      "conversation_id",
      fmt::format("not 1 to {} bytes of UTF-8 without control characters", kMaxConversationId));
}

Result<void> check_key(const Key& key) {
  if (key.tenant.empty()) return fail_field("tenant", "a memory belongs to a tenant; it is empty");
  if (auto ok = check_system_id(key.system_id); !ok) return ok;
  return check_conversation_id(key.conversation_id);
}

Digest row_checksum(const Memory& memory) {
  Columns columns;
  columns.text(memory.key.tenant);
  columns.text(memory.key.system_id);
  columns.text(memory.key.conversation_id);
  columns.text(memory.content);
  columns.numbers(memory.embedding);
  columns.text(memory.embedding_model);
  columns.number(static_cast<std::uint64_t>(memory.timestamp.time_since_epoch().count()));
  columns.number(static_cast<std::uint64_t>(memory.uploaded_at.time_since_epoch().count()));
  columns.text(memory.metadata);
  columns.text(
      {reinterpret_cast<const char*>(memory.content_hash.data()), memory.content_hash.size()});
  columns.numbers(memory.fingerprint);
  columns.number(memory.near_duplicate_of ? 1 : 0);
  if (memory.near_duplicate_of) {
    columns.text(memory.near_duplicate_of->tenant);
    columns.text(memory.near_duplicate_of->system_id);
    columns.text(memory.near_duplicate_of->conversation_id);
  }
  return columns.finish();
}

}  // namespace asahi::memory
