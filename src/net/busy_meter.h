#pragma once

#include <chrono>

namespace asahi::net {

/// Has this thread been computing nearly all the time of late? What is nice to have, but not owed,
/// is left out then. For one thread; looks at its clocks every 20 ms at most.
class BusyMeter {
 public:
  bool saturated();

 private:
  using Steady = std::chrono::steady_clock;
  Steady::time_point looked_{};
  std::chrono::nanoseconds cpu_{};
  bool saturated_ = false;
};

}  // namespace asahi::net
