// What every RateLimiter does, run over the one in this process and the one on Redis.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "identity/limits/rate_limiter.h"
#include "storage/cache/testing/on_loop.h"
#include "storage/cache/testing/redis_server.h"

namespace asahi::identity {
namespace {

using namespace std::chrono_literals;
using cache_testing::in_parallel;
using cache_testing::on_loop;
using cache_testing::RedisServer;
using Ask = RateLimiter::Ask;
using Unit = Limit::Unit;
using std::chrono::milliseconds;

enum class Backend { kMemory, kRedis };

/// Long enough for a few calls on a busy machine; Redis runs on real time.
constexpr milliseconds kShort{1'000};

Limit limit(LimitScope scope, std::string org, std::string id, std::int64_t max) {
  Limit out;
  out.scope = scope;
  out.org = std::move(org);
  out.id = std::move(id);
  out.max = max;
  return out;
}
Limit of_org(std::int64_t max, std::string org = "acme") {
  return limit(LimitScope::kOrg, org, org, max);
}
Limit of_key(std::int64_t max, std::string org = "acme") {
  return limit(LimitScope::kKey, std::move(org), "ask_acme_ab1", max);
}
Limit tokens(std::int64_t max) {
  Limit out = of_org(max);
  out.unit = Unit::kTokens;
  return out;
}
Limit short_lived(Limit limit) {
  limit.window = kShort;
  return limit;
}

class LimiterContract : public testing::TestWithParam<Backend> {
 protected:
  static void TearDownTestSuite() { server_.reset(); }

  void SetUp() override {
    loops_.start();
    if (GetParam() == Backend::kMemory) {
      limiter_ = make_memory_limiter(clock_);
      return;
    }
    if (!cache_testing::redis_available()) GTEST_SKIP() << cache_testing::kNoRedis;
    if (server_ == nullptr) server_ = std::make_unique<RedisServer>();
    server_->command({"FLUSHALL"});
    cache::RedisOptions options;
    options.endpoint = cache::parse_redis_url(server_->url()).value();
    options.timeout = 10s;  // a busy machine is not what is tested here
    clients_ = cache::make_redis_clients(loops_, options);
    limiter_ = make_redis_limiter(clients_, "test:rl", make_memory_limiter(system_clock()),
                                  system_clock());
  }
  void TearDown() override {
    loops_.stop();
    limiter_.reset();
  }

  LimitVerdict take(std::vector<Ask> asks) {
    return on_loop(loops_.at(0), [&]() -> Aw<LimitVerdict> {
      if (auto now = limiter_->try_take(asks)) co_return *now;
      co_return co_await limiter_->take(asks);
    });
  }
  LimitVerdict take(const Limit& limit, std::int64_t amount = 1) {
    return take(std::vector{Ask{limit, amount}});
  }
  std::int64_t remaining(const Limit& limit) { return take(limit, 0).remaining; }
  void adjust(const Limit& limit, std::int64_t by, LimitStamp taken = {}) {
    on_loop(loops_.at(0), [&]() -> Aw<bool> {
      limiter_->adjust(limit, by, taken);
      // It goes out on its own; the first of a server twice, as that does not know the script yet.
      for (int i = 0; clients_ != nullptr && i < 2; ++i) {
        const auto passed = co_await clients_->at(0).run(cache::Command{"PING"});
        EXPECT_TRUE(passed);
      }
      co_return true;
    });
  }
  /// Lets that much of the limiter's time pass.
  void pass(milliseconds time) {
    if (GetParam() == Backend::kMemory) {
      clock_.advance(time);
    } else {
      std::this_thread::sleep_for(time);
    }
  }

  static inline std::unique_ptr<RedisServer> server_;
  ManualClock clock_;
  net::LoopPool loops_{8};
  std::shared_ptr<cache::RedisClients> clients_;
  std::unique_ptr<RateLimiter> limiter_;
};

TEST_P(LimiterContract, NamesItsBackend) {
  EXPECT_EQ(limiter_->backend(), GetParam() == Backend::kMemory ? "memory" : "redis");
}

TEST_P(LimiterContract, NothingAskedIsAllowed) {
  EXPECT_TRUE(take(std::vector<Ask>{}).allowed);
  const auto now = limiter_->try_take({});
  ASSERT_TRUE(now);
  EXPECT_TRUE(now->allowed);
}

TEST_P(LimiterContract, AllowsTheMaximumAndCountsDown) {
  for (int left = 4; left >= 0; --left) {
    const LimitVerdict verdict = take(of_org(5));
    EXPECT_TRUE(verdict.allowed);
    EXPECT_EQ(verdict.scope, LimitScope::kOrg);
    EXPECT_EQ(verdict.unit, Unit::kRequests);
    EXPECT_EQ(verdict.max, 5);
    EXPECT_EQ(verdict.remaining, left);
    EXPECT_EQ(verdict.reset, 60s);
    EXPECT_EQ(verdict.retry_after, 0ms);
  }
  const LimitVerdict refused = take(of_org(5));
  EXPECT_FALSE(refused.allowed);
  EXPECT_EQ(refused.max, 5);
  EXPECT_EQ(refused.remaining, 0);
  EXPECT_LE(refused.retry_after, 60s);
  EXPECT_GT(refused.retry_after, 50s);
  EXPECT_GE(refused.reset, refused.retry_after);
  EXPECT_LE(refused.reset, 60s);
}

TEST_P(LimiterContract, TheWindowSlides) {
  const Limit four = short_lived(of_org(4));
  ASSERT_TRUE(take(four, 3).allowed);
  pass(kShort / 2);
  ASSERT_TRUE(take(four).allowed);
  const LimitVerdict refused = take(four);
  ASSERT_FALSE(refused.allowed);
  EXPECT_LE(refused.retry_after, kShort / 2);
  pass(refused.retry_after);
  EXPECT_TRUE(take(four, 3).allowed);
  EXPECT_FALSE(take(four).allowed);  // the one of the second half still counts
  pass(kShort);
  EXPECT_TRUE(take(four, 4).allowed);
}

TEST_P(LimiterContract, RefusedCallsTakeNothing) {
  const Limit two = short_lived(of_org(2));
  ASSERT_TRUE(take(two, 2).allowed);
  LimitVerdict refused;
  for (int i = 0; i < 50; ++i) {
    const LimitVerdict verdict = take(two);
    if (verdict.allowed) return;  // so slow a machine that the window passed
    refused = verdict;
  }
  pass(refused.retry_after);
  EXPECT_TRUE(take(two, 2).allowed);
}

TEST_P(LimiterContract, AWaitShorterThanRetryAfterIsNotEnough) {
  const Limit one = short_lived(of_org(1));
  const auto started = std::chrono::steady_clock::now();
  ASSERT_TRUE(take(one).allowed);
  const LimitVerdict refused = take(one);
  ASSERT_FALSE(refused.allowed);
  pass(refused.retry_after - 300ms);
  const LimitVerdict early = take(one);
  if (GetParam() == Backend::kRedis && std::chrono::steady_clock::now() - started > kShort - 10ms) {
    GTEST_SKIP() << "the machine was too busy to be early";
  }
  EXPECT_FALSE(early.allowed);
  EXPECT_LE(early.retry_after, 300ms);
  EXPECT_GT(early.retry_after, 0ms);
}

TEST_P(LimiterContract, TakesAllLimitsOrNone) {
  ASSERT_TRUE(take(of_org(3), 3).allowed);
  const LimitVerdict refused = take({{of_key(10), 1}, {of_org(3), 1}});
  EXPECT_FALSE(refused.allowed);
  EXPECT_EQ(refused.scope, LimitScope::kOrg);
  EXPECT_EQ(remaining(of_key(10)), 10);
  EXPECT_FALSE(take({{of_org(3), 1}, {of_key(10), 1}}).allowed);
  EXPECT_EQ(remaining(of_key(10)), 10);
  EXPECT_TRUE(take({{of_org(4), 1}, {of_key(10), 1}}).allowed);
  EXPECT_EQ(remaining(of_key(10)), 9);
}

TEST_P(LimiterContract, ShowsTheLimitWithTheSmallestShareLeft) {
  const LimitVerdict verdict =
      take({{of_org(1'000), 1}, {of_key(2), 1}, {limit(LimitScope::kUser, "acme", "u1", 100), 1}});
  EXPECT_TRUE(verdict.allowed);
  EXPECT_EQ(verdict.scope, LimitScope::kKey);
  EXPECT_EQ(verdict.max, 2);
  EXPECT_EQ(verdict.remaining, 1);
}

TEST_P(LimiterContract, ShowsTheLongestWaitOfSeveralRefusals) {
  const Limit soon = short_lived(of_key(1));
  ASSERT_TRUE(take({{soon, 1}, {of_org(1), 1}}).allowed);
  const LimitVerdict refused = take({{of_org(1), 1}, {soon, 1}});
  EXPECT_EQ(refused.scope, LimitScope::kOrg);
  EXPECT_GT(refused.retry_after, kShort);
}

TEST_P(LimiterContract, MoreThanTheMaximumIsNeverAllowed) {
  const LimitVerdict refused = take(tokens(1'000), 1'001);
  EXPECT_FALSE(refused.allowed);
  EXPECT_EQ(refused.remaining, 1'000);
  EXPECT_EQ(refused.retry_after, 60s);
  EXPECT_FALSE(take(of_org(0)).allowed);
  EXPECT_EQ(take(of_org(0)).retry_after, 60s);
  EXPECT_FALSE(take(of_org(-5)).allowed);
  EXPECT_FALSE(take(tokens(INT64_MAX), INT64_MAX).allowed && remaining(tokens(INT64_MAX)) > 0);
  EXPECT_TRUE(take(tokens(1'000), 0).allowed);
}

TEST_P(LimiterContract, NoughtAndLessOnlyLook) {
  ASSERT_TRUE(take(of_org(5), 2).allowed);
  for (int i = 0; i < 10; ++i) {
    const LimitVerdict seen = take(of_org(5), -i);
    EXPECT_TRUE(seen.allowed);
    EXPECT_EQ(seen.remaining, 3);
    EXPECT_LE(seen.reset, 60s);
    EXPECT_GT(seen.reset, 50s);
  }
  EXPECT_EQ(take(of_org(5, "unheard"), 0).reset, 0ms);
}

TEST_P(LimiterContract, CountsTokensByTheirAmount) {
  EXPECT_EQ(take(tokens(10'000), 4'000).remaining, 6'000);
  EXPECT_FALSE(take(tokens(10'000), 6'001).allowed);
  EXPECT_EQ(take(tokens(10'000), 6'000).remaining, 0);
  const LimitVerdict refused = take(tokens(10'000), 1);
  EXPECT_FALSE(refused.allowed);
  EXPECT_EQ(refused.unit, Unit::kTokens);
}

TEST_P(LimiterContract, WaitsForAsManyTokensAsAreAsked) {
  const Limit thousand = short_lived(tokens(1'000));
  ASSERT_TRUE(take(thousand, 400).allowed);
  pass(kShort / 2);
  ASSERT_TRUE(take(thousand, 400).allowed);
  const LimitVerdict few = take(thousand, 600);
  const LimitVerdict many = take(thousand, 601);
  EXPECT_LE(few.retry_after, kShort / 2);
  EXPECT_GT(many.retry_after, kShort / 2);
}

TEST_P(LimiterContract, LargeLimitsCountToTheToken) {
  const Limit million = tokens(1'000'000);
  for (int i = 0; i < 1'000; ++i) ASSERT_TRUE(take(million, 999).allowed);
  EXPECT_EQ(remaining(million), 1'000);
  EXPECT_TRUE(take(million, 1'000).allowed);
  EXPECT_FALSE(take(million, 1).allowed);
}

TEST_P(LimiterContract, ACorrectionGivesBackWhatAnEstimateTookTooMuch) {
  const LimitVerdict verdict = take(tokens(1'000), 800);
  ASSERT_FALSE(take(tokens(1'000), 300).allowed);
  adjust(tokens(1'000), -500, verdict.taken);
  EXPECT_EQ(remaining(tokens(1'000)), 700);
  EXPECT_TRUE(take(tokens(1'000), 700).allowed);
}

TEST_P(LimiterContract, ACorrectionTakesWhatAnEstimateTookTooLittle) {
  const LimitVerdict verdict = take(tokens(1'000), 800);
  adjust(tokens(1'000), 500, verdict.taken);
  EXPECT_EQ(remaining(tokens(1'000)), 0);
  const LimitVerdict refused = take(tokens(1'000), 1);
  EXPECT_FALSE(refused.allowed);
  EXPECT_GT(refused.retry_after, 50s);
  EXPECT_TRUE(take(tokens(1'301), 1).allowed);  // the debt is known to the token
  EXPECT_FALSE(take(tokens(1'301), 1).allowed);
}

TEST_P(LimiterContract, AGivenBackWholeCallLeavesNoTrace) {
  const LimitVerdict verdict = take({{tokens(1'000), 800}, {of_key(5), 1}});
  adjust(tokens(1'000), -800, verdict.taken);
  const LimitVerdict seen = take(tokens(1'000), 0);
  EXPECT_EQ(seen.remaining, 1'000);
  EXPECT_EQ(seen.reset, 0ms);
  EXPECT_EQ(remaining(of_key(5)), 4);
}

TEST_P(LimiterContract, ACorrectionAfterTheWindowTouchesNobodyElse) {
  const Limit thousand = short_lived(tokens(1'000));
  const LimitVerdict verdict = take(thousand, 800);
  pass(kShort + 1ms);
  ASSERT_TRUE(take(thousand, 900).allowed);
  adjust(thousand, -700, verdict.taken);
  EXPECT_EQ(remaining(thousand), 100);
  adjust(thousand, 100, verdict.taken);
  EXPECT_EQ(remaining(thousand), 100);
}

TEST_P(LimiterContract, ACorrectionOfUnknownTimeIsOnTheSafeSide) {
  const Limit thousand = short_lived(tokens(1'000));
  ASSERT_TRUE(take(thousand, 300).allowed);
  pass(kShort / 2);
  ASSERT_TRUE(take(thousand, 300).allowed);
  adjust(thousand, -400);
  EXPECT_EQ(remaining(thousand), 800);
  pass(kShort / 2);  // the oldest was given back, so nothing leaves yet
  EXPECT_EQ(remaining(thousand), 800);
  adjust(thousand, 300);
  EXPECT_EQ(remaining(thousand), 500);
  adjust(of_org(5, "unheard"), -3);
  EXPECT_EQ(remaining(of_org(5, "unheard")), 5);
  adjust(of_org(5, "unheard"), 3);
  EXPECT_EQ(remaining(of_org(5, "unheard")), 2);
}

TEST_P(LimiterContract, CorrectionsNeverLeaveLessThanNothing) {
  const LimitVerdict verdict = take(tokens(1'000), 100);
  adjust(tokens(1'000), -5'000, verdict.taken);
  EXPECT_EQ(remaining(tokens(1'000)), 1'000);
  adjust(tokens(1'000), INT64_MIN, verdict.taken);
  adjust(tokens(1'000), INT64_MIN);
  EXPECT_EQ(remaining(tokens(1'000)), 1'000);
  adjust(tokens(1'000), 0, verdict.taken);
}

TEST_P(LimiterContract, CountersStandApart) {
  std::vector<Limit> limits{of_org(1),           of_key(1), of_org(1, "globex"),
                            of_key(1, "globex"), tokens(1), short_lived(of_org(1))};
  limits.push_back(limit(LimitScope::kUser, "acme", "u1", 1));
  limits.push_back(limit(LimitScope::kUser, "globex", "u1", 1));
  limits.push_back(limit(LimitScope::kModel, "acme", "u1", 1));
  limits.push_back(limit(LimitScope::kIp, "", "192.0.2.7", 1));
  for (const Limit& one : limits) EXPECT_TRUE(take(one).allowed);
  limits.pop_back();
  for (const Limit& one : limits) {
    if (one.window == kShort) continue;
    EXPECT_FALSE(take(one).allowed);
  }
}

TEST_P(LimiterContract, AMaximumThatChangesHoldsAtOnce) {
  ASSERT_TRUE(take(of_org(10), 6).allowed);
  const LimitVerdict lowered = take(of_org(5));
  EXPECT_FALSE(lowered.allowed);
  EXPECT_EQ(lowered.remaining, 0);
  EXPECT_EQ(take(of_org(20)).remaining, 13);
}

TEST_P(LimiterContract, ACounterAskedTwiceInACallCountsTwice) {
  EXPECT_FALSE(take({{of_org(5), 3}, {of_org(5), 3}}).allowed);
  EXPECT_EQ(remaining(of_org(5)), 5);
  const LimitVerdict both = take({{of_org(5), 3}, {of_org(5), 2}});
  EXPECT_TRUE(both.allowed);
  EXPECT_EQ(both.remaining, 0);
  EXPECT_EQ(remaining(of_org(5)), 0);
}

TEST_P(LimiterContract, AnyBytesNameACounter) {
  const std::string odd("a\0{b}\r\n:*%", 10);
  Limit one = limit(LimitScope::kUser, odd, odd, 1);
  EXPECT_TRUE(take(one).allowed);
  EXPECT_FALSE(take(one).allowed);
  one.id.clear();
  EXPECT_TRUE(take(one).allowed);
}

TEST_P(LimiterContract, SixtyFourAtOnceGetExactlyTheMaximum) {
  std::atomic<int> allowed = 0;
  in_parallel(loops_, 64, [&](std::size_t) -> Aw<void> {
    std::vector<Ask> asks{{of_org(20), 1}, {of_key(100), 1}};
    const LimitVerdict verdict = co_await limiter_->take(asks);
    allowed += verdict.allowed;
  });
  EXPECT_EQ(allowed, 20);
  EXPECT_EQ(remaining(of_key(100)), 80);
}

TEST_P(LimiterContract, EightLoopsGetExactlyTheMaximumOfEachOrganisation) {
  std::array<std::atomic<int>, 3> allowed{};
  in_parallel(loops_, 64, [&](std::size_t worker) -> Aw<void> {
    for (std::size_t i = 0; i < 30; ++i) {
      const std::size_t org = (worker + i) % allowed.size();
      const std::string name = "org" + std::to_string(org);
      std::vector<Ask> asks{{of_org(100, name), 1}, {of_key(1'000, name), 1}};
      auto verdict = limiter_->try_take(asks);
      if (!verdict) verdict = co_await limiter_->take(asks);
      allowed[org] += verdict->allowed;
    }
  });
  for (const auto& count : allowed) EXPECT_EQ(count, 100);
}

INSTANTIATE_TEST_SUITE_P(Backends, LimiterContract,
                         testing::Values(Backend::kMemory, Backend::kRedis), [](const auto& info) {
                           return info.param == Backend::kMemory ? "Memory" : "Redis";
                         });

}  // namespace
}  // namespace asahi::identity
