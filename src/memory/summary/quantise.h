#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace asahi::memory {

/// A vector in int8: value i is about codes[i] · scale, off by at most scale / 2.
struct Quantised {
  std::vector<std::int8_t> codes;  ///< -127 to 127
  float scale = 1;                 ///< positive
  bool operator==(const Quantised&) const = default;
};

/// scale = max |v| / 127, codes = v / scale rounded to the nearest. The scale has 16 significant
/// bits, so that code · scale is exact and quantising what was dequantised gives the same codes and
/// scale: rows keep their checksum on their way through the tiers. A vector of zeros (or of numbers
/// so small that the scale would be none) has zeros and scale 1.
/// Errors: invalid_argument for what is not finite.
Result<Quantised> quantise(std::span<const float> vector);
/// The same of numbers that are known to be finite.
Quantised quantise_finite(std::span<const float> vector);
/// Whether `vector` is what `dequantised` makes of `out`, bit by bit. `out` is of use only then.
bool is_quantised(std::span<const float> vector, Quantised& out);
std::vector<float> dequantised(const Quantised& vector);
/// Of codes as they lie in a file, a byte each.
std::vector<float> dequantised(std::string_view codes, float scale);

/// Cosine of the dequantised values; the scales cancel out. 0 where one is all zeros or the widths
/// differ.
double cosine(const Quantised& a, const Quantised& b);
double cosine(std::span<const float> a, const Quantised& b);

}  // namespace asahi::memory
