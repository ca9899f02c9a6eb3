// One answer costs the same streamed and unstreamed: every vendor format, every place that vendors
// put their counts.
#include "llm/testing/wire_fixtures.h"
#include "llm/wire/wire.h"

namespace asahi::llm {
namespace {

using namespace testing;

struct Answer {
  std::string_view name;
  std::unique_ptr<VendorCodec> (*codec)();
  std::string whole;
  std::vector<std::string> streams;
  Usage usage;
};

void PrintTo(const Answer& answer, std::ostream* out) { *out << answer.name; }

class UsageParity : public ::testing::TestWithParam<Answer> {};

TEST_P(UsageParity, StreamedEqualsUnstreamed) {
  const Answer& answer = GetParam();
  const auto vendor = answer.codec();
  const auto unstreamed = vendor->decode(answer.whole);
  ASSERT_TRUE(unstreamed) << unstreamed.error().message;
  EXPECT_EQ(unstreamed->usage, answer.usage);
  for (const std::string& stream : answer.streams) {
    for (const std::size_t step : {1u, 7u, 1u << 20}) {
      const auto events = decode_stream(*vendor, stream, step);
      ASSERT_TRUE(events) << events.error().message;
      const ChatResponse streamed = collect(*events);
      EXPECT_EQ(streamed.usage, unstreamed->usage) << stream;
      EXPECT_EQ(streamed.text(), unstreamed->text()) << stream;
      EXPECT_EQ(streamed.finish, unstreamed->finish) << stream;
    }
  }
}

TEST_P(UsageParity, AStreamThatBreaksOffIsCut) {
  const Answer& answer = GetParam();
  const auto vendor = answer.codec();
  for (const std::string& stream : answer.streams) {
    const auto half = decode_stream(*vendor, std::string_view(stream).substr(0, stream.size() / 3));
    ASSERT_FALSE(half);
    EXPECT_EQ(half.error().reason, "stream_cut");
  }
}

Answer chat(std::string_view name, const std::string& usage, const Usage& expected) {
  const std::string head = R"({"id":"i","model":"m","choices":[{"index":0,)";
  const std::string text = head + R"("delta":{"content":"Hi"}}]})";
  const std::string end = head + R"("delta":{},"finish_reason":"stop"}])";
  return {
      name,
      make_openai_chat_codec,
      head + R"("message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":)" +
          usage + "}",
      {sse_text({text, end + "}", R"({"id":"i","choices":[],"usage":)" + usage + "}", "[DONE]"}),
       sse_text({text, end + R"(,"usage":)" + usage + "}", "[DONE]"}),
       sse_text({text, end + R"(,"x_groq":{"usage":)" + usage + "}}", "[DONE]"})},
      expected};
}

Answer responses(std::string_view name, const std::string& usage, const Usage& expected) {
  const std::string response =
      R"({"id":"r","model":"m","status":"completed","output":[{"type":"message","content":[
        {"type":"output_text","text":"Hi"}]}],"usage":)" +
      usage + "}";
  return {name,
          make_openai_responses_codec,
          response,
          {named_sse_text(
              {R"({"type":"response.created","response":{"id":"r","model":"m","usage":null}})",
               R"({"type":"response.output_text.delta","output_index":0,"delta":"Hi"})",
               R"({"type":"response.completed","response":)" + response + "}"})},
          expected};
}

Answer anthropic(std::string_view name, const std::string& usage, const std::string& at_start,
                 const std::string& at_end, const Usage& expected) {
  const std::string start = R"({"type":"message_start","message":{"id":"i","usage":)";
  const std::string block =
      R"({"type":"content_block_start","index":0,"content_block":{"type":"text","text":"Hi"}})";
  const std::string block_end = R"({"type":"content_block_stop","index":0})";
  const std::string end = R"({"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":)";
  const std::string stop = R"({"type":"message_stop"})";
  return {name,
          make_anthropic_codec,
          R"({"id":"i","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","usage":)" +
              usage + "}",
          {named_sse_text({start + at_start + "}}", block, block_end, end + at_end + "}", stop}),
           // Proxies that know the whole usage at the end only, or send it apart.
           named_sse_text({start + "null}}", block, block_end, end + usage + "}", stop}),
           named_sse_text({start + at_start + "}}", block, block_end, end + "null}",
                           R"({"type":"message_delta","delta":{},"usage":)" + at_end + "}", stop})},
          expected};
}

