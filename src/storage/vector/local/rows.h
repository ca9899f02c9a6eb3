#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "storage/vector/local/blocks.h"

namespace asahi::vector {

/// How much of a vector is kept.
enum class Precision : std::uint8_t {
  kByte = 1,        ///< a byte per number: scores are off by 0.001 or so
  kTwelveBits = 2,  ///< a byte and a half: within 0.0003 or so. Searched by the byte, ranked by all
};

inline constexpr std::uint32_t kNoRow = UINT32_MAX;
/// Links of a row on each upper layer of the graph, and on the lowest, which holds all rows. A list
/// is its length followed by rows: 128 bytes on the lowest.
inline constexpr std::size_t kUpperLinks = 16;
inline constexpr std::size_t kBaseLinks = 31;
inline constexpr std::size_t kMaxLevel = 15;

/// A vector of length 1 as bytes: number i is about scale·(high[i] + low[i]/16).
struct Quantised {
  std::vector<std::int8_t> high;
  std::vector<std::uint8_t> low;  ///< in [-8, 7], laid out as simd::dot_halves takes them
  float scale = 0;
};
Quantised quantise(std::span<const float> unit, Precision precision);

/// Bytes as rows have them: aligned to simd::kLanes.
class AlignedBytes {
 public:
  explicit AlignedBytes(std::size_t size) : storage_(size + kAlignment) {}
  std::int8_t* data() const {
    const auto at = reinterpret_cast<std::uintptr_t>(storage_.data());
    return const_cast<std::int8_t*>(storage_.data()) + (kAlignment - at % kAlignment) % kAlignment;
  }

 private:
  static constexpr std::size_t kAlignment = 64;
  std::vector<std::int8_t> storage_;
};

/// A vector of length 1 to compare with rows: number i is about scale·words[i], and more roughly
/// byte_scale·bytes[i].
struct Probe {
  explicit Probe(std::size_t stride) : words(stride), bytes(stride) {}
  std::vector<std::int16_t> words;
  AlignedBytes bytes;
  std::int32_t byte_sum = 0;
  float scale = 0, byte_scale = 0;
};
Probe make_probe(std::span<const float> unit);

/// The arrays behind one tenant's items. A row is never moved; a freed one is used again.
struct Rows {
  Rows(std::size_t dimensions, Precision precision, std::size_t columns);
  ~Rows();
  Rows(const Rows&) = delete;
  Rows& operator=(const Rows&) = delete;

  /// Makes room for rows [0, count). Throws std::bad_alloc.
  void reserve(std::size_t count);
  void set_vector(std::uint32_t row, const Quantised& vector);

  std::uint32_t* links(std::uint32_t row, std::size_t layer) const {
    return layer == 0 ? base_links.at(row) : upper_links[row] + (layer - 1) * (kUpperLinks + 1);
  }
  /// Memory that a row takes without its payload, and payload-like extras.
  std::size_t bytes_per_row() const;

  /// Bytes of a row in `low`.
  std::size_t low_bytes() const { return precision == Precision::kTwelveBits ? stride / 2 : 0; }

  std::size_t stride;  ///< dimensions, rounded up to simd::kLanes
  Precision precision;
  Blocks<std::int8_t> high;
  Blocks<std::uint8_t> low;  ///< with kTwelveBits only
  Blocks<float> scale;
  Blocks<std::uint8_t> live;
  Blocks<std::uint8_t> level;
  Blocks<std::uint8_t> in_graph;
  Blocks<std::uint32_t> base_links;
  Blocks<std::uint32_t*> upper_links;          ///< owned; null on level 0
  Blocks<char*> payload;                       ///< owned; null unless live
  Blocks<std::uint32_t> older, newer;          ///< neighbours in the order of age, of live rows
  std::vector<Blocks<std::uint32_t>> columns;  ///< digests of filter fields; 0: absent

 private:
  std::size_t rows_reserved_ = 0;
};

/// Cosine of a probe and a row by bytes, from their scalar product.
inline float similarity(const Probe& probe, const Rows& rows, std::uint32_t row,
                        std::int32_t product) {
  return static_cast<float>(product) * probe.byte_scale * rows.scale[row];
}
/// The same by all that is kept of both.
float exact_similarity(const Probe& probe, const Rows& rows, std::uint32_t row);

}  // namespace asahi::vector
