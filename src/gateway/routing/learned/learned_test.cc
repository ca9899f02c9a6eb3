#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <random>
#include <set>

#include "gateway/routing/learned/features.h"
#include "gateway/routing/learned/learned_router.h"
#include "gateway/routing/learned/line.h"
#include "gateway/routing/learned/story.h"
#include "gateway/routing/learned/trainer.h"
#include "gateway/testing/temp_folder.h"

namespace asahi::gateway::learned {
namespace {

using ::testing::HasSubstr;

// ---- Features

Features features(std::string_view prompt) {
  Features out;
  read_features(prompt, out);
  return out;
}

std::set<std::uint32_t> buckets(std::string_view prompt) {
  std::set<std::uint32_t> out;
  for (const auto& word : features(prompt).found()) out.insert(word.bucket);
  return out;
}

TEST(PromptFeatures, AreTheSameForTheSamePromptInAnyCase) {
  EXPECT_EQ(buckets("What is RUST?"), buckets("what is rust?"));
  EXPECT_EQ(features("a b").form, features("a b").form);
}

TEST(PromptFeatures, HoldWordsPairsAndTheLengthOfNumbers) {
  EXPECT_EQ(features("").word_count, 0U);
  EXPECT_EQ(features("alpha").word_count, 1U);
  EXPECT_EQ(features("alpha beta").word_count, 3U) << "two words and their pair";
  EXPECT_EQ(buckets("17"), buckets("42"));
  EXPECT_NE(buckets("17"), buckets("170"));
  EXPECT_NE(buckets("a b"), buckets("b a"));
}

TEST(PromptFeatures, CountRepeatedWordsOnceMoreSoftly) {
  const Features out = features("go\ngo\ngo");  // no pairs over line ends
  ASSERT_EQ(out.word_count, 1U);
  EXPECT_NEAR(static_cast<double>(out.words[0].count), 1 + std::log(3), 1e-5);
}

TEST(PromptFeatures, AreBoundedForPromptsOfAnyLength) {
  std::string text;
  std::mt19937 random(1);
  for (int i = 0; i < 300'000; ++i)
    text += i % 6 == 5 ? ' ' : static_cast<char>('a' + random() % 26);
  const Features out = features(text);
  EXPECT_LE(out.word_count, Features::kMostWords);
  EXPECT_GT(out.word_count, 100U);
  for (const float value : out.form) EXPECT_TRUE(std::isfinite(value));
  for (unsigned char c = 1; c != 0; ++c) (void)features(std::string(5'000, static_cast<char>(c)));
}

// ---- What a told problem is made of

std::array<float, Story::kForms> story(std::string_view prompt) {
  std::array<float, Story::kForms> out{};
  std::ranges::copy_n(features(prompt).form.end() - Story::kForms, Story::kForms, out.begin());
  return out;
}
/// Forms by their place in Story::write.
enum StoryForm : std::size_t {
  kSentences = 0,
  kNumbersTold = 2,
  kDistinctNumbers = 3,
  kHighest = 7,
  kMoneySigns = 12,
  kPercents = 13,
  kDecimals = 14,
  kTimeUnits = 26,
  kThanPairs = 31,
  kHowMany = 34,
  kNames = 37,
  kQuestions = 38,
};
float log1(double value) { return static_cast<float>(std::log1p(value)); }

TEST(PromptStory, CountsNumbersAsAReaderDoes) {
  const auto told = story("Ann paid $3.50 for two pens, then 1,200 cents and 15% tax on 15.");
  EXPECT_EQ(told[kNumbersTold], log1(5)) << "3.50, two, 1,200, 15, 15";
  EXPECT_EQ(told[kDistinctNumbers], log1(4));
  EXPECT_NEAR(static_cast<double>(told[kHighest]), std::log1p(1200), 1e-5);
  EXPECT_EQ(told[kMoneySigns], log1(1));
  EXPECT_EQ(told[kPercents], log1(1));
  EXPECT_EQ(story("It fell by 2.5% and 12%")[kPercents], log1(2));
  EXPECT_EQ(told[kDecimals], log1(1));
  EXPECT_EQ(told[kSentences], log1(1)) << "the point within 3.50 ends nothing";
}

TEST(PromptStory, KnowsRelationsNamesUnitsAndQuestions) {
  const auto told = story(
      "Yesterday Bob ran more than Carla and Bob rested. He needs 4 hours a day. How many days?");
  EXPECT_EQ(told[kThanPairs], log1(1));
  EXPECT_EQ(told[kNames], log1(2)) << "Bob and Carla; a capital that opens a sentence is none";
  EXPECT_EQ(told[kTimeUnits], log1(2)) << "hours and days";
  EXPECT_EQ(told[kHowMany], log1(1));
  EXPECT_EQ(told[kQuestions], log1(1));
  EXPECT_EQ(told[kSentences], log1(3));
}

TEST(PromptStory, IsFiniteForOddTexts) {
  for (const char* odd : {"", "?", "1.2.3.4", "999999999999999999999999", "1,2,3", "$", "9/", "...",
                          "\n\n\n", "1,000,000,000,000,000,000,000"}) {
    for (const float value : features(odd).form) EXPECT_TRUE(std::isfinite(value)) << odd;
  }
}

// ---- A line through few rows

TEST(RidgeLine, FindsAWeightedSumAndIsCalmedByRows) {
  std::mt19937 random(3);
  std::vector<std::vector<float>> inputs;
  std::vector<float> target;
  std::vector<std::size_t> all;
  for (std::size_t i = 0; i < 300; ++i) {
    const auto draw = [&random] { return static_cast<float>(random() % 1'000) / 100; };
    inputs.push_back({draw(), draw(), 7, draw()});
    target.push_back(2 * inputs[i][0] - inputs[i][1] + 5);
    all.push_back(i);
  }
  const std::vector<bool> used{true, true, true, false};
  const Line exact = fit_line(inputs, target, all, used, 1e-6);
  EXPECT_NEAR(static_cast<double>(exact.weights[0]), 2, 1e-3);
  EXPECT_NEAR(static_cast<double>(exact.weights[1]), -1, 1e-3);
  EXPECT_EQ(exact.weights[2], 0) << "what never varies tells nothing";
  EXPECT_EQ(exact.weights[3], 0) << "not to be used";
  EXPECT_NEAR(exact.predict({1, 2, 7, 9}), 5, 1e-2);
  const Line calm = fit_line(inputs, target, all, used, 300);
  EXPECT_NEAR(static_cast<double>(calm.weights[0]), 1, 0.2) << "as by 300 rows of 0";
}

// ---- Training on made-up rows: the strong model is needed for the prompts that speak of proofs.

std::vector<Row> rows(std::size_t count, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::vector<Row> made;
  for (std::size_t i = 0; i < count; ++i) {
    const bool hard = random() % 2 == 0;
    const unsigned luck = random() % 100;
    Row row;
    row.prompt = (hard ? "Prove that the theorem number " : "Name the colour of fruit number ") +
                 std::to_string(random() % 1'000) + " holds";
    row.strong_correct = luck < 90;
    row.weak_correct = hard ? luck < 20 : luck < 88;
    made.push_back(std::move(row));
  }
  return made;
}

/// As little as still learns: the tests are of builds without optimisation.
constexpr TrainOptions kQuick{.folds = 4, .epochs = 3, .rounds = 15};

const Trained& trained_once() {
  static const Trained trained = train(rows(1'200), kQuick).value();
  return trained;
}

TEST(RouterTraining, FindsThePromptsThatNeedTheStrongModel) {
  const Evaluation& e = trained_once().evaluation;
  EXPECT_GT(e.random_share, 0.8);
  EXPECT_LT(e.share, 0.55) << "half of the rows are hard";
  EXPECT_GT(e.saved(), 0.3);
  // All hard prompts are alike here, so where among them a threshold of other rows falls is chance.
  EXPECT_GT(e.held_accuracy, 0.9 * e.strong_accuracy);
  EXPECT_GT(e.held_saved(), 0.3);
  Features hard, easy;
  read_features("Prove that the theorem number 12 holds", hard);
  read_features("Name the colour of fruit number 12 holds", easy);
  EXPECT_GT(trained_once().model.judge(hard).gain(), 0.4);
  EXPECT_LT(trained_once().model.judge(easy).gain(), 0.2);
}

TEST(RouterTraining, ChanceIsNotMistakenForKnowledge) {
  std::mt19937 random(5);
  std::vector<Row> noise = rows(600);
  for (Row& row : noise) {
    row.weak_correct = random() % 100 < 60;
    row.strong_correct = random() % 100 < 85;
  }
  const auto trained = train(noise, kQuick);
  ASSERT_TRUE(trained);
  // The measure's own deviation on 600 rows without meaning is 0.05.
  EXPECT_NEAR(trained->evaluation.recovered, 0.5, 0.12);
  EXPECT_GT(trained_once().evaluation.recovered, 0.68) << "and what is known shows";
}

TEST(RouterTraining, EqualRowsGiveAnEqualModel) {
  const TrainOptions quickest{.folds = 2, .epochs = 1, .rounds = 3};
  const auto one = train(rows(200), quickest), two = train(rows(200), quickest);
  ASSERT_TRUE(one && two);
  EXPECT_EQ(one->model.to_json(), two->model.to_json());
}

TEST(RouterTraining, HeldGainsAreOfRoutersThatHadNotSeenTheRow) {
  // One prompt, again and again, with answers by chance: who had seen the row could tell.
  std::mt19937 random(7);
  std::vector<Row> same = rows(200);
  for (Row& row : same) {
    row.prompt = "Always the same question about " + std::to_string(random() % 100'000);
    row.weak_correct = random() % 2 == 0;
    row.strong_correct = true;
  }
  const auto trained = train(same, {.folds = 2, .epochs = 1, .rounds = 3});
  ASSERT_TRUE(trained);
  ASSERT_EQ(trained->held_gain.size(), same.size());
  EXPECT_NEAR(evaluate(same, trained->held_gain).recovered, 0.5, 0.2);
}

TEST(RouterTraining, RefusesRowsThatTeachNothing) {
  EXPECT_THAT(train(rows(50), {}).error().message, HasSubstr("at least 200"));
  std::vector<Row> same = rows(400);
  for (Row& row : same) row.weak_correct = row.strong_correct;
  EXPECT_THAT(train(same, {}).error().message, HasSubstr("nothing to gain"));
}

TEST(RouterTraining, ThresholdsFollowQualityOrShare) {
  const Model& model = trained_once().model;
  EXPECT_LT(model.threshold(0.99, 0), model.threshold(0.8, 0));
  EXPECT_LT(model.threshold(0.95, 0.9), model.threshold(0.95, 0.1));
  EXPECT_EQ(model.threshold(0.95, 1), -2) << "all to the strong model";
  EXPECT_EQ(Model().threshold(0.95, 0), 0);
}

TEST(RouterRows, AreReadLineByLine) {
  testing::TempFolder folder;
  const std::string path = folder.path() + "/rows.jsonl";
  std::ofstream(path) << R"({"prompt":"a","weak_correct":true,"strong_correct":false})" << "\n\n"
                      << R"({"prompt":"b","weak_correct":false,"strong_correct":true,"more":1})"
                      << "\n";
  const auto read = read_rows(path);
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->size(), 2U);
  EXPECT_EQ((*read)[1].prompt, "b");
  EXPECT_TRUE((*read)[1].strong_correct);
  std::ofstream(path, std::ios::app) << R"({"prompt":"c","weak_correct":1,"strong_correct":true})";
  EXPECT_THAT(read_rows(path).error().message, HasSubstr("rows.jsonl:4"));
  EXPECT_EQ(read_rows(folder.path() + "/none").error().code, Errc::kNotFound);
}

// ---- The file

class RouterFileTest : public ::testing::Test {
 protected:
  RouterFileTest() {
    config_.file = folder_.path() + "/sub/router.json";
    model_ = trained_once().model;
    model_.weak = "small";
    model_.strong = "big";
  }
  testing::TempFolder folder_;
  LearnedConfig config_;
  Model model_;
};

TEST_F(RouterFileTest, KeepsTheModel) {
  ASSERT_TRUE(model_.save(config_.file));
  const auto read = Model::load(config_.file);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->weak_head.words, model_.weak_head.words);
  EXPECT_EQ(read->strong_head.form, model_.strong_head.form);
  EXPECT_EQ(read->rarity, model_.rarity);
  ASSERT_EQ(read->trees.trees.size(), model_.trees.trees.size());
  EXPECT_EQ(read->curve.size(), model_.curve.size());
  const auto router = LearnedRouter::load(config_);
  ASSERT_TRUE(router) << router.error().message;
  const LearnedChoice choice = (*router)->judge("Prove that the theorem number 7 holds");
  EXPECT_EQ(choice.weak, "small");
  EXPECT_EQ(choice.strong, "big");
  EXPECT_NEAR(choice.gain, model_.judge(features("Prove that the theorem number 7 holds")).gain(),
              1e-6);
  EXPECT_NEAR(choice.threshold, model_.threshold(0.95, 0), 1e-9);
}

TEST_F(RouterFileTest, AnythingElseIsRefusedWithAReason) {
  const auto missing = LearnedRouter::load(config_);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Errc::kNotFound);
  json::object stored = model_.to_json();
  const auto fault = [](json::object changed) {
    const auto read = Model::from_json(changed);
    return read ? std::string("read") : read.error().message;
  };
  EXPECT_THAT(fault({}), HasSubstr("format"));
  json::object other = stored;
  other["version"] = 1;
  EXPECT_THAT(fault(other), HasSubstr("version 1"));
  other = stored;
  other["weak"].as_object()["words"] = "AAAA";
  EXPECT_THAT(fault(other), HasSubstr("'weak'"));
  other = stored;
  other["curve"] = json::array{json::array{1, 2}};
  EXPECT_THAT(fault(other), HasSubstr("'curve'"));
  other = stored;
  other.erase("rarity");
  EXPECT_THAT(fault(other), HasSubstr("'rarity'"));
  other = stored;
  other["line"] = "AAAA";
  EXPECT_THAT(fault(other), HasSubstr("'line'"));
  other = stored;
  other["trees"].as_array()[0].as_array()[0].as_array()[0] = 10'000;
  EXPECT_THAT(fault(other), HasSubstr("'trees'")) << "asks for an input that there is not";
  model_.weak.clear();
  ASSERT_TRUE(model_.save(config_.file));
  EXPECT_THAT(LearnedRouter::load(config_).error().message, HasSubstr("names no models"));
}

// ---- Learning from feedback

TEST_F(RouterFileTest, FeedbackMovesTheChoiceByBoundedSteps) {
  LearnedRouter router(config_, model_);
  const std::string prompt = "Name the colour of fruit number 5 holds";
  const double before = router.judge(prompt).gain;
  const auto seen = router.remember(prompt, false);
  ASSERT_TRUE(router.learn(seen, 0));
  const double after = router.judge(prompt).gain;
  EXPECT_GT(after, before) << "the weak model was wrong";
  EXPECT_LT(after - before, 0.2) << "one voice does not decide";
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(router.learn(seen, 0));
  EXPECT_GT(router.judge(prompt).gain, before + 0.2);
  // No number of voices moves a weight further than its bound.
  EXPECT_LT(std::abs(router.judge("Entirely different matter").gain), 1);
}

TEST_F(RouterFileTest, LearningCanBeOff) {
  config_.online = false;
  LearnedRouter router(config_, model_);
  const double before = router.judge("Name a colour").gain;
  EXPECT_FALSE(router.learn(router.remember("Name a colour", false), 0));
  EXPECT_EQ(router.judge("Name a colour").gain, before);
}

}  // namespace
}  // namespace asahi::gateway::learned
