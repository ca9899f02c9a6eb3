#include "llm/tokens/counter.h"

#include <gtest/gtest.h>

#include "llm/vendor.h"

namespace asahi::llm {
namespace {

Message say(Role role, std::string text) {
  return {.role = role, .parts = {TextPart{.text = std::move(text)}}};
}

TEST(VocabularyCounter, CountsAChatAsOpenAiBillsIt) {
  // The worked example of OpenAI's cookbook "How to count tokens", gpt-4: 129 prompt tokens.
  ChatRequest request;
  request.messages.push_back(
      say(Role::kSystem,
          "You are a helpful, pattern-following assistant that translates corporate "
          "jargon into plain English."));
  const auto example = [&](const char* name, const char* text) {
    Message message = say(Role::kSystem, text);
    message.name = name;
    request.messages.push_back(std::move(message));
  };
  example("example_user", "New synergies will help drive top-line growth.");
  example("example_assistant", "Things working well together will increase revenue.");
  example("example_user",
          "Let's circle back when we have more bandwidth to touch base on opportunities for "
          "increased leverage.");
  example("example_assistant", "Let's talk later when we're less busy about how to do better.");
  request.messages.push_back(say(Role::kUser,
                                 "This late pivot means we don't have time to boil the ocean for "
                                 "the client deliverable."));
  const VocabularyCounter counter;
  const TokenCount counted = counter.count(request, "gpt-4-0613");
  EXPECT_EQ(counted.tokens, 129);
  EXPECT_TRUE(counted.exact);
  EXPECT_EQ(counter.count(request, "gpt-4o").tokens, 124);
}

TEST(VocabularyCounter, EstimatesForOtherVendors) {
  const VocabularyCounter counter;
  const TokenCount counted = counter.count("one two three four", "claude-3-5-haiku");
  EXPECT_EQ(counted.tokens, 5);
  EXPECT_FALSE(counted.exact);
}

TEST(VocabularyCounter, EstimatesWhatWouldTakeTooLong) {
  const VocabularyCounter counter(20);
  EXPECT_TRUE(counter.count("twenty bytes of text", "gpt-4o").exact);
  EXPECT_FALSE(counter.count("twenty-one bytes here", "gpt-4o").exact);
  ChatRequest request;
  request.messages.push_back(say(Role::kUser, "twenty bytes of text"));
  EXPECT_TRUE(counter.count(request, "gpt-4o").exact);
  request.messages.push_back(say(Role::kUser, "!"));
  EXPECT_FALSE(counter.count(request, "gpt-4o").exact);
  EXPECT_EQ(counter.count(request, "gpt-4o").tokens, estimate_tokens(request));
}

TEST(VocabularyCounter, DoesNotClaimToKnowWhatToolsAndMediaCost) {
  const VocabularyCounter counter;
  ChatRequest request;
  request.messages.push_back(say(Role::kUser, "weather?"));
  const std::int64_t bare = counter.count(request, "gpt-4o").tokens;
  request.tools.push_back({.name = "get_weather", .description = "looks it up"});
  const TokenCount with_tool = counter.count(request, "gpt-4o");
  EXPECT_GT(with_tool.tokens, bare);
  EXPECT_FALSE(with_tool.exact);
  request.tools.clear();
  request.messages[0].parts.emplace_back(ImagePart{.url = "https://example.com/a.png"});
  EXPECT_FALSE(counter.count(request, "gpt-4o").exact);
}

TEST(VocabularyCounter, FallsBackToTheEstimateForBytesThatAreNotText) {
  const TokenCount counted = VocabularyCounter().count("a \xFF b", "gpt-4o");
  EXPECT_FALSE(counted.exact);
  EXPECT_EQ(counted.tokens, 3);
}

}  // namespace
}  // namespace asahi::llm
