#include "gateway/cache/semantic/question.h"

#include <gtest/gtest.h>

namespace asahi::gateway::semantic {
namespace {

TEST(QuestionContext, IsTheSameForOtherQuestionsInTheSameSurroundings) {
  const auto one =
      context_of("openai_chat", R"({"messages":[{"content":"What is TLS?"}]})", "What is TLS?");
  const auto two =
      context_of("openai_chat", R"({"messages":[{"content":"Explain TLS"}]})", "Explain TLS");
  ASSERT_TRUE(one);
  EXPECT_EQ(one, two);
}

TEST(QuestionContext, DiffersWithAnythingElse) {
  const auto plain = context_of("openai_chat", R"({"model":"a","prompt":"q?"})", "q?");
  EXPECT_NE(plain, context_of("openai_chat", R"({"model":"b","prompt":"q?"})", "q?"));
  EXPECT_NE(plain, context_of("native", R"({"model":"a","prompt":"q?"})", "q?"));
  EXPECT_NE(plain, context_of("openai_chat", R"({"prompt":"q?","system":"x"})", "q?"));
  // Text may not move over the question.
  EXPECT_NE(context_of("s", R"({"a":"xy","prompt":"q?","z":""})", "q?"),
            context_of("s", R"({"a":"x","prompt":"q?","z":"y"})", "q?"));
}

TEST(QuestionContext, NeedsTheQuestionOnceAndWordByWord) {
  EXPECT_EQ(context_of("s", R"({"prompt":"masked"})", "my number is 5"), std::nullopt);
  EXPECT_EQ(context_of("s", R"({"history":["again"],"prompt":"again"})", "again"), std::nullopt);
  EXPECT_EQ(context_of("s", R"({"prompt":"he said \"no\""})", "no"), std::nullopt)
      << "a quotation within another text is no question";
  EXPECT_TRUE(context_of("s", R"({"prompt":"a \"quoted\"\nline"})", "a \"quoted\"\nline"));
}

}  // namespace
}  // namespace asahi::gateway::semantic