Answer google(std::string_view name, const std::string& usage, const Usage& expected) {
  const std::string text =
      R"({"responseId":"r","candidates":[{"content":{"parts":[{"text":"Hi"}]})";
  const std::string meta = R"("usageMetadata":)" + usage + "}";
  const std::string early = R"("usageMetadata":{"promptTokenCount":3,"totalTokenCount":3}})";
  const std::string end = R"({"candidates":[{"finishReason":"STOP"}],)";
  return {name,
          make_google_codec,
          text + R"(,"finishReason":"STOP"}],)" + meta,
          {sse_text({text + R"(,"finishReason":"STOP"}],)" + meta}),
           sse_text({text + "}]," + early, end + meta}),
           sse_text({text + "}]," + meta, R"({"candidates":[{"finishReason":"STOP"}]})"})},
          expected};
}

Answer ollama(std::string_view name, const std::string& counts, const Usage& expected) {
  return {
      name,
      make_ollama_codec,
      R"({"model":"m","message":{"content":"Hi"},"done":true,"done_reason":"stop")" + counts + "}",
      {R"({"model":"m","message":{"content":"Hi"},"done":false})"
       "\n"
       R"({"model":"m","message":{"content":""},"done":true,"done_reason":"stop")" +
       counts + "}\n"},
      expected};
}

INSTANTIATE_TEST_SUITE_P(
    Vendors, UsageParity,
    ::testing::Values(
        chat("OpenAi",
             R"({"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
               "prompt_tokens_details":{"cached_tokens":60,"audio_tokens":10,"cache_write_tokens":5},
               "completion_tokens_details":{"reasoning_tokens":30,"audio_tokens":5}})",
             {.input = 100,
              .cached_input = 60,
              .cache_write_input = 5,
              .audio_input = 10,
              .output = 50,
              .reasoning_output = 30,
              .audio_output = 5,
              .reported = true}),
        chat("XAi",
             R"({"prompt_tokens":32,"completion_tokens":9,"total_tokens":135,
               "completion_tokens_details":{"reasoning_tokens":94}})",
             {.input = 32, .output = 103, .reasoning_output = 94, .reported = true}),
        chat("GeminiInOpenAiShape",
             R"({"prompt_tokens":10,"completion_tokens":5,"total_tokens":95})",
             {.input = 10, .output = 85, .reasoning_output = 80, .reported = true}),
        chat("DeepSeek",
             R"({"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,
               "prompt_cache_hit_tokens":8,"prompt_cache_miss_tokens":2})",
             {.input = 10, .cached_input = 8, .output = 5, .reported = true}),
        responses("Responses",
                  R"({"input_tokens":100,"input_tokens_details":{"cached_tokens":40},
                    "output_tokens":50,"output_tokens_details":{"reasoning_tokens":30},
                    "total_tokens":150})",
                  {.input = 100,
                   .cached_input = 40,
                   .output = 50,
                   .reasoning_output = 30,
                   .reported = true}),
        anthropic("Anthropic", R"({"input_tokens":10,"output_tokens":50})",
                  R"({"input_tokens":10,"output_tokens":1})", R"({"output_tokens":50})",
                  {.input = 10, .output = 50, .reported = true}),
        anthropic("AnthropicCachesAndThinking",
                  R"({"input_tokens":10,"cache_read_input_tokens":70,
                    "cache_creation_input_tokens":30,"cache_creation":{
                      "ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20},
                    "output_tokens":50,"output_tokens_details":{"thinking_tokens":40}})",
                  R"({"input_tokens":10,"cache_read_input_tokens":70,
                    "cache_creation_input_tokens":30,"cache_creation":{
                      "ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20},
                    "output_tokens":2})",
                  R"({"input_tokens":10,"cache_read_input_tokens":70,
                    "cache_creation_input_tokens":30,"output_tokens":50,
                    "output_tokens_details":{"thinking_tokens":40}})",
                  {.input = 110,
                   .cached_input = 70,
                   .cache_write_input = 10,
                   .cache_write_1h_input = 20,
                   .output = 50,
                   .reasoning_output = 40,
                   .reported = true}),
        anthropic("AnthropicServerToolsGrowTheInput", R"({"input_tokens":900,"output_tokens":50})",
                  R"({"input_tokens":10,"output_tokens":1})",
                  R"({"input_tokens":900,"output_tokens":50})",
                  {.input = 900, .output = 50, .reported = true}),
        google("Google",
               R"({"promptTokenCount":100,"cachedContentTokenCount":40,"toolUsePromptTokenCount":7,
                 "candidatesTokenCount":20,"thoughtsTokenCount":50,"totalTokenCount":177,
                 "promptTokensDetails":[{"modality":"AUDIO","tokenCount":10}]})",
               {.input = 107,
                .cached_input = 40,
                .audio_input = 10,
                .output = 70,
                .reasoning_output = 50,
                .reported = true}),
        ollama("Ollama", R"(,"prompt_eval_count":11,"eval_count":4)",
               {.input = 11, .output = 4, .reported = true}),
        ollama("OllamaWholePromptCached", R"(,"eval_count":4)", {.output = 4, .reported = true}),
        ollama("OllamaWithoutCounts", "", {})),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace asahi::llm
