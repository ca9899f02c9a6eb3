#include <gtest/gtest.h>

#include "base/clock.h"
#include "base/policy/breaker.h"
#include "base/policy/retry.h"
#include "base/result.h"

namespace asahi {
namespace {

using namespace std::chrono_literals;

Error error_of(Errc code, int upstream_status = 0) {
  return Error{.code = code, .message = "it failed", .upstream_status = upstream_status};
}

TEST(Retry, IsWorthItOnlyForWhatMayPass) {
  for (const Errc code :
       {Errc::kRateLimited, Errc::kTimeout, Errc::kUnavailable, Errc::kUpstream}) {
    EXPECT_TRUE(is_retryable(error_of(code))) << to_string(code);
  }
  for (const Errc code :
       {Errc::kInvalidArgument, Errc::kUnauthenticated, Errc::kForbidden, Errc::kNotFound,
        Errc::kConflict, Errc::kTooLarge, Errc::kCancelled, Errc::kCorrupt, Errc::kInternal}) {
    EXPECT_FALSE(is_retryable(error_of(code))) << to_string(code);
  }
  EXPECT_TRUE(is_retryable(error_of(Errc::kUpstream, 503)));
  EXPECT_FALSE(is_retryable(error_of(Errc::kUpstream, 401)));
  EXPECT_FALSE(is_retryable(error_of(Errc::kUpstream, 403)));
}

TEST(Retry, DoublesUpToItsCapAndStopsAfterItsAttempts) {
  const RetryPolicy policy{.max_attempts = 6, .base = 1s, .cap = 8s};
  const Error error = error_of(Errc::kUnavailable);
  EXPECT_EQ(retry_delay(policy, 1, error, 0.5, 1h), 1s);
  EXPECT_EQ(retry_delay(policy, 2, error, 0.5, 1h), 2s);
  EXPECT_EQ(retry_delay(policy, 3, error, 0.5, 1h), 4s);
  EXPECT_EQ(retry_delay(policy, 4, error, 0.5, 1h), 8s);
  EXPECT_EQ(retry_delay(policy, 5, error, 0.5, 1h), 8s);
  EXPECT_EQ(retry_delay(policy, 6, error, 0.5, 1h), std::nullopt);
  EXPECT_EQ(retry_delay({.max_attempts = 1}, 1, error, 0.5, 1h), std::nullopt);
  const RetryPolicy endless{
      .max_attempts = 2'000'000'000, .base = 1s, .cap = std::chrono::milliseconds::max() / 4};
  EXPECT_TRUE(retry_delay(endless, 1'000'000, error, 0.0, std::chrono::milliseconds::max()));
}

TEST(Retry, JittersFromHalfToOneAndAHalf) {
  const Error error = error_of(Errc::kTimeout);
  EXPECT_EQ(retry_delay({}, 1, error, 0.0, 1h), 500ms);
  EXPECT_EQ(retry_delay({}, 1, error, 0.999, 1h), 1499ms);
}

TEST(Retry, NeverComesBeforeTheRefusingSideAskedNorPastTheDeadline) {
  Error error = error_of(Errc::kRateLimited, 429);
  error.retry_after = 5s;
  EXPECT_EQ(retry_delay({}, 1, error, 0.5, 6s), 5s);
  EXPECT_EQ(retry_delay({}, 1, error, 0.5, 5s), std::nullopt);
  error.retry_after = 10ms;
  EXPECT_EQ(retry_delay({}, 1, error, 0.5, 6s), 1s);
  EXPECT_EQ(retry_delay({}, 1, error, 0.5, 900ms), std::nullopt);
  EXPECT_EQ(retry_delay({}, 1, error, 0.5, -1ms), std::nullopt);
  EXPECT_EQ(retry_delay({}, 1, error_of(Errc::kInvalidArgument), 0.5, 1h), std::nullopt);
}

class BreakerTest : public testing::Test {
 protected:
  bool allow() { return breaker_.allow(clock_.steady_now()); }
  void fail_times(int times) {
    for (int i = 0; i < times; ++i) breaker_.failed(clock_.steady_now());
  }
  Breaker::State state() { return breaker_.state(clock_.steady_now()); }

  ManualClock clock_;
  Breaker breaker_{{.failures = 3, .open_for = 60s, .half_open_probes = 1}};
};

TEST_F(BreakerTest, OpensOnlyAfterConsecutiveFailures) {
  fail_times(2);
  breaker_.succeeded();
  fail_times(2);
  EXPECT_EQ(state(), Breaker::State::kClosed);
  EXPECT_TRUE(allow());
  fail_times(1);
  EXPECT_EQ(state(), Breaker::State::kOpen);
  EXPECT_FALSE(allow());
}

TEST_F(BreakerTest, LetsOneProbeThroughAfterItsPauseAndClosesWhenItWorks) {
  fail_times(3);
  clock_.advance(59'999ms);
  EXPECT_FALSE(allow());
  clock_.advance(1ms);
  EXPECT_EQ(state(), Breaker::State::kHalfOpen);
  EXPECT_TRUE(allow());
  EXPECT_FALSE(allow());
  breaker_.succeeded();
  EXPECT_EQ(state(), Breaker::State::kClosed);
  fail_times(2);
  EXPECT_TRUE(allow());
}

TEST_F(BreakerTest, OpensAgainForItsWholePauseWhenTheProbeFails) {
  fail_times(3);
  clock_.advance(60s);
  ASSERT_TRUE(allow());
  fail_times(1);
  EXPECT_EQ(state(), Breaker::State::kOpen);
  clock_.advance(59s);
  EXPECT_FALSE(allow());
  clock_.advance(1s);
  EXPECT_TRUE(allow());
}

TEST_F(BreakerTest, IgnoresVerdictsOfCallsFromBeforeItOpened) {
  fail_times(3);
  clock_.advance(59s);
  breaker_.succeeded();
  EXPECT_EQ(state(), Breaker::State::kOpen);
  breaker_.failed(clock_.steady_now());
  clock_.advance(1s);
  EXPECT_TRUE(allow());
}

TEST_F(BreakerTest, GivesTheSlotOfAProbeWithoutVerdictBack) {
  fail_times(3);
  clock_.advance(60s);
  ASSERT_TRUE(allow());
  breaker_.released();
  EXPECT_TRUE(allow());
  // The second probe is never heard of again.
  EXPECT_FALSE(allow());
  clock_.advance(60s);
  EXPECT_TRUE(allow());
  breaker_.released();
  breaker_.released();
  EXPECT_TRUE(allow());
  EXPECT_FALSE(allow());
}

}  // namespace
}  // namespace asahi
