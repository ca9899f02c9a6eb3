#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace asahi::memory::hot {

/// A fast hash for tables in memory, by multiplying and folding 8 bytes at a time; never stored,
/// never for security. A `seed` that outsiders do not know keeps them from making hashes meet.
inline std::uint64_t hash64(std::string_view bytes, std::uint64_t seed) {
  const auto fold = [](std::uint64_t a, std::uint64_t b) {
    const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  };
  constexpr std::uint64_t kA = 0xA0761D6478BD642F, kB = 0xE7037ED1A0B428DB;
  std::uint64_t state = fold(seed ^ kA, bytes.size() ^ kB);
  while (bytes.size() >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), 8);
    state = fold(state ^ word, kA);
    bytes.remove_prefix(8);
  }
  std::uint64_t rest = 0;
  if (!bytes.empty()) std::memcpy(&rest, bytes.data(), bytes.size());
  return fold(state ^ rest, kB);
}

}  // namespace asahi::memory::hot
