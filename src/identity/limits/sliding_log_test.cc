#include "identity/limits/sliding_log.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>

namespace asahi::identity {
namespace {

TEST(SlidingLog, SumsWhatItHoldsAndForgetsTheOldest) {
  SlidingLog log;
  EXPECT_TRUE(log.empty());
  log.add(10, 1, 0);
  log.add(20, 2, 0);
  log.add(30, 4, 0);
  EXPECT_EQ(log.used(), 7);
  EXPECT_EQ(log.newest(), 30);
  log.drop_until(9);
  EXPECT_EQ(log.used(), 7);
  log.drop_until(20);
  EXPECT_EQ(log.used(), 4);
  log.drop_until(1'000);
  EXPECT_TRUE(log.empty());
  EXPECT_EQ(log.used(), 0);
}

TEST(SlidingLog, KnowsWhenEnoughWillHaveLeft) {
  SlidingLog log;
  log.add(10, 5, 0);
  log.add(20, 5, 0);
  log.add(30, 5, 0);
  EXPECT_EQ(log.leaves_with(1), 10);
  EXPECT_EQ(log.leaves_with(5), 10);
  EXPECT_EQ(log.leaves_with(6), 20);
  EXPECT_EQ(log.leaves_with(15), 30);
  EXPECT_EQ(log.leaves_with(99), 30);
}

TEST(SlidingLog, SharesAnEntryWithinItsSpanAndKeepsItUntilTheLast) {
  SlidingLog log;
  log.add(100, 1, 10);
  log.add(105, 1, 10);
  log.add(109, 1, 10);
  EXPECT_EQ(log.size(), 1u);
  log.add(110, 1, 10);  // counted from the first, not from the last
  EXPECT_EQ(log.size(), 2u);
  log.drop_until(108);
  EXPECT_EQ(log.used(), 4);
  log.drop_until(109);
  EXPECT_EQ(log.used(), 1);
}

TEST(SlidingLog, CorrectsTheEntryOfThatTimeAndNoOther) {
  SlidingLog log;
  log.add(10, 100, 0);
  log.add(20, 100, 0);
  log.add(30, 100, 0);
  log.correct(20, -70, 0);
  EXPECT_EQ(log.used(), 230);
  log.correct(20, 50, 0);
  EXPECT_EQ(log.used(), 280);
  log.correct(25, -50, 0);
  log.correct(31, -50, 0);
  EXPECT_EQ(log.used(), 280);
  log.drop_until(10);
  EXPECT_EQ(log.used(), 180);
  log.correct(10, -50, 0);
  EXPECT_EQ(log.used(), 180);
}

TEST(SlidingLog, WhatIsGivenBackWholeLeavesNothingBehind) {
  SlidingLog log;
  for (int i = 1; i <= 9; ++i) log.add(i * 10, i, 0);
  log.correct(90, -9, 0);  // the newest
  EXPECT_EQ(log.newest(), 80);
  log.correct(20, -99, 0);  // near the oldest, and more than it has
  log.correct(70, -7, 0);
  EXPECT_EQ(log.size(), 6u);
  EXPECT_EQ(log.used(), 1 + 3 + 4 + 5 + 6 + 8);
  log.drop_until(30);
  EXPECT_EQ(log.used(), 4 + 5 + 6 + 8);
  log.add(100, 1, 50);  // begins anew after the newest went
  EXPECT_EQ(log.leaves_with(4 + 5 + 6), 60);
  EXPECT_EQ(log.leaves_with(4 + 5 + 6 + 8), 80);
}

TEST(SlidingLog, GivesBackFromTheOldestOn) {
  SlidingLog log;
  log.add(10, 5, 0);
  log.add(20, 5, 0);
  log.give_back_oldest(7);
  EXPECT_EQ(log.used(), 3);
  EXPECT_EQ(log.leaves_with(3), 20);
  log.give_back_oldest(100);
  EXPECT_TRUE(log.empty());
  EXPECT_EQ(log.used(), 0);
}

/// Any order of calls against the plainest thing that could work.
TEST(SlidingLog, AgreesWithAPlainList) {
  struct Plain {
    std::int64_t at, amount;
  };
  std::mt19937 random(7);
  for (int round = 0; round < 20; ++round) {
    SlidingLog log;
    std::deque<Plain> plain;
    std::int64_t now = 1;
    std::int64_t window = 50 + random() % 2'000;
    for (int step = 0; step < 2'000; ++step) {
      now += 1 + random() % 5;
      switch (random() % 4) {
        case 0:
        case 1: {
          const std::int64_t amount = 1 + random() % 9;
          log.add(now, amount, 0);
          plain.push_back({now, amount});
          break;
        }
        case 2:
          log.drop_until(now - window);
          while (!plain.empty() && plain.front().at <= now - window) plain.pop_front();
          break;
        default:
          if (plain.empty()) break;
          auto& one = plain[random() % plain.size()];
          const std::int64_t by = static_cast<std::int64_t>(random() % 20) - 10;
          log.correct(one.at, by, 0);
          one.amount = std::max<std::int64_t>(0, one.amount + by);
          std::erase_if(plain, [](const Plain& entry) { return entry.amount == 0; });
      }
      std::int64_t sum = 0;
      for (const Plain& entry : plain) sum += entry.amount;
      ASSERT_EQ(log.used(), sum);
      ASSERT_EQ(log.size(), plain.size());
      if (plain.empty()) continue;
      ASSERT_EQ(log.newest(), plain.back().at);
      const std::int64_t some = 1 + static_cast<std::int64_t>(random()) % sum;
      std::int64_t left = some;
      std::size_t at = 0;
      while ((left -= plain[at].amount) > 0) ++at;
      ASSERT_EQ(log.leaves_with(some), plain[at].at);
    }
  }
}

}  // namespace
}  // namespace asahi::identity
