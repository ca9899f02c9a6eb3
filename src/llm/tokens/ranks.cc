#include "llm/tokens/ranks.h"

#include <bit>
#include <cstring>

namespace asahi::llm {
namespace {

static_assert(std::endian::native == std::endian::little, "the table's words are little-endian");

constexpr std::uint32_t kMagic = 0x42504531;
constexpr unsigned kIdBits = 18;

/// The same as hash_of in scripts/pack_ranks.py.
std::uint64_t hash_of(std::string_view token) {
  std::uint64_t hash = token.size() * 0x9E3779B97F4A7C15U;
  const char* at = token.data();
  std::size_t left = token.size();
  while (left > 0) {
    std::uint64_t word = 0;
    if (left >= 8) {
      std::memcpy(&word, at, 8);
      at += 8;
      left -= 8;
    } else {
      for (std::size_t i = 0; i < left; ++i)
        word |= static_cast<std::uint64_t>(static_cast<unsigned char>(at[i])) << (8 * i);
      left = 0;
    }
    hash ^= word;
    hash *= 0xD6E8FEB86659FD93U;
    hash ^= hash >> 32;
  }
  return hash;
}

}  // namespace

RankTable::RankTable(const unsigned char* bytes) {
  // The table lies on a page border.
  const auto* words = reinterpret_cast<const std::uint32_t*>(bytes);
  if (words[0] != kMagic) std::abort();
  tokens_ = words[1];
  const std::size_t slots = std::size_t{1} << words[2];
  mask_ = static_cast<std::uint32_t>(slots - 1);
  longest_ = words[3];
  offsets_ = words + 4;
  slots_ = offsets_ + tokens_ + 1;
  bytes_ = reinterpret_cast<const char*>(slots_ + slots);
}

std::uint32_t RankTable::rank(std::string_view bytes) const {
  if (bytes.empty() || bytes.size() > longest_) return kNone;
  const std::uint64_t hash = hash_of(bytes);
  const auto mark = static_cast<std::uint32_t>(hash >> 46 & 0x3FFF);
  for (auto slot = static_cast<std::uint32_t>(hash) & mask_;; slot = (slot + 1) & mask_) {
    const std::uint32_t entry = slots_[slot];
    if (entry == 0) return kNone;
    if (entry >> kIdBits != mark) continue;
    const std::uint32_t id = (entry & ((1U << kIdBits) - 1)) - 1;
    if (offsets_[id + 1] - offsets_[id] == bytes.size() &&
        std::memcmp(bytes_ + offsets_[id], bytes.data(), bytes.size()) == 0) {
      return id;
    }
  }
}

std::string_view RankTable::bytes(TokenId id) const {
  if (id >= tokens_) return {};
  return {bytes_ + offsets_[id], offsets_[id + 1] - offsets_[id]};
}

}  // namespace asahi::llm
