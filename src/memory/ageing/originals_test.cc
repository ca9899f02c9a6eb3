#include "memory/ageing/originals.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "memory/ageing/move_gate.h"
#include "memory/ageing/mover.h"
#include "memory/hot/hot_store.h"
#include "memory/testing/memory_store.h"
#include "memory/testing/on_loop.h"
#include "storage/sql/testing/database_test.h"

namespace asahi::memory::ageing {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

Memory memory(const std::string& system, const std::string& id, const std::string& text) {
  Memory out;
  out.key = {"org", system, id};
  out.content = text;
  out.content_hash = sha256(text);
  out.timestamp = Clock::Time{1'000h};
  out.uploaded_at = out.timestamp;
  return out;
}

TEST(Repeats, AreTheKeysThatMetadataNames) {
  Memory row = memory("agent", "first", "x");
  EXPECT_THAT(repeats_of(row), IsEmpty());
  row.metadata =
      R"({"project":"p","seen_in":[{"system_id":"other","conversation_id":"copy"},7,{"system_id":"a b","conversation_id":"c"},{"system_id":"agent","conversation_id":"first"}]})";
  EXPECT_THAT(repeats_of(row),
              ElementsAre(Repeat{{"org", "other", "copy"}, row.key, row.content_hash}));
  row.metadata = R"({"seen_in":"other"})";
  EXPECT_THAT(repeats_of(row), IsEmpty());
}

class OriginalsTest : public sql::testing::DatabaseTest {
 protected:
  void SetUp() override {
    if (!open_database(originals_migrations())) return;
    originals_ = std::make_unique<Originals>(*db_);
  }
  ~OriginalsTest() override { work_.join(); }

  std::vector<UpsertOutcome> put(Store& store, std::vector<Memory> memories) {
    return on_
        .wait<std::vector<UpsertOutcome>>(
            [&]() { return store.upsert_batch(memories, UpsertOptions{}); })
        .value();
  }
  void move(Store& from, Store& to) {
    Mover mover(from, to, work_, originals_.get());
    const auto moved =
        on_.wait<Moved>([&] { return mover.batch({.before = Clock::Time{2'000h}, .limit = 100}); });
    ASSERT_TRUE(moved) << moved.error().message;
    ASSERT_EQ(moved->moved, moved->scanned);
  }
  /// The id of the original and its tier, "" without one.
  std::string leads_to(const std::string& system, const std::string& id) {
    const auto found = on_.wait<std::optional<Found>>(
        [&] { return originals_->find({&hot_, &warm_, &cold_}, Key{"org", system, id}); });
    EXPECT_TRUE(found) << found.error().message;
    if (!found || !*found) return "";
    return (*found)->memory.key.conversation_id + " " + std::string(tier_name((*found)->tier));
  }
  std::uint64_t forget(const std::string& system, const std::string& id) {
    return on_.wait<std::uint64_t>([&] { return originals_->forget({"org", system, id}); }).value();
  }

  testing::OnLoop on_;
  boost::asio::thread_pool work_{1};
  ManualClock clock_;
  MoveGate hot_{std::move(*HotStore::open({})), clock_};  // in memory
  MoveGate warm_{std::make_unique<testing::MemoryStore>(Tier::kWarm), clock_};
  testing::MemoryStore cold_{Tier::kCold};
  std::unique_ptr<Originals> originals_;
};

TEST_P(OriginalsTest, ADuplicatesKeyLeadsToItsOriginalWhereverItLies) {
  EXPECT_THAT(
      put(hot_, {memory("agent", "first", "The same."), memory("other", "copy", "The same."),
                 memory("agent", "own", "Something else.")}),
      ElementsAre(UpsertOutcome::kStored, UpsertOutcome::kDuplicate, UpsertOutcome::kStored));
  EXPECT_EQ(leads_to("other", "copy"), "") << "the hot tier answers for it";
  move(hot_, warm_);
  EXPECT_EQ(leads_to("other", "copy"), "first warm");
  EXPECT_EQ(leads_to("agent", "own"), "");
  EXPECT_EQ(leads_to("other", "first"), "");
  move(warm_, cold_);
  EXPECT_EQ(leads_to("other", "copy"), "first cold");
}

TEST_P(OriginalsTest, AnOriginalThatSaysSomethingElseByNowIsNone) {
  put(hot_, {memory("agent", "first", "The same."), memory("other", "copy", "The same.")});
  move(hot_, warm_);
  Memory anew = memory("agent", "first", "Otherwise.");
  anew.timestamp += 1h;
  put(hot_, {anew});
  EXPECT_EQ(leads_to("other", "copy"), "");
}

TEST_P(OriginalsTest, WhatIsForgottenLeadsNowhere) {
  put(hot_, {memory("agent", "first", "The same."), memory("other", "copy", "The same."),
             memory("third", "copy", "The same.")});
  move(hot_, warm_);
  EXPECT_EQ(forget("other", "copy"), 1U);
  EXPECT_EQ(forget("other", "copy"), 0U);
  EXPECT_EQ(leads_to("other", "copy"), "");
  EXPECT_EQ(leads_to("third", "copy"), "first warm");
  EXPECT_EQ(forget("agent", "first"), 0U) << "it led nowhere itself";
  EXPECT_EQ(leads_to("third", "copy"), "");
  put(hot_, {memory("agent", "next", "Again."), memory("third", "other", "Again.")});
  move(hot_, warm_);
  EXPECT_EQ(leads_to("third", "other"), "next warm");
  EXPECT_EQ(on_.wait<std::uint64_t>([&] { return originals_->forget_system("org", "third"); }), 1U);
  EXPECT_EQ(leads_to("third", "other"), "");
}

INSTANTIATE_TEST_SUITE_P(Engines, OriginalsTest, ::testing::ValuesIn(sql::testing::all_engines()),
                         sql::testing::engine_name);

}  // namespace
}  // namespace asahi::memory::ageing
