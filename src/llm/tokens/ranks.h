#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace asahi::llm {

using TokenId = std::uint32_t;

/// A byte-pair vocabulary as scripts/pack_ranks.py lays it out: read where it lies (in the
/// program's file, mapped by the system), nothing is built at start. Little-endian words: magic,
/// tokens, bits of the slot count, longest token; offsets of the tokens' bytes; an open hash table
/// of token + 1 (18 bits) and 14 bits of the hash; the bytes. Immutable.
class RankTable {
 public:
  /// `bytes` stay as long as the table. The layout is the build's, so it is trusted.
  explicit RankTable(const unsigned char* bytes);

  std::size_t size() const { return tokens_; }
  std::size_t longest() const { return longest_; }
  /// The token of exactly these bytes.
  std::optional<TokenId> find(std::string_view bytes) const {
    const std::uint32_t found = rank(bytes);
    if (found == kNone) return std::nullopt;
    return found;
  }
  /// The same as a number; `kNone` sorts behind all ranks.
  static constexpr std::uint32_t kNone = UINT32_MAX;
  std::uint32_t rank(std::string_view bytes) const;
  /// Empty for an id that is not in the table.
  std::string_view bytes(TokenId id) const;

 private:
  std::uint32_t tokens_, mask_, longest_;
  const std::uint32_t* offsets_;
  const std::uint32_t* slots_;
  const char* bytes_;
};

}  // namespace asahi::llm
