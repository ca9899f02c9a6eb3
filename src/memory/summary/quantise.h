#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

namespace asahi::memory {

/// A vector in int8: value i is about codes[i] · scale, off by at most scale / 2.
struct Quantised {
  std::vector<std::int8_t> codes;  ///< -127 to 127
  float scale = 1;                 ///< positive
  bool operator==(const Quantised&) const = default;
};

/// scale = max |v| / 127, codes = v / scale rounded to the nearest, halves away from zero. A vector
/// of zeros (or of numbers so small that the scale would be none) has zeros and scale 1.
/// Errors: invalid_argument for what is not finite.
Result<Quantised> quantise(std::span<const float> vector);
std::vector<float> dequantised(const Quantised& vector);

/// Cosine of the dequantised values; the scales cancel out. 0 where one is all zeros or the widths
/// differ.
double cosine(const Quantised& a, const Quantised& b);
double cosine(std::span<const float> a, const Quantised& b);

}  // namespace asahi::memory
