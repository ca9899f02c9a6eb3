#include "memory/ageing/promoter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "memory/ageing/move_gate.h"
#include "memory/ageing/testing/hooked_store.h"
#include "memory/hot/hot_store.h"
#include "memory/testing/memory_store.h"
#include "memory/testing/on_loop.h"
#include "memory/warm/warm_store.h"
#include "storage/sql/testing/test_database.h"

namespace asahi::memory::ageing {
namespace {

using namespace std::chrono_literals;
using ageing_testing::HookedStore;
using ::testing::HasSubstr;

/// Hot and warm tier in memory, as they are.
class PromoterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    place_ = sql::testing::TestDatabase::make(sql::testing::Engine::kSqliteMemory).value();
    db_ = sql::open_database(place_->options()).value();
    ASSERT_TRUE(sql::Migrator(*db_, hit_migrations()).upgrade());
    hits_ = std::make_unique<Hits>(*db_);
  }
  Memory memory(const std::string& id, const std::string& content, int hour = 0) const {
    Memory out;
    out.key = {"org", "agent", id};
    out.content = content;
    out.content_hash = sha256(content);
    out.embedding = {0.6F, 0.8F, 0};
    out.embedding_model = "m";
    out.timestamp = Clock::Time{1'000h} + std::chrono::hours(hour);
    out.uploaded_at = out.timestamp;
    return out;
  }
  void put(Store& store, const Memory& memory, bool deduplicate = true) {
    ASSERT_TRUE(on_.wait<std::vector<UpsertOutcome>>([&]() -> Task<std::vector<UpsertOutcome>> {
      std::vector<Memory> batch{memory};
      co_return co_await store.upsert_batch(std::move(batch), {.deduplicate = deduplicate});
    }));
  }
  std::optional<Memory> get(Store& store, const std::string& id) {
    return on_
        .wait<std::vector<std::optional<Memory>>>(
            [&]() -> Task<std::vector<std::optional<Memory>>> {
              std::vector<Key> keys{{"org", "agent", id}};
              co_return co_await store.get(std::move(keys));
            })
        .value()
        .front();
  }
  Promoted promote(std::vector<std::string> ids) {
    std::vector<Key> keys;
    for (const std::string& id : ids) keys.push_back({"org", "agent", id});
    Promoter promoter(warm_, hot_, &cold_, *hits_, clock_);
    const auto done = on_.wait<Promoted>([&] { return promoter.batch(keys); });
    EXPECT_TRUE(done) << done.error().message;
    return done.value_or(Promoted{});
  }
  bool kept(const std::string& id) {
    return !on_.wait<std::set<Key>>([&]() -> Task<std::set<Key>> {
                 std::vector<Key> keys{{"org", "agent", id}};
                 co_return co_await hits_->kept(std::move(keys));
               })
                .value()
                .empty();
  }
  static HotOptions in_memory() {
    HotOptions options;
    options.engine.folder = ":memory:";
    return options;
  }

  std::unique_ptr<sql::testing::TestDatabase> place_;
  std::unique_ptr<sql::Database> db_;
  testing::OnLoop on_;
  ManualClock clock_{Clock::Time{2'000h}};
  MoveGate warm_{WarmStore::open(in_memory()).value(), clock_};
  std::unique_ptr<HotStore> engine_ = HotStore::open(in_memory()).value();
  HookedStore hot_{*engine_};
  testing::MemoryStore cold_{Tier::kCold};
  std::unique_ptr<Hits> hits_;
};

TEST_F(PromoterTest, AWholeTextComesBackAsItIsAndIsKept) {
  put(warm_, memory("a", "Short enough to stay whole."));
  const Memory there = *get(warm_, "a");
  const Promoted done = promote({"a", "not there"});
  EXPECT_EQ(done.promoted, 1U);
  EXPECT_THAT(done.tenants, ::testing::ElementsAre("org"));
  EXPECT_EQ(get(warm_, "a"), std::nullopt);
  EXPECT_EQ(get(hot_, "a"), there);
  EXPECT_TRUE(kept("a"));
  EXPECT_FALSE(kept("not there"));
}

TEST_F(PromoterTest, ASummaryIsNoOriginalAndStays) {
  Memory summary = memory("a", "What is left of it.");
  summary.content_hash = sha256("All that was said.");
  put(warm_, summary);
  const Promoted done = promote({"a"});
  EXPECT_EQ(done.refused, 1U);
  EXPECT_EQ(done.promoted, 0U);
  EXPECT_TRUE(get(warm_, "a"));
  EXPECT_EQ(get(hot_, "a"), std::nullopt);
  EXPECT_EQ(promote({"a"}).refused, 1U) << "its mark is gone";
}

TEST_F(PromoterTest, ASummaryGoesWhereTheHotTierHasTheWholeTextAgain) {
  // A way down that was cut after the copy, and whose row then was to stay above.
  const auto summary = [&](const std::string& id, const std::string& whole, int hour = 0) {
    Memory out = memory(id, "What is left of " + id + '.', hour);
    out.content_hash = sha256(whole);
    return out;
  };
  put(warm_, summary("whole", "All that was said."));
  put(hot_, memory("whole", "All that was said."));
  put(warm_, summary("told anew", "The first version."));
  put(hot_, memory("told anew", "The second version.", 1));
  put(warm_, summary("alone", "Nobody has this any more."));
  put(warm_, summary("another text", "Said at that hour."));
  put(hot_, memory("another text", "Not what was said at that hour."));
  put(warm_, summary("older above", "The newer version.", 1));
  put(hot_, memory("older above", "The version before."));
  const std::vector<std::string> staying{"alone", "another text", "older above"};

  const Promoted done = promote({"whole", "told anew", "alone", "another text", "older above"});
  EXPECT_EQ(done.superseded, 2U);
  EXPECT_EQ(done.refused, 3U);
  EXPECT_EQ(done.promoted + done.changed + done.errors, 0U);
  EXPECT_EQ(get(warm_, "whole"), std::nullopt);
  EXPECT_EQ(get(hot_, "whole")->content, "All that was said.");
  EXPECT_EQ(get(warm_, "told anew"), std::nullopt);
  EXPECT_EQ(get(hot_, "told anew")->content, "The second version.");
  for (const std::string& id : staying) {
    ASSERT_TRUE(get(warm_, id)) << id;
    EXPECT_EQ(get(warm_, id)->content, "What is left of " + id + '.');
  }
  EXPECT_EQ(get(hot_, "older above")->content, "The version before.");
  EXPECT_EQ(promote(staying).refused, 3U) << "their marks are gone";
}

TEST_F(PromoterTest, WhatTheHotTierHasMeanwhileStands) {
  put(warm_, memory("newer", "The first version."));
  put(hot_, memory("newer", "The second version.", 1));
  put(warm_, memory("same", "A move that was cut off."));
  put(hot_, memory("same", "A move that was cut off."));
  const Promoted done = promote({"newer", "same"});
  EXPECT_EQ(done.superseded, 1U);
  EXPECT_EQ(done.promoted, 1U);
  EXPECT_EQ(done.errors, 0U);
  EXPECT_EQ(get(hot_, "newer")->content, "The second version.");
  EXPECT_EQ(get(warm_, "newer"), std::nullopt);
  EXPECT_EQ(get(warm_, "same"), std::nullopt);
}

TEST_F(PromoterTest, ANewVersionOrADuplicateThatComesWhileARowMovesIsNotLost) {
  put(warm_, memory("a", "The first version."));
  put(warm_, memory("b", "Said again meanwhile."));
  hot_.after_upsert = [this]() -> Aw<void> {
    hot_.after_upsert = {};
    std::vector<Memory> more{memory("a", "The second version.", 1),
                             memory("twin", "Said again meanwhile.", 2)};
    (void)co_await engine_->upsert_batch(std::move(more), {});
  };
  const Promoted done = promote({"a", "b"});
  EXPECT_EQ(done.superseded, 1U);
  EXPECT_EQ(done.promoted, 1U);
  EXPECT_EQ(get(hot_, "a")->content, "The second version.");
  EXPECT_THAT(get(hot_, "b")->metadata, HasSubstr("twin"));
  EXPECT_EQ(get(warm_, "a"), std::nullopt);
  EXPECT_EQ(get(warm_, "b"), std::nullopt);
}

TEST_F(PromoterTest, ACopyThatReadsBackWrongGoesAndTheRowStays) {
  put(warm_, memory("a", "What was said."));
  hot_.before_upsert = [](std::vector<Memory>& batch) { batch[0].content = "What was not said."; };
  const Promoted done = promote({"a"});
  EXPECT_EQ(done.errors, 1U);
  EXPECT_EQ(get(hot_, "a"), std::nullopt);
  EXPECT_EQ(get(warm_, "a")->content, "What was said.");
}

TEST_F(PromoterTest, WhatTheColdTierHasOfItIsOver) {
  put(warm_, memory("a", "Changed after it had gone cold.", 1));
  put(cold_, memory("a", "As it was.", 0));
  put(warm_, memory("b", "Told late, of earlier.", 0));
  put(cold_, memory("b", "The newer one stands.", 1));
  const Promoted done = promote({"a", "b"});
  EXPECT_EQ(done.promoted, 1U);
  EXPECT_EQ(done.refused, 1U);
  EXPECT_TRUE(get(hot_, "a"));
  EXPECT_FALSE(get(cold_, "a")) << "in one tier only";
  EXPECT_FALSE(get(hot_, "b"));
  EXPECT_FALSE(kept("b")) << "it goes down, where its move ends the older one";
  EXPECT_TRUE(get(warm_, "b"));
  EXPECT_EQ(get(cold_, "b")->content, "The newer one stands.");
  EXPECT_EQ(promote({"b"}).refused, 1U) << "its mark was taken away";
}

}  // namespace
}  // namespace asahi::memory::ageing
