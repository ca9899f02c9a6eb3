#include "base/policy/retry.h"

#include <algorithm>

namespace asahi {

bool is_retryable(const Error& error) {
  switch (error.code) {
    case Errc::kRateLimited:
    case Errc::kTimeout:
    case Errc::kUnavailable:
      return true;
    case Errc::kUpstream:
      return error.upstream_status != 401 && error.upstream_status != 403;
    default:
      return false;
  }
}

std::optional<std::chrono::milliseconds> retry_delay(const RetryPolicy& policy, int attempt,
                                                     const Error& error, double jitter,
                                                     std::chrono::milliseconds time_left) {
  if (attempt < 1 || attempt >= policy.max_attempts || !is_retryable(error)) return std::nullopt;
  auto pause = std::min(policy.base, policy.cap);
  for (int i = 1; i < attempt && pause < policy.cap; ++i) {
    pause = pause > policy.cap / 2 ? policy.cap : pause * 2;
  }
  const double jittered = static_cast<double>(pause.count()) * (0.5 + std::clamp(jitter, 0.0, 1.0));
  pause = std::chrono::milliseconds(static_cast<std::int64_t>(jittered));
  if (error.retry_after) pause = std::max(pause, *error.retry_after);
  // A pause that ends at the deadline leaves no time for the attempt itself.
  if (pause >= time_left) return std::nullopt;
  return pause;
}

}  // namespace asahi
