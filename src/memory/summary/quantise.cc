#include "memory/summary/quantise.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

namespace asahi::memory {
namespace {

constexpr float kMostCode = 127;

/// 0: all are zero, or so small that the division itself has lost its digits.
float scale_of(std::span<const float> vector) {
  float largest = 0;
  for (const float value : vector) {
    const float size = std::abs(value);
    largest = size > largest ? size : largest;
  }
  const float scale = largest / kMostCode;
  if (!std::isnormal(scale)) return 0;
  // 16 bits of the mantissa: 127 · scale and code · scale are exact then.
  return std::bit_cast<float>((std::bit_cast<std::uint32_t>(scale) + 0x80) & ~std::uint32_t{0xff});
}

/// Adding 1.5 · 2^23 leaves the nearest whole number in a float's last bits: no call per number.
float code_of(float value, float inverse) {
  constexpr float kWhole = 12'582'912.0F;
  return std::min(std::max(value * inverse, -kMostCode), kMostCode) + kWhole - kWhole;
}

template <class Value>
double cosine_of(std::span<const Value> a, const Quantised& b) {
  if (a.size() != b.codes.size()) return 0;
  double dot = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double x = a[i], y = b.codes[i];
    dot += x * y;
    aa += x * x;
    bb += y * y;
  }
  return aa == 0 || bb == 0 ? 0 : std::clamp(dot / std::sqrt(aa * bb), -1.0, 1.0);
}

}  // namespace

Result<Quantised> quantise(std::span<const float> vector) {
  for (std::size_t i = 0; i < vector.size(); ++i) {
    if (!std::isfinite(vector[i]))
      return fail_field("embedding",
                        fmt::format("value {} of the vector is not a finite number", i));
  }
  return quantise_finite(vector);
}

Quantised quantise_finite(std::span<const float> vector) {
  Quantised out;
  out.codes.resize(vector.size());
  out.scale = scale_of(vector);
  if (out.scale == 0) {
    out.scale = 1;
    return out;
  }
  for (std::size_t i = 0; i < vector.size(); ++i)
    out.codes[i] = static_cast<std::int8_t>(code_of(vector[i], 1 / out.scale));
  return out;
}

bool is_quantised(std::span<const float> vector, Quantised& out) {
  out.codes.resize(vector.size());
  out.scale = scale_of(vector);
  const float inverse = out.scale == 0 ? 0 : 1 / out.scale;
  if (out.scale == 0) out.scale = 1;
  for (std::size_t i = 0; i < vector.size(); ++i) {
    const float code = code_of(vector[i], inverse);
    // By bits: -0 is not 0 here.
    if (!(std::abs(code) <= kMostCode) ||
        std::bit_cast<std::uint32_t>(code * out.scale) != std::bit_cast<std::uint32_t>(vector[i])) {
      return false;
    }
    out.codes[i] = static_cast<std::int8_t>(code);
  }
  return true;
}

std::vector<float> dequantised(const Quantised& vector) {
  return dequantised({reinterpret_cast<const char*>(vector.codes.data()), vector.codes.size()},
                     vector.scale);
}

std::vector<float> dequantised(std::string_view codes, float scale) {
  std::vector<float> out;
  out.reserve(codes.size());
  for (const char code : codes)
    out.push_back(static_cast<float>(static_cast<std::int8_t>(code)) * scale);
  return out;
}

double cosine(const Quantised& a, const Quantised& b) {
  return cosine_of(std::span<const std::int8_t>(a.codes), b);
}
double cosine(std::span<const float> a, const Quantised& b) { return cosine_of(a, b); }

}  // namespace asahi::memory
