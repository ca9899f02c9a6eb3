#include "memory/search/frequent.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

namespace asahi::memory {
namespace {

using ::testing::ElementsAre;

SearchRequest asking(std::string text) {
  SearchRequest request;
  request.text = std::move(text);
  return request;
}

class Frequent : public ::testing::Test {
 protected:
  void ask(const std::string& tenant, const std::string& text, int times) {
    for (int i = 0; i < times; ++i) searches_.note(tenant, text, asking(text), clock_.now());
  }
  std::vector<std::string> top(std::optional<std::string> tenant, std::size_t most = 100) const {
    std::vector<std::string> texts;
    for (const FrequentSearch& one : searches_.top(tenant, most, clock_.now()))
      texts.push_back(fmt::format("{}/{} {}", one.tenant, one.request.text, one.asks));
    return texts;
  }
  ManualClock clock_;
  FrequentSearches searches_{{.tenants = 3, .of_tenant = 4}};
};

TEST_F(Frequent, WhatIsAskedMostComesFirstAndOfEachTenantNoMoreThanWanted) {
  ask("a", "rare", 1);
  ask("a", "usual", 3);
  ask("b", "other", 2);
  EXPECT_THAT(top("a"), ElementsAre("a/usual 3", "a/rare 1"));
  EXPECT_THAT(top(std::nullopt), ElementsAre("a/usual 3", "b/other 2", "a/rare 1"));
  EXPECT_THAT(top(std::nullopt, 1), ElementsAre("a/usual 3", "b/other 2"));
}

TEST_F(Frequent, WhatWasAskedADayAgoCountsNoMore) {
  ask("a", "yesterday", 5);
  clock_.advance(std::chrono::hours(12));
  ask("a", "noon", 2);
  EXPECT_THAT(top("a"), ElementsAre("a/yesterday 5", "a/noon 2"));
  clock_.advance(std::chrono::hours(13));
  EXPECT_THAT(top("a"), ElementsAre("a/noon 2"));
  ask("a", "yesterday", 1);
  EXPECT_THAT(top("a"), ElementsAre("a/noon 2", "a/yesterday 1"));
}

TEST_F(Frequent, ATenantThatAsksMuchPushesOutItsOwnOnly) {
  ask("quiet", "mine", 1);
  ask("loud", "often", 9);
  for (int i = 0; i < 50; ++i) ask("loud", fmt::format("number {}", i), 1);
  EXPECT_THAT(top("quiet"), ElementsAre("quiet/mine 1"));
  EXPECT_EQ(top("loud").front(), "loud/often 9");
  EXPECT_LE(top("loud").size(), 4U);
}

TEST_F(Frequent, OfTooManyTenantsTheOneThatAskedLongestAgoGoes) {
  for (const char* tenant : {"a", "b", "c"}) ask(tenant, "x", 1);
  ask("a", "x", 1);
  ask("d", "x", 1);
  EXPECT_TRUE(top("b").empty());
  EXPECT_FALSE(top("a").empty());
  EXPECT_FALSE(top("d").empty());
}

TEST_F(Frequent, WhatIsToBeKeptIsToldOnceAndOnlyWhatWasAskedAgain) {
  ask("a", "once", 1);
  ask("a", "twice", 2);
  auto unsaved = searches_.take_unsaved(10, clock_.now());
  ASSERT_EQ(unsaved.size(), 1U);
  EXPECT_EQ(unsaved[0].request.text, "twice");
  EXPECT_EQ(unsaved[0].asks, 2U);
  EXPECT_TRUE(searches_.take_unsaved(10, clock_.now()).empty());
  ask("a", "twice", 1);
  ask("a", "once", 1);
  unsaved = searches_.take_unsaved(10, clock_.now());
  ASSERT_EQ(unsaved.size(), 2U);
  EXPECT_EQ(unsaved[0].request.text, "twice");
  EXPECT_EQ(unsaved[0].asks, 1U) << "the first two were told";
  EXPECT_EQ(unsaved[1].asks, 2U);
}

TEST_F(Frequent, WhatWasKeptCountsAndIsNotKeptAgain) {
  searches_.restore({{"a", "old", asking("old"), 7}}, clock_.now());
  ask("a", "new", 2);
  EXPECT_THAT(top("a"), ElementsAre("a/old 7", "a/new 2"));
  const auto unsaved = searches_.take_unsaved(10, clock_.now());
  ASSERT_EQ(unsaved.size(), 1U);
  EXPECT_EQ(unsaved[0].id, "new");
}

}  // namespace
}  // namespace asahi::memory
