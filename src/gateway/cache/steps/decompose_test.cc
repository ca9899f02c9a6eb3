#include "gateway/cache/steps/decompose.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace asahi::gateway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Kind = Decomposition::Kind;

std::vector<std::string> inputs(const Decomposition& work) {
  std::vector<std::string> out;
  for (const Step& step : work.steps) out.push_back(step.input_text);
  return out;
}
std::vector<std::string> types(const Decomposition& work) {
  std::vector<std::string> out;
  for (const Step& step : work.steps) out.emplace_back(to_string(step.type));
  return out;
}

struct Compared {
  const char* prompt;
  const char* left;
  const char* right;
};
class Comparison : public ::testing::TestWithParam<Compared> {};

TEST_P(Comparison, SummarizesBothSubjectsAndAnswers) {
  const Decomposition work = decompose(GetParam().prompt, false);
  ASSERT_EQ(work.kind, Kind::kComparison) << GetParam().prompt;
  EXPECT_THAT(types(work), ElementsAre("summarize", "summarize", "answer"));
  EXPECT_THAT(inputs(work), ElementsAre(GetParam().left, GetParam().right, GetParam().prompt));
  EXPECT_EQ(work.steps[0].id, "step_1");
  EXPECT_EQ(work.steps[2].id, "step_3");
  EXPECT_TRUE(work.runnable);
}

INSTANTIATE_TEST_SUITE_P(
    Wordings, Comparison,
    ::testing::Values(Compared{"Compare PostgreSQL and SQLite", "PostgreSQL", "SQLite"},
                      Compared{"Please compare the Rhine with the Danube.", "Rhine", "Danube"},
                      Compared{"What is the difference between TCP and UDP?", "TCP", "UDP"},
                      Compared{"What are the differences between a fox and a wolf in winter?",
                               "fox", "wolf"},
                      Compared{"Redis vs Memcached for sessions", "Redis", "Memcached"},
                      Compared{"Redis vs. Memcached", "Redis", "Memcached"},
                      Compared{"Explain Kafka versus RabbitMQ", "Kafka", "RabbitMQ"},
                      Compared{"Contrast baroque music with jazz", "baroque music", "jazz"},
                      Compared{"Which is better, Rust or Go?", "Rust", "Go"}),
    [](const auto& info) { return "N" + std::to_string(info.index); });

struct Whole {
  const char* why;
  const char* prompt;
};
class Direct : public ::testing::TestWithParam<Whole> {};

TEST_P(Direct, IsOneStepThatIsNotKept) {
  const Decomposition work = decompose(GetParam().prompt, false);
  EXPECT_EQ(work.kind, Kind::kDirect) << GetParam().why;
  ASSERT_EQ(work.steps.size(), 1U);
  EXPECT_EQ(work.steps[0].input_text, GetParam().prompt);
}

INSTANTIATE_TEST_SUITE_P(
    WrongToTakeApart, Direct,
    ::testing::Values(
        Whole{"one question", "What is a fox?"}, Whole{"one subject", "Compare prices"},
        Whole{"three subjects", "Compare Rust and Go and Zig"},
        Whole{"subjects that are pronouns", "What is the difference between this and that?"},
        Whole{"the same subject twice", "Redis vs redis"},
        Whole{"a list that is data", "Sort this:\n1. pears\n2. apples"},
        Whole{"a list of statements", "Note this:\n1. The sky is blue\n2. Grass is green"},
        Whole{"questions that are data", "Translate to French: How are you? Where do you live?"},
        Whole{"questions that are quoted", "Who wrote \"What is life? Where is home?\" and why?"},
        Whole{"one answer to both is wanted", "What is a fox? What is an owl? Answer in a table."},
        Whole{"a statement between", "What is a fox? I like owls. What do owls eat?"},
        Whole{"text behind the list", "1. What is a fox?\n2. What is an owl?\n\nBe brief."},
        Whole{"numbers that do not begin at one", "2. What is a fox?\n3. What is an owl?"},
        Whole{"an address", "What does http://a.example/?q=1 say?"}),
    [](const auto& info) { return "N" + std::to_string(info.index); });

TEST(Parts, ANumberedListIsAnsweredPartByPart) {
  const Decomposition work =
      decompose("Please help:\n1. What is a fox?\n2) Explain photosynthesis", false);
  ASSERT_EQ(work.kind, Kind::kParts);
  EXPECT_THAT(inputs(work), ElementsAre("Please help:\n\nWhat is a fox?",
                                        "Please help:\n\nExplain photosynthesis"));
  EXPECT_EQ(join_results(work, {"An animal.", "Light to sugar."}),
            "1. An animal.\n\n2. Light to sugar.");
}

