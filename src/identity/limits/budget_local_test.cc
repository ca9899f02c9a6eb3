#include "identity/limits/budget_local.h"

#include <gtest/gtest.h>

#include <barrier>
#include <random>
#include <thread>

#include "identity/limits/budget_window.h"
#include "identity/limits/testing/budget_place.h"

namespace asahi::identity {
namespace {

using namespace std::chrono_literals;
using testing::DataFolder;
using testing::day_requests;
using testing::day_spend;
using testing::month_spend;
using Period = Budget::Period;
using Caps = LocalBudgets::Caps;

Clock::Time at(std::string_view text) { return *parse_rfc3339(text); }

TEST(BudgetWindow, NamesSlicesAndMonthsInUtc) {
  const auto time = at("2026-12-31T23:59:59Z");
  EXPECT_EQ(slice_name(slice_of(time)), "2026-12-31T23:55");
  EXPECT_EQ(month_name(month_of(time)), "2026-12");
  EXPECT_EQ(month_end(month_of(time)), at("2027-01-01T00:00:00Z"));
  EXPECT_EQ(month_name(month_of(at("2027-01-01T00:00:00Z"))), "2027-01");
}

TEST(BudgetWindow, KeepsTheNewestMonthAndTheLastDay) {
  BudgetWindow window;
  window.add(at("2026-01-31T23:00:00Z"), {{5}, 1});
  window.add(at("2026-02-01T01:00:00Z"), {{7}, 1});
  window.add(at("2026-01-31T23:30:00Z"), {{11}, 1});  // late news from last month
  const auto now = at("2026-02-01T01:00:00Z");
  window.forget_before(now);
  EXPECT_EQ(window.day(), (BudgetSums{{23}, 3}));
  EXPECT_EQ(window.month(now), (BudgetSums{{7}, 1}));
  window.add(at("2026-01-20T00:00:00Z"), {{1}, 1});
  EXPECT_EQ(window.day(), (BudgetSums{{23}, 3})) << "older than a day";
  EXPECT_EQ(window.day_below({{20}, 99}), at("2026-02-01T23:05:00Z"));
  EXPECT_EQ(window.month(at("2026-03-01T00:00:00Z")), BudgetSums{});
  window.forget_before(at("2026-02-02T01:04:59Z"));
  EXPECT_EQ(window.day(), (BudgetSums{{7}, 1}));
  window.forget_before(at("2026-02-02T01:05:00Z"));
  EXPECT_EQ(window.day(), BudgetSums{});
}

TEST(EstimateTrust, StartsCautiousAndBelievesWhatItHasSeen) {
  EstimateTrust trust;
  const Clock::Time now = at("2026-01-01T00:00:00Z");
  EXPECT_EQ(trust.factor(), 64);
  for (int i = 0; i < 255; ++i) trust.learn({100}, {100}, now);
  trust.learn({100}, {0}, now);
  EXPECT_EQ(trust.factor(), 64) << "calls that cost nothing say nothing";
  trust.learn({100}, {100}, now);
  EXPECT_EQ(trust.factor(), 20);
  trust.learn({100}, {1'000}, now);
  EXPECT_EQ(trust.factor(), 200);
  trust.learn({100}, {50}, now + 30h);
  EXPECT_EQ(trust.factor(), 200);
  trust.learn({100}, {50}, now + 60h);
  EXPECT_EQ(trust.factor(), 16);
  trust.learn({1}, {1'000'000'000}, now + 60h);
  EXPECT_EQ(trust.factor(), 1024);
}

class LocalBudgetsTest : public ::testing::Test {
 protected:
  std::unique_ptr<LocalBudgets> open(BudgetLedgerOptions options = {}) {
    BudgetBook book;
    auto journal = BudgetJournal::open({.file = folder_.journal()}, book, clock_.now());
    EXPECT_TRUE(journal) << journal.error().message;
    return std::make_unique<LocalBudgets>(std::move(*journal), std::move(book), options, clock_);
  }
  ManualClock clock_;
  DataFolder folder_;
};

TEST_F(LocalBudgetsTest, LetsCallsWaitThatFitOnlyIfEstimatesHold) {
  const auto budgets = open();
  const std::vector cap{day_spend("org/acme", 100)};
  const auto first = budgets->reserve(cap, {20}, Caps::kCheck);
  ASSERT_TRUE(first && *first);
  const auto second = budgets->reserve(cap, {20}, Caps::kCheck);
  ASSERT_TRUE(second && *second) << "4 × 20 + 20";
  const auto third = budgets->reserve(cap, {20}, Caps::kCheck);
  ASSERT_TRUE(third);
  EXPECT_FALSE(*third) << "8 × 20 + 20 may be too much: wait";
  EXPECT_FALSE(budgets->reserve(cap, {61}, Caps::kCheck)) << "2 × 20 + 61 is too much";
  EXPECT_TRUE(budgets->settle(**first, {20}));
  EXPECT_FALSE(budgets->settle(**first, {20})) << "once";
  const auto again = budgets->reserve(cap, {0}, Caps::kCheck);
  EXPECT_TRUE(again && *again);
}

TEST_F(LocalBudgetsTest, CountsOpenCallsAsSpentAfterARestart) {
  {
    const auto budgets = open();
    const std::vector cap{day_spend("org/acme", 1'000), month_spend("user/acme/u", 5'000)};
    const auto settled = budgets->reserve(cap, {100}, Caps::kCheck);
    ASSERT_TRUE(settled && *settled);
    EXPECT_TRUE(budgets->settle(**settled, {130}));
    const auto left = budgets->reserve(cap, {70}, Caps::kCheck);
    ASSERT_TRUE(left && *left);
  }
  clock_.advance(1h);
  const auto budgets = open();
  EXPECT_EQ(budgets->use("org/acme", Period::kDay).spent, NanoUsd{200});
  EXPECT_EQ(budgets->use("org/acme", Period::kDay).reserved, NanoUsd{0});
  EXPECT_EQ(budgets->use("user/acme/u", Period::kMonth).requests, 2);
  clock_.advance(23h + 5min);
  EXPECT_EQ(budgets->use("org/acme", Period::kDay).spent, NanoUsd{0})
      << "counted when it happened, not when it was read";
}

TEST_F(LocalBudgetsTest, KeepsToItsBounds) {
  const auto budgets = open({.max_accounts = 2, .max_open_reservations = 1});
  const auto open_call = budgets->reserve(std::vector{day_spend("org/a", 9)}, {1}, Caps::kCheck);
  ASSERT_TRUE(open_call && *open_call);
  EXPECT_EQ(budgets->reserve(std::vector{day_spend("org/a", 9)}, {1}, Caps::kCheck).error().code,
            Errc::kUnavailable);
  EXPECT_TRUE(budgets->settle(**open_call, {1}));
  const auto other = budgets->reserve(std::vector{day_spend("org/b", 9)}, {1}, Caps::kCheck);
  ASSERT_TRUE(other && *other);
  EXPECT_TRUE(budgets->settle(**other, {1}));
  EXPECT_EQ(budgets->reserve(std::vector{day_spend("org/c", 9)}, {1}, Caps::kCheck).error().code,
            Errc::kUnavailable)
      << "no budget in use is forgotten for a new one";
  const auto batch = budgets->take_changed(500);
  EXPECT_EQ(batch.changed.size(), 2U);
  clock_.advance(31 * 24h);  // a new day and a new month: both are idle
  const auto third = budgets->reserve(std::vector{day_spend("org/b", 9), day_spend("org/c", 9)},
                                      {1}, Caps::kCheck);
  ASSERT_TRUE(third && *third) << third.error().message;
  EXPECT_EQ(budgets->use("org/b", Period::kDay).reserved, NanoUsd{1});
  EXPECT_EQ(budgets->use("org/c", Period::kDay).reserved, NanoUsd{1});
  EXPECT_EQ(budgets->use("org/a", Period::kDay).requests, 0);
}

TEST_F(LocalBudgetsTest, HoldsEveryCapFromManyThreads) {
  std::mt19937_64 random(1);
  const auto budgets = open();
  for (int round = 0; round < 20; ++round) {
    const std::string org = "org/" + std::to_string(round);
    const std::vector cap{day_spend(org, 3'000 + static_cast<std::int64_t>(random() % 3'000)),
                          day_requests(org, 500)};
    std::atomic<std::int64_t> settled{0};
    std::atomic<std::int64_t> largest{0};
    std::atomic<std::int64_t> admitted{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&, seed = random()] {
        std::mt19937_64 own(seed);
        std::vector<std::pair<std::uint64_t, std::int64_t>> open;  // eight calls at once in each
        const auto settle_one = [&] {
          std::swap(open[own() % open.size()], open.back());
          const std::int64_t cost = open.back().second;
          EXPECT_TRUE(budgets->settle(open.back().first, {cost}));
          open.pop_back();
          settled += cost;
          for (auto seen = largest.load();
               cost > seen && !largest.compare_exchange_weak(seen, cost);) {
          }
        };
        for (int call = 0; call < 200; ++call) {
          const auto estimate = static_cast<std::int64_t>(1 + own() % 50);
          const auto id = budgets->reserve(cap, {estimate}, Caps::kCheck);
          if (id && *id) {
            ++admitted;
            open.emplace_back(**id, static_cast<std::int64_t>(own()) % (4 * estimate + 1));
            if (open.back().second < 0) open.back().second *= -1;
          }
          if (open.size() == 8 || (!open.empty() && own() % 2 == 0)) settle_one();
        }
        while (!open.empty()) settle_one();
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_LE(settled, cap[0].max_spend->nanos + largest) << round;
    EXPECT_LE(admitted, 500);
    const BudgetUse use = budgets->use(org, Period::kDay);
    EXPECT_EQ(use.spent, NanoUsd{settled});
    EXPECT_EQ(use.reserved, NanoUsd{0});
    EXPECT_EQ(use.requests, admitted);
  }
}

}  // namespace
}  // namespace asahi::identity
