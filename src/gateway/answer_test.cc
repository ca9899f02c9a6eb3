// Stored answers come back as they were.
#include "gateway/answer.h"

#include <gtest/gtest.h>

namespace asahi::gateway {
namespace {

std::vector<llm::Part> parts_of_every_kind() {
  json::value opaque = {{"type", "server_tool_use"}, {"input", {1, 2.5, nullptr}}};
  return {
      llm::ReasoningPart{.text = "thinking…", .signature = "c2ln", .encrypted = "ZW5j"},
      llm::TextPart{.text = "Hello \"world\"\n\u0001é 🌅", .cache_control = {}},
      llm::ToolCallPart{.id = "call_1", .name = "weather", .arguments = R"({"city":"Rome")"},
      llm::RefusalPart{.text = "I cannot"},
      llm::ImagePart{
          .url = "https://x/y.png", .media_type = "image/png", .data = "aW1n", .detail = "low"},
      llm::AudioPart{.format = "wav", .data = "YXU="},
      llm::FilePart{.file_id = "f1", .url = "u", .media_type = "m", .data = "d", .name = "n"},
      llm::OpaquePart{.shape = llm::Shape::kAnthropic, .value = std::move(opaque)},
      llm::ToolResultPart{
          .tool_call_id = "call_1", .text = "22 °C", .images = {}, .is_error = true},
  };
}

Answer sample() {
  Answer answer;
  answer.model = "gpt-4o";
  answer.provider = "openai";
  answer.task_type = "coding";
  answer.query = "What is \"it\"?";
  answer.cost = {123'456'789};
  answer.baseline = {9'876'543'210};
  answer.quality = 4.6;
  answer.created = Clock::Time{std::chrono::milliseconds{1'795'000'000'123}};
  answer.expires = answer.created + std::chrono::hours(4);
  answer.response.id = "chatcmpl-1";
  answer.response.model = "gpt-4o-2024-11-20";
  answer.response.parts = parts_of_every_kind();
  answer.response.finish = llm::FinishReason::kToolCalls;
  answer.response.stop_sequence = "END";
  answer.response.usage = {.input = 100,
                           .cached_input = 40,
                           .cache_write_input = 10,
                           .cache_write_1h_input = 5,
                           .audio_input = 7,
                           .output = 200,
                           .reasoning_output = 150,
                           .audio_output = 3,
                           .reported = true};
  answer.response.shape = llm::Shape::kOpenAiChat;
  answer.response.original = *JsonDocument::parse(R"({"id":"chatcmpl-1","x_new_field":{"a":[1]}})");
  return answer;
}

TEST(StoredAnswer, ComesBackAsItWas) {
  const Answer answer = sample();
  const auto read = parse_answer(serialize_answer(answer));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->model, answer.model);
  EXPECT_EQ(read->provider, answer.provider);
  EXPECT_EQ(read->task_type, answer.task_type);
  EXPECT_EQ(read->query, answer.query);
  EXPECT_EQ(read->cost, answer.cost);
  EXPECT_EQ(read->baseline, answer.baseline);
  EXPECT_DOUBLE_EQ(read->quality, answer.quality);
  EXPECT_EQ(read->created, answer.created);
  EXPECT_EQ(read->expires, answer.expires);
  EXPECT_EQ(read->response.id, answer.response.id);
  EXPECT_EQ(read->response.model, answer.response.model);
  EXPECT_EQ(read->response.finish, llm::FinishReason::kToolCalls);
  EXPECT_EQ(read->response.stop_sequence, "END");
  EXPECT_EQ(read->response.usage, answer.response.usage) << "every kind of token";
  EXPECT_EQ(read->response.shape, llm::Shape::kOpenAiChat);
  ASSERT_NE(read->response.original, nullptr);
  EXPECT_EQ(read->response.original->root(), answer.response.original->root());
  EXPECT_EQ(serialize_answer(*read), serialize_answer(answer)) << "byte for byte";
}

TEST(StoredAnswer, NeedsNoVendorOriginal) {
  Answer answer = sample();
  answer.response.original = nullptr;
  const auto read = parse_answer(serialize_answer(answer));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->response.original, nullptr);
}

TEST(StoredAnswer, KeepsEveryKindOfPartExactly) {
  for (const llm::Part& part : parts_of_every_kind()) {
    const json::array stored = parts_to_json({part});
    const auto read = parts_from_json(stored);
    ASSERT_TRUE(read) << json::serialize(stored);
    ASSERT_EQ(read->size(), 1U);
    EXPECT_EQ((*read)[0].index(), part.index()) << json::serialize(stored);
    EXPECT_EQ(parts_to_json(*read), stored);
  }
  EXPECT_TRUE(parts_from_json(json::array{})->empty());
}

TEST(StoredAnswer, KeepsTheCacheMarkOfAText) {
  llm::TextPart text{.text = "long", .cache_control = json::object{{"type", "ephemeral"}}};
  const auto read = parts_from_json(parts_to_json({text}));
  ASSERT_TRUE(read);
  EXPECT_EQ(std::get<llm::TextPart>((*read)[0]).cache_control, text.cache_control);
}

TEST(StoredAnswer, KeepsTheImagesOfAToolResult) {
  llm::ToolResultPart result{
      .tool_call_id = "call_1", .text = "see", .images = {}, .is_error = false};
  result.images.push_back({.url = "", .media_type = "image/png", .data = "aW1n", .detail = ""});
  const auto read = parts_from_json(parts_to_json({result}));
  ASSERT_TRUE(read);
  const auto& back = std::get<llm::ToolResultPart>((*read)[0]);
  ASSERT_EQ(back.images.size(), 1U);
  EXPECT_EQ(back.images[0].data, "aW1n");
}

TEST(StoredAnswer, IsRefusedWhenAnythingAboutItIsUnknown) {
  const std::string good = serialize_answer(sample());
  const auto with = [&](std::string_view from, std::string_view to) {
    std::string text = good;
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    if (at != std::string::npos) text.replace(at, from.size(), to);
    return text;
  };
  const std::string cases[] = {
      "",
      "\n",
      "{}",
      "{}\n",
      "[]\n",
      "not json\n",
      good.substr(0, good.find('\n')),
      good.substr(0, good.size() - 3),
      with("\"v\":1", "\"v\":2"),
      with("\"finish\":2", "\"finish\":99"),
      with("\"shape\":1", "\"shape\":-1"),
      with("\"t\":\"refusal\"", "\"t\":\"hologram\""),
      with("\"parts\":[", "\"parts\":[7,"),
  };
  for (const std::string& text : cases) {
    const auto read = parse_answer(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().code, Errc::kCorrupt);
  }
}

}  // namespace
}  // namespace asahi::gateway
