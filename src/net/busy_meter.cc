#include "net/busy_meter.h"

#include <time.h>

namespace asahi::net {
namespace {

constexpr auto kEvery = std::chrono::milliseconds(20);

std::chrono::nanoseconds thread_cpu() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

}  // namespace

bool BusyMeter::saturated() {
  const auto now = std::chrono::steady_clock::now();
  // The thread's own clock is a call of the kernel: not asked when there is nothing to weigh.
  return now - looked_ < kEvery ? saturated_ : look(now, thread_cpu());
}

bool BusyMeter::look(Time now, std::chrono::nanoseconds cpu) {
  constexpr double kNearlyAll = 0.9;
  const auto passed = now - looked_;
  // After a long rest the share of that rest says nothing.
  const bool recent = passed < 10 * kEvery;
  saturated_ =
      recent && static_cast<double>((cpu - cpu_).count()) >
                    kNearlyAll * static_cast<double>(std::chrono::nanoseconds(passed).count());
  looked_ = now;
  cpu_ = cpu;
  return saturated_;
}

}  // namespace asahi::net
