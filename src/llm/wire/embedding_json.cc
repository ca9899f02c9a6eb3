#include "llm/wire/embedding_json.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/hash.h"

namespace asahi::llm::wire {
namespace {

// Standard alphabet with padding (RFC 4648 §4); 255 marks what is not in it.
constexpr std::array<std::uint8_t, 256> kSextets = [] {
  std::array<std::uint8_t, 256> table{};
  table.fill(255);
  constexpr std::string_view alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t i = 0; i < alphabet.size(); ++i) {
    table[static_cast<unsigned char>(alphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return table;
}();

std::optional<std::string> base64_decode(std::string_view text) {
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  std::string out;
  out.reserve(text.size() * 3 / 4);
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const std::uint8_t sextet = kSextets[static_cast<unsigned char>(c)];
    if (sextet == 255) return std::nullopt;
    bits = (bits << 6) | sextet;
    count += 6;
    if (count >= 8) {
      count -= 8;
      out += static_cast<char>((bits >> count) & 0xFF);
    }
  }
  return out;
}

static_assert(std::endian::native == std::endian::little, "vectors travel as little-endian floats");

}  // namespace

std::optional<std::vector<float>> read_vector(const json::array& numbers) {
  std::vector<float> out;
  out.reserve(numbers.size());
  for (const auto& number : numbers) {
    if (!number.is_number()) return std::nullopt;
    const auto value = static_cast<float>(number.to_number<double>());
    if (!std::isfinite(value)) return std::nullopt;
    out.push_back(value);
  }
  return out;
}

std::optional<std::vector<std::vector<float>>> read_vectors(const json::array& rows) {
  std::vector<std::vector<float>> out;
  out.reserve(rows.size());
  for (const auto& row : rows) {
    const auto* numbers = row.if_array();
    if (numbers == nullptr || numbers->empty()) return std::nullopt;
    auto vector = read_vector(*numbers);
    if (!vector || (!out.empty() && vector->size() != out.front().size())) return std::nullopt;
    out.push_back(std::move(*vector));
  }
  return out;
}

std::string vector_to_base64(const std::vector<float>& vector) {
  return base64_encode(
      {reinterpret_cast<const char*>(vector.data()), vector.size() * sizeof(float)});
}

std::optional<std::vector<float>> vector_from_base64(std::string_view text) {
  const auto bytes = base64_decode(text);
  if (!bytes || bytes->empty() || bytes->size() % sizeof(float) != 0) return std::nullopt;
  std::vector<float> out(bytes->size() / sizeof(float));
  std::memcpy(out.data(), bytes->data(), bytes->size());
  for (const float value : out) {
    if (!std::isfinite(value)) return std::nullopt;
  }
  return out;
}

}  // namespace asahi::llm::wire
