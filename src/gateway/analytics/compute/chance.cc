#include "gateway/analytics/compute/chance.h"

#include <math.h>

#include <algorithm>
#include <cmath>

namespace asahi::gateway::analytics {
namespace {

double log_factorial(double n) {
  int sign = 0;
  return ::lgamma_r(n + 1, &sign);
}

/// Sums a series of falling terms from its first on, until nothing more comes.
template <class Ratio>
double falling_sum(double first, std::int64_t k, std::int64_t last, Ratio ratio) {
  double sum = 0, term = first;
  for (std::int64_t i = k; term > sum * 1e-12; ++i) {
    sum += term;
    if (i == last) break;
    term *= ratio(static_cast<double>(i));
  }
  return std::min(1.0, sum);
}

}  // namespace

double binomial_tail(std::int64_t k, std::int64_t n, double p) {
  if (k <= 0) return 1;
  if (k > n || p <= 0) return 0;
  if (p >= 1) return 1;
  const double count = static_cast<double>(n), least = static_cast<double>(k);
  // Below the mean terms rise: no caller tells chances of that size apart.
  if (least <= count * p) return 1;
  const double first =
      std::exp(log_factorial(count) - log_factorial(least) - log_factorial(count - least) +
               least * std::log(p) + (count - least) * std::log1p(-p));
  return falling_sum(first, k, n, [&](double i) { return (count - i) / (i + 1) * p / (1 - p); });
}

double poisson_tail(std::int64_t k, double mean) {
  if (k <= 0) return 1;
  if (mean <= 0) return 0;
  const double least = static_cast<double>(k);
  if (least <= mean) return 1;
  const double first = std::exp(least * std::log(mean) - mean - log_factorial(least));
  return falling_sum(first, k, -1, [&](double i) { return mean / (i + 1); });
}

}  // namespace asahi::gateway::analytics
