#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <random>
#include <set>

#include "gateway/routing/learned/features.h"
#include "gateway/routing/learned/learned_router.h"
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

TEST(RouterTraining, FindsThePromptsThatNeedTheStrongModel) {
  const auto trained = train(rows(2'000), {});
  ASSERT_TRUE(trained) << trained.error().message;
  const Evaluation& e = trained->evaluation;
  EXPECT_GT(e.random_share, 0.8);
  EXPECT_LT(e.share, 0.55) << "half of the rows are hard";
  EXPECT_GT(e.saved(), 0.3);
  EXPECT_GT(e.held_accuracy, 0.94 * e.strong_accuracy);
  Features hard, easy;
  read_features("Prove that the theorem number 12 holds", hard);
  read_features("Name the colour of fruit number 12 holds", easy);
  EXPECT_GT(trained->model.judge(hard).gain(), 0.4);
  EXPECT_LT(trained->model.judge(easy).gain(), 0.2);
}

TEST(RouterTraining, ChanceIsNotMistakenForKnowledge) {
  std::mt19937 random(5);
  std::vector<Row> noise = rows(2'000);
  for (Row& row : noise) {
    row.weak_correct = random() % 100 < 60;
    row.strong_correct = random() % 100 < 85;
  }
  const auto trained = train(noise, {});
  ASSERT_TRUE(trained);
  EXPECT_NEAR(trained->evaluation.recovered, 0.5, 0.08);
}

TEST(RouterTraining, EqualRowsGiveAnEqualModel) {
  const auto one = train(rows(400), {}), two = train(rows(400), {});
  ASSERT_TRUE(one && two);
  EXPECT_EQ(one->model.to_json(), two->model.to_json());
}

TEST(RouterTraining, RefusesRowsThatTeachNothing) {
  EXPECT_THAT(train(rows(50), {}).error().message, HasSubstr("at least 200"));
  std::vector<Row> same = rows(400);
  for (Row& row : same) row.weak_correct = row.strong_correct;
  EXPECT_THAT(train(same, {}).error().message, HasSubstr("nothing to gain"));
}

TEST(RouterTraining, ThresholdsFollowQualityOrShare) {
  const auto trained = train(rows(2'000), {});
  ASSERT_TRUE(trained);
  const Model& model = trained->model;
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
    auto trained = train(rows(400), {});
    EXPECT_TRUE(trained);
    model_ = std::move(trained->model);
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
  other["version"] = 2;
  EXPECT_THAT(fault(other), HasSubstr("version 2"));
  other = stored;
  other["weak"].as_object()["words"] = "AAAA";
  EXPECT_THAT(fault(other), HasSubstr("'weak'"));
  other = stored;
  other["curve"] = json::array{json::array{1, 2}};
  EXPECT_THAT(fault(other), HasSubstr("'curve'"));
  other = stored;
  other.erase("rarity");
  EXPECT_THAT(fault(other), HasSubstr("'rarity'"));
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
  for (int i = 0; i < 5'000; ++i) ASSERT_TRUE(router.learn(seen, 0));
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
