// What budgets promise, run over those of one process and those shared through Redis.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <thread>

#include "identity/limits/budget_ledger.h"
#include "identity/limits/testing/budget_place.h"
#include "net/loop.h"
#include "storage/cache/testing/on_loop.h"
#include "storage/cache/testing/redis_server.h"

namespace asahi::identity {
namespace {

using namespace std::chrono_literals;
using cache_testing::in_parallel;
using cache_testing::on_loop;
using cache_testing::RedisCluster;
using cache_testing::RedisServer;
using testing::DataFolder;
using testing::day_requests;
using testing::day_spend;
using testing::month_requests;
using testing::month_spend;
using Reservation = BudgetLedger::Reservation;
using Period = Budget::Period;

enum class Backend { kProcess, kRedis };

std::shared_ptr<cache::RedisClients> clients_of(net::LoopPool& loops, const std::string& url) {
  cache::RedisOptions options;
  options.endpoint = *cache::parse_redis_url(url);
  options.timeout = 10s;  // a busy machine is not what is tested here
  return cache::make_redis_clients(loops, options);
}

/// A node: a data folder, an empty database and a ledger.
class Node {
 public:
  Node(net::LoopPool& loops, const Clock& clock, std::shared_ptr<cache::RedisClients> redis)
      : loops_(loops), clock_(clock), redis_(std::move(redis)) {
    database_ = testing::open_migrated({.url = "sqlite://:memory:"});
    open(folder_.journal());
  }

  void open(const std::string& journal) {
    ledger_.reset();
    auto ledger = open_budget_ledger({.journal_file = journal}, *database_, redis_, clock_);
    if (!ledger) throw std::runtime_error(ledger.error().message);
    ledger_ = std::move(*ledger);
  }

  Result<Reservation> reserve(std::vector<Budget> budgets, std::int64_t estimate) {
    return on_loop(loops_.at(0), [this, budgets, estimate]() -> Task<Reservation> {
      if (auto now = ledger_->try_reserve(budgets, {estimate})) co_return std::move(*now);
      co_return co_await ledger_->reserve(budgets, {estimate});
    });
  }
  /// The reason why not, or "".
  std::string spend(std::vector<Budget> budgets, std::int64_t estimate, std::int64_t cost) {
    auto reserved = reserve(std::move(budgets), estimate);
    if (!reserved) return reserved.error().reason;
    settle(std::move(*reserved), cost);
    return "";
  }
  void settle(Reservation reservation, std::int64_t cost) {
    on_loop(loops_.at(0), [&]() -> Aw<bool> {
      reservation.settle({cost});
      co_return true;
    });
  }
  BudgetUse use(const std::string& account, Period period = Period::kDay) {
    return ledger_->use(account, period);
  }

  BudgetLedger& ledger() { return *ledger_; }
  sql::Database& database() { return *database_; }
  const DataFolder& folder() const { return folder_; }

 private:
  net::LoopPool& loops_;
  const Clock& clock_;
  std::shared_ptr<cache::RedisClients> redis_;
  DataFolder folder_;
  std::unique_ptr<sql::Database> database_;
  std::unique_ptr<BudgetLedger> ledger_;
};

/// Of real time: what happens in the background has happened.
template <class Done>
bool eventually(Done done) {
  const auto limit = std::chrono::steady_clock::now() + 20s;
  while (!done()) {
    if (std::chrono::steady_clock::now() > limit) return false;
    std::this_thread::sleep_for(2ms);
  }
  return true;
}

class BudgetContract : public ::testing::TestWithParam<Backend> {
 protected:
  static void TearDownTestSuite() { server_.reset(); }

  void SetUp() override {
    std::shared_ptr<cache::RedisClients> redis;
    if (GetParam() == Backend::kRedis) {
      if (!cache_testing::redis_available()) GTEST_SKIP() << cache_testing::kNoRedis;
      if (server_ == nullptr) server_ = std::make_unique<RedisServer>();
      server_->command({"FLUSHALL"});
      redis = clients_of(loops_, server_->url());
    }
    loops_.start();
    node_ = std::make_unique<Node>(loops_, clock_, redis);
  }

