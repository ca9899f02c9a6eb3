#include <gtest/gtest.h>

#include "llm/vendor.h"

namespace asahi::llm {
namespace {

Message user(std::string text) {
  return {.role = Role::kUser, .parts = {TextPart{.text = std::move(text)}}};
}

TEST(EstimateTokens, IsWordsTimesOnePointThreeRoundedDown) {
  EXPECT_EQ(estimate_tokens("one"), 1);
  EXPECT_EQ(estimate_tokens("one two three"), 3);
  EXPECT_EQ(estimate_tokens("a b c d e f g h i j"), 13);
}

TEST(EstimateTokens, BlankTextIsNothing) {
  EXPECT_EQ(estimate_tokens(""), 0);
  EXPECT_EQ(estimate_tokens(" \t\r\n"), 0);
}

TEST(EstimateTokens, AnyRunOfWhiteSpaceSeparates) { EXPECT_EQ(estimate_tokens("  a\n\n\tb  "), 2); }

TEST(EstimateTokens, CountsEveryWordOfLongTexts) {
  for (const std::size_t gap : {1U, 2U, 7U, 254U, 255U, 256U}) {
    std::string text;
    for (int i = 0; i < 1'000; ++i) text += "w" + std::string(gap, ' ');
    EXPECT_EQ(estimate_tokens(text), 1'300) << gap;
    EXPECT_EQ(estimate_tokens(std::string(gap, '\n') + text), 1'300) << gap;
  }
}

TEST(EstimateTokens, ARequestIsRoundedOnceOverAllItsText) {
  ChatRequest request;
  for (int i = 0; i < 10; ++i) request.messages.push_back(user("word"));
  EXPECT_EQ(estimate_tokens(request), 13);
}

TEST(EstimateTokens, CountsToolsAndTheirResults) {
  ChatRequest request;
  request.messages.push_back(user("weather"));
  const auto bare = estimate_tokens(request);
  request.tools.push_back(
      {.name = "get_weather",
       .description = "looks it up",
       .parameters = parse_json(R"({"type":"object","properties":{"city":{}}})").value()});
  const auto with_tool = estimate_tokens(request);
  EXPECT_GT(with_tool, bare + 4);
  request.messages.push_back(
      {.role = Role::kTool,
       .parts = {ToolResultPart{.tool_call_id = "1", .text = "it rains a lot"}}});
  EXPECT_GT(estimate_tokens(request), with_tool);
}

TEST(EstimateTokens, ARequestWithoutTextIsNothing) { EXPECT_EQ(estimate_tokens(ChatRequest{}), 0); }

}  // namespace
}  // namespace asahi::llm
