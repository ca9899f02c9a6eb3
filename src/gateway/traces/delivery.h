#pragma once

#include <chrono>
#include <map>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/policy/retry.h"
#include "net/http/client.h"

namespace asahi::gateway {

/// What becomes of something that was sent to a collector.
struct DeliveryVerdict {
  enum class What { kDelivered, kAgain, kGiveUp };
  What what = What::kDelivered;
  std::chrono::milliseconds pause{0};  ///< before it is sent again
  std::string why;                     ///< for the log; empty: nothing to say
};

/// OTLP/HTTP's rules: 429, 502, 503, 504 and a broken connection are worth another attempt, after
/// Retry-After where it is said, else with growing pauses; everything else is final. `attempt`
/// counts from 1; `jitter` is uniform in [0, 1).
DeliveryVerdict judge_otlp(const Result<http::ClientResponse>& reply, int attempt,
                           const RetryPolicy& policy, double jitter);

/// The rate limits of an error tracker. Not thread-safe.
class SentryLimits {
 public:
  /// Reads X-Sentry-Rate-Limits ("60:error;default:organization, 2700::key"), and Retry-After with
  /// 429.
  void note(int status, const http::Headers& headers, Clock::Steady now);
  /// Events may not be sent now.
  bool limited(Clock::Steady now) const { return now < until_; }

 private:
  Clock::Steady until_{};
};

/// What an error tracker refuses is not sent again: its own rule for clients.
DeliveryVerdict judge_sentry(const Result<http::ClientResponse>& reply);

}  // namespace asahi::gateway
