#include "gateway/cache/semantic/context.h"

#include <gtest/gtest.h>

#include "base/utf8.h"
#include "llm/vendor.h"

namespace asahi::gateway::semantic {
namespace {

TEST(Context, StandsBeforeTheText) {
  EXPECT_EQ(with_context("faq request.", "How?"), "[Context: faq request.] How?");
  EXPECT_EQ(with_context("", "How?"), "How?");
}

TEST(Context, TheTemplateNamesTaskAgentAndKeywords) {
  EXPECT_EQ(template_context("How do I renew my passport?", {"clerk", "faq"}),
            "faq request of clerk about passport, renew.");
  EXPECT_EQ(template_context("", {}), "general request.");
}

TEST(Context, AModelsAnswerIsCutToSize) {
  std::string answer = "[About]\n";
  for (int i = 0; i < 200; ++i) answer += "word ";
  const std::string context = clean_context(answer);
  EXPECT_LE(llm::estimate_tokens(context), 50);
  EXPECT_EQ(context.find_first_of("[]\n"), std::string::npos);
}

TEST(Context, ThePromptHoldsTheFirstCharactersWhole) {
  std::string text;
  for (int i = 0; i < 600; ++i) text += "é";
  const std::string prompt = context_prompt(text, {});
  EXPECT_TRUE(is_utf8(prompt));
  EXPECT_LT(prompt.size(), 1'400u);
  EXPECT_TRUE(is_utf8(context_prompt("\xff\xfe", {})));
}

}  // namespace
}  // namespace asahi::gateway::semantic
