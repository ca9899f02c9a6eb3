#include "memory/search/merge.h"

#include <gtest/gtest.h>

namespace asahi::memory {
namespace {

StoreHit hit(std::string id, Tier tier, std::optional<float> similarity, int age_hours = 0) {
  StoreHit one;
  one.key = {"acme", "s", std::move(id)};
  one.tier = tier;
  one.similarity = similarity;
  one.explanation.cosine = similarity;
  one.score = similarity.value_or(0);
  one.timestamp = Clock::Time{std::chrono::hours{1'000'000 - age_hours}};
  return one;
}

std::vector<std::string> ids(const std::vector<StoreHit>& hits) {
  std::vector<std::string> list;
  for (const StoreHit& one : hits) list.push_back(one.key.conversation_id);
  return list;
}

TEST(MergeTiers, PutsTheMoreAlikeFirstWhicheverTierItIsIn) {
  const auto merged = merge_tiers(
      {{hit("a", Tier::kHot, 0.9F), hit("c", Tier::kHot, 0.5F)}, {hit("b", Tier::kWarm, 0.7F)}},
      SearchMode::kSemantic);
  EXPECT_EQ(ids(merged), (std::vector<std::string>{"a", "b", "c"}));
}

TEST(MergeTiers, CountsAMemoryThatIsMovingOnce) {
  const auto merged = merge_tiers(
      {{hit("a", Tier::kHot, 0.8F)}, {hit("a", Tier::kWarm, 0.8F), hit("b", Tier::kWarm, 0.3F)}},
      SearchMode::kSemantic);
  ASSERT_EQ(ids(merged), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(merged[0].tier, Tier::kHot);
  const auto newer = merge_tiers({{hit("a", Tier::kHot, 0.5F)}, {hit("a", Tier::kWarm, 0.8F)}},
                                 SearchMode::kSemantic);
  ASSERT_EQ(newer.size(), 1U);
  EXPECT_EQ(newer[0].tier, Tier::kHot) << "the colder may be an older version";
}

TEST(MergeTiers, BreaksTiesByTimeAndThenById) {
  const auto merged = merge_tiers({{hit("b", Tier::kHot, 0.5F, 2), hit("c", Tier::kHot, 0.5F, 1),
                                    hit("a", Tier::kHot, 0.5F, 2)}},
                                  SearchMode::kSemantic);
  EXPECT_EQ(ids(merged), (std::vector<std::string>{"c", "a", "b"}));
}

TEST(MergeTiers, WeavesHybridListsByRanksAmongAllTiers) {
  StoreHit both = hit("both", Tier::kWarm, 0.6F);
  both.explanation.bm25 = 7.0F;
  StoreHit words = hit("words", Tier::kHot, std::nullopt);
  words.explanation.bm25 = 9.0F;
  const auto merged =
      merge_tiers({{hit("vector", Tier::kHot, 0.9F), words}, {both}}, SearchMode::kHybrid);
  EXPECT_EQ(ids(merged).front(), "both") << "second in both lists beats first in one";
}

TEST(MergeTiers, LetsAWeakEmbeddersListWeighLess) {
  StoreHit words = hit("words", Tier::kHot, std::nullopt);
  words.explanation.bm25 = 9.0F;
  const std::vector<TierHits> tiers{{words}, {hit("vector", Tier::kWarm, 0.9F, -1)}};
  EXPECT_EQ(ids(merge_tiers(tiers, SearchMode::kHybrid)).front(), "vector") << "equal: the newer";
  EXPECT_EQ(ids(merge_tiers(tiers, SearchMode::kHybrid, 0.1)).front(), "words");
}

TEST(MergeTiers, LeavesTheOrderOfASingleTier) {
  StoreHit first = hit("first", Tier::kHot, 0.1F);
  first.score = 2;
  StoreHit second = hit("second", Tier::kHot, 0.9F);
  second.score = 1;
  EXPECT_EQ(ids(merge_tiers({{first, second}, {}}, SearchMode::kHybrid)),
            (std::vector<std::string>{"first", "second"}));
}

TEST(MergeTiers, IsNewestFirstWithoutAQuery) {
  const auto merged = merge_tiers(
      {{hit("old", Tier::kHot, std::nullopt, 9)}, {hit("new", Tier::kWarm, std::nullopt, 1)}},
      SearchMode::kHybrid);
  EXPECT_EQ(ids(merged), (std::vector<std::string>{"new", "old"}));
}

TEST(Facets, AddUpOverTiers) {
  FacetCounts sum{{"system_id", {{"a", 2}}}};
  add_facets(sum, {{"system_id", {{"a", 1}, {"b", 4}}}, {"tier", {{"warm", 5}}}});
  EXPECT_EQ(sum["system_id"]["a"], 3U);
  EXPECT_EQ(sum["system_id"]["b"], 4U);
  EXPECT_EQ(sum["tier"]["warm"], 5U);
}

}  // namespace
}  // namespace asahi::memory
