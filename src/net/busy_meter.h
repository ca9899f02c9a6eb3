#pragma once

#include <chrono>

namespace asahi::net {

/// Has this thread been computing nearly all the time of late? What is nice to have, but not owed,
/// is left out then. For one thread; looks at its clocks every 20 ms at most.
class BusyMeter {
 public:
  using Time = std::chrono::steady_clock::time_point;

  bool saturated();
  /// The same with the clocks' readings given: the thread had used `cpu` of processor time in all
  /// by `now`. Weighs the time since the last look, whatever its length.
  bool look(Time now, std::chrono::nanoseconds cpu);

 private:
  Time looked_{};
  std::chrono::nanoseconds cpu_{};
  bool saturated_ = false;
};

}  // namespace asahi::net
