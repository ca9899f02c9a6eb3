#pragma once

#include <chrono>
#include <optional>

#include "base/error.h"

namespace asahi {

/// When to try again (gateway spec R24): attempts in total, doubling from `base`, capped, jittered
/// × 0.5–1.5, never before what the refusing side asked for, never past the deadline.
struct RetryPolicy {
  int max_attempts = 3;
  std::chrono::milliseconds base{1'000};
  std::chrono::milliseconds cap{8'000};
};

/// rate_limited, timeout, unavailable, and upstream failures other than refused credentials are
/// worth a retry.
bool is_retryable(const Error& error);

/// The pause before attempt `attempt + 1` (attempts count from 1), or empty when there must be
/// none. `jitter` is uniform in [0, 1). `time_left` is up to the caller's deadline.
std::optional<std::chrono::milliseconds> retry_delay(const RetryPolicy& policy, int attempt,
                                                     const Error& error, double jitter,
                                                     std::chrono::milliseconds time_left);

}  // namespace asahi
