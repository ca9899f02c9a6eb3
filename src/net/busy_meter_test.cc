#include "net/busy_meter.h"

#include <gtest/gtest.h>

#include <thread>

namespace asahi::net {
namespace {

using std::chrono::milliseconds;

void compute(milliseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end) {
  }
}

TEST(BusyMeter, AThreadThatWaitsIsNotSaturated) {
  BusyMeter meter;
  EXPECT_FALSE(meter.saturated());
  for (int i = 0; i < 5; ++i) {
    std::this_thread::sleep_for(milliseconds(25));
    EXPECT_FALSE(meter.saturated());
  }
}

TEST(BusyMeter, AThreadThatComputesIs) {
  BusyMeter meter;
  (void)meter.saturated();
  // Other programs may take the processor away meanwhile: one quiet stretch is enough.
  bool seen = false;
  for (int i = 0; i < 200 && !seen; ++i) {
    compute(milliseconds(25));
    seen = meter.saturated();
  }
  EXPECT_TRUE(seen);
}

}  // namespace
}  // namespace asahi::net
