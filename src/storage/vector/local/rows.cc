#include "storage/vector/local/rows.h"

#include <algorithm>
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

}  // namespace

Quantised quantise(std::span<const float> unit) {
  // The largest 16-bit value whose first byte, rounded, is 127.
  constexpr float kMost = 32'639;
  Quantised out;
  out.high.resize(rounded_up(unit.size()));
  out.low.resize(out.high.size());
  const float most = largest(unit);
  out.scale = most / kMost * 256;
  for (std::size_t i = 0; i < unit.size(); ++i) {
    const int word = static_cast<int>(std::lround(unit[i] / most * kMost));
    const int high = (word + 128) >> 8;
    out.high[i] = static_cast<std::int8_t>(high);
    out.low[i] = static_cast<std::int8_t>(word - high * 256);
  }
  return out;
}

Probe make_probe(std::span<const float> unit) {
  Probe out;
  out.words.resize(rounded_up(unit.size()));
  // So that no sum of products with bytes leaves 32 bits.
  const float range =
      std::min(16'383.0F, 2'147'483'647.0F / (128.0F * static_cast<float>(out.words.size() + 1)));
  const float most = largest(unit);
  out.scale = most / range;
  for (std::size_t i = 0; i < unit.size(); ++i) {
    out.words[i] = static_cast<std::int16_t>(std::lround(unit[i] / most * range));
  }
  return out;
}

Rows::Rows(std::size_t dimensions, Precision kept, std::size_t column_count)
    : stride(rounded_up(dimensions)),
      precision(kept),
      high(stride),
      low(stride),
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
  if (precision == Precision::kWord) low.reserve(count);
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
  if (precision == Precision::kWord) std::memcpy(low.at(row), vector.low.data(), stride);
  scale[row] = vector.scale;
}

std::size_t Rows::bytes_per_row() const {
  constexpr std::size_t kSmall =
      sizeof(float) + 3 + sizeof(std::uint32_t*) + sizeof(char*) + 2 * sizeof(std::uint32_t);
  constexpr std::size_t kUpperShare = (kUpperLinks + 1) * sizeof(std::uint32_t) / kUpperLinks;
  return stride * static_cast<std::size_t>(precision) + kSmall + kUpperShare +
         (kBaseLinks + 1 + columns.size()) * sizeof(std::uint32_t);
}

float exact_similarity(const Probe& probe, const Rows& rows, std::uint32_t row) {
  const std::int8_t* const high = rows.high.at(row);
  const std::size_t length = rows.stride;
  std::int32_t product = 0;
  simd::dot_rows(probe.words.data(), &high, 1, length, &product);
  double sum = product;
  if (rows.precision == Precision::kWord) {
    const std::int8_t* const low = rows.low.at(row);
    std::int32_t rest = 0;
    simd::dot_rows(probe.words.data(), &low, 1, length, &rest);
    sum += rest / 256.0;
  }
  return static_cast<float>(sum * probe.scale * rows.scale[row]);
}

}  // namespace asahi::vector
