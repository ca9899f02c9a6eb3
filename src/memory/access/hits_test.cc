#include "memory/access/hits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "memory/testing/on_loop.h"
#include "storage/sql/testing/test_database.h"

namespace asahi::memory {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

class HitsTest : public ::testing::TestWithParam<sql::testing::Engine> {
 protected:
  void SetUp() override {
    auto place = sql::testing::TestDatabase::make(GetParam());
    if (!place) GTEST_SKIP() << place.error().message;
    place_ = std::move(*place);
    db_ = sql::open_database(place_->options()).value();
    ASSERT_TRUE(sql::Migrator(*db_, hit_migrations()).upgrade());
    hits_ = std::make_unique<Hits>(*db_);
  }
  void add(std::vector<std::pair<Key, std::uint64_t>> hits, std::int64_t day) {
    ASSERT_TRUE(on_.wait<void>([&] { return hits_->add(hits, day); }));
  }
  std::map<Key, std::uint64_t> of(std::vector<Key> keys, std::int64_t from) {
    return on_.wait<std::map<Key, std::uint64_t>>([&] { return hits_->of(keys, from); }).value();
  }
  std::vector<Key> frequent(std::uint64_t least, std::int64_t from, std::optional<Key> after,
                            std::size_t limit) {
    return on_.wait<std::vector<Key>>([&] { return hits_->frequent(least, from, after, limit); })
        .value();
  }
  std::set<Key> kept(std::vector<Key> keys) {
    return on_.wait<std::set<Key>>([&] { return hits_->kept(keys); }).value();
  }
  std::optional<std::int64_t> since(std::int64_t today) {
    return on_.wait<std::optional<std::int64_t>>([&] { return hits_->counted_since(today); })
        .value();
  }
  void counting(std::int64_t day) {
    ASSERT_TRUE(on_.wait<void>([&] { return hits_->counting(day); }));
  }

  std::unique_ptr<sql::testing::TestDatabase> place_;
  std::unique_ptr<sql::Database> db_;
  testing::OnLoop on_;
  std::unique_ptr<Hits> hits_;
  const Key a_{"org", "agent", "a"}, b_{"org", "agent", "b"}, c_{"other", "agent", "a"};
};

TEST_P(HitsTest, DaysAddUpWithinTheWindow) {
  add({{a_, 3}, {b_, 1}}, 100);
  add({{a_, 4}, {c_, 9}}, 101);
  add({{a_, 2}}, 101);
  EXPECT_THAT(of({a_, b_, c_}, 100), ElementsAre(Pair(a_, 9U), Pair(b_, 1U), Pair(c_, 9U)));
  EXPECT_THAT(of({a_, b_}, 101), ElementsAre(Pair(a_, 6U)));
  EXPECT_THAT(frequent(9, 100, std::nullopt, 10), ElementsAre(a_, c_));
  EXPECT_THAT(frequent(9, 100, std::nullopt, 1), ElementsAre(a_));
  EXPECT_THAT(frequent(9, 100, a_, 10), ElementsAre(c_));
  EXPECT_THAT(frequent(9, 101, std::nullopt, 10), ElementsAre(c_));
}

TEST_P(HitsTest, WhatIsKeptIsForgottenWithItsHits) {
  add({{a_, 3}, {b_, 3}, {c_, 3}}, 100);
  ASSERT_TRUE(on_.wait<void>([&] { return hits_->keep({a_, b_, c_, a_}, Clock::Time{}); }));
  EXPECT_THAT(kept({a_, b_}), ElementsAre(a_, b_));
  add({{c_, 1}}, 101);
  ASSERT_TRUE(on_.wait<void>([&] { return hits_->forget(b_); }));
  ASSERT_TRUE(on_.wait<void>([&] { return hits_->prune(100, 4); }));
  EXPECT_THAT(kept({a_, b_, c_}), ElementsAre(c_));
  ASSERT_TRUE(on_.wait<void>([&] { return hits_->prune(101, 0); }));
  EXPECT_THAT(of({a_, b_, c_}, 0), ElementsAre(Pair(c_, 1U)));
  ASSERT_TRUE(on_.wait<void>([&] { return hits_->forget_system("other", "agent"); }));
  EXPECT_THAT(of({a_, b_, c_}, 0), ElementsAre());
  EXPECT_THAT(kept({a_, b_, c_}), ElementsAre());
}

TEST_P(HitsTest, ADayWithoutCountingBeginsAnew) {
  EXPECT_EQ(since(10), std::nullopt);
  for (const std::int64_t day : {10, 11, 11, 12}) counting(day);
  EXPECT_EQ(since(12), 10);
  EXPECT_EQ(since(13), 10) << "today's first count may be yet to come";
  EXPECT_EQ(since(14), std::nullopt) << "nobody counts";
  counting(14);
  EXPECT_EQ(since(14), 14);
}

INSTANTIATE_TEST_SUITE_P(Engines, HitsTest,
                         ::testing::Values(sql::testing::Engine::kSqliteMemory,
                                           sql::testing::Engine::kPostgres));

}  // namespace
}  // namespace asahi::memory
