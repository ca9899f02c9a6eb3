#include "gateway/tokens/facts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace asahi::gateway::tokens {
namespace {

using Kind = Fact::Kind;

bool has(std::string_view sentence, Kind kind, std::string_view text) {
  std::vector<Fact> facts;
  find_facts(sentence, facts);
  return std::ranges::any_of(
      facts, [&](const Fact& fact) { return fact.kind == kind && fact.text == text; });
}
std::size_t count(std::string_view sentence) {
  std::vector<Fact> facts;
  find_facts(sentence, facts);
  return facts.size();
}

TEST(Facts, FindsNumbersWithTheirSigns) {
  EXPECT_TRUE(has("It costs $4.95, about 30% less.", Kind::kNumber, "$4.95"));
  EXPECT_TRUE(has("It costs $4.95, about 30% less.", Kind::kNumber, "30%"));
  EXPECT_TRUE(has("(see 3.2)", Kind::kNumber, "3.2"));
  EXPECT_TRUE(has("at 10:30-11:00 on 2024-02-29", Kind::kNumber, "10:30-11:00"));
  EXPECT_TRUE(has("wait twenty minutes", Kind::kNumber, "twenty"));
}

TEST(Facts, FindsNamesInsideAndAtTheBeginning) {
  EXPECT_TRUE(has("we asked Anna about it", Kind::kName, "Anna"));
  EXPECT_TRUE(has("Berlin is large.", Kind::kName, "Berlin"));
  EXPECT_TRUE(has("Leipzig is large.", Kind::kName, "Leipzig"));
  EXPECT_TRUE(has("Java is widely used.", Kind::kName, "Java"));
  EXPECT_TRUE(has("we use NATO and iPhone", Kind::kName, "NATO"));
  EXPECT_TRUE(has("we use NATO and iPhone", Kind::kName, "iPhone"));
  EXPECT_TRUE(has("Zorblat is nothing", Kind::kName, "Zorblat"));
  EXPECT_TRUE(has("sie mag Äpfel", Kind::kName, "Äpfel"));
  EXPECT_TRUE(has("他 goes home", Kind::kName, "他"));
}

TEST(Facts, EverydayWordsAtTheBeginningAreNoNames) {
  for (const char* sentence :
       {"Customers like good things.", "The weather was fine.", "We're glad about this.",
        "However, things went well.", "I think so.", "Gardening is a rewarding hobby.",
        "Technology moves fast.", "Furthermore, it helps."})
    EXPECT_EQ(count(sentence), 0U) << sentence;
}

TEST(Facts, FindsCodeAddressesAndQuotations) {
  EXPECT_TRUE(has("call `foo(1)` now", Kind::kCode, "`foo(1)`"));
  EXPECT_TRUE(has("edit /etc/hosts now", Kind::kCode, "/etc/hosts"));
  EXPECT_TRUE(has("set max_size here", Kind::kCode, "max_size"));
  EXPECT_TRUE(has("fill in {name} here", Kind::kCode, "{name}"));
  EXPECT_TRUE(has("see https://a.example/b?c for more", Kind::kUrl, "https://a.example/b?c"));
  EXPECT_TRUE(has("write to me@b.example.", Kind::kUrl, "me@b.example"));
  EXPECT_TRUE(has("say \"hello there\" first", Kind::kQuote, "\"hello there\""));
  EXPECT_TRUE(has("say “hello there” first", Kind::kQuote, "“hello there”"));
  EXPECT_TRUE(has("say 'hello there' first", Kind::kQuote, "'hello there'"));
}

TEST(Facts, AnApostropheIsNoQuotation) {
  EXPECT_EQ(count("the customer's friends' houses are old"), 0U);
}

TEST(Facts, FindsNegationsAndConstraints) {
  EXPECT_TRUE(has("do not do it", Kind::kNegation, "not"));
  EXPECT_TRUE(has("it doesn't work", Kind::kNegation, "doesn't"));
  EXPECT_TRUE(has("it doesn’t work", Kind::kNegation, "doesn’t"));
  EXPECT_TRUE(has("leave without it", Kind::kNegation, "without"));
  EXPECT_TRUE(has("you must go", Kind::kConstraint, "must"));
  EXPECT_TRUE(has("at most a few", Kind::kConstraint, "most"));
  EXPECT_FALSE(has("most of them", Kind::kConstraint, "most"));
  EXPECT_TRUE(has("go only there", Kind::kConstraint, "only"));
  EXPECT_TRUE(has("**must** go", Kind::kConstraint, "must"));
}

TEST(Facts, NamesAreComparedAsWrittenAndWordsAreNot) {
  std::vector<Fact> facts;
  find_facts("it is NOT so", facts);
  find_facts("it is not so", facts);
  // A word in capitals is a negation all the same.
  ASSERT_EQ(facts.size(), 2U);
  EXPECT_EQ(facts[0].hash, facts[1].hash);
  facts.clear();
  find_facts("we met Polish people", facts);
  find_facts("we met POLISH people", facts);
  ASSERT_EQ(facts.size(), 2U);
  EXPECT_NE(facts[0].hash, facts[1].hash);
}

TEST(Facts, AQuotationThatNeverClosesProtectsTheRest) {
  std::vector<std::size_t> bounds;
  find_protected("say \"this and that", bounds);
  EXPECT_EQ(bounds, (std::vector<std::size_t>{4, 18}));
}

}  // namespace
}  // namespace asahi::gateway::tokens
