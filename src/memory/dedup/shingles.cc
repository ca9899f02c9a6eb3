#include "memory/dedup/shingles.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace asahi::memory::dedup {
namespace {

constexpr std::uint64_t kOdd1 = 0x9E3779B97F4A7C15, kOdd2 = 0xC2B2AE3D27D4EB4F,
                        kOdd3 = 0x165667B19E3779F9;

std::uint64_t fold_product(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

/// Little-endian on every machine; `size` at most 8.
std::uint64_t load(const char* at, std::size_t size) {
  std::uint64_t word = 0;
  std::memcpy(&word, at, size);
  if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
  return word;
}

/// Multiply-and-fold over eight bytes at a time.
std::uint64_t hash_bytes(std::string_view text) {
  std::uint64_t hash = text.size() * kOdd3 + kOdd1;
  const char* at = text.data();
  std::size_t left = text.size();
  for (; left > 8; at += 8, left -= 8) hash = fold_product(hash ^ load(at, 8), kOdd2);
  return fold_product(hash ^ load(at, left), kOdd1);
}

std::uint32_t narrow(std::uint64_t hash) {
  return static_cast<std::uint32_t>((hash ^ hash >> 29) * kOdd3 >> 32);
}

std::size_t sequence_length(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

/// Whether the character at `at` (of well-formed UTF-8) is a word of its own.
bool word_of_its_own(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) {
    return static_cast<char32_t>(static_cast<unsigned char>(text[at + i]));
  };
  if (byte(0) < 0xE0 || at + 2 >= text.size()) return false;
  if (byte(0) >= 0xF0) return byte(0) == 0xF0 && (byte(1) & 0xF0) == 0xA0;  // U+20000 to U+2FFFF
  const char32_t c = (byte(0) & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
  return (c >= 0x0E00 && c < 0x0F00) || (c >= 0x1000 && c < 0x10A0) ||
         (c >= 0x1780 && c < 0x1800) || (c >= 0x3041 && c < 0x3100) ||
         (c >= 0x3400 && c < 0xA000) || (c >= 0xF900 && c < 0xFB00);
}

/// The hash of each word.
std::vector<std::uint64_t> words(std::string_view text) {
  std::vector<std::uint64_t> out;
  out.reserve(text.size() / 5 + 1);
  std::size_t begin = 0;
  const auto end_word = [&](std::size_t end) {
    if (end > begin) out.push_back(hash_bytes(text.substr(begin, end - begin)));
  };
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (c == ' ') {
      end_word(at);
      begin = ++at;
      continue;
    }
    if (static_cast<unsigned char>(c) < 0xE0) {
      ++at;
      continue;
    }
    const std::size_t length = std::min(sequence_length(c), text.size() - at);
    if (word_of_its_own(text, at)) {
      end_word(at);
      begin = at;
      end_word(at + length);
      begin = at + length;
    }
    at += length;
  }
  end_word(text.size());
  return out;
}

std::vector<std::uint32_t> character_shingles(std::string_view text) {
  constexpr std::size_t kLength = 5;
  std::vector<std::size_t> starts;
  for (std::size_t at = 0; at < text.size(); at += sequence_length(text[at])) starts.push_back(at);
  starts.push_back(text.size());
  const std::size_t characters = starts.size() - 1;
  if (characters <= kLength) return {narrow(hash_bytes(text))};
  std::vector<std::uint32_t> out(characters - kLength + 1);
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = narrow(hash_bytes(text.substr(starts[i], starts[i + kLength] - starts[i])));
  return out;
}

}  // namespace

std::vector<std::uint32_t> shingles(std::string_view normal) {
  if (normal.empty()) return {};
  const std::vector<std::uint64_t> all = words(normal);
  if (all.size() < kShortText) return character_shingles(normal);
  std::vector<std::uint32_t> out(all.size() - 2);
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = narrow(fold_product(all[i] + kOdd2, all[i + 1] ^ kOdd1) + all[i + 2] * kOdd2);
  return out;
}

std::vector<std::uint32_t> shingle_set(std::string_view normal) {
  std::vector<std::uint32_t> out = shingles(normal);
  std::ranges::sort(out);
  const auto repeats = std::ranges::unique(out);
  out.erase(repeats.begin(), repeats.end());
  return out;
}

double jaccard(std::span<const std::uint32_t> a, std::span<const std::uint32_t> b) {
  if (a.empty() && b.empty()) return 1;
  std::size_t i = 0, j = 0, both = 0;
  while (i < a.size() && j < b.size()) {
    const std::uint32_t x = a[i], y = b[j];
    both += x == y ? 1 : 0;
    i += x <= y ? 1 : 0;
    j += y <= x ? 1 : 0;
  }
  return static_cast<double>(both) / static_cast<double>(a.size() + b.size() - both);
}

}  // namespace asahi::memory::dedup
