#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "storage/vector/local/blocks.h"

namespace asahi::vector {

/// How much of a vector is kept.
enum class Precision : std::uint8_t {
  kByte = 1,  ///< a byte per number: scores within 0.002 of the exact ones
  kWord = 2,  ///< two bytes: within 0.0001. Searched by the first byte, ranked by both
};

inline constexpr std::uint32_t kNoRow = UINT32_MAX;
/// Links of a row on each upper layer of the graph, and on the lowest, which holds all rows. A list
/// is its length followed by rows: 128 bytes on the lowest.
inline constexpr std::size_t kUpperLinks = 16;
inline constexpr std::size_t kBaseLinks = 31;
inline constexpr std::size_t kMaxLevel = 15;

/// A vector of length 1 as bytes: number i is about scale·(high[i] + low[i]/256).
struct Quantised {
  std::vector<std::int8_t> high;
  std::vector<std::int8_t> low;
  float scale = 0;
};
Quantised quantise(std::span<const float> unit);

/// A vector of length 1 to compare with rows: number i is about scale·words[i].
struct Probe {
  std::vector<std::int16_t> words;
  float scale = 0;
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

  std::size_t stride;  ///< dimensions, rounded up to simd::kLanes
  Precision precision;
  Blocks<std::int8_t> high;
  Blocks<std::int8_t> low;  ///< with kWord only
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

/// Cosine of a probe and a row by the first byte of each number, from their scalar product.
inline float similarity(const Probe& probe, const Rows& rows, std::uint32_t row,
                        std::int32_t product) {
  return static_cast<float>(product) * probe.scale * rows.scale[row];
}
/// The same by both bytes; by the first where there is but one.
float exact_similarity(const Probe& probe, const Rows& rows, std::uint32_t row);

}  // namespace asahi::vector
