#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/json.h"
#include "base/policy/breaker.h"

namespace asahi::memory {

/// What became of calls to one outside service (spec/memory §8.6).
struct CircuitStats {
  std::uint64_t total = 0;  ///< asked for, let out or not
  std::uint64_t successful = 0, failed = 0;
  std::uint64_t rejected = 0;  ///< not let out: the breaker was open
  std::uint64_t consecutive_failures = 0, consecutive_successes = 0;
  std::optional<Clock::Time> last_failure, last_change;
  Breaker::State state = Breaker::State::kClosed;
  /// Of calls that were let out and have ended; 1 where there was none.
  double success_rate() const;
};

/// "closed", "open", "half_open".
std::string_view state_name(Breaker::State state);
json::object circuit_json(const std::string& name, const CircuitStats& stats);

/// A breaker that counts. Opens at 5 failures in a row, lets up to 3 calls try after 60 s, closes
/// when 2 of them succeed. Thread-safe.
class Circuit {
 public:
  static constexpr Breaker::Options kUsual{
      .failures = 5, .open_for = std::chrono::seconds(60), .half_open_probes = 3, .successes = 2};
  /// `clock` outlives it.
  explicit Circuit(const Clock& clock, Breaker::Options options = kUsual)
      : clock_(clock), breaker_(options) {}

  /// May a call go out? Whoever was let out reports once.
  bool allow();
  void succeeded();
  void failed();
  CircuitStats stats() const;

 private:
  void note_change();

  const Clock& clock_;
  Breaker breaker_;
  mutable std::mutex mutex_;
  CircuitStats stats_;
};

}  // namespace asahi::memory
