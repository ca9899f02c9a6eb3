#include "gateway/tokens/few_shot.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace asahi::gateway::tokens {
namespace {

using Chosen = std::vector<std::size_t>;

TEST(FewShot, KeepsAllWhenThereAreFew) {
  const std::vector<Example> pool{{"a", "1"}, {"b", "2"}, {"c", "3"}};
  EXPECT_EQ(select_examples(pool, 3, 0.2, word_similarities("a", pool)), (Chosen{0, 1, 2}));
}

TEST(FewShot, TakesTheNearestThenWhatIsDifferent) {
  const std::vector<Example> pool{{"red apple pie", "out one here now yes"},
                                  {"red apple pie", "out two here now yes"},
                                  {"green apple", "out three here now yes"},
                                  {"blue car", "out four here now yes"}};
  const auto chosen = select_examples(pool, 2, 0.9, word_similarities("red apple pie green", pool));
  EXPECT_EQ(chosen, (Chosen{0, 2}));
  // Without diversity the twin comes second.
  EXPECT_EQ(select_examples(pool, 2, 0, word_similarities("red apple pie green", pool)),
            (Chosen{0, 1}));
}

TEST(FewShot, NoLabelGoesMissing) {
  const std::vector<Example> pool{{"good shoe", "positive"}, {"good hat", "positive"},
                                  {"good coat", "positive"}, {"bad soup", "negative"},
                                  {"bad tea", "negative"},   {"it exists", "neutral"},
                                  {"it is there", "Neutral"}};
  const auto chosen = select_examples(pool, 3, 0.2, word_similarities("good shoe hat coat", pool));
  for (const char* label : {"positive", "negative", "neutral"}) {
    EXPECT_TRUE(std::ranges::any_of(chosen, [&](std::size_t i) {
      return pool[i].output == label || (i == 6 && std::string_view(label) == "neutral");
    })) << label;
  }
}

TEST(FewShot, WithoutSimilaritiesTheFirstAreTaken) {
  const std::vector<Example> pool{{"a", "1"}, {"b", "2"}, {"c", "3"}, {"d", "4"}};
  EXPECT_EQ(select_examples(pool, 3, 0.2, {}), (Chosen{0, 1, 2}));
}

TEST(FewShot, VectorsOfDifferentWidthsGiveNoSimilarities) {
  EXPECT_EQ(vector_similarities({{1, 0}, {0, 1}, {1, 1}}, 2).size(), 3U);
  EXPECT_TRUE(vector_similarities({{1, 0}, {0, 1}}, 2).empty());
  EXPECT_TRUE(vector_similarities({{1, 0}, {0, 1, 0}, {1, 1}}, 2).empty());
  EXPECT_DOUBLE_EQ(vector_similarities({{1, 0}, {0, 1}, {1, 0}}, 2)[0][1], 1);
}

}  // namespace
}  // namespace asahi::gateway::tokens
