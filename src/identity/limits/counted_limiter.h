#pragma once

#include <memory>

#include "identity/limits/rate_limiter.h"
#include "telemetry/metrics.h"

namespace asahi::identity {

/// Passes everything on, and counts what was refused in `asahi_rate_limited_total{scope}`.
std::unique_ptr<RateLimiter> make_counted_limiter(std::unique_ptr<RateLimiter> limiter,
                                                  telemetry::Registry& metrics);

}  // namespace asahi::identity
