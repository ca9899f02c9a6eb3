#include "memory/ageing/front.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "memory/testing/memory_store.h"
#include "memory/testing/on_loop.h"

namespace asahi::memory::ageing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Outcome = UpsertOutcome;

class FrontTest : public ::testing::Test {
 protected:
  static Memory memory(const std::string& id, const std::string& text, int hour = 0) {
    Memory out;
    out.key = {"org", "agent", id};
    out.content = text;
    out.content_hash = sha256(text);
    out.timestamp = Clock::Time{std::chrono::hours(1'000 + hour)};
    return out;
  }
  std::vector<Outcome> put(Store& store, std::vector<Memory> memories) {
    return on_
        .wait<std::vector<Outcome>>([&]() -> Task<std::vector<Outcome>> {
          co_return co_await store.upsert_batch(memories, {});
        })
        .value();
  }

  testing::OnLoop on_;
  ManualClock clock_;
  testing::MemoryStore hot_{Tier::kHot};
  MoveGate gate_{std::make_unique<testing::MemoryStore>(Tier::kWarm), clock_};
  testing::MemoryStore& warm_ = static_cast<testing::MemoryStore&>(gate_.inner());
  Front front_{hot_, gate_};
};

TEST_F(FrontTest, WhatHasMovedOnAlreadyIsNotStoredAgain) {
  put(warm_, {memory("a", "said once", 5)});
  EXPECT_THAT(put(front_, {memory("a", "said once", 5), memory("a", "before", 4),
                           memory("b", "something new")}),
              ElementsAre(Outcome::kUnchanged, Outcome::kOlder, Outcome::kStored));
  ASSERT_EQ(hot_.all().size(), 1U);
  EXPECT_EQ(hot_.all()[0].key.conversation_id, "b");
  EXPECT_EQ(warm_.all().size(), 1U);
}

TEST_F(FrontTest, ANewerVersionTakesThePlaceOfTheWarmOne) {
  put(warm_, {memory("a", "said once", 5)});
  EXPECT_THAT(put(front_, {memory("a", "said anew", 6), memory("a", "and again", 7),
                           memory("a", "and again", 7)}),
              ElementsAre(Outcome::kReplaced, Outcome::kReplaced, Outcome::kUnchanged));
  EXPECT_THAT(warm_.all(), IsEmpty());
  ASSERT_EQ(hot_.all().size(), 1U);
  EXPECT_EQ(hot_.all()[0].content, "and again");
}

}  // namespace
}  // namespace asahi::memory::ageing
