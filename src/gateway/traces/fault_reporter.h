#pragma once

#include <deque>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "gateway/traces/outbox.h"
#include "gateway/traces/sentry_dsn.h"
#include "gateway/traces/sentry_event.h"
#include "net/http/context.h"

namespace asahi::gateway {

/// Tells an error tracker that speaks Sentry's protocol what should not have happened: error lines
/// of the log (exceptions that escaped among them), and requests that failed for a reason of our
/// own. Not what vendors do wrong, and not what clients do. A share of them only, each kind once a
/// minute at most; lost data always. Thread-safe; nothing waits.
class FaultReporter {
 public:
  struct Options {
    SentryDsn dsn;
    SentrySettings settings;
    double sample_rate = 0.1;
  };
  FaultReporter(Options options, net::Loop& loop, http::Client& client,
                telemetry::Registry& metrics, const Clock& clock);

  void report(Fault fault);
  /// A line of the log, of level error or above.
  void report_line(LogLevel level, std::string_view logger, std::string_view message,
                   std::span<const LogField> fields);
  /// A request that has ended; looks for itself whether that is worth a report.
  void report_request(const http::Context& context, int status);
  void stop(std::chrono::milliseconds limit) { outbox_.stop(limit); }

 private:
  /// False when this kind was reported just now.
  bool is_due(const std::string& kind, Clock::Steady now);
  bool reported(const std::string& request_id) const;

  const Options options_;
  const Clock& clock_;
  SentryLimits limits_;  ///< on the loop, and under the mutex
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Clock::Steady> next_;
  std::deque<std::string> requests_;  ///< reported lately
  Outbox outbox_;
};

}  // namespace asahi::gateway
