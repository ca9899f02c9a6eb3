#include "memory/summary/summary.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "base/utf8.h"
#include "memory/summary/sentences.h"

namespace asahi::memory {
namespace {

constexpr std::string_view kIncident =
    "Hey team! Hope you are all well. We had a long day with the payment service. The payment "
    "service returned errors from 14:05 until 14:40 because the connection pool of the database "
    "was "
    "exhausted. Someone brought cake. We decided to raise the pool of the payment service to 200 "
    "connections and Marta Ruiz will add an alert on the database by Friday. The weather was nice. "
    "Talk to you soon.";

TEST(Summary, ShortTextStaysWhole) {
  EXPECT_EQ(summarise("The  build\nis green.", kWarmSummary), "The build is green.");
  EXPECT_EQ(summarise("", kWarmSummary), "");
  EXPECT_EQ(summarise(" \n ", kColdSummary), "");
}

TEST(Summary, KeepsDecisionsNamesAndNumbers) {
  const std::string warm = summarise(kIncident, kWarmSummary);
  EXPECT_NE(warm.find("We decided to raise the pool"), std::string::npos) << warm;
  EXPECT_NE(warm.find("Marta Ruiz"), std::string::npos) << warm;
  EXPECT_NE(warm.find("14:05"), std::string::npos) << warm;
  EXPECT_EQ(warm.find("cake"), std::string::npos) << warm;
  EXPECT_EQ(warm.find("weather"), std::string::npos) << warm;
}

TEST(Summary, HasThreeSentencesInOrderAndOneForCold) {
  const std::string warm = summarise(kIncident, kWarmSummary);
  EXPECT_EQ(split_sentences(warm).size(), 3U) << warm;
  EXPECT_LT(warm.find("14:05"), warm.find("We decided"));
  const std::string cold = summarise(kIncident, kColdSummary);
  EXPECT_EQ(split_sentences(cold).size(), 1U) << cold;
  EXPECT_NE(kIncident.find(cold), std::string_view::npos) << "as it was written";
}

TEST(Summary, DoesNotSayTheSameTwice) {
  const std::string text =
      "The index is rebuilt at night by the worker. The index is rebuilt at night by the worker "
      "again. The index is rebuilt by the worker at night. Redis holds the sessions. The backup "
      "goes to Lisbon. Nothing else.";
  const std::string out = summarise(text, kWarmSummary);
  std::size_t times = 0;
  for (std::size_t at = out.find("rebuilt"); at != std::string::npos;
       at = out.find("rebuilt", at + 1))
    ++times;
  EXPECT_EQ(times, 1U) << out;
}

TEST(Summary, OfAChatSaysWhoSaidWhatAndLeavesCheersOut) {
  const std::string text =
      "Ana: Hey Bob! Great to hear from you!\nBob: Wow, Ana, that's so cool!\n"
      "Ana: Thanks, Bob! I started a pottery class at the studio in Lisbon last Tuesday.\n"
      "Bob: Nice, Ana! My pottery teacher moved the class to 14 May because the studio is closed.\n"
      "Ana: Awesome, Bob! Talk soon, Bob!";
  const std::string out = summarise(text, {.sentences = 2, .max_bytes = 400});
  EXPECT_EQ(out,
            "Ana: I started a pottery class at the studio in Lisbon last Tuesday. Bob: My pottery "
            "teacher moved the class to 14 May because the studio is closed.");
}

TEST(Summary, LeavesCodeOutUnlessThereIsNothingElse) {
  const std::string text =
      "The parser leaks memory.\n```cc\nint main() { return parse(); }\n```\nWe fixed the parser. "
      "ok.";
  EXPECT_EQ(summarise(text, kWarmSummary).find("int main"), std::string::npos);
  EXPECT_NE(summarise("```cc\nint main() {}\n```", kWarmSummary).find("int main"),
            std::string::npos);
}

TEST(Summary, IsNeverLongerThanAskedAndCutsAtWords) {
  std::string text;
  for (int i = 0; i < 5; ++i) {
    for (int k = 0; k < 90; ++k) text += "número" + std::to_string(i * 100 + k) + " ";
    text += "end. ";
  }
  const std::string out = summarise(text, {.sentences = 3, .max_bytes = 300});
  EXPECT_LE(out.size(), 300U);
  EXPECT_GT(out.size(), 200U);
  EXPECT_TRUE(is_utf8(out));
  EXPECT_TRUE(out.ends_with("…"));
  EXPECT_LE(summarise(std::string(3000, 'x'), {.sentences = 1, .max_bytes = 50}).size(), 50U);
}

TEST(Summary, HoldsItsBoundsForAnyBytes) {
  std::mt19937 random(31);
  const std::string_view pieces[] = {"decided ", "Marta ", "14 ", ". ",   "? ",   "\n",
                                     "```\n",    "。",     "é",   "\xC3", "zzz ", "- ",
                                     "漢",       "…",      "`",   "\0x"};
  for (int round = 0; round < 200; ++round) {
    std::string text;
    for (unsigned n = random() % 300; n > 0; --n) text += pieces[random() % std::size(pieces)];
    for (const std::size_t most : {0U, 3U, 10U, 100U, 800U}) {
      const std::string out = summarise(text, {.sentences = 3, .max_bytes = most});
      EXPECT_LE(out.size(), most);
      EXPECT_TRUE(is_utf8(out));
      EXPECT_EQ(out, summarise(text, {.sentences = 3, .max_bytes = most}));
    }
  }
}

}  // namespace
}  // namespace asahi::memory