TEST(Parts, SeveralQuestionsAreAnsweredOneByOne) {
  const Decomposition work = decompose("What is a fox? Who was Ada Lovelace?", false);
  ASSERT_EQ(work.kind, Kind::kParts);
  EXPECT_THAT(inputs(work), ElementsAre("What is a fox?", "Who was Ada Lovelace?"));
  EXPECT_EQ(join_results(work, {"An animal.", "A mathematician."}),
            "An animal.\n\nA mathematician.");
}

TEST(Parts, WhatIsSaidBeforeTheFirstQuestionBelongsToAll) {
  const Decomposition work = decompose("I use Python. What is a list? What is a dict?", false);
  EXPECT_THAT(inputs(work),
              ElementsAre("I use Python.\n\nWhat is a list?", "I use Python.\n\nWhat is a dict?"));
}

TEST(Parts, APartThatRefersBackCarriesWhatItRefersTo) {
  const Decomposition work = decompose("What is a fox? What does it eat?", false);
  ASSERT_EQ(work.kind, Kind::kParts);
  EXPECT_EQ(work.steps[1].input_text, "What is a fox?\n\nWhat does it eat?");
  EXPECT_THAT(work.steps[1].prompt, HasSubstr("Answer the last question only"));
  const Decomposition other = decompose("What is an owl? What does it eat?", false);
  EXPECT_NE(other.steps[1].input_text, work.steps[1].input_text) << "another 'it'";
}

TEST(Document, IsSummarizedAndThenAsked) {
  const std::string text(300, 'x');
  const Decomposition work =
      decompose("Based on the article, who won?\n\n" + text + " and more", false);
  ASSERT_EQ(work.kind, Kind::kDocument);
  EXPECT_THAT(types(work), ElementsAre("summarize", "answer"));
  EXPECT_EQ(work.steps[0].input_text, text + " and more");
  EXPECT_TRUE(work.runnable);
  const std::string last = final_prompt(work, {"Ann won."});
  EXPECT_THAT(last, HasSubstr("Based on the article, who won?"));
  EXPECT_THAT(last, HasSubstr("Ann won."));
  EXPECT_THAT(last, HasSubstr(std::string(kNotInSummary)));
}

TEST(Document, AnotherTextUnderTheSameQuestionIsAnotherStep) {
  const Decomposition one =
      decompose("According to the text, who?\n\n" + std::string(300, 'a'), true);
  const Decomposition two =
      decompose("According to the text, who?\n\n" + std::string(300, 'b'), true);
  EXPECT_NE(one.steps[0].input_text, two.steps[0].input_text);
  EXPECT_NE(one.steps[1].input_text, two.steps[1].input_text);
  EXPECT_EQ(one.steps[1].intent, two.steps[1].intent);
}

TEST(Document, ThatTheRequestDoesNotHoldCannotBeRunInSteps) {
  const Decomposition work = decompose("Who won?", true);
  EXPECT_EQ(work.kind, Kind::kDocument);
  EXPECT_FALSE(work.runnable);
}

TEST(Decompose, LeavesRequestsOfTooManyStepsWhole) {
  std::string prompt;
  for (int i = 1; i <= 11; ++i) prompt += std::to_string(i) + ". What is a fox?\n";
  EXPECT_EQ(decompose(prompt, false).kind, Kind::kDirect);
  EXPECT_EQ(decompose(prompt, false, 11).kind, Kind::kParts);
  EXPECT_EQ(decompose("Compare Rust and Go", false, 2).kind, Kind::kDirect);
}

TEST(Decompose, KeepsTheIntentShortAndWhole) {
  const Decomposition work =
      decompose(std::string(79, 'x') + "äöü? What is that? Who is it?", false);
  for (const Step& step : work.steps) EXPECT_LE(step.intent.size(), 80U);
  EXPECT_EQ(decompose("What is a fox? Who was Ada?", false).steps[0].intent, "What is a fox?");
}

TEST(Comparison, TheLastStepWorksWithTheSummaries) {
  const Decomposition work = decompose("Compare Rust and Go", false);
  const std::string prompt = final_prompt(work, {"Rust is safe.", "Go is simple."});
  EXPECT_THAT(prompt, ::testing::StartsWith("Compare Rust and Go\n"));
  EXPECT_THAT(prompt, HasSubstr("Rust: Rust is safe."));
  EXPECT_THAT(prompt, HasSubstr("Go: Go is simple."));
  EXPECT_EQ(join_results(work, {"a", "b", "the answer"}), "the answer");
}

}  // namespace
}  // namespace asahi::gateway
