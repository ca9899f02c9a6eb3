#include "net/busy_meter.h"

#include <gtest/gtest.h>
#include <time.h>

#include <thread>

namespace asahi::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using Steady = std::chrono::steady_clock;

/// What both clocks of this thread say.
struct Reading {
  Steady::time_point time;
  nanoseconds cpu;

  static Reading now() {
    timespec cpu{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
    return {Steady::now(), std::chrono::seconds(cpu.tv_sec) + nanoseconds(cpu.tv_nsec)};
  }
};

void compute(milliseconds time) {
  const auto end = Steady::now() + time;
  while (Steady::now() < end) {
  }
}

/// A meter that was asked at `start`, by which the thread had used `used`.
struct Asked {
  Steady::time_point start{std::chrono::hours(1)};
  nanoseconds used = std::chrono::seconds(7);
  BusyMeter meter;

  Asked() { (void)meter.look(start, used); }
  bool after(milliseconds wall, milliseconds cpu) { return meter.look(start += wall, used += cpu); }
};

TEST(BusyMeter, MoreThanNineTenthsOfTheTimeIsNearlyAll) {
  Asked asked;
  EXPECT_TRUE(asked.after(milliseconds(100), milliseconds(91)));
  EXPECT_FALSE(asked.after(milliseconds(100), milliseconds(90)));
  EXPECT_TRUE(asked.after(milliseconds(20), milliseconds(20)));
  EXPECT_FALSE(asked.after(milliseconds(20), milliseconds(0)));
}

TEST(BusyMeter, TheShareOfALongRestSaysNothing) {
  Asked asked;
  EXPECT_TRUE(asked.after(milliseconds(199), milliseconds(199)));
  EXPECT_FALSE(asked.after(milliseconds(200), milliseconds(200)));
  EXPECT_TRUE(asked.after(milliseconds(20), milliseconds(19)));
}

TEST(BusyMeter, AThreadThatWaitsIsNotSaturated) {
  BusyMeter meter;
  EXPECT_FALSE(meter.saturated());
  for (int i = 0; i < 5; ++i) {
    std::this_thread::sleep_for(milliseconds(25));
    EXPECT_FALSE(meter.saturated());
  }
}

// Other programs may take the processor away meanwhile, so what is due is weighed against the share
// that this thread got: of what it had at least, between the two looks, and of what at most.
TEST(BusyMeter, AThreadThatComputesIsAsFarAsItGotAProcessor) {
  BusyMeter meter;
  Reading earliest = Reading::now();
  (void)meter.saturated();
  Reading latest = Reading::now();
  for (int i = 0; i < 8; ++i) {
    compute(milliseconds(25));
    const Reading before = Reading::now();
    const bool saturated = meter.saturated();
    const Reading after = Reading::now();
    const nanoseconds longest = after.time - earliest.time, shortest = before.time - latest.time;
    const nanoseconds least = before.cpu - latest.cpu, most = after.cpu - earliest.cpu;
    if (longest < milliseconds(200) && least * 10 > longest * 9) {
      EXPECT_TRUE(saturated) << least.count() << " of " << longest.count() << " ns";
    }
    if (most * 10 < shortest * 9) {
      EXPECT_FALSE(saturated) << most.count() << " of " << shortest.count() << " ns";
    }
    earliest = before;
    latest = after;
  }
}

}  // namespace
}  // namespace asahi::net
