// The limiter in process: exactness in time, bounds, threads. What both backends do is in
// rate_limiter_contract_redis_test.cc.
#include "identity/limits/rate_limiter.h"

#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <random>
#include <thread>

namespace asahi::identity {
namespace {

using namespace std::chrono_literals;
using Ask = RateLimiter::Ask;
using Unit = Limit::Unit;

Limit limit(std::string id, std::int64_t max, Unit unit = Unit::kRequests) {
  Limit out;
  out.scope = LimitScope::kOrg;
  out.unit = unit;
  out.org = id;
  out.id = std::move(id);
  out.max = max;
  return out;
}

class MemoryLimiter : public testing::Test {
 protected:
  LimitVerdict take(const Limit& limit, std::int64_t amount = 1) {
    return *limiter_->try_take(std::vector{Ask{limit, amount}});
  }
  ManualClock clock_;
  std::unique_ptr<RateLimiter> limiter_ = make_memory_limiter(clock_);
};

TEST_F(MemoryLimiter, GivesRoomBackAtTheVeryEdgeOfTheWindow) {
  const Limit two = limit("acme", 2);
  ASSERT_TRUE(take(two).allowed);
  clock_.advance(10s);
  ASSERT_TRUE(take(two).allowed);
  EXPECT_EQ(take(two).retry_after, 50s);
  clock_.advance(50s - 1ns);
  const LimitVerdict early = take(two);
  EXPECT_FALSE(early.allowed);
  EXPECT_EQ(early.retry_after, 1ms);  // rounded up
  EXPECT_EQ(early.reset, 10'001ms);
  clock_.advance(1ns);
  EXPECT_TRUE(take(two).allowed);
  EXPECT_FALSE(take(two).allowed);
  clock_.advance(10s);
  EXPECT_TRUE(take(two).allowed);
}

TEST_F(MemoryLimiter, AClientThatHammersGetsItsFullRateAfterRetryAfter) {
  const Limit ten = limit("acme", 10);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(take(ten).allowed);
  for (int i = 0; i < 59; ++i) {
    clock_.advance(1s);
    for (int j = 0; j < 100; ++j) ASSERT_FALSE(take(ten).allowed);
    ASSERT_EQ(take(ten).retry_after, 59s - i * 1s);
  }
  clock_.advance(1s);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(take(ten).allowed);
  EXPECT_FALSE(take(ten).allowed);
}

TEST_F(MemoryLimiter, KeepsApartWhatEndsAlike) {
  const auto of = [](int caller) { return limit(std::to_string(caller) + "-alike", 2); };
  for (int round = 0; round < 2; ++round) {
    for (int caller = 0; caller < 100; ++caller) ASSERT_TRUE(take(of(caller)).allowed);
  }
  for (int caller = 0; caller < 100; ++caller) EXPECT_FALSE(take(of(caller)).allowed);
  Limit elsewhere = of(7);
  elsewhere.org = "other";
  EXPECT_TRUE(take(elsewhere).allowed);
  Limit longer = of(7);
  longer.window = 1h;
  EXPECT_TRUE(take(longer).allowed);
}

TEST_F(MemoryLimiter, WaitsForAsManyTokensAsAreAsked) {
  const Limit tokens = limit("acme", 1'000, Unit::kTokens);
  take(tokens, 300);
  clock_.advance(1s);
  take(tokens, 300);
  clock_.advance(1s);
  take(tokens, 300);
  EXPECT_TRUE(take(tokens, 0).allowed);
  EXPECT_EQ(take(tokens, 0).remaining, 100);
  EXPECT_EQ(take(tokens, 400).retry_after, 58s);
  EXPECT_EQ(take(tokens, 401).retry_after, 59s);
  EXPECT_EQ(take(tokens, 1'000).retry_after, 60s);
  EXPECT_EQ(take(tokens, 1'001).retry_after, 60s);
}

/// Every decision of random calls is what a list of all timestamps says.
TEST_F(MemoryLimiter, AgreesWithAListOfAllTimestamps) {
  std::mt19937 random(3);
  for (int round = 0; round < 10; ++round) {
    Limit any = limit("org" + std::to_string(round), 1 + random() % 50);
    any.window = std::chrono::milliseconds(1 + random() % 1'000);
    std::deque<std::int64_t> taken;
    std::int64_t now = 0;
    for (int step = 0; step < 5'000; ++step) {
      const std::int64_t by = random() % 20'000'000;
      clock_.advance(std::chrono::nanoseconds(by));
      now += by;
      const std::int64_t window = std::chrono::nanoseconds(any.window).count();
      while (!taken.empty() && taken.front() + window <= now) taken.pop_front();
      const bool expected = static_cast<std::int64_t>(taken.size()) < any.max;
      const LimitVerdict verdict = take(any);
      ASSERT_EQ(verdict.allowed, expected);
      if (expected) taken.push_back(now);
      ASSERT_EQ(verdict.remaining, any.max - static_cast<std::int64_t>(taken.size()));
      if (expected) continue;
      ASSERT_EQ(verdict.retry_after, std::chrono::ceil<std::chrono::milliseconds>(
                                         std::chrono::nanoseconds(taken.front() + window - now)));
    }
  }
}

TEST_F(MemoryLimiter, LargeTokenLimitsNeverPassTheMaximumAndGiveBackAtMostASpanLate) {
  const Limit tokens = limit("acme", 1'000'000, Unit::kTokens);
  const auto span = merge_span(tokens, 4'096);
  std::mt19937 random(5);
  std::deque<std::pair<Clock::Steady, std::int64_t>> taken;
  for (int step = 0; step < 100'000; ++step) {
    clock_.advance(std::chrono::microseconds(random() % 4'000));
    const auto now = clock_.steady_now();
    const std::int64_t amount = 1 + random() % 200;
    const auto used = [&](std::chrono::nanoseconds within) {
      std::int64_t sum = 0;
      for (auto at = taken.rbegin(); at != taken.rend() && at->first + within > now; ++at) {
        sum += at->second;
      }
      return sum;
    };
    if (take(tokens, amount).allowed) {
      taken.emplace_back(now, amount);
      if (step % 50 == 0) ASSERT_LE(used(60s), tokens.max);
    } else if (step % 50 == 0) {
      ASSERT_GT(used(60s + span) + amount, tokens.max);
    }
  }
}

TEST_F(MemoryLimiter, CountersThatAreIdleMakeRoomForOthers) {
  limiter_ = make_memory_limiter(clock_, 4);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(take(limit("early" + std::to_string(i), 1)).allowed);
  clock_.advance(30s);
  const Limit busy = limit("busy", 1);
  ASSERT_TRUE(take(busy).allowed);  // the fifth: the least recently asked starts anew
  EXPECT_TRUE(take(limit("early0", 1)).allowed);
  EXPECT_FALSE(take(limit("early3", 1)).allowed);
  clock_.advance(30s);  // the other early ones are idle
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(take(limit("late" + std::to_string(i), 1)).allowed);
  EXPECT_FALSE(take(busy).allowed);
}

TEST_F(MemoryLimiter, RefusedCallersTakeNoCounters) {
  limiter_ = make_memory_limiter(clock_, 2);
  const Limit closed = limit("closed", 1);
  ASSERT_TRUE(take(closed).allowed);
  for (int i = 0; i < 100; ++i) {
    const auto verdict =
        limiter_->try_take(std::vector{Ask{limit("id" + std::to_string(i), 5), 1}, Ask{closed, 1}});
    ASSERT_FALSE(verdict->allowed);
  }
}

TEST_F(MemoryLimiter, ThreadsThatTakeSeveralLimitsCrosswiseNeitherBlockNorOvertake) {
  constexpr int kThreads = 8;
  std::vector<Limit> limits;
  for (int i = 0; i < 6; ++i) limits.push_back(limit("org" + std::to_string(i), 1'000));
  limiter_ = make_memory_limiter(clock_, 100'000);
  std::array<std::atomic<int>, 6> taken{};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(static_cast<unsigned>(t));
      for (int i = 0; i < 3'000; ++i) {
        const std::size_t a = random() % 6, b = random() % 6, c = random() % 6;
        if (a == b || b == c || a == c) continue;
        const std::vector asks{Ask{limits[a], 1}, Ask{limits[b], 1}, Ask{limits[c], 1}};
        if (limiter_->try_take(asks)->allowed) {
          for (const std::size_t one : {a, b, c}) ++taken[one];
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_LE(taken[i], 1'000);
    EXPECT_EQ(take(limits[i], 0).remaining, 1'000 - taken[i]);
  }
}

TEST_F(MemoryLimiter, ThreadsGetExactlyTheMaximumBetweenThem) {
  const Limit limits = limit("acme", 5'000);
  std::atomic<int> allowed = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2'000; ++i) allowed += take(limits).allowed;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(allowed, 5'000);
}

}  // namespace
}  // namespace asahi::identity
