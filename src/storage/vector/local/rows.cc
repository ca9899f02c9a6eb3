#include "storage/vector/local/rows.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "storage/vector/local/simd.h"

namespace asahi::vector {
namespace {

std::size_t rounded_up(std::size_t dimensions) {
  return (dimensions + simd::kLanes - 1) / simd::kLanes * simd::kLanes;
}

float largest(std::span<const float> unit) {
  float most = 0;
  for (const float number : unit) most = std::max(most, std::abs(number));
  return most;
}

/// To the nearest, halves away from zero; many at once, unlike std::lround.
int rounded(float number) { return static_cast<int>(number + std::copysign(0.5F, number)); }

}  // namespace

Quantised quantise(std::span<const float> unit, Precision precision) {
  // The largest number is 127 in its byte, and nothing in its half.
  constexpr float kMost = 127 * 16;
  constexpr std::size_t kGroup = simd::kLanes;
  Quantised out;
  out.high.resize(rounded_up(unit.size()));
  if (precision == Precision::kTwelveBits) out.low.resize(out.high.size() / 2);
  const float to_word = kMost / largest(unit);
  double squares = 0;
  std::array<int, kGroup> words{};
  for (std::size_t group = 0; group < out.high.size(); group += kGroup) {
    const std::size_t count = std::min(kGroup, unit.size() - group);
    for (std::size_t i = 0; i < kGroup; ++i) {
      words[i] = i < count ? rounded(unit[group + i] * to_word) : 0;
    }
    std::int64_t kept = 0;  // Σ word², with words in sixteenths of a byte's step
    for (std::size_t i = 0; i < kGroup; ++i) {
      const int high = (words[i] + 8) >> 4;
      out.high[group + i] = static_cast<std::int8_t>(high);
      const int word = precision == Precision::kTwelveBits ? words[i] : high * 16;
      kept += word * word;
    }
    squares += static_cast<double>(kept);
    if (precision != Precision::kTwelveBits) continue;
    for (std::size_t i = 0; i < kGroup / 2; ++i) {
      // The lowest four bits of word - high·16 are those of the word.
      const int lower = words[i] & 15, upper = words[i + kGroup / 2] & 15;
      out.low[group / 2 + i] = static_cast<std::uint8_t>(lower | upper << 4);
    }
  }
  // What is kept has length 1 again: rounding changes directions only.
  out.scale = static_cast<float>(16 / std::sqrt(squares));
  return out;
}

Probe make_probe(std::span<const float> unit) {
  const std::size_t stride = rounded_up(unit.size());
  Probe out(stride);
  // So that no sum of products with bytes leaves 32 bits.
  const float range =
      std::min(16'383.0F, 2'147'483'647.0F / (128.0F * static_cast<float>(stride + 1)));
  const float most = largest(unit);
  out.scale = most / range;
  out.byte_scale = most / 127;
  std::int8_t* const bytes = out.bytes.data();
  for (std::size_t i = 0; i < unit.size(); ++i) {
    out.words[i] = static_cast<std::int16_t>(rounded(unit[i] / most * range));
    bytes[i] = static_cast<std::int8_t>(rounded(unit[i] / most * 127));
  }
  out.byte_sum = simd::sum_of(bytes, stride);
  return out;
}

Rows::Rows(std::size_t dimensions, Precision kept, std::size_t column_count)
    : stride(rounded_up(dimensions)),
      precision(kept),
      high(stride),
      low(stride / 2),
      base_links(kBaseLinks + 1) {
  columns.reserve(column_count);
  for (std::size_t i = 0; i < column_count; ++i) columns.emplace_back();
}

Rows::~Rows() {
  for (std::size_t row = 0; row < rows_reserved_; ++row) {
    delete[] upper_links[row];
    delete[] payload[row];
  }
}

void Rows::reserve(std::size_t count) {
  high.reserve(count);
  if (precision == Precision::kTwelveBits) low.reserve(count);
  scale.reserve(count);
  live.reserve(count);
  level.reserve(count);
  in_graph.reserve(count);
  base_links.reserve(count);
  upper_links.reserve(count);
  payload.reserve(count);
  older.reserve(count);
  newer.reserve(count);
  for (auto& column : columns) column.reserve(count);
  rows_reserved_ = std::max(rows_reserved_, count);
}

void Rows::set_vector(std::uint32_t row, const Quantised& vector) {
  std::memcpy(high.at(row), vector.high.data(), stride);
  if (precision == Precision::kTwelveBits) std::memcpy(low.at(row), vector.low.data(), stride / 2);
  scale[row] = vector.scale;
}

std::size_t Rows::bytes_per_row() const {
  constexpr std::size_t kSmall =
      sizeof(float) + 3 + sizeof(std::uint32_t*) + sizeof(char*) + 2 * sizeof(std::uint32_t);
  constexpr std::size_t kUpperShare = (kUpperLinks + 1) * sizeof(std::uint32_t) / kUpperLinks;
  return stride + low_bytes() + kSmall + kUpperShare +
         (kBaseLinks + 1 + columns.size()) * sizeof(std::uint32_t);
}

float exact_similarity(const Probe& probe, const Rows& rows, std::uint32_t row) {
  const std::int8_t* const high = rows.high.at(row);
  const std::size_t length = rows.stride;
  std::int32_t product = 0;
  simd::dot_rows(probe.words.data(), &high, 1, length, &product);
  double sum = product;
  if (rows.precision == Precision::kTwelveBits) {
    sum += simd::dot_halves(probe.words.data(), rows.low.at(row), length) / 16.0;
  }
  return static_cast<float>(sum * probe.scale * rows.scale[row]);
}

}  // namespace asahi::vector
