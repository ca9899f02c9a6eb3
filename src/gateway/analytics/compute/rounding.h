#pragma once

#include <cmath>
#include <cstdint>

namespace asahi::gateway::analytics {

/// `value` with `digits` places behind the point, half away from zero; 0 for what is not finite.
inline double rounded(double value, int digits) {
  if (!std::isfinite(value)) return 0;
  const double scale = std::pow(10.0, digits);
  const double scaled = std::round(value * scale) / scale;
  return scaled == 0 ? 0 : scaled;  // no "-0"
}

/// `part` of `whole`, 0 when there is no whole.
inline double share(double part, double whole) { return whole == 0 ? 0 : part / whole; }
inline double share(std::int64_t part, std::int64_t whole) {
  return share(static_cast<double>(part), static_cast<double>(whole));
}
/// The same in percent with two decimals.
inline double percent(double part, double whole) { return rounded(100 * share(part, whole), 2); }

}  // namespace asahi::gateway::analytics
