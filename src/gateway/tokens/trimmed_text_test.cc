#include "gateway/tokens/trimmed_text.h"

#include <gtest/gtest.h>

namespace asahi::gateway::tokens {
namespace {

/// Everything that may be dropped is.
std::string bare(std::string_view text) {
  TrimmedText trimmed(text);
  trimmed.drop_filler();
  trimmed.drop_repeats();
  trimmed.shorten();
  for (int round = 0; round < 2; ++round) {
    for (std::size_t i = trimmed.sentences().size(); i-- > 0;) {
      if (trimmed.may_drop(i)) trimmed.drop(i);
    }
  }
  return trimmed.render();
}

TEST(TrimmedText, SentencesWithFactsQuestionsAndInstructionsStay) {
  const std::string text =
      "We met in the old house. The rent is 900 euros. Anna was there. It was called \"home\". "
      "Nobody slept. Guests must ring. Do they pay? Close the door. Use `key` there.";
  EXPECT_EQ(bare(text), text);
}

TEST(TrimmedText, SentencesThatSayNothingOfTheKindMayGo) {
  EXPECT_EQ(
      bare("We met in the old house. The garden was full of flowers and light. The rent is 900 "
           "euros."),
      "We met in the old house. The rent is 900 euros.");
}

TEST(TrimmedText, WhatTheNextSentenceRefersToStays) {
  const std::string text =
      "We met in the old house. The machine stood in the garden. It weighs 90 kilos.";
  EXPECT_EQ(bare(text), text);
}

TEST(TrimmedText, RepeatsGoWhereTheySayTheSameInTheSameOrder) {
  EXPECT_EQ(bare("The system must answer in French today. The system must answer in French."),
            "The system must answer in French today.");
  const std::string reversed =
      "Users may delete admins here. Admins may delete users here, Bob says.";
  EXPECT_EQ(bare(reversed), reversed);
  const std::string negated = "Do not share the file with Bob. Share the file with Bob.";
  EXPECT_EQ(bare(negated), negated);
}

TEST(TrimmedText, CodeListsAndOtherLanguagesAreLeftAlone) {
  for (const char* text :
       {"Start here with this text.\n\n```\nthe code is in the garden.  it is nice\n```",
        "Start here with this text.\n\n- the garden is nice and in the sun\n- the house is in the "
        "shade",
        "Anfang hier.\n\nDer Garten ist schön und voller Licht. Die Sonne scheint auf alles.",
        "从前有一个花园。花园里有很多花。"})
    EXPECT_EQ(bare(text), text);
}

TEST(TrimmedText, ParagraphsStayApart) {
  EXPECT_EQ(bare("One rule is here.\n\nThank you for your kind help!\n\n\n\nAnswer in German."),
            "One rule is here.\n\nAnswer in German.");
}

TEST(TrimmedText, WhatIsLostIsPutBack) {
  TrimmedText trimmed("The rent is 900 euros. The rent for dogs is 50 euros.");
  trimmed.drop(1);  // which may_drop would not allow
  EXPECT_EQ(trimmed.render(), "The rent is 900 euros. The rent for dogs is 50 euros.");
}

TEST(TrimmedText, AnEmptyResultIsTheOriginal) {
  EXPECT_EQ(bare("Thank you so much!"), "Thank you so much!");
  EXPECT_EQ(bare(""), "");
}

TEST(TrimmedText, CountsItsWords) {
  TrimmedText trimmed("Keep this sentence in order to test. Thank you so much!");
  EXPECT_EQ(trimmed.original_size(), 11);
  EXPECT_TRUE(trimmed.drop_filler());
  EXPECT_TRUE(trimmed.shorten());
  EXPECT_EQ(trimmed.size(), 5);
  EXPECT_FALSE(trimmed.drop_repeats());
}

}  // namespace
}  // namespace asahi::gateway::tokens
