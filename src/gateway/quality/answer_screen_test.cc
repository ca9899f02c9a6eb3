#include "gateway/quality/answer_screen.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/quality/agreement.h"
#include "gateway/quality/hallucination.h"

namespace asahi::gateway {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

llm::ChatRequest ask(std::string prompt) {
  llm::ChatRequest request;
  llm::Message message{.role = llm::Role::kUser};
  message.parts.emplace_back(llm::TextPart{.text = std::move(prompt), .cache_control = {}});
  request.messages.push_back(std::move(message));
  return request;
}
llm::ChatResponse say(std::string text) {
  llm::ChatResponse response;
  response.parts.emplace_back(llm::TextPart{.text = std::move(text), .cache_control = {}});
  return response;
}
AnswerScreening screened(std::string prompt, std::string answer) {
  return screen_answer(ask(std::move(prompt)), say(std::move(answer)));
}

TEST(AnswerScreen, LetsAnOrdinaryAnswerPass) {
  const auto found = screened("What is the capital of France?", "The capital of France is Paris.");
  EXPECT_THAT(found.flags, IsEmpty());
  EXPECT_EQ(found.quality_left, 1);
  EXPECT_EQ(found.warning(), "");
  EXPECT_FALSE(found.worth_another_try());
}

TEST(AnswerScreen, FlagsWhatIsEmpty) {
  for (const char* blank : {"", "  \n\t "}) {
    const auto found = screened("Hi", blank);
    EXPECT_THAT(found.flags, ElementsAre(AnswerFlag::kEmpty));
    EXPECT_EQ(found.quality_left, 0);
    EXPECT_TRUE(found.worth_another_try());
  }
  llm::ChatResponse calls;
  calls.parts.emplace_back(llm::ToolCallPart{.id = "1", .name = "f", .arguments = "{}"});
  EXPECT_THAT(screen_answer(ask("Hi"), calls).flags, IsEmpty()) << "a tool call is an answer";
}

TEST(AnswerScreen, FlagsWhatWasCutOffButDoesNotAskAgain) {
  llm::ChatResponse response = say("It all began when");
  response.finish = llm::FinishReason::kLength;
  const auto found = screen_answer(ask("Tell a story"), response);
  EXPECT_THAT(found.flags, ElementsAre(AnswerFlag::kTruncated));
  EXPECT_FALSE(found.worth_another_try());
  EXPECT_THAT(found.warning(), HasSubstr("cut off at its length limit; it is not cached"));
}

TEST(AnswerScreen, KnowsRefusalsByTheirBeginning) {
  for (const char* refusal :
       {"I'm sorry, but I can't help with that.", "I cannot assist with this request.",
        "Sorry — I’m unable to provide medical advice.", "I won't write that.",
        "As an AI language model, I do not have opinions.", "This is against my guidelines."}) {
    EXPECT_TRUE(is_refusal(refusal)) << refusal;
    EXPECT_THAT(screened("Hi", refusal).flags, ElementsAre(AnswerFlag::kRefusal)) << refusal;
  }
  for (const char* answer :
       {"You can't divide by zero, so the limit does not exist.",
        "The treaty says that states cannot help one another in such a war.",
        "I can help you with that: first, open the file.",
        "Here is the letter: 'Dear Sir, I was at home all day and would like to say that I cannot "
        "assist you.'"}) {
    EXPECT_FALSE(is_refusal(answer)) << answer;
  }
  llm::ChatResponse filtered = say("");
  filtered.finish = llm::FinishReason::kContentFilter;
  EXPECT_THAT(screen_answer(ask("Hi"), filtered).flags, ElementsAre(AnswerFlag::kRefusal));
  llm::ChatResponse typed;
  typed.parts.emplace_back(llm::RefusalPart{.text = "No."});
  EXPECT_THAT(screen_answer(ask("Hi"), typed).flags, ElementsAre(AnswerFlag::kRefusal));
}

TEST(AnswerScreen, WantsJsonWhereItWasAskedFor) {
  EXPECT_THAT(screened("List three colours. Respond in JSON.", "Red, green and blue.").flags,
              ElementsAre(AnswerFlag::kFormatMismatch));
  EXPECT_THAT(
      screened("List three colours. Respond in JSON.", "Sure:\n```json\n[\"red\",\"green\"]\n```")
          .flags,
      IsEmpty());
  EXPECT_THAT(screened("What is valid JSON?", "A text of values.").flags, IsEmpty())
      << "a question about JSON";
  llm::ChatRequest request = ask("Colours?");
  request.format.kind = llm::ResponseFormat::Kind::kJsonObject;
  EXPECT_THAT(screen_answer(request, say("red")).flags, ElementsAre(AnswerFlag::kFormatMismatch));
  EXPECT_THAT(screen_answer(request, say(R"({"colours":["red"]})")).flags, IsEmpty());
  EXPECT_THAT(screen_answer(request, say(R"({"colours":["red")")).flags,
              ElementsAre(AnswerFlag::kFormatMismatch));
}

TEST(AnswerScreen, SaysOneThingAtATime) {
  llm::ChatRequest request = ask("Colours?");
  request.format.kind = llm::ResponseFormat::Kind::kJsonObject;
  llm::ChatResponse cut = say(R"({"colours":[)");
  cut.finish = llm::FinishReason::kLength;
  EXPECT_THAT(screen_answer(request, cut).flags, ElementsAre(AnswerFlag::kTruncated));
}

// ---- Signs of invention

TEST(Hallucination, CertainAndHedgingWordsTogether) {
  EXPECT_EQ(mixed_certainty("It is definitely there, or perhaps not."), 0.3);
  EXPECT_EQ(mixed_certainty("It is definitely there."), 0);
  EXPECT_EQ(mixed_certainty("Perhaps it is there."), 0);
}

TEST(Hallucination, SentencesThatContradictEachOther) {
  EXPECT_EQ(contradictions("The red bridge crosses the river. The red bridge never crosses the "
                           "river."),
            0.25);
  EXPECT_EQ(contradictions("The red bridge crosses the river. It was built in 1900. It has not "
                           "been painted since."),
            0);
  std::string many;
  for (int i = 0; i < 5; ++i)
    many +=
        "The red bridge crosses the river. The red bridge does not cross the river. The red "
        "bridge never crosses the river. ";
  EXPECT_EQ(contradictions(many), 0.5);
}

TEST(Hallucination, SourcesOfASuspiciousForm) {
  EXPECT_EQ(suspicious_sources("See https://www.postgresql.org/docs/15/ for more.", ""), 0);
  EXPECT_DOUBLE_EQ(suspicious_sources("See https://journal.example.org/12345.", ""), 0.2);
  EXPECT_EQ(suspicious_sources("See https://journal.example.org/12345.",
                               "Use https://journal.example.org/12345 please"),
            0)
      << "it was given";
  EXPECT_DOUBLE_EQ(suspicious_sources("As arXiv:2413.01234 shows", ""), 0.2);
  EXPECT_EQ(suspicious_sources("As arXiv:2403.01234 shows", ""), 0);
  EXPECT_DOUBLE_EQ(suspicious_sources("doi: 11.1000/x and doi:10.xxxx/y", ""), 0.4);
  EXPECT_DOUBLE_EQ(suspicious_sources("http://a http://b http://c http://d", ""), 0.6);
}

TEST(Hallucination, NumbersThatDifferFromThoseSupplied) {
  constexpr const char* kFacts = "The contract was signed in 2019 and runs for 12 years.";
  EXPECT_EQ(number_conflicts("It was signed in 2018 and lasts.", kFacts), 0.25);
  EXPECT_EQ(number_conflicts("It was signed in 2019 and lasts.", kFacts), 0);
  EXPECT_EQ(number_conflicts("It covers 40 pages.", kFacts), 0) << "nothing was said of pages";
  EXPECT_EQ(number_conflicts("7 apples and 5 pears make 12 fruits", "Add 7 apples and 5 pears"), 0);
}

TEST(Hallucination, IsFlaggedFromHalfOn) {
  const auto found = screened(
      "Sum up: the contract was signed in 2019 and runs for 12 years.",
      "The contract was signed in 2018 and it definitely holds, though perhaps it runs for 15 "
      "years.");
  EXPECT_THAT(found.flags, ElementsAre(AnswerFlag::kHallucination));
  EXPECT_NEAR(found.hallucination, 0.8, 1e-9);
  EXPECT_LT(found.quality_left, 0.7);
}

TEST(Hallucination, HugeAnswersAreCutShort) {
  std::string long_answer;
  while (long_answer.size() < 4'000'000) long_answer += "It is never so. http://x 5 apples fell. ";
  EXPECT_LE(screened("Hi", long_answer).hallucination, 1);
}

// ---- How alike answers are

TEST(Agreement, ComparesWordsAndNumbersMore) {
  EXPECT_EQ(agreement("", ""), 1);
  EXPECT_EQ(agreement("Paris.", "paris"), 1);
  EXPECT_EQ(agreement("Paris", "London"), 0);
  EXPECT_GT(agreement("It is 42 here", "It was 42 there"),
            agreement("It is 42 here", "It is 17 here"));
}

}  // namespace
}  // namespace asahi::gateway
