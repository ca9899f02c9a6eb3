#include "memory/fitness/fitness_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "memory/testing/on_loop.h"
#include "storage/sql/testing/database_test.h"

namespace asahi::memory::fitness {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::ElementsAre;

class FitnessStoreContract : public sql::testing::DatabaseTest {
 protected:
  void SetUp() override {
    if (!open_database({fitness_migration()})) return;
    store_ = std::make_unique<FitnessStore>(*db_);
  }
  void TearDown() override {
    store_.reset();
    db_.reset();
  }
  Written figure(std::string selector, double failure_rate, std::string tenant = "acme") {
    return {.tenant = std::move(tenant),
            .figure = {.task_class = "quick",
                       .selector = std::move(selector),
                       .failure_rate = failure_rate,
                       .p99_latency_ms = 12.5,
                       .samples = 40,
                       .components = 2},
            .from = clock_.now() - minutes(60),
            .computed_at = clock_.now()};
  }
  void write(std::vector<Written> figures) {
    ASSERT_TRUE(loop_.wait<void>([&] { return store_->write(std::move(figures)); }));
  }
  std::vector<Written> list(std::string tenant = "acme", std::string task_class = "") {
    return loop_
        .wait<std::vector<Written>>(
            [&] { return store_->list(std::move(tenant), std::move(task_class)); })
        .value();
  }
  std::vector<std::string> names(const std::vector<Written>& all) {
    std::vector<std::string> out;
    for (const Written& one : all) out.push_back(one.figure.selector);
    return out;
  }
  bool claim(std::string turn = "round") {
    return loop_.wait<bool>([&] { return store_->claim(turn, clock_.now(), seconds(54)); }).value();
  }

  ManualClock clock_;
  testing::OnLoop loop_;
  std::unique_ptr<FitnessStore> store_;
};

TEST_P(FitnessStoreContract, RoutersReadTheBestFirst) {
  write({figure("worse", 0.5), figure("best", 0), figure("theirs", 0.1, "rival")});
  const auto all = list();
  EXPECT_THAT(names(all), ElementsAre("best", "worse"));
  EXPECT_EQ(all[0].figure, figure("best", 0).figure);
  EXPECT_EQ(all[0].computed_at, clock_.now());
  EXPECT_THAT(names(list("rival", "quick")), ElementsAre("theirs"));
  EXPECT_THAT(names(list("acme", "reasoning")), ElementsAre());
}

TEST_P(FitnessStoreContract, ALaterFigureStaysWhateverComesAfter) {
  const Written earlier = figure("one", 0.5);
  clock_.advance(minutes(1));
  write({figure("one", 0.2)});
  write({earlier});
  EXPECT_DOUBLE_EQ(list().at(0).figure.failure_rate, 0.2);
  clock_.advance(minutes(1));
  write({figure("one", 0.3)});
  EXPECT_DOUBLE_EQ(list().at(0).figure.failure_rate, 0.3);
}

TEST_P(FitnessStoreContract, WhatNobodyTellsOfAnyMoreGoes) {
  write({figure("old", 0)});
  clock_.advance(minutes(10));
  write({figure("new", 0)});
  EXPECT_EQ(
      loop_.wait<std::uint64_t>([&] { return store_->sweep(clock_.now() - minutes(5)); }).value(),
      1U);
  EXPECT_THAT(names(list()), ElementsAre("new"));
}

TEST_P(FitnessStoreContract, OneOfManyHasTheTurn) {
  EXPECT_TRUE(claim());
  EXPECT_FALSE(claim()) << "somebody has this minute's";
  EXPECT_TRUE(claim("sweep")) << "another matter";
  clock_.advance(seconds(54));
  EXPECT_TRUE(claim());
  EXPECT_FALSE(claim());
}

INSTANTIATE_TEST_SUITE_P(Engines, FitnessStoreContract,
                         ::testing::ValuesIn(sql::testing::all_engines()),
                         sql::testing::engine_name);

}  // namespace
}  // namespace asahi::memory::fitness
