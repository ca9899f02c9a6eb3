#include "gateway/cache/semantic/verifier.h"

#include <gtest/gtest.h>

#include <random>

#include "gateway/cache/semantic/alignment.h"

namespace asahi::gateway::semantic {
namespace {

using llm::text::analyse;

Comparison between(std::string_view a, std::string_view b) {
  return compare(analyse(a), analyse(b));
}

struct Case {
  std::string_view a, b;
};

// Both ways round: the verifier is symmetric.
void expect_same(std::initializer_list<Case> cases, float at_least = 0.9F) {
  for (const Case& one : cases) {
    EXPECT_GE(between(one.a, one.b).score, at_least)
        << one.a << " | " << one.b << " " << to_string(between(one.a, one.b).verdict);
    EXPECT_EQ(between(one.a, one.b).score, between(one.b, one.a).score) << one.a << " | " << one.b;
  }
}

void expect_veto(Verdict verdict, std::initializer_list<Case> cases) {
  for (const Case& one : cases) {
    EXPECT_EQ(to_string(between(one.a, one.b).verdict), to_string(verdict))
        << one.a << " | " << one.b;
    EXPECT_EQ(between(one.a, one.b).score, 0) << one.a << " | " << one.b;
    EXPECT_EQ(between(one.b, one.a).score, 0) << one.b << " | " << one.a;
  }
}

TEST(Verifier, LetsParaphrasesPass) {
  expect_same(
      {{"How do I reset my password?", "How can I reset my password?"},
       {"How do I reset my password?", "What is the best way to reset my password?"},
       {"How do I reset my password?", "Could you please tell me how to reset my password?"},
       {"What are the ways to earn money online?", "How can I make money online?"},
       {"What is the United States' capital?", "What is the capital of the USA?"},
       {"How big is a data set?", "How large is the dataset?"},
       {"How do I buy a phone?", "How do I purchase a phone?"}});
}

TEST(Verifier, NumbersMustAgree) {
  expect_veto(Verdict::kNumber, {{"How do I split a bill by 3?", "How do I split a bill by 4?"},
                                 {"Is 2.10 out?", "Is 2.1 out?"},
                                 {"Is release v3.0.1 safe?", "Is release 3.0.2 safe?"},
                                 {"Plan a trip of three days", "Plan a trip of five days"},
                                 {"Plan a trip", "Plan a trip of 5 days"},
                                 {"What happened on 3 May 2021?", "What happened on 3 May 2022?"}});
  expect_same({{"Is release v3.0.1 safe?", "Is release 3.0.1 safe?"},
               {"Plan a trip of three days", "Plan a trip of 3 days"},
               {"Is 1,500 enough for a party?", "Is 1500 enough for a party?"}});
}

TEST(Verifier, NamesMustAgree) {
  expect_veto(Verdict::kName, {{"What did Anna Berger say?", "What did Anna Bauer say?"},
                               {"When was Lindqvist born?", "When was Lindgren born?"},
                               {"Where is the house of Okafor?", "Where is the house?"}});
}

TEST(Verifier, MembersOfASetExcludeEachOther) {
  expect_veto(Verdict::kClass,
              {{"How do I sort a list in Python?", "How do I sort a list in Java?"},
               {"Translate it into French", "Translate it into German"},
               {"What is the capital of Austria?", "What is the capital of Australia?"},
               {"Is it open on monday?", "Is it open on tuesday?"},
               {"Convert it into miles", "Convert it into kilometers"},
               {"How do I sort a list?", "How do I sort a list in Python?"}});
  expect_same({{"Is it hot in january?", "Is it hot in jan?"},
               {"How do I parse text in JavaScript?", "How do I parse text in JS?"},
               {"How heavy are 5 kg of feathers?", "How heavy are 5 kilograms of feathers?"}});
}

TEST(Verifier, OppositesAreVetoed) {
  expect_veto(Verdict::kOpposite,
              {{"How do I enable the alarm?", "How do I disable the alarm?"},
               {"What is the maximum age?", "What is the minimum age?"},
               {"Is the lock possible to open?", "Is the lock impossible to open?"},
               {"How do I install the plugin?", "How do I uninstall the plugin?"},
               {"What came before the war?", "What came after the war?"}});
}

TEST(Verifier, NegationsMustAgree) {
  expect_veto(Verdict::kNegation,
              {{"Which mushrooms are safe to eat?", "Which mushrooms are not safe to eat?"},
               {"Why does it start?", "Why doesn't it start?"},
               {"Can I travel with insulin?", "Can I travel without insulin?"},
               {"Should I feed and not wash the cat?", "Should I not feed and wash the cat?"}});
  expect_same({{"Why doesn't the car start?", "Why does the car not start?"}});
}

TEST(Verifier, DirectionsMustAgree) {
  expect_veto(Verdict::kDirection,
              {{"How do I get from Oslo to Bergen?", "How do I get from Bergen to Oslo?"},
               {"Convert euro to yen", "Convert yen to euro"},
               {"Did the wolf bite the bear?", "Did the bear bite the wolf?"},
               {"Is Jupiter bigger than Saturn?", "Is Saturn bigger than Jupiter?"}});
  expect_same({{"Who would win, Jupiter or Saturn?", "Who would win, Saturn or Jupiter?"},
               {"What is the difference between tea and coffee?",
                "What is the difference between coffee and tea?"}});
}

TEST(Verifier, KindsOfQuestionsMustAgree) {
  expect_veto(Verdict::kQuestion, {{"When was the bridge built?", "Where was the bridge built?"},
                                   {"Who painted the wall?", "Why was the wall painted?"},
                                   {"How many bees are there?", "Where are the bees?"}});
}

TEST(Verifier, CodeMustAgree) {
  expect_veto(Verdict::kCode, {{"What does `x = 1` do?", "What does `x = 2` do?"},
                               {"Explain read_all() to me", "Explain read_some() to me"},
                               {"What is in /etc/hosts?", "What is in /etc/passwd?"}});
}

TEST(Verifier, LanguagesMustAgree) {
  expect_veto(Verdict::kLanguage,
              {{"Comment est-ce que je change le mot de passe?", "How do I change the password?"},
               {"Как изменить пароль?", "How do I change the password?"}});
}

TEST(Verifier, WhatStandsOnOneSideOnlyLowersTheScore) {
  const float whole =
      between("How do I clean a copper kettle?", "How can I clean a copper kettle?").score;
  const float part = between("How do I clean a copper kettle?", "How do I clean a kettle?").score;
  const float other =
      between("How do I clean a copper kettle?", "How do I clean a wooden deck?").score;
  EXPECT_GT(whole, part);
  EXPECT_GT(part, other);
  EXPECT_LT(other, 0.5F);
}

TEST(Verifier, CraftedHashesDoNotMakeWordsEqual) {
  auto a = analyse("How do I grow a fern?"), b = analyse("How do I grow a moss?");
  for (auto& word : b.words) {
    if (b.stem_of(word) == "moss") word.hash = a.words.back().hash;
  }
  EXPECT_LT(compare(a, b).score, 0.9F);
}

TEST(Verifier, EmptyTextsServeNobody) {
  EXPECT_EQ(between("", "").verdict, Verdict::kEmpty);
  EXPECT_EQ(between("???", "How?").verdict, Verdict::kEmpty);
}

TEST(Verifier, LongTextsMustEndAlike) {
  std::string text = "Summarise this:";
  for (int i = 0; i < 200; ++i) text += " item" + std::to_string(i * 31);
  EXPECT_EQ(between(text, text + " and more").verdict, Verdict::kRest);
  EXPECT_GT(between(text, text).score, 0.9F);
}

// Random sentences of real words, and random bytes: symmetric, deterministic, equal to themselves.
TEST(VerifierProperty, HoldsForRandomTexts) {
  constexpr auto kWords = std::to_array<std::string_view>(
      {"how",  "do",     "not",     "the",  "router",  "Paris", "London", "12",
       "7",    "enable", "disable", "from", "to",      "why",   "Python", "dog",
       "eats", "and",    "fast",    "slow", "?",       ",",     "kg",     "foo_bar",
       "é",    "USA",    "data",    "set",  "dataset", "best",  "worst",  "most"});
  std::mt19937 random(7);
  for (int round = 0; round < 3'000; ++round) {
    std::string a, b;
    for (std::string* text : {&a, &b}) {
      const std::size_t length = 1 + random() % 12;
      for (std::size_t i = 0; i < length; ++i)
        *text += std::string(kWords[random() % kWords.size()]) + " ";
    }
    const Comparison there = between(a, b), back = between(b, a);
    ASSERT_NEAR(there.score, back.score, 1e-4) << a << " | " << b;
    ASSERT_GE(there.score, 0);
    ASSERT_LE(there.score, 1);
    ASSERT_EQ(there.score, between(a, b).score);
    const Comparison self = between(a, a);
    if (analyse(a).length > 0) {
      ASSERT_EQ(to_string(self.verdict), "same") << a;
      ASSERT_GT(self.score, 0.9F) << a;
    }
  }
}

// What is asked of a long text must not drown in the text.
TEST(Verifier, ThingsAskedOfTheSameMaterialDiffer) {
  const std::string story =
      ":\n\nThe ferry left the harbour of Lund an hour late. On deck a retired clockmaker called "
      "Aino "
      "mended the watch of a boy who had lost his ticket, and the boy's aunt, who had searched the "
      "whole boat for him, paid with a basket of plums. When fog came up, the captain asked the "
      "clockmaker to ring the bell every minute until the lights of the island could be seen.";
  for (const auto& [one, other] :
       std::initializer_list<std::pair<std::string_view, std::string_view>>{
           {"Summarize the plot of this story", "Extract the names of all persons from this story"},
           {"Extract all dates from these minutes", "Write a one-line summary of these minutes"},
           {"Continue this story with a surprising end", "Summarize the plot of this story"},
           {"Summarize this story", "Translate this story into French"}}) {
    const Comparison found = between(std::string(one) + story, std::string(other) + story);
    EXPECT_EQ(found.score, 0) << one << " | " << other << ": " << to_string(found.verdict);
  }
  EXPECT_GT(between("Summarize the plot of this story" + story,
                    "Please summarise the plot of this story" + story)
                .score,
            0.9F);
}

TEST(Alignment, FindsAbbreviationsAndSlips) {
  expect_same({{"What does the HF hub offer?", "What does the Hugging Face hub offer?"}}, 0.7F);
  EXPECT_GT(
      between("How do I get my recomendation letter?", "How do I get my recommendation letter?")
          .score,
      0.9F);
  EXPECT_TRUE(negated_form("possibl", "impossibl"));
  EXPECT_FALSE(negated_form("bus", "omnibus"));
}

}  // namespace
}  // namespace asahi::gateway::semantic
