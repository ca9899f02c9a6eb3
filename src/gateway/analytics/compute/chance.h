#pragma once

#include <cstdint>

namespace asahi::gateway::analytics {

/// P(X ≥ k) for X ~ Binomial(n, p): how likely so many of `n` are by chance alone. 1 for k ≤ 0.
double binomial_tail(std::int64_t k, std::int64_t n, double p);
/// P(X ≥ k) for X ~ Poisson(mean).
double poisson_tail(std::int64_t k, double mean);

}  // namespace asahi::gateway::analytics
