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

TEST(Context, TheTemplateNamesTaskAndKeywords) {
  EXPECT_EQ(template_context("How do I renew my passport?", "faq"),
            "faq request about passport, renew.");
  EXPECT_EQ(template_context("", ""), "general request.");
}

TEST(Context, IsShortWhateverTheText) {
  std::string text;
  for (int i = 0; i < 600; ++i) text += "[\xff ünwörter]\n";
  const std::string context = template_context(text, std::string(500, 'x'));
  EXPECT_TRUE(is_utf8(context));
  EXPECT_LE(llm::estimate_tokens(template_context(text, "faq")), 50);
  EXPECT_EQ(context.find_first_of("[]\n"), std::string::npos);
}

TEST(Context, TurnsAreJoinedAndTakenApart) {
  const std::vector<std::string> turns{"Who wrote Faust?", "And when?"};
  const std::string joined = join_turns(turns);
  const auto apart = turns_of(joined);
  ASSERT_EQ(apart.size(), 2U);
  EXPECT_EQ(apart[0], turns[0]);
  EXPECT_EQ(apart[1], turns[1]);
  EXPECT_TRUE(turns_of("").empty());
}

TEST(Context, TooLongConversationsHaveNone) {
  EXPECT_EQ(join_turns(std::vector<std::string>(kMaxTurns + 1, "x")), "");
  EXPECT_EQ(join_turns(std::vector<std::string>{std::string(kMaxTurnsBytes + 1, 'x')}), "");
  EXPECT_EQ(join_turns(std::vector<std::string>{"a\x1e b"}), "");
  EXPECT_EQ(join_turns(std::vector<std::string>{"a", ""}), "");
}

TEST(Context, AFollowUpIsEmbeddedWithWhatCameBefore) {
  const std::vector<std::string> turns{"How is the weather in Berlin?"};
  const std::string text = contextual_text("And in Paris?", join_turns(turns), "general");
  EXPECT_TRUE(text.starts_with("[Context: general request about ")) << text;
  EXPECT_TRUE(text.ends_with("] And in Paris?")) << text;
  EXPECT_NE(text.find("weather"), std::string::npos) << text;
  EXPECT_EQ(contextual_text("And in Paris?", "", "general"), "And in Paris?");
}

}  // namespace
}  // namespace asahi::gateway::semantic
