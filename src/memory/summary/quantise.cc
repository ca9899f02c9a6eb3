#include "memory/summary/quantise.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace asahi::memory {
namespace {

constexpr float kMostCode = 127;

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
  float largest = 0;
  for (std::size_t i = 0; i < vector.size(); ++i) {
    if (!std::isfinite(vector[i]))
      return fail_field("embedding",
                        fmt::format("value {} of the vector is not a finite number", i));
    largest = std::max(largest, std::abs(vector[i]));
  }
  Quantised out{.codes = std::vector<std::int8_t>(vector.size(), 0)};
  const float scale = largest / kMostCode;
  // Below that the division itself has lost its digits.
  if (!std::isnormal(scale)) return out;
  out.scale = scale;
  for (std::size_t i = 0; i < vector.size(); ++i)
    out.codes[i] =
        static_cast<std::int8_t>(std::clamp(std::round(vector[i] / scale), -kMostCode, kMostCode));
  return out;
}

std::vector<float> dequantised(const Quantised& vector) {
  std::vector<float> out(vector.codes.size());
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<float>(vector.codes[i]) * vector.scale;
  return out;
}

double cosine(const Quantised& a, const Quantised& b) {
  return cosine_of(std::span<const std::int8_t>(a.codes), b);
}
double cosine(std::span<const float> a, const Quantised& b) { return cosine_of(a, b); }

}  // namespace asahi::memory
