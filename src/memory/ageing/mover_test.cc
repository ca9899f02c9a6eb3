#include "memory/ageing/mover.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "memory/ageing/move_gate.h"
#include "memory/ageing/testing/hooked_store.h"
#include "memory/testing/memory_store.h"
#include "memory/testing/on_loop.h"

namespace asahi::memory::ageing {
namespace {

using namespace std::chrono_literals;
using ageing_testing::HookedStore;

const std::string kText =
    "The deploy of apollo failed at noon. The weather was fine. Nobody noticed it. "
    "The cause was a migration of the database that timed out after 30 seconds. "
    "Lunch was served late. Ben rolled apollo back to release 41. Somebody laughed.";

class MoverTest : public ::testing::Test {
 protected:
  MoverTest() : warm_(rows_below_) {}
  ~MoverTest() override { work_.join(); }

  static Memory memory(const std::string& id, int hour = 0, const std::string& text = kText) {
    Memory out;
    out.key = {"org", "agent", id};
    out.content = text + " (" + id + ")";
    out.content_hash = sha256(out.content);
    out.embedding = {0.6F, -0.8F, 0.01F};
    out.embedding_model = "m";
    out.timestamp = Clock::Time{std::chrono::hours(1'000 + hour)};
    out.uploaded_at = out.timestamp + 1s;
    out.metadata = R"({"project":"apollo"})";
    out.fingerprint.fill(7);
    return out;
  }
  void put(Store& store, std::vector<Memory> memories) {
    auto stored = on_.wait<std::vector<UpsertOutcome>>([&]() -> Task<std::vector<UpsertOutcome>> {
      co_return co_await store.upsert_batch(memories, {.deduplicate = false});
    });
    ASSERT_TRUE(stored) << stored.error().message;
  }
  Result<Moved> move(std::size_t limit = 1'000) {
    Mover mover(hot_, warm_, work_);
    return on_.wait<Moved>([&, limit]() -> Task<Moved> {
      co_return co_await mover.batch({.before = Clock::Time{2'000h}, .limit = limit});
    });
  }
  /// Later, from within the loop.
  void change_above(const Memory& memory) {
    warm_.after_upsert = [this, memory]() -> Aw<void> {
      std::vector<Memory> batch{memory};
      (void)co_await rows_above().upsert_batch(std::move(batch), {.deduplicate = false});
    };
  }
  testing::MemoryStore& rows_above() { return static_cast<testing::MemoryStore&>(hot_.inner()); }

  testing::OnLoop on_;
  boost::asio::thread_pool work_{1};
  ManualClock clock_;
  MoveGate hot_{std::make_unique<testing::MemoryStore>(Tier::kHot), clock_};
  testing::MemoryStore rows_below_{Tier::kWarm};
  HookedStore warm_;
};

TEST_F(MoverTest, WhatIsOldMovesAsItsSummaryWithAVectorOfBytes) {
  put(hot_, {memory("old"), memory("young", 5'000)});
  const auto moved = move();
  ASSERT_TRUE(moved) << moved.error().message;
  EXPECT_EQ(moved->moved, 1U);
  EXPECT_GT(moved->bytes, kText.size());
  EXPECT_THAT(moved->tenants, ::testing::ElementsAre("org"));
  ASSERT_EQ(rows_below_.all().size(), 1U);
  const Memory kept = rows_below_.all()[0];
  EXPECT_EQ(kept, kept_form(memory("old"), Tier::kWarm));
  EXPECT_LT(kept.content.size(), kText.size());
  EXPECT_EQ(kept.content_hash, memory("old").content_hash) << "the hash is the whole text's";
  EXPECT_EQ(kept.fingerprint, memory("old").fingerprint);
  ASSERT_EQ(rows_above().all().size(), 1U);
  EXPECT_EQ(rows_above().all()[0].key.conversation_id, "young");
  EXPECT_EQ(move()->scanned, 0U);
}

TEST_F(MoverTest, OldestFirstAndNoMoreThanABatch) {
  put(hot_, {memory("2", 2), memory("1", 1), memory("3", 3)});
  EXPECT_EQ(move(2)->moved, 2U);
  ASSERT_EQ(rows_above().all().size(), 1U);
  EXPECT_EQ(rows_above().all()[0].key.conversation_id, "3");
}

TEST_F(MoverTest, AnEarlierRunThatDiedAfterItsCopyIsFinished) {
  put(hot_, {memory("a")});
  put(rows_below_, {kept_form(memory("a"), Tier::kWarm)});
  EXPECT_EQ(move()->moved, 1U);
  EXPECT_EQ(rows_below_.all().size(), 1U);
  EXPECT_TRUE(rows_above().all().empty());
}

TEST_F(MoverTest, ACopyWhoseRowGotOtherMetadataSinceIsMadeAnew) {
  Memory before = memory("a");
  before.metadata = R"({"project":"another"})";
  put(rows_below_, {kept_form(before, Tier::kWarm)});
  put(hot_, {memory("a")});
  EXPECT_EQ(move()->moved, 1U);
  EXPECT_EQ(rows_below_.all()[0].metadata, memory("a").metadata);
}

TEST_F(MoverTest, ARowThatChangesMeanwhileStaysAndItsCopyGoes) {
  put(hot_, {memory("a"), memory("b")});
  change_above(memory("a", 1, "Something else."));
  const auto moved = move();
  ASSERT_TRUE(moved);
  EXPECT_EQ(moved->moved, 1U);
  EXPECT_EQ(moved->changed, 1U);
  ASSERT_EQ(rows_below_.all().size(), 1U);
  EXPECT_EQ(rows_below_.all()[0].key.conversation_id, "b");
  ASSERT_EQ(rows_above().all().size(), 1U);
  warm_.after_upsert = nullptr;
  EXPECT_EQ(move()->moved, 1U) << "the next run takes the new version";
  EXPECT_TRUE(rows_below_.all()[0].content.starts_with("Something else."));
}

TEST_F(MoverTest, ANewerVersionBelowStands) {
  put(rows_below_, {memory("a", 9, "The newer text.")});
  put(hot_, {memory("a")});
  const auto moved = move();
  EXPECT_EQ(moved->superseded, 1U);
  EXPECT_TRUE(rows_above().all().empty());
  EXPECT_TRUE(rows_below_.all()[0].content.starts_with("The newer text."));
}

TEST_F(MoverTest, ACopyThatReadsBackOtherwiseKeepsTheSource) {
  put(hot_, {memory("a"), memory("b")});
  warm_.before_upsert = [](std::vector<Memory>& memories) {
    for (Memory& one : memories) {
      if (one.key.conversation_id == "a") one.embedding[0] += 1;
    }
  };
  const auto moved = move();
  ASSERT_TRUE(moved);
  EXPECT_EQ(moved->moved, 1U);
  EXPECT_EQ(moved->errors, 1U);
  ASSERT_EQ(rows_above().all().size(), 1U);
  EXPECT_EQ(rows_above().all()[0], memory("a"));
  EXPECT_EQ(move()->scanned, 0U) << "this run does not try it for ever";
}

TEST_F(MoverTest, ACopyThatIsErasedMeanwhileLeavesTheRowToTheErasure) {
  put(hot_, {memory("a"), memory("b")});
  warm_.after_upsert = [this]() -> Aw<void> {
    std::vector<Key> keys{memory("a").key};
    (void)co_await rows_below_.delete_batch(std::move(keys));
  };
  const auto moved = move();
  ASSERT_TRUE(moved);
  EXPECT_EQ(moved->moved, 1U);
  EXPECT_EQ(moved->changed, 1U);
  EXPECT_EQ(moved->errors, 0U);
  ASSERT_EQ(rows_above().all().size(), 1U);
  EXPECT_EQ(rows_above().all()[0], memory("a"));
}

TEST_F(MoverTest, ATargetThatFailsLosesNothingAndTheRowsCanBeTakenAgain) {
  put(hot_, {memory("a")});
  rows_below_.fail_upserts(1, {.code = Errc::kUnavailable, .message = "away"});
  EXPECT_EQ(move().error().code, Errc::kUnavailable);
  EXPECT_EQ(rows_above().all().size(), 1U);
  EXPECT_EQ(move()->moved, 1U);
}

TEST(AgeingRules, MemoriesGoOneStepDown) {
  EXPECT_EQ(parse_step("hot", "warm").value(), kToWarm);
  EXPECT_EQ(parse_step("warm", "cold").value(), kToCold);
  EXPECT_EQ(parse_step("cold", "warm").error().field, "source_tier");
  EXPECT_EQ(parse_step("tepid", "warm").error().field, "source_tier");
  EXPECT_EQ(parse_step("hot", "cold").error().field, "target_tier");
  EXPECT_EQ(parse_step("warm", "hot").error().field, "target_tier");
}

TEST(AgeingRules, ColdKeepsOneSentenceOfTheThree) {
  Memory memory;
  memory.content = kText;
  memory.embedding = {0.25F, -1.0F / 3};
  const Memory warm = kept_form(memory, Tier::kWarm), cold = kept_form(warm, Tier::kCold);
  EXPECT_LT(cold.content.size(), warm.content.size());
  EXPECT_TRUE(kText.contains(cold.content));
  EXPECT_EQ(cold.embedding, warm.embedding) << "quantising twice changes nothing";
  Memory noise;
  noise.content = "\n\n---\n";
  EXPECT_FALSE(kept_form(noise, Tier::kWarm).content.empty());
}

}  // namespace
}  // namespace asahi::memory::ageing
