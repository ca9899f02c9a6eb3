#include "memory/ops/circuit.h"

namespace asahi::memory {

double CircuitStats::success_rate() const {
  const std::uint64_t ended = successful + failed;
  return ended == 0 ? 1 : static_cast<double>(successful) / static_cast<double>(ended);
}

std::string_view state_name(Breaker::State state) {
  switch (state) {
    case Breaker::State::kClosed:
      return "closed";
    case Breaker::State::kOpen:
      return "open";
    case Breaker::State::kHalfOpen:
      return "half_open";
  }
  return "closed";
}

json::object circuit_json(const std::string& name, const CircuitStats& stats) {
  const auto time = [](const std::optional<Clock::Time>& when) {
    return when ? json::value(format_rfc3339(*when)) : json::value(nullptr);
  };
  return {{"service_name", name},
          {"state", state_name(stats.state)},
          {"total_calls", stats.total},
          {"successful_calls", stats.successful},
          {"failed_calls", stats.failed},
          {"rejected_calls", stats.rejected},
          {"consecutive_failures", stats.consecutive_failures},
          {"consecutive_successes", stats.consecutive_successes},
          {"success_rate", stats.success_rate()},
          {"last_failure_time", time(stats.last_failure)},
          {"last_state_change", time(stats.last_change)}};
}

bool Circuit::allow() {
  const bool out = breaker_.allow(clock_.steady_now());
  const std::scoped_lock lock(mutex_);
  ++stats_.total;
  if (!out) ++stats_.rejected;
  note_change();
  return out;
}

void Circuit::succeeded() {
  breaker_.succeeded();
  const std::scoped_lock lock(mutex_);
  ++stats_.successful;
  ++stats_.consecutive_successes;
  stats_.consecutive_failures = 0;
  note_change();
}

void Circuit::failed() {
  breaker_.failed(clock_.steady_now());
  const std::scoped_lock lock(mutex_);
  ++stats_.failed;
  ++stats_.consecutive_failures;
  stats_.consecutive_successes = 0;
  stats_.last_failure = clock_.now();
  note_change();
}

CircuitStats Circuit::stats() const {
  const std::scoped_lock lock(mutex_);
  CircuitStats stats = stats_;
  stats.state = breaker_.state(clock_.steady_now());
  return stats;
}

void Circuit::note_change() {
  const Breaker::State now = breaker_.state(clock_.steady_now());
  if (now == stats_.state) return;
  stats_.state = now;
  stats_.last_change = clock_.now();
}

}  // namespace asahi::memory
