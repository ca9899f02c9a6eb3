#include "gateway/request.h"

#include <gtest/gtest.h>

namespace asahi::gateway {
namespace {

Result<NativeRequest> read(std::string_view text) {
  auto document = JsonDocument::parse(text);
  if (!document) return std::unexpected(document.error());
  return read_native(*document);
}

TEST(NativeRequest, FillsInTheDefaults) {
  const auto native = read(R"({"prompt": "  Hello  "})");
  ASSERT_TRUE(native);
  EXPECT_EQ(native->options.mode, RoutingMode::kAutopilot);
  EXPECT_EQ(native->chat.max_tokens, 1'024);
  EXPECT_FALSE(native->chat.stream);
  ASSERT_EQ(native->chat.messages.size(), 1U);
  EXPECT_EQ(native->chat.messages[0].text(), "Hello");
}

TEST(RequestOptions, TakeTheDefaultModeWhereTheCallerNamesNone) {
  const auto mode_of = [](std::string_view body, std::string_view model) {
    const auto value = parse_json(body);
    auto options = read_options(value->get_object(), RoutingMode::kGuided);
    EXPECT_TRUE(options);
    apply_model_field(*options, model, value->get_object().contains("routing_mode"));
    return options->mode;
  };
  for (const char* model : {"", "auto", "asahi"})
    EXPECT_EQ(mode_of("{}", model), RoutingMode::kGuided) << model;
  EXPECT_EQ(mode_of(R"({"routing_mode":"autopilot"})", "auto"), RoutingMode::kAutopilot);
  EXPECT_EQ(mode_of("{}", "gpt-4o"), RoutingMode::kExplicit);
}

TEST(NativeRequest, NamesTheFieldOfEveryBrokenRule) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({})", "prompt"},
      {R"({"prompt": "   "})", "prompt"},
      {R"({"prompt": 5})", "prompt"},
      {R"({"prompt": "x", "colour": "red"})", "colour"},
      {R"({"prompt": "x", "max_tokens": 0})", "max_tokens"},
      {R"({"prompt": "x", "max_tokens": 1.5})", "max_tokens"},
      {R"({"prompt": "x", "max_tokens": 128001})", "max_tokens"},
      {R"({"prompt": "x", "temperature": 2.1})", "temperature"},
      {R"({"prompt": "x", "temperature": "hot"})", "temperature"},
      {R"({"prompt": "x", "quality_threshold": 5.01})", "quality_threshold"},
      {R"({"prompt": "x", "quality_threshold": -1})", "quality_threshold"},
      {R"({"prompt": "x", "latency_budget_ms": 49})", "latency_budget_ms"},
      {R"({"prompt": "x", "latency_budget_ms": 30001})", "latency_budget_ms"},
      {R"({"prompt": "x", "cost_budget": -0.01})", "cost_budget"},
      {R"({"prompt": "x", "routing_mode": "random"})", "routing_mode"},
      {R"({"prompt": "x", "quality_preference": "best"})", "quality_preference"},
      {R"({"prompt": "x", "latency_preference": "soon"})", "latency_preference"},
      {R"({"prompt": "x", "cost_sensitivity": "none"})", "cost_sensitivity"},
      {R"({"prompt": "x", "stream": "yes"})", "stream"},
      {R"({"prompt": "x", "routing_mode": "explicit"})", "model_override"},
      {R"({"prompt": "x", "model": "a", "model_override": "b"})", "model_override"},
      {R"({"prompt": "x", "history": {}})", "history"},
      {R"({"prompt": "x", "history": [{"role": "user"}]})", "history[0]"},
      {R"({"prompt": "x", "history": [{"role": "tool", "content": "c"}]})", "history[0].role"},
      {R"({"prompt": "x", "examples": [{"input": "a"}]})", "examples[0]"},
      {R"({"prompt": "x", "fallback_models": ["a", "b", "c", "d"]})", "fallback_models"},
  };
  for (const auto& [body, field] : cases) {
    const auto native = read(body);
    ASSERT_FALSE(native) << body;
    EXPECT_EQ(native.error().field, field) << body;
    EXPECT_EQ(native.error().code, Errc::kInvalidArgument) << body;
    EXPECT_NE(native.error().message.find(std::string(field).substr(0, 4)), std::string::npos)
        << native.error().message;
  }
}

TEST(NativeRequest, CountsCharactersNotBytes) {
  std::string prompt;
  for (int i = 0; i < 100'000; ++i) prompt += "é";
  EXPECT_TRUE(read(json::serialize(json::object{{"prompt", prompt}})));
  EXPECT_FALSE(read(json::serialize(json::object{{"prompt", prompt + "é"}})));
}

TEST(NativeRequest, TakesControlCharactersOut) {
  const auto native = read(R"({"prompt": "a\u0000b\u0007c\td\ne"})");
  ASSERT_TRUE(native);
  EXPECT_EQ(native->chat.messages.back().text(), "abc\td\ne");
}

TEST(NativeRequest, PutsSystemExamplesHistoryAndPromptInOrder) {
  const auto native = read(
      R"({"prompt": "now", "system_prompt": "rules", "examples": [{"input": "in", "output": "out"}],
                               "history": [{"role": "user", "content": "before"}, {"role": "assistant", "content": "yes"}]})");
  ASSERT_TRUE(native);
  std::string order;
  for (const auto& message : native->chat.messages)
    order += std::string(to_string(message.role)) + ":" + message.text() + " ";
  EXPECT_EQ(order, "system:rules user:in assistant:out user:before assistant:yes user:now ");
}

TEST(ModelField, ChoosesTheMode) {
  const auto mode_of = [](std::string_view model, bool given) {
    RequestOptions options;
    apply_model_field(options, model, given);
    return std::pair(options.mode, options.model);
  };
  EXPECT_EQ(mode_of("", false).first, RoutingMode::kAutopilot);
  EXPECT_EQ(mode_of("asahi", false).first, RoutingMode::kAutopilot);
  EXPECT_EQ(mode_of("auto", false).first, RoutingMode::kAutopilot);
  EXPECT_EQ(mode_of("asahi-guided", false).first, RoutingMode::kGuided);
  EXPECT_EQ(mode_of("gpt-4o", false), std::pair(RoutingMode::kExplicit, std::string("gpt-4o")));
  EXPECT_EQ(mode_of("gpt-4o", true).first, RoutingMode::kAutopilot);
}

}  // namespace
}  // namespace asahi::gateway
