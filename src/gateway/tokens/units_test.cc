#include "gateway/tokens/units.h"

#include <gtest/gtest.h>

#include <string>

namespace asahi::gateway::tokens {
namespace {

std::vector<std::string> texts_of(std::string_view text, Unit::Kind kind) {
  std::vector<std::string> texts;
  for (const Unit& unit : units_of(text)) {
    if (unit.kind == kind) texts.emplace_back(unit.text);
  }
  return texts;
}

using Texts = std::vector<std::string>;

TEST(Units, JoinedTheyAreTheText) {
  const std::string text =
      "One. Two!  Three?\n\n- a\n- b\n\n```\ncode.  More code\n```\nEnd of it all, here now.\n\n";
  std::string joined;
  for (const Unit& unit : units_of(text)) {
    joined += unit.text;
    joined += unit.gap;
  }
  EXPECT_EQ(joined, text);
}

TEST(Units, SentencesEndAtTheirMarks) {
  EXPECT_EQ(
      texts_of("It rains here. It pours! Does it stop? \"Never,\" he said.", Unit::Kind::kSentence),
      (Texts{"It rains here.", "It pours!", "Does it stop?", "\"Never,\" he said."}));
}

TEST(Units, AbbreviationsNumbersAndInitialsEndNothing) {
  EXPECT_EQ(
      texts_of("Dr. J. Smith paid 3.50 euros, e.g. for tea etc. and left.", Unit::Kind::kSentence)
          .size(),
      1U);
}

TEST(Units, ALineThatIsBrokenGoesOn) {
  EXPECT_EQ(texts_of("This long sentence is broken\nin the middle. This one is not.",
                     Unit::Kind::kSentence),
            (Texts{"This long sentence is broken\nin the middle.", "This one is not."}));
}

TEST(Units, CodeTablesHeadingsLabelsAndMarkupAreNotTouched) {
  for (const char* text : {"```\nx = 1. Y = 2.\n```", "| a | b |\n|---|---|\n| 1 | 2 |",
                           "# Heading", "    indented code. Really.", "{\"a\": \"One. Two.\"}",
                           "<p>One. Two.</p>", "Input: one. Two.", "Short line", "a   b   c"}) {
    const auto units = units_of(text);
    ASSERT_EQ(units.size(), 1U) << text;
    EXPECT_EQ(units[0].kind, Unit::Kind::kVerbatim) << text;
    EXPECT_EQ(units[0].text, text);
  }
}

TEST(Units, ListItemsAreKnownAndKeepTheirMarkers) {
  EXPECT_EQ(
      texts_of("- Be polite. Be brief.\n1. First of all\n   continued here\n(b) second item now",
               Unit::Kind::kListItem),
      (Texts{"- Be polite.", "Be brief.", "1. First of all\n   continued here",
             "(b) second item now"}));
}

TEST(Units, AFenceThatNeverClosesIsCodeToTheEnd) {
  EXPECT_EQ(texts_of("Look at this now.\n```\nx. Y.\n\nZ. W.", Unit::Kind::kSentence),
            (Texts{"Look at this now."}));
}

TEST(Units, AnotherSplitterMayBeGiven) {
  const auto units = units_of("one|two", [](std::string_view text, std::vector<std::size_t>& ends) {
    ends.push_back(text.find('|') + 1);
  });
  EXPECT_EQ(units.size(), 1U);  // a short line without an end mark is a heading
  const auto longer = units_of("one two three|four five six.",
                               [](std::string_view text, std::vector<std::size_t>& ends) {
                                 ends.push_back(text.find('|') + 1);
                               });
  ASSERT_EQ(longer.size(), 2U);
  EXPECT_EQ(longer[0].text, "one two three|");
}

TEST(Units, NothingIsNoUnit) {
  EXPECT_TRUE(units_of("").empty());
  EXPECT_TRUE(units_of(" \n\n\t ").empty());
}

}  // namespace
}  // namespace asahi::gateway::tokens
