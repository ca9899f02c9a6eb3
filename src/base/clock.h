#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace asahi {

/// Time since the Unix epoch in UTC, and time that only moves forward. Injected, so that tests own
/// it. Implementations are thread-safe.
class Clock {
 public:
  using Time = std::chrono::sys_time<std::chrono::nanoseconds>;
  using Steady = std::chrono::steady_clock::time_point;

  virtual ~Clock() = default;
  virtual Time now() const = 0;
  virtual Steady steady_now() const = 0;
};

/// The machine's clocks.
const Clock& system_clock();

/// A clock that stands still until it is advanced. Thread-safe.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(Time start = Time{std::chrono::seconds{1'700'000'000}});
  Time now() const override;
  Steady steady_now() const override;
  void advance(std::chrono::nanoseconds by);

 private:
  std::atomic<std::int64_t> elapsed_ns_{0};
  Time start_;
};

/// "2026-11-21T10:00:00.123Z" (RFC 3339, milliseconds, UTC).
std::string format_rfc3339(Clock::Time time);
/// "2026-11-21" in UTC.
std::string format_date(Clock::Time time);
/// Reads what `format_rfc3339` writes, with any number of fraction digits and any offset. Years
/// 1678 to 2261: what nanoseconds in 64 bits reach.
Result<Clock::Time> parse_rfc3339(std::string_view text);

}  // namespace asahi
