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

TEST(ConversationContext, LeavesOutWhatTheUserSaid) {
  const std::vector<std::string> one{"Who wrote Faust?"}, two{"Who is the author of Faust?"};
  const std::string_view rest = R"(],"model":"a"})";
  const auto body = [rest](std::string_view first, std::string_view answer, std::string_view last) {
    return R"({"messages":[")" + std::string(first) + R"(",")" + std::string(answer) + R"(",")" +
           std::string(last) + '"' + std::string(rest);
  };
  const auto context = context_of("s", body(one[0], "Goethe.", "When?"), "When?", one);
  ASSERT_TRUE(context);
  EXPECT_EQ(context, context_of("s", body(two[0], "Goethe.", "When?"), "When?", two));
  EXPECT_NE(context, context_of("s", body(one[0], "Marlowe.", "When?"), "When?", one))
      << "another answer before";
  EXPECT_NE(context, context_of("s", body(one[0], "Goethe.", "When?"), "When?"))
      << "a strict context is another";
  EXPECT_NE(context_of("s", body("a", "bc", "q?"), "q?", std::vector<std::string>{"a"}),
            context_of("s", body("x", "b", "cq?"), "cq?", std::vector<std::string>{"x"}));
}

TEST(ConversationContext, NeedsEachTurnOnceAndInItsPlace) {
  const auto of = [](std::string_view canonical, std::vector<std::string> earlier) {
    return context_of("s", canonical, "q?", earlier);
  };
  EXPECT_TRUE(of(R"(["a","q?"])", {"a"}));
  EXPECT_EQ(of(R"(["a","a","q?"])", {"a"}), std::nullopt) << "said twice";
  EXPECT_EQ(of(R"(["masked","q?"])", {"a"}), std::nullopt);
  EXPECT_EQ(of(R"(["b","a","q?"])", {"a", "b"}), std::nullopt) << "in another order";
  EXPECT_EQ(of(R"(["q?","a"])", {"a"}), std::nullopt) << "asked before";
}

}  // namespace
}  // namespace asahi::gateway::semantic
