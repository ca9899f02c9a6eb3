#include "gateway/cache/semantic/tuner.h"

#include <gtest/gtest.h>

namespace asahi::gateway::semantic {
namespace {

TEST(ThresholdTuner, StartsWithTheTable) {
  const ThresholdTuner tuner;
  EXPECT_EQ(tuner.threshold("faq", Sensitivity::kHigh), 0.70);
  EXPECT_EQ(tuner.threshold("coding", Sensitivity::kLow), 0.97);
  EXPECT_EQ(tuner.threshold("legal", Sensitivity::kMedium), 0.92);
  EXPECT_EQ(tuner.threshold("gardening", Sensitivity::kMedium), 0.80);
}

TEST(ThresholdTuner, AnUnknownTaskCopiesTheDefaultRow) {
  ThresholdTuner tuner;
  ASSERT_TRUE(tuner.set("gardening", Sensitivity::kHigh, 0.5));
  EXPECT_EQ(tuner.threshold("gardening", Sensitivity::kHigh), 0.5);
  EXPECT_EQ(tuner.threshold("gardening", Sensitivity::kLow), 0.90);
  EXPECT_EQ(tuner.threshold("general", Sensitivity::kHigh), 0.75);
}

TEST(ThresholdTuner, RefusesWhatIsNoSimilarity) {
  ThresholdTuner tuner;
  for (const double bad : {-0.1, 1.1, std::numeric_limits<double>::quiet_NaN()}) {
    const auto set = tuner.set("faq", Sensitivity::kHigh, bad);
    ASSERT_FALSE(set);
    EXPECT_EQ(set.error().field, "threshold");
  }
}

TEST(ThresholdTuner, KeepsABoundedNumberOfTasks) {
  ThresholdTuner tuner;
  bool refused = false;
  for (int i = 0; i < 100; ++i)
    refused |= !tuner.set("task" + std::to_string(i), Sensitivity::kHigh, 0.5);
  EXPECT_TRUE(refused);
}

TEST(ThresholdTuner, MovesWithReportsWithinItsLimits) {
  ThresholdTuner tuner;
  tuner.reported_wrong("faq", Sensitivity::kHigh);
  EXPECT_NEAR(tuner.threshold("faq", Sensitivity::kHigh), 0.71, 1e-9);
  for (int i = 0; i < 20; ++i) tuner.reported_wrong("faq", Sensitivity::kHigh);
  EXPECT_NEAR(tuner.threshold("faq", Sensitivity::kHigh), 0.75, 1e-9);
  for (int i = 0; i < 50; ++i) tuner.clean_near_miss("faq", Sensitivity::kHigh);
  EXPECT_NEAR(tuner.threshold("faq", Sensitivity::kHigh), 0.745, 1e-9);
  for (int i = 0; i < 50 * 40; ++i) tuner.clean_near_miss("faq", Sensitivity::kHigh);
  EXPECT_NEAR(tuner.threshold("faq", Sensitivity::kHigh), 0.65, 1e-9);
}

TEST(ThresholdTuner, ComesBackAsItWas) {
  ThresholdTuner tuner, other;
  ASSERT_TRUE(tuner.set("x", Sensitivity::kLow, 0.33));
  tuner.reported_wrong("faq", Sensitivity::kHigh);
  ASSERT_TRUE(other.restore(tuner.encode()));
  EXPECT_EQ(other.encode(), tuner.encode());
}

TEST(ThresholdTuner, RefusesWhatCannotBeRead) {
  ThresholdTuner tuner;
  const std::string before = tuner.encode();
  for (const std::string_view bad :
       {"", "{", "[]", "{}", R"({"general":{"high":[2,0],"medium":[0,0],"low":[0,0]}})",
        R"({"faq":{"high":[0.5,0],"medium":[0.5,0],"low":[0.5,0]}})"}) {
    EXPECT_FALSE(tuner.restore(bad)) << bad;
  }
  EXPECT_EQ(tuner.encode(), before);
}

TEST(TuneThreshold, PicksTheBestF) {
  const std::vector<LabelledScore> pairs{
      {0.9, true}, {0.8, true}, {0.7, false}, {0.6, true}, {0.1, false}};
  const auto strict = tune_threshold(pairs, 0.5);
  EXPECT_EQ(strict.threshold, 0.8);
  EXPECT_EQ(strict.precision, 1);
  EXPECT_EQ(tune_threshold(pairs, 2).threshold, 0.6);
}

TEST(TuneThreshold, DoesNotPartEqualScores) {
  const std::vector<LabelledScore> pairs{{0.9, true}, {0.9, false}, {0.9, false}};
  EXPECT_NEAR(tune_threshold(pairs, 1).precision, 1.0 / 3, 1e-9);
  EXPECT_EQ(tune_threshold({}, 1).threshold, 1);
}

}  // namespace
}  // namespace asahi::gateway::semantic
