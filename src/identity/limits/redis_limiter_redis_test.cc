// The limiter on Redis: four replicas, servers that stop, hang, restart or form a cluster.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "identity/limits/rate_limiter.h"
#include "identity/limits/redis_limiter_keys.h"
#include "storage/cache/testing/on_loop.h"
#include "storage/cache/testing/redis_server.h"

namespace asahi::identity {
namespace {

using namespace std::chrono_literals;
using cache_testing::in_parallel;
using cache_testing::on_loop;
using cache_testing::RedisCluster;
using cache_testing::RedisServer;
using Ask = RateLimiter::Ask;
using std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;

Limit of_org(std::int64_t max, milliseconds window = 60s, std::string org = "acme") {
  Limit out;
  out.scope = LimitScope::kOrg;
  out.org = org;
  out.id = std::move(org);
  out.max = max;
  out.window = window;
  return out;
}

/// One process of several: its own loops, connections and local counters.
struct Replica {
  explicit Replica(const std::string& url, milliseconds timeout = 10s, std::size_t loop_count = 1)
      : loops(loop_count) {
    cache::RedisOptions options;
    options.endpoint = cache::parse_redis_url(url).value();
    options.timeout = timeout;
    options.backoff_cap = 200ms;
    options.stall_limit = 500ms;
    clients = cache::make_redis_clients(loops, options);
    limiter =
        make_redis_limiter(clients, "test:rl", make_memory_limiter(system_clock()), system_clock());
    loops.start();
  }
  ~Replica() { loops.stop(); }

  LimitVerdict take(std::vector<Ask> asks) {
    return on_loop(loops.at(0), [&]() -> Aw<LimitVerdict> {
      if (auto now = limiter->try_take(asks)) co_return *now;
      co_return co_await limiter->take(asks);
    });
  }
  LimitVerdict take(const Limit& limit, std::int64_t amount = 1) {
    return take(std::vector{Ask{limit, amount}});
  }
  /// Decided by Redis, not by this process alone.
  static bool shared(const LimitVerdict& verdict) { return verdict.taken.shared != 0; }
  bool shares_again(const std::string& org) {
    const auto deadline = Steady::now() + 15s;
    while (Steady::now() < deadline) {
      if (shared(take(of_org(1'000'000, 60s, org)))) return true;
      std::this_thread::sleep_for(10ms);
    }
    return false;
  }

