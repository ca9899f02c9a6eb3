#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace asahi {

/// The value of a hexadecimal digit, of either case; -1 of anything else.
constexpr int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/// Two lower-case digits a byte.
std::string to_hex(const std::uint8_t* data, std::size_t size);
template <std::size_t N>
std::string to_hex(const std::array<std::uint8_t, N>& digest) {
  return to_hex(digest.data(), N);
}

/// The bytes that `text` writes with two digits each, of either case. Nothing for other text.
/// Pages of a database's sums pass through here by the megabyte.
std::optional<std::string> from_hex(std::string_view text);
/// The same into `out`, for keys and digests: false, and `out` of no use, unless `text` writes
/// exactly as many bytes.
[[nodiscard]] bool from_hex(std::string_view text, std::span<std::uint8_t> out);

}  // namespace asahi
