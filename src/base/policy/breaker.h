#pragma once

#include <chrono>
#include <mutex>

namespace asahi {

/// A circuit breaker as a pure state machine; the caller brings the time. Thread-safe.
/// CLOSED --failures consecutive--> OPEN --open_for--> HALF_OPEN --probes ok--> CLOSED, --probe
/// fails--> OPEN.
class Breaker {
 public:
  enum class State {
    kClosed = 0,
    kOpen = 1,
    kHalfOpen = 2
  };  ///< values of asahi_circuit_breaker_state
  struct Options {
    int failures = 3;
    std::chrono::milliseconds open_for{60'000};
    int half_open_probes = 1;
    int successes = 1;  ///< of probes in a row that close it
  };
  using Time = std::chrono::steady_clock::time_point;

  explicit Breaker(Options options) : options_(options) {}

  /// May a call go out now? In HALF_OPEN at most `half_open_probes` at a time. Each call let out
  /// reports back once with succeeded, failed or released; a probe that does not loses its slot
  /// after `open_for`.
  bool allow(Time now);
  void succeeded();
  void failed(Time now);
  /// The call ended without a verdict (client cancelled): gives its probe slot back.
  void released();
  State state(Time now) const;

 private:
  Options options_;
  mutable std::mutex mutex_;
  State state_ = State::kClosed;
  int consecutive_failures_ = 0;
  int probes_out_ = 0;
  int probes_good_ = 0;
  Time since_{};  // OPEN: when it opened; HALF_OPEN: when the last probe went out
};

}  // namespace asahi