  net::LoopPool loops;
  std::shared_ptr<cache::RedisClients> clients;
  std::unique_ptr<RateLimiter> limiter;
};

class RedisLimiter : public testing::Test {
 protected:
  void SetUp() override {
    if (!cache_testing::redis_available()) GTEST_SKIP() << cache_testing::kNoRedis;
    server_ = std::make_unique<RedisServer>();
  }
  std::unique_ptr<RedisServer> server_;
};

TEST_F(RedisLimiter, FourReplicasAllowTheMaximumAndNoMoreInAnyWindow) {
  constexpr std::int64_t kMax = 500;
  constexpr int kWindows = 4;
  const Limit limit = of_org(kMax, 1s);
  std::vector<std::unique_ptr<Replica>> replicas;
  for (int i = 0; i < 4; ++i) replicas.push_back(std::make_unique<Replica>(server_->url()));
  for (auto& replica : replicas) replica->take(of_org(10, 1s, "warm-up"));

  std::vector<std::vector<std::int64_t>> stamps(4);
  std::atomic<int> decided_alone = 0;
  const auto until = Steady::now() + kWindows * limit.window - 100ms;
  std::vector<std::thread> threads;
  for (std::size_t r = 0; r < replicas.size(); ++r) {
    threads.emplace_back([&, r] {
      in_parallel(replicas[r]->loops, 8, [&, r](std::size_t) -> Aw<void> {
        while (Steady::now() < until) {
          std::vector<Ask> asks{{limit, 1}};
          const LimitVerdict verdict = co_await replicas[r]->limiter->take(asks);
          if (verdict.allowed) {
            stamps[r].push_back(verdict.taken.shared);
            decided_alone += !Replica::shared(verdict);
          } else {
            // A client that waits a little: the server's one thread is not what is measured.
            co_await replicas[r]->loops.at(0).sleep_for(2ms);
          }
        }
      });
    });
  }
  for (auto& thread : threads) thread.join();
  ASSERT_EQ(decided_alone, 0);

  // Stamps are times of the one server, to the microsecond.
  std::vector<std::int64_t> all;
  for (const auto& some : stamps) all.insert(all.end(), some.begin(), some.end());
  std::ranges::sort(all);
  const std::int64_t window_us = std::chrono::microseconds(limit.window).count();
  for (std::size_t i = 0; i + kMax < all.size(); ++i) {
    ASSERT_GE(all[i + kMax] - all[i], window_us) << "more than the maximum within one window";
  }
  EXPECT_GE(static_cast<double>(all.size()), 0.99 * double(kMax * kWindows));
}

TEST_F(RedisLimiter, ReplicasSeeEachOthersUseAndCorrections) {
  Replica one(server_->url());
  Replica two(server_->url());
  Limit tokens = of_org(1'000);
  tokens.unit = Limit::Unit::kTokens;
  const LimitVerdict first = one.take(tokens, 600);
  ASSERT_TRUE(first.allowed);
  EXPECT_FALSE(two.take(tokens, 600).allowed);
  EXPECT_EQ(two.take(tokens, 0).remaining, 400);
  on_loop(one.loops.at(0), [&]() -> Aw<bool> {
    one.limiter->adjust(tokens, -500, first.taken);
    for (int i = 0; i < 2; ++i) co_await one.clients->at(0).run(cache::Command{"PING"});
    co_return true;
  });
  EXPECT_EQ(two.take(tokens, 0).remaining, 900);
  EXPECT_TRUE(two.take(tokens, 800).allowed);
}

TEST_F(RedisLimiter, ARefusalByRedisTakesNothingInProcessEither) {
  Replica one(server_->url());
  Replica two(server_->url());
  ASSERT_TRUE(one.take(of_org(10), 10).allowed);
  for (int i = 0; i < 30; ++i) ASSERT_FALSE(two.take(of_org(10)).allowed);
  server_->command({"FLUSHALL"});
  EXPECT_TRUE(two.take(of_org(10), 10).allowed);
}

TEST_F(RedisLimiter, CountersAreSortedSetsThatExpireASecondAfterTheWindow) {
  Replica replica(server_->url());
  for (int i = 0; i < 3; ++i) replica.take(of_org(10));
  const std::string key = limiter_key("test:rl", of_org(10));
  EXPECT_EQ(server_->command({"TYPE", key}).text, "zset");
  EXPECT_EQ(server_->command({"ZCARD", key}).integer, 4);  // and the sum
  const auto ttl = server_->command({"PTTL", key}).integer;
  EXPECT_LE(ttl, 61'000);
  EXPECT_GT(ttl, 55'000);
  replica.take(of_org(2), 3);
  EXPECT_EQ(server_->command({"ZCARD", key}).integer, 4);
  EXPECT_EQ(server_->command({"DBSIZE"}).integer, 1);
}

TEST_F(RedisLimiter, LargeLimitsTakeBoundedMemory) {
  Replica replica(server_->url());
  Limit tokens = of_org(1'000'000'000, 2s);  // entries of a millisecond
  tokens.unit = Limit::Unit::kTokens;
  in_parallel(replica.loops, 64, [&](std::size_t) -> Aw<void> {
    for (int i = 0; i < 150; ++i) {
      std::vector<Ask> asks{{tokens, 1'000}};
      co_await replica.limiter->take(asks);
    }
  });
  const std::string key = limiter_key("test:rl", tokens);
  EXPECT_LE(server_->command({"ZCARD", key}).integer, 2'002);
  EXPECT_LT(server_->command({"ZCARD", key}).integer, 64 * 150 / 2);
}

TEST_F(RedisLimiter, AServerClockSetBackDoesNotShutAnybodyOut) {
  Replica replica(server_->url());
  replica.take(of_org(1, 60s, "other"));
  const std::string key = limiter_key("test:rl", of_org(2));
  const std::int64_t future = replica.take(of_org(9, 60s, "x")).taken.shared + 3'600'000'000;
  server_->command(
      {"ZADD", key, std::to_string(future), "2:" + std::to_string(future) + ":x", "-3", "sum"});
  EXPECT_TRUE(replica.take(of_org(2)).allowed);
  EXPECT_EQ(replica.take(of_org(2)).remaining, 0);
  EXPECT_FALSE(replica.take(of_org(2)).allowed);
}

TEST_F(RedisLimiter, AForeignValueUnderTheKeyIsCountedInProcess) {
  Replica replica(server_->url());
  server_->command({"SET", limiter_key("test:rl", of_org(2)), "oops"});
  EXPECT_TRUE(replica.take(of_org(2)).allowed);
  EXPECT_TRUE(replica.take(of_org(2)).allowed);
  EXPECT_FALSE(replica.take(of_org(2)).allowed);
  EXPECT_TRUE(Replica::shared(replica.take(of_org(2, 60s, "globex"))));
}

TEST_F(RedisLimiter, WithoutAServerTheProcessKeepsItsLimits) {
  Replica replica("redis://127.0.0.1:" + std::to_string(cache_testing::free_port()), 500ms);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(replica.take(of_org(5)).allowed);
  EXPECT_FALSE(replica.take(of_org(5)).allowed);
}

TEST_F(RedisLimiter, AnOutageNeitherForgetsNorStopsAnything) {
  Replica replica(server_->url(), 500ms);
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(Replica::shared(replica.take(of_org(10))));
  server_->stop();
  // What was taken through Redis still counts here.
  for (int i = 0; i < 4; ++i) {
    const LimitVerdict verdict = replica.take(of_org(10));
    EXPECT_TRUE(verdict.allowed);
    EXPECT_FALSE(Replica::shared(verdict));
  }
  EXPECT_FALSE(replica.take(of_org(10)).allowed);
  // Decided without suspending now.
  const auto now = on_loop(replica.loops.at(0), [&]() -> Aw<bool> {
    co_return replica.limiter->try_take(std::vector{Ask{of_org(10), 1}}).has_value();
  });
  EXPECT_TRUE(now);
  server_->start();  // empty, and without the script
  EXPECT_TRUE(replica.shares_again("globex"));
  EXPECT_FALSE(replica.take(of_org(10)).allowed);
}

TEST_F(RedisLimiter, AStopAndStartUnderLoadNeverPassesTheMaximum) {
  Replica replica(server_->url(), 500ms, 4);
  constexpr int kMax = 2'000;
  const Limit limit = of_org(kMax);
  std::atomic<int> allowed = 0;
  std::atomic<bool> running = true;
  std::atomic<std::int64_t> longest_ms = 0;
  std::thread load([&] {
    in_parallel(replica.loops, 16, [&](std::size_t i) -> Aw<void> {
      while (running) {
        const auto started = Steady::now();
        std::vector<Ask> asks{{limit, 1}};
        auto verdict = replica.limiter->try_take(asks);
        if (!verdict) verdict = co_await replica.limiter->take(asks);
        allowed += verdict->allowed;
        const std::int64_t ms = std::chrono::floor<milliseconds>(Steady::now() - started).count();
        for (auto seen = longest_ms.load(); ms > seen;) {
          if (longest_ms.compare_exchange_weak(seen, ms)) break;
        }
        co_await replica.loops.at(i % 4).sleep_for(1ms);
      }
    });
  });
  for (int round = 0; round < 2; ++round) {
    std::this_thread::sleep_for(150ms);
    server_->stop();
    std::this_thread::sleep_for(150ms);
    server_->start();
  }
  EXPECT_TRUE(replica.shares_again("globex"));
  const auto deadline = Steady::now() + 20s;
  while (allowed < kMax && Steady::now() < deadline) std::this_thread::sleep_for(10ms);
  std::this_thread::sleep_for(100ms);
  running = false;
  load.join();
  EXPECT_EQ(allowed, kMax);
  EXPECT_LT(longest_ms, 1'500);  // 500 and what a busy machine adds
}

TEST_F(RedisLimiter, AHangingServerCostsOneTimeOutAndNoMore) {
  Replica replica(server_->url(), 300ms);
  ASSERT_TRUE(Replica::shared(replica.take(of_org(1'000))));
  const std::string info = server_->command({"INFO", "server"}).text;
  const int pid = std::stoi(info.substr(info.find("process_id:") + 11));
  ::kill(pid, SIGSTOP);
  auto started = Steady::now();
  EXPECT_TRUE(replica.take(of_org(1'000)).allowed);
  const auto first = Steady::now() - started;
  started = Steady::now();
  for (int i = 0; i < 50; ++i) EXPECT_TRUE(replica.take(of_org(1'000)).allowed);
  const auto rest = Steady::now() - started;
  ::kill(pid, SIGCONT);
  EXPECT_GE(first, 250ms);
  EXPECT_LT(first, 1'300ms);
  EXPECT_LT(rest, 250ms);
  EXPECT_TRUE(replica.shares_again("globex"));
}

TEST_F(RedisLimiter, ARestartedScriptCacheIsFilledAgain) {
  Replica replica(server_->url());
  ASSERT_TRUE(Replica::shared(replica.take(of_org(100))));
  server_->command({"SCRIPT", "FLUSH"});
  const LimitVerdict verdict = replica.take(of_org(100));
  EXPECT_TRUE(Replica::shared(verdict));
  EXPECT_EQ(verdict.remaining, 98);
}

TEST_F(RedisLimiter, ALimiterMayGoWhileCorrectionsAreUnderWay) {
  Replica replica(server_->url());
  const LimitVerdict verdict = replica.take(of_org(100), 50);
  on_loop(replica.loops.at(0), [&]() -> Aw<bool> {
    for (int i = 0; i < 20; ++i) replica.limiter->adjust(of_org(100), -1, verdict.taken);
    replica.limiter.reset();
    co_return true;
  });
  const auto alive = on_loop(replica.loops.at(0), [&]() -> Aw<bool> {
    const auto pong = co_await replica.clients->at(0).run(cache::Command{"PING"});
    co_return pong.has_value();
  });
  EXPECT_TRUE(alive);
}

TEST(RedisLimiterCluster, LimitsOfOneOrganisationAreOneCallOnOneNode) {
  if (!cache_testing::redis_available()) GTEST_SKIP() << cache_testing::kNoRedis;
  RedisCluster cluster;
  Replica replica(cluster.url());
  for (const std::string org : {"acme", "globex", "initech", "umbrella", "hooli"}) {
    std::vector<Ask> asks{{of_org(3, 60s, org), 1}};
    for (const auto scope : {LimitScope::kKey, LimitScope::kUser, LimitScope::kModel}) {
      Limit limit = of_org(100, 60s, org);
      limit.scope = scope;
      limit.id = "id";
      asks.push_back({limit, 1});
    }
    for (int left = 2; left >= 0; --left) {
      const LimitVerdict verdict = replica.take(asks);
      EXPECT_TRUE(Replica::shared(verdict)) << org;
      EXPECT_EQ(verdict.remaining, left);
    }
    EXPECT_FALSE(replica.take(asks).allowed);
  }
  Limit address;
  address.scope = LimitScope::kIp;
  address.id = "2001:db8::/64";
  address.max = 5;
  EXPECT_TRUE(Replica::shared(replica.take(address)));
}

}  // namespace
}  // namespace asahi::identity
