#include "memory/ops/circuit.h"

#include <gtest/gtest.h>

namespace asahi::memory {
namespace {

using std::chrono::seconds;

TEST(Circuit, OpensAtFiveFailuresInARowAndCountsWhatItKeepsBack) {
  ManualClock clock;
  Circuit circuit(clock);
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(circuit.allow());
    circuit.failed();
  }
  ASSERT_TRUE(circuit.allow());
  circuit.succeeded();
  EXPECT_EQ(circuit.stats().state, Breaker::State::kClosed) << "one success ends the row";
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(circuit.allow());
    circuit.failed();
  }
  EXPECT_FALSE(circuit.allow());
  const CircuitStats stats = circuit.stats();
  EXPECT_EQ(stats.state, Breaker::State::kOpen);
  EXPECT_EQ(stats.total, 11U);
  EXPECT_EQ(stats.failed, 9U);
  EXPECT_EQ(stats.rejected, 1U);
  EXPECT_EQ(stats.consecutive_failures, 5U);
  EXPECT_DOUBLE_EQ(stats.success_rate(), 0.1);
  EXPECT_EQ(stats.last_change, clock.now());
}

TEST(Circuit, ClosesAfterTwoGoodTriesAndOpensAfterABadOne) {
  ManualClock clock;
  Circuit circuit(clock);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(circuit.allow());
    circuit.failed();
  }
  clock.advance(seconds(60));
  ASSERT_TRUE(circuit.allow());
  circuit.succeeded();
  EXPECT_EQ(circuit.stats().state, Breaker::State::kHalfOpen) << "one good try is not enough";
  ASSERT_TRUE(circuit.allow());
  circuit.failed();
  EXPECT_EQ(circuit.stats().state, Breaker::State::kOpen);
  clock.advance(seconds(60));
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(circuit.allow());
    circuit.succeeded();
  }
  EXPECT_EQ(circuit.stats().state, Breaker::State::kClosed);
}

}  // namespace
}  // namespace asahi::memory
