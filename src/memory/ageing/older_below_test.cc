#include "memory/ageing/older_below.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/hash.h"
#include "memory/testing/memory_store.h"
#include "memory/testing/on_loop.h"

namespace asahi::memory::ageing {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

class OlderBelow : public ::testing::Test {
 protected:
  static Key key(const std::string& id) { return {"org", "agent", id}; }
  static Clock::Time at(int hour) { return Clock::Time{1'000h + std::chrono::hours(hour)}; }
  void put(Store& store, const std::string& id, int hour) {
    Memory one;
    one.key = key(id);
    one.content = id + " at " + std::to_string(hour);
    one.content_hash = sha256(one.content);
    one.timestamp = at(hour);
    ASSERT_TRUE(on_.wait<std::vector<UpsertOutcome>>([&]() -> Task<std::vector<UpsertOutcome>> {
      std::vector<Memory> batch{one};
      co_return co_await store.upsert_batch(std::move(batch), {});
    }));
  }
  std::vector<bool> end(std::vector<RowVersion> rows) {
    std::vector<Store*> below{&warm_, &cold_};
    return on_.wait<std::vector<bool>>([&] { return end_older_below(below, rows); }).value();
  }
  static std::vector<std::string> ids(const testing::MemoryStore& store) {
    std::vector<std::string> out;
    for (const Memory& one : store.all()) out.push_back(one.key.conversation_id);
    return out;
  }

  testing::OnLoop on_;
  testing::MemoryStore warm_{Tier::kWarm}, cold_{Tier::kCold};
};

TEST_F(OlderBelow, WhatIsAsOldOrOlderGoesFromEveryTier) {
  put(warm_, "a", 1);
  put(cold_, "a", 0);
  put(cold_, "b", 5);
  put(cold_, "other", 0);
  EXPECT_THAT(end({{key("a"), at(1)}, {key("b"), at(6)}, {key("c"), at(0)}}),
              ElementsAre(true, true, true));
  EXPECT_THAT(ids(warm_), ElementsAre());
  EXPECT_THAT(ids(cold_), ElementsAre("other"));
}

TEST_F(OlderBelow, ANewerVersionBelowStandsAndWhatIsBesideItToo) {
  put(warm_, "a", 1);
  put(cold_, "a", 9);
  EXPECT_THAT(end({{key("a"), at(5)}}), ElementsAre(false));
  EXPECT_THAT(ids(warm_), ElementsAre("a")) << "its move down will say what becomes of it";
  EXPECT_THAT(ids(cold_), ElementsAre("a"));
}

TEST_F(OlderBelow, NobodyIsAskedForNothing) { EXPECT_TRUE(end({}).empty()); }

}  // namespace
}  // namespace asahi::memory::ageing
