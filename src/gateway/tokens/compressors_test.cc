#include "gateway/tokens/compressors.h"

#include <gtest/gtest.h>

#include "llm/vendor.h"

namespace asahi::gateway::tokens {
namespace {

constexpr std::string_view kStory =
    "The harbour is the heart of the town. The harbour was built in 1871. Gulls cry above the "
    "roofs "
    "in the morning. The harbour has a crane and the crane is red. Somewhere a radio is playing. "
    "Boats leave the harbour at dawn. A cat sleeps in the sun. The crane was made by Stahl & Co.";

TEST(Compressors, ExtractiveKeepsWhatTheTextIsAbout) {
  const std::string shorter = compress_extractive(kStory, {.ratio = 0.75, .tokens = {}});
  EXPECT_LT(shorter.size(), kStory.size());
  EXPECT_NE(shorter.find("1871"), std::string::npos);
  EXPECT_NE(shorter.find("Stahl & Co."), std::string::npos);
  EXPECT_NE(shorter.find("the crane is red"), std::string::npos);
  EXPECT_EQ(shorter.find("A cat sleeps"), std::string::npos);
}

TEST(Compressors, ExtractiveStopsAtATokenTarget) {
  const std::int64_t whole = llm::estimate_tokens(kStory);
  const std::string shorter = compress_extractive(kStory, {.ratio = 0.5, .tokens = whole - 5});
  EXPECT_LT(llm::estimate_tokens(shorter), whole);
  EXPECT_GT(llm::estimate_tokens(shorter), whole - 20);
}

TEST(Compressors, DocumentKeepsWhatTheQueryAsksFor) {
  const std::string shorter =
      compress_document(kStory, "Where does the cat sleep?", {.ratio = 0.75, .tokens = {}});
  EXPECT_NE(shorter.find("A cat sleeps"), std::string::npos);
  EXPECT_EQ(shorter.find("radio"), std::string::npos);
}

TEST(Compressors, TemplateShortensWithoutDroppingSentencesThatSaySomething) {
  EXPECT_EQ(compress_template("Welcome to the team! Please make sure to answer in German. In order "
                              "to help, ask first."),
            "Answer in German. To help, ask first.");
}

TEST(Compressors, AbstractiveIsTheTemplateAndTheTopThird) {
  EXPECT_LT(compress_abstractive(kStory).size(),
            compress_extractive(kStory, {.ratio = 0.75, .tokens = {}}).size());
  EXPECT_NE(compress_abstractive(kStory).find("1871"), std::string::npos);
}

TEST(Compressors, TurnsOfUpToFiftyTokensStay) {
  const std::string turn = "I really like this, in order to be honest. It is a very nice thing.";
  EXPECT_EQ(compress_turn(turn), turn);
  EXPECT_LT(compress_turn(kStory).size(), kStory.size());
}

}  // namespace
}  // namespace asahi::gateway::tokens