  static inline std::unique_ptr<RedisServer> server_;
  ManualClock clock_;
  net::LoopPool loops_{2};
  std::unique_ptr<Node> node_;
};

TEST_P(BudgetContract, AllowsToReachASpendCapExactlyAndNotBeyond) {
  const auto budget = day_spend("org/acme", 100);
  EXPECT_EQ(node_->spend({budget}, 60, 60), "");
  EXPECT_EQ(node_->spend({budget}, 41, 0), "budget_exceeded");
  EXPECT_EQ(node_->spend({budget}, 40, 40), "");
  EXPECT_EQ(node_->spend({budget}, 1, 1), "budget_exceeded");
  EXPECT_EQ(node_->spend({budget}, 0, 0), "") << "a hit costs nothing";
  EXPECT_EQ(node_->use("org/acme").spent, NanoUsd{100});
  EXPECT_EQ(node_->use("org/acme").requests, 3);
}

TEST_P(BudgetContract, RefusesTheCallThatReachesARequestCap) {
  const auto budget = day_requests("key/ask_acme_ab12", 2);
  EXPECT_EQ(node_->spend({budget}, 5, 0), "");
  EXPECT_EQ(node_->spend({budget}, 5, 7), "");
  EXPECT_EQ(node_->spend({budget}, 5, 0), "request_limit_exceeded");
}

TEST_P(BudgetContract, CountsOpenCallsAgainstBothKindsOfCap) {
  auto open = node_->reserve({day_spend("org/acme", 100)}, 60);
  ASSERT_TRUE(open);
  EXPECT_EQ(node_->spend({day_spend("org/acme", 100)}, 41, 0), "budget_exceeded");
  EXPECT_EQ(node_->spend({day_requests("org/acme", 1)}, 0, 0), "request_limit_exceeded");
  node_->settle(std::move(*open), 10);
  EXPECT_EQ(node_->spend({day_spend("org/acme", 100)}, 90, 90), "");
}

TEST_P(BudgetContract, ReservesAgainstAllBudgetsOrNone) {
  const std::vector budgets{day_spend("org/acme", 100), month_requests("user/acme/u1", 1),
                            day_spend("key/ask_acme_ab12", 50)};
  EXPECT_EQ(node_->spend(budgets, 60, 0), "budget_exceeded");
  EXPECT_EQ(node_->spend(budgets, 50, 30), "");
  EXPECT_EQ(node_->spend(budgets, 1, 0), "request_limit_exceeded");
  for (const char* account : {"org/acme", "user/acme/u1", "key/ask_acme_ab12"}) {
    EXPECT_EQ(node_->use(account).requests, 1) << account;
    EXPECT_EQ(node_->use(account).spent, NanoUsd{30}) << account;
    EXPECT_EQ(node_->use(account).reserved, NanoUsd{0}) << account;
  }
}

TEST_P(BudgetContract, CountsACallOncePerAccountUnderSeveralBudgets) {
  const std::vector budgets{day_spend("org/acme", 100), month_spend("org/acme", 1'000),
                            day_requests("org/acme", 10)};
  EXPECT_EQ(node_->spend(budgets, 70, 70), "");
  EXPECT_EQ(node_->use("org/acme").requests, 1);
  EXPECT_EQ(node_->use("org/acme", Period::kMonth).spent, NanoUsd{70});
}

TEST_P(BudgetContract, TakesADroppedReservationForACallThatCostNothing) {
  {
    ASSERT_TRUE(node_->reserve({day_spend("org/acme", 100)}, 100));
  }
  EXPECT_EQ(node_->use("org/acme").requests, 1);
  EXPECT_EQ(node_->spend({day_spend("org/acme", 100)}, 100, 100), "");
}

TEST_P(BudgetContract, SaysWhatIsUsedAndWhenToComeBack) {
  EXPECT_EQ(node_->spend({day_spend("org/acme", 1'500'000'000)}, 0, 1'000'000'000), "");
  clock_.advance(1h);
  const auto refused = node_->reserve({day_spend("org/acme", 1'500'000'000)}, 600'000'000);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kRateLimited);
  EXPECT_NE(refused.error().message.find("org/acme"), std::string::npos);
  EXPECT_NE(refused.error().message.find("$1.500000000"), std::string::npos);
  EXPECT_NE(refused.error().message.find("$1.000000000 is spent"), std::string::npos);
  ASSERT_TRUE(refused.error().retry_after);
  EXPECT_GE(*refused.error().retry_after, 23h);
  EXPECT_LE(*refused.error().retry_after, 23h + 5min);
}

TEST_P(BudgetContract, ForgetsADayAfter24HoursAndNotBefore) {
  EXPECT_EQ(node_->spend({day_spend("org/acme", 100)}, 100, 100), "");
  clock_.advance(24h);
  EXPECT_EQ(node_->spend({day_spend("org/acme", 100)}, 1, 1), "budget_exceeded");
  clock_.advance(5min);
  EXPECT_EQ(node_->spend({day_spend("org/acme", 100)}, 100, 100), "");
}

TEST_P(BudgetContract, ForgetsTheDayPieceByPiece) {
  EXPECT_EQ(node_->spend({day_spend("org/acme", 100)}, 60, 60), "");
  clock_.advance(12h);
  EXPECT_EQ(node_->spend({day_spend("org/acme", 100)}, 40, 40), "");
  clock_.advance(12h + 5min);
  EXPECT_EQ(node_->spend({day_spend("org/acme", 100)}, 61, 0), "budget_exceeded");
  EXPECT_EQ(node_->spend({day_spend("org/acme", 100)}, 60, 60), "");
}

TEST_P(BudgetContract, StartsAMonthAnewAtMidnightUtc) {
  // 1,700,000,000 s is 2023-11-14T22:13:20Z; the month ends 16 days, 1 h 46 min 40 s later.
  EXPECT_EQ(node_->spend({month_spend("org/acme", 100)}, 100, 100), "");
  clock_.advance(16 * 24h + 1h + 46min + 39s);
  EXPECT_EQ(node_->spend({month_spend("org/acme", 100)}, 1, 1), "budget_exceeded");
  const auto refused = node_->reserve({month_spend("org/acme", 100)}, 1);
  EXPECT_EQ(refused.error().retry_after, 1s);
  clock_.advance(1s);
  EXPECT_EQ(node_->spend({month_spend("org/acme", 100)}, 100, 100), "");
  EXPECT_EQ(node_->use("org/acme", Period::kMonth).requests, 1);
}

TEST_P(BudgetContract, CountsACallThatSpansTwoMonthsWhereItEnds) {
  clock_.advance(16 * 24h + 1h + 46min);
  auto open = node_->reserve({month_spend("org/acme", 100)}, 80);
  ASSERT_TRUE(open);
  clock_.advance(1min);
  EXPECT_EQ(node_->spend({month_spend("org/acme", 100)}, 21, 0), "budget_exceeded");
  node_->settle(std::move(*open), 90);
  EXPECT_EQ(node_->use("org/acme", Period::kMonth).spent, NanoUsd{90});
}

/// The promise of §9.3: at most one call over, whatever the calls cost up to four times their
/// estimate, from the first call on.
TEST_P(BudgetContract, NeverOverrunsByMoreThanOneCallWith64AtOnce) {
  std::mt19937_64 random(GetParam() == Backend::kProcess ? 7 : 8);
  for (int round = 0; round < (GetParam() == Backend::kProcess ? 12 : 4); ++round) {
    const std::string account = "org/r" + std::to_string(round);
    const auto cap = std::uniform_int_distribution<std::int64_t>(500, 20'000)(random);
    const std::int64_t times = 1 + round % 4;
    std::atomic<std::int64_t> settled{0};
    std::atomic<std::int64_t> largest{0};
    std::atomic<int> refused{0};
    const auto seed = random();
    in_parallel(loops_, 64, [&, seed](std::size_t i) -> Aw<void> {
      std::mt19937_64 own(seed + i);
      for (int call = 0; call < 20; ++call) {
        const auto estimate = std::uniform_int_distribution<std::int64_t>(1, 200)(own);
        const auto cost = std::uniform_int_distribution<std::int64_t>(0, times * estimate)(own);
        const std::vector budgets{day_spend(account, cap), month_spend(account, cap * 2)};
        auto now = node_->ledger().try_reserve(budgets, {estimate});
        if (!now) now = co_await node_->ledger().reserve(budgets, {estimate});
        if (!*now) {
          ++refused;
          continue;
        }
        co_await net::Loop::current()->sleep_for(std::chrono::microseconds(own() % 2'000));
        settled += cost;
        for (auto seen = largest.load();
             cost > seen && !largest.compare_exchange_weak(seen, cost);) {
        }
        (*now)->settle({cost});
      }
    });
    EXPECT_LE(settled, cap + largest) << "round " << round;
    EXPECT_EQ(node_->use(account).spent, NanoUsd{settled});
    if (refused > 0) EXPECT_GE(settled, cap - 4 * 200) << "what was left was given out";
  }
}

TEST_P(BudgetContract, NeverExceedsARequestCapWith64AtOnce) {
  std::atomic<int> admitted{0};
  in_parallel(loops_, 64, [&](std::size_t) -> Aw<void> {
    for (int call = 0; call < 4; ++call) {
      const std::vector budgets{day_requests("org/acme", 100), month_requests("user/acme/u", 120)};
      auto now = node_->ledger().try_reserve(budgets, {5});
      if (!now) now = co_await node_->ledger().reserve(budgets, {5});
      if (!*now) continue;
      ++admitted;
      co_await net::Loop::current()->sleep_for(1ms);
    }
  });
  EXPECT_EQ(admitted, 100);
  EXPECT_EQ(node_->use("org/acme").requests, 100);
}

TEST_P(BudgetContract, LearnsHowFarEstimatesAreOff) {
  // Costs are ten times the estimates: after one such call the account knows.
  const auto budget = day_spend("org/acme", 1'000);
  EXPECT_EQ(node_->spend({budget}, 5, 50), "");
  std::atomic<std::int64_t> settled{50};
  in_parallel(loops_, 64, [&](std::size_t) -> Aw<void> {
    const std::vector budgets{budget};
    auto now = node_->ledger().try_reserve(budgets, {5});
    if (!now) now = co_await node_->ledger().reserve(budgets, {5});
    if (!*now) co_return;
    co_await net::Loop::current()->sleep_for(2ms);
    settled += 50;
    (*now)->settle({50});
  });
  EXPECT_GE(settled, 1'000 - 5);
  EXPECT_LE(settled, 1'000 + 50);
}

TEST_P(BudgetContract, RefusesAccountsThatNobodyCanHave) {
  for (const std::string& name :
       {std::string(), std::string(600, 'x'), std::string("org/\n"), std::string("org/\xff")}) {
    const auto refused = node_->reserve({day_spend(name, 1)}, 0);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::kInvalidArgument);
  }
  std::vector<Budget> many;
  for (int i = 0; i < 9; ++i) many.push_back(day_spend("org/a" + std::to_string(i), 100));
  EXPECT_EQ(node_->reserve(many, 1).error().code, Errc::kInvalidArgument);
  EXPECT_TRUE(node_->reserve({}, 1)) << "no budget, nothing to refuse";
}

INSTANTIATE_TEST_SUITE_P(Backends, BudgetContract,
                         ::testing::Values(Backend::kProcess, Backend::kRedis),
                         [](const auto& info) {
                           return info.param == Backend::kProcess ? "process" : "redis";
                         });

/// Replicas, and a Redis that comes and goes.
class SharedBudgetsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!cache_testing::redis_available()) GTEST_SKIP() << cache_testing::kNoRedis;
    server_ = std::make_unique<RedisServer>();
    redis_ = clients_of(loops_, server_->url());
    loops_.start();
    first_ = std::make_unique<Node>(loops_, clock_, redis_);
    second_ = std::make_unique<Node>(loops_, clock_, redis_);
  }
  /// As `node` sees it once it has asked.
  BudgetUse seen(Node& node, const std::string& account, Period period = Period::kDay) {
    {
      const auto asked = node.reserve({day_spend(account, INT64_MAX / 2)}, 0);
    }
    auto use = node.use(account, period);
    return use;
  }

  ManualClock clock_;
  net::LoopPool loops_{2};
  std::unique_ptr<RedisServer> server_;
  std::shared_ptr<cache::RedisClients> redis_;
  std::unique_ptr<Node> first_;
  std::unique_ptr<Node> second_;
};

TEST_F(SharedBudgetsTest, ReplicasSeeEachOthersUseAndReservations) {
  EXPECT_EQ(first_->spend({day_spend("org/acme", 100)}, 50, 50), "");
  auto open = second_->reserve({day_spend("org/acme", 100)}, 30);
  ASSERT_TRUE(open);
  EXPECT_EQ(first_->spend({day_spend("org/acme", 100)}, 21, 0), "budget_exceeded");
  EXPECT_EQ(first_->spend({day_requests("org/acme", 2)}, 0, 0), "request_limit_exceeded");
  EXPECT_EQ(seen(*first_, "org/acme").spent, NanoUsd{50});
  EXPECT_EQ(seen(*first_, "org/acme").reserved, NanoUsd{30});
  second_->settle(std::move(*open), 35);
  EXPECT_TRUE(eventually([&] { return seen(*first_, "org/acme").spent == NanoUsd{85}; }));
  EXPECT_EQ(first_->use("org/acme").reserved, NanoUsd{0});
  EXPECT_EQ(first_->use("org/acme", Period::kMonth).spent, NanoUsd{85});
}

TEST_F(SharedBudgetsTest, FourReplicasOverrunByAtMostOneCall) {
  Node third(loops_, clock_, redis_);
  Node fourth(loops_, clock_, redis_);
  const std::array<Node*, 4> nodes{first_.get(), second_.get(), &third, &fourth};
  std::atomic<std::int64_t> settled{0};
  in_parallel(loops_, 64, [&](std::size_t i) -> Aw<void> {
    for (int call = 0; call < 10; ++call) {
      const std::vector budgets{day_spend("org/acme", 5'000)};
      auto reserved = co_await nodes[i % 4]->ledger().reserve(budgets, {50});
      if (!reserved) continue;
      co_await net::Loop::current()->sleep_for(1ms);
      settled += 80;
      reserved->settle({80});
    }
  });
  EXPECT_GE(settled, 5'000 - 50);
  EXPECT_LE(settled, 5'000 + 80);
}

TEST_F(SharedBudgetsTest, KeepsTheKeysThatTheSpecificationNames) {
  EXPECT_EQ(first_->spend({day_spend("org/acme", 100), day_spend("user/acme/u1", 9)}, 5, 5), "");
  for (const char* key :
       {"asahi:budget:{acme}:daily", "asahi:budget:{acme}:2023-11",
        "asahi:budget:{acme}:user/u1:daily", "asahi:budget:{acme}:user/u1:2023-11"}) {
    EXPECT_EQ(server_->command({"TYPE", key}).text, "hash") << key;
    EXPECT_GT(server_->command({"PTTL", key}).integer, 24 * 3'600'000) << key;
  }
}

TEST_F(SharedBudgetsTest, CountsWhatACrashedReplicaLeftOpenAsSpentAtItsEstimate) {
  auto open = second_->reserve({day_spend("org/acme", 100)}, 70);
  ASSERT_TRUE(open);
  DataFolder crashed;  // what a dead process leaves: its files with the reservation open
  std::filesystem::copy(second_->folder().path(), crashed.path(),
                        std::filesystem::copy_options::recursive);
  EXPECT_EQ(seen(*first_, "org/acme").reserved, NanoUsd{70});
  clock_.advance(16min);
  EXPECT_EQ(seen(*first_, "org/acme").spent, NanoUsd{70});
  EXPECT_EQ(first_->use("org/acme").reserved, NanoUsd{0});
  EXPECT_EQ(first_->use("org/acme", Period::kMonth).spent, NanoUsd{70});
  EXPECT_EQ(first_->spend({day_spend("org/acme", 100)}, 31, 0), "budget_exceeded");

  // It comes back with its journal, which says the same: counted once.
  Node back(loops_, clock_, redis_);
  back.open(crashed.journal());
  EXPECT_EQ(seen(back, "org/acme").spent, NanoUsd{70});
  EXPECT_EQ(seen(back, "org/acme", Period::kMonth).spent, NanoUsd{70});
  EXPECT_TRUE(eventually([&] { return seen(*first_, "org/acme").spent == NanoUsd{70}; }));
}

TEST_F(SharedBudgetsTest, AReplicaThatComesBackAtOnceIsCountedOnce) {
  auto open = second_->reserve({day_spend("org/acme", 100)}, 70);
  ASSERT_TRUE(open);
  DataFolder crashed;
  std::filesystem::copy(second_->folder().path(), crashed.path(),
                        std::filesystem::copy_options::recursive);
  Node back(loops_, clock_, redis_);
  back.open(crashed.journal());
  EXPECT_EQ(seen(back, "org/acme").spent, NanoUsd{70});
  EXPECT_EQ(back.use("org/acme").reserved, NanoUsd{0});
}

TEST_F(SharedBudgetsTest, HoldsTheCapAloneWhileRedisIsAway) {
  EXPECT_EQ(second_->spend({day_spend("org/acme", 100)}, 40, 40), "");
  EXPECT_EQ(first_->spend({day_spend("org/acme", 100)}, 10, 10), "");
  ASSERT_TRUE(eventually([&] { return seen(*first_, "org/acme").spent == NanoUsd{50}; }));
  server_->stop();
  EXPECT_EQ(first_->spend({day_spend("org/acme", 100)}, 51, 0), "budget_exceeded");
  EXPECT_EQ(first_->spend({day_spend("org/acme", 100)}, 50, 50), "");
  EXPECT_EQ(first_->spend({day_spend("org/acme", 100)}, 1, 0), "budget_exceeded");
  const std::vector budgets{day_spend("org/acme", 1'000)};
  EXPECT_TRUE(first_->ledger().try_reserve(budgets, {1})) << "no waiting for a dead server";
}

TEST_F(SharedBudgetsTest, AgreesAgainOnceRedisIsBackEvenEmpty) {
  EXPECT_EQ(second_->spend({day_spend("org/acme", 1'000)}, 40, 40), "");
  EXPECT_EQ(first_->spend({day_spend("org/acme", 1'000)}, 10, 10), "");
  server_->stop();
  EXPECT_EQ(first_->spend({day_spend("org/acme", 1'000)}, 50, 50), "");
  EXPECT_EQ(second_->spend({day_spend("org/acme", 1'000)}, 7, 7), "");
  server_->start();
  EXPECT_TRUE(eventually([&] {
    clock_.advance(1s);
    return seen(*first_, "org/acme").spent == NanoUsd{107} &&
           seen(*second_, "org/acme").spent == NanoUsd{107};
  }));
  EXPECT_EQ(seen(*first_, "org/acme", Period::kMonth).spent, NanoUsd{107});
}

TEST_F(SharedBudgetsTest, FillsARedisThatLostItsData) {
  EXPECT_EQ(second_->spend({month_spend("org/acme", 1'000)}, 40, 40), "");
  EXPECT_EQ(first_->spend({month_spend("org/acme", 1'000)}, 10, 10), "");
  server_->command({"FLUSHALL"});
  // The second puts back what it knows: its own 40, or 50 where it has heard of the first's.
  EXPECT_GE(seen(*second_, "org/acme", Period::kMonth).spent, NanoUsd{40});
  EXPECT_EQ(seen(*first_, "org/acme", Period::kMonth).spent, NanoUsd{50});
}

TEST(SharedBudgetsInACluster, ReserveAcrossSlotsOrNotAtAll) {
  if (!cache_testing::redis_available()) GTEST_SKIP() << cache_testing::kNoRedis;
  RedisCluster cluster;
  ManualClock clock;
  net::LoopPool loops(2);
  const auto redis = clients_of(loops, cluster.url());
  loops.start();
  Node node(loops, clock, redis);
  Node other(loops, clock, redis);
  const std::vector budgets{day_spend("org/acme", 100), day_spend("key/ask_acme_ab12", 50),
                            day_requests("user/beta/u1", 2)};
  EXPECT_EQ(node.spend(budgets, 50, 30), "");
  EXPECT_EQ(node.spend(budgets, 21, 0), "budget_exceeded");
  EXPECT_EQ(other.spend(budgets, 21, 0), "budget_exceeded");
  EXPECT_EQ(other.spend(budgets, 20, 20), "");
  EXPECT_EQ(node.spend(budgets, 0, 0), "request_limit_exceeded");
  EXPECT_EQ(other.spend({day_spend("org/acme", 100)}, 50, 50), "") << "nothing is left reserved";
}

}  // namespace
}  // namespace asahi::identity
