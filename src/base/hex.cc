#include "base/hex.h"

namespace asahi {
namespace {

/// hex_value() of each byte.
constexpr auto kValues = [] {
  std::array<std::int8_t, 256> values{};
  for (int byte = 0; byte < 256; ++byte)
    values[static_cast<std::size_t>(byte)] =
        static_cast<std::int8_t>(hex_value(static_cast<char>(byte)));
  return values;
}();

}  // namespace

std::string to_hex(const std::uint8_t* data, std::size_t size) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out(size * 2, '0');
  for (std::size_t i = 0; i < size; ++i) {
    out[2 * i] = kDigits[data[i] >> 4];
    out[2 * i + 1] = kDigits[data[i] & 15];
  }
  return out;
}

bool from_hex(std::string_view text, std::span<std::uint8_t> out) {
  if (text.size() != 2 * out.size()) return false;
  int seen = 0;  // negative as soon as one value is
  for (std::size_t i = 0; i < out.size(); ++i) {
    const int high = kValues[static_cast<unsigned char>(text[2 * i])];
    const int low = kValues[static_cast<unsigned char>(text[2 * i + 1])];
    seen |= high | low;
    out[i] = static_cast<std::uint8_t>(
        (static_cast<unsigned>(high) << 4 | static_cast<unsigned>(low)) & 0xFF);
  }
  return seen >= 0;
}

std::optional<std::string> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::string bytes(text.size() / 2, '\0');
  if (!from_hex(text, {reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()}))
    return std::nullopt;
  return bytes;
}

}  // namespace asahi
