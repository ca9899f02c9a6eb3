#include <gtest/gtest.h>

#include "llm/message.h"

namespace asahi::llm {
namespace {

using Kind = StreamEvent::Kind;

StreamEvent event(Kind kind, std::string text = {}, std::size_t tool = 0) {
  StreamEvent out;
  out.kind = kind;
  out.text = std::move(text);
  out.tool_index = tool;
  return out;
}

StreamEvent tool_start(std::size_t index, std::string id, std::string name) {
  StreamEvent out = event(Kind::kToolCallStart, {}, index);
  out.tool_id = std::move(id);
  out.tool_name = std::move(name);
  return out;
}

TEST(StreamCollector, JoinsPiecesAndKeepsTheOrderOfParts) {
  StreamCollector collector;
  StreamEvent start = event(Kind::kStart);
  start.id = "m1";
  start.model = "big";
  collector.add(start);
  collector.add(event(Kind::kReasoning, "hm"));
  StreamEvent signature = event(Kind::kReasoning);
  signature.signature = "sig";
  collector.add(signature);
  collector.add(event(Kind::kText, "Hel"));
  collector.add(event(Kind::kText, "lo"));
  collector.add(tool_start(0, "a", "f"));
  collector.add(tool_start(1, "b", "g"));
  collector.add(event(Kind::kToolCallDelta, "{}", 1));
  collector.add(event(Kind::kToolCallDelta, "{\"x\":", 0));
  collector.add(event(Kind::kToolCallDelta, "1}", 0));
  EXPECT_FALSE(collector.complete());
  collector.add(event(Kind::kDone));
  EXPECT_TRUE(collector.complete());

  const ChatResponse& response = collector.response();
  EXPECT_EQ(response.id, "m1");
  ASSERT_EQ(response.parts.size(), 4u);
  EXPECT_EQ(std::get<ReasoningPart>(response.parts[0]).text, "hm");
  EXPECT_EQ(std::get<ReasoningPart>(response.parts[0]).signature, "sig");
  EXPECT_EQ(std::get<TextPart>(response.parts[1]).text, "Hello");
  EXPECT_EQ(std::get<ToolCallPart>(response.parts[2]).arguments, "{\"x\":1}");
  EXPECT_EQ(std::get<ToolCallPart>(response.parts[3]).name, "g");
  EXPECT_EQ(collector.text(), "Hello");
  EXPECT_TRUE(collector.has_tool_calls());
}

TEST(StreamCollector, KeepsSignedThoughtsApart) {
  StreamCollector collector;
  for (const char* text : {"one", "two"}) {
    collector.add(event(Kind::kReasoning, text));
    StreamEvent seal = event(Kind::kReasoning);
    seal.signature = std::string("sig-") + text;
    collector.add(seal);
  }
  ASSERT_EQ(collector.response().parts.size(), 2u);
  EXPECT_EQ(std::get<ReasoningPart>(collector.response().parts[0]).signature, "sig-one");
  EXPECT_EQ(std::get<ReasoningPart>(collector.response().parts[1]).text, "two");
}

TEST(StreamCollector, ReplacesUsageByTheLatestTotals) {
  StreamCollector collector;
  StreamEvent usage = event(Kind::kUsage);
  usage.usage = Usage{.input = 5, .output = 1, .reported = true};
  collector.add(usage);
  usage.usage.output = 9;
  collector.add(usage);
  EXPECT_EQ(collector.response().usage.output, 9);
}

TEST(StreamCollector, KeepsTheNameItBeganWithAfterARestart) {
  StreamCollector collector;
  StreamEvent start = event(Kind::kStart);
  start.id = "first";
  collector.add(start);
  start.id = "second";
  collector.add(start);
  EXPECT_EQ(collector.response().id, "first");
}

}  // namespace
}  // namespace asahi::llm
