// Requests and answers that cross from one shape into another, and back.
#include <gtest/gtest.h>

#include "llm/testing/wire_fixtures.h"
#include "llm/wire/wire.h"

namespace asahi::llm {
namespace {

using namespace asahi::llm::testing;  // NOLINT: fixtures

const auto openai_client = make_openai_chat_client();
const auto openai = make_openai_chat_codec();
const auto anthropic_client = make_anthropic_client();
const auto anthropic = make_anthropic_codec();

constexpr std::string_view kOpenAiRequest = R"({"model":"gpt-4o","max_tokens":100,
  "temperature":0.5,"stop":["END"],"user":"u","parallel_tool_calls":false,
  "tools":[{"type":"function","function":{"name":"f","description":"d",
            "parameters":{"type":"object","properties":{"x":{"type":"integer"}}}}}],
  "tool_choice":"required",
  "messages":[
    {"role":"system","content":"S"},
    {"role":"user","content":[{"type":"text","text":"what"},
      {"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}},
      {"type":"image_url","image_url":{"url":"https://x/y.png"}}]},
    {"role":"assistant","content":"calling","tool_calls":[
      {"id":"c1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}},
      {"id":"c2","type":"function","function":{"name":"f","arguments":"{\"x\":2}"}}]},
    {"role":"tool","tool_call_id":"c1","content":"one"},
    {"role":"tool","tool_call_id":"c2","content":"two"},
    {"role":"user","content":"and?"}]})";

constexpr std::string_view kAnthropicRequest = R"({"model":"claude-sonnet-4-5",
  "system":[{"type":"text","text":"S"}],
  "messages":[
    {"role":"user","content":[{"type":"text","text":"what"},
      {"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}},
      {"type":"image","source":{"type":"url","url":"https://x/y.png"}}]},
    {"role":"assistant","content":[{"type":"text","text":"calling"},
      {"type":"tool_use","id":"c1","name":"f","input":{"x":1}},
      {"type":"tool_use","id":"c2","name":"f","input":{"x":2}}]},
    {"role":"user","content":[
      {"type":"tool_result","tool_use_id":"c1","content":"one"},
      {"type":"tool_result","tool_use_id":"c2","content":"two"},
      {"type":"text","text":"and?"}]}],
  "tools":[{"name":"f","description":"d",
            "input_schema":{"type":"object","properties":{"x":{"type":"integer"}}}}],
  "tool_choice":{"type":"any","disable_parallel_tool_use":true},
  "max_tokens":100,"temperature":0.5,"stop_sequences":["END"],"metadata":{"user_id":"u"}})";

TEST(Translation, OfToolsAndImagesGoesToAnthropicAndBack) {
  const ChatRequest request = decode_ok(*openai_client, kOpenAiRequest);
  const json::value there = encoded(*anthropic, request, "claude-sonnet-4-5");
  EXPECT_EQ(there, value_of(kAnthropicRequest));
  const ChatRequest again = decode_ok(*anthropic_client, asahi::canonical_json(there));
  EXPECT_EQ(encoded(*openai, again, "gpt-4o"), value_of(kOpenAiRequest));
}

TEST(Translation, OfToolsAndImagesGoesToOpenAiAndBack) {
  const ChatRequest request = decode_ok(*anthropic_client, kAnthropicRequest);
  const json::value there = encoded(*openai, request, "gpt-4o");
  const ChatRequest again = decode_ok(*openai_client, asahi::canonical_json(there));
  EXPECT_EQ(encoded(*anthropic, again, "claude-sonnet-4-5"), value_of(kAnthropicRequest));
}

TEST(Translation, PutsImagesOfToolResultsBehindTheToolMessages) {
  const ChatRequest request = decode_ok(*anthropic_client, R"({"max_tokens":5,"messages":[
    {"role":"user","content":"look"},
    {"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":{}},
                                   {"type":"tool_use","id":"b","name":"f","input":{}}]},
    {"role":"user","content":[
      {"type":"tool_result","tool_use_id":"a","content":[{"type":"text","text":"t"},
        {"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA"}}]},
      {"type":"tool_result","tool_use_id":"b","is_error":true,"content":"boom"}]}]})");
  const json::value body = encoded(*openai, request, "gpt-4o");
  EXPECT_EQ(body.at("messages").at(2),
            value_of(R"({"role":"tool","tool_call_id":"a","content":"t"})"));
  EXPECT_EQ(body.at("messages").at(3),
            value_of(R"({"role":"tool","tool_call_id":"b","content":"Error: boom"})"));
  EXPECT_EQ(body.at("messages").at(4).at("role"), "user");
  EXPECT_EQ(body.at("messages").at(4).at("content").at(1), value_of(R"({"type":"image_url",
    "image_url":{"url":"data:image/png;base64,AA"}})"));
}

TEST(Translation, OfDocumentsKeepsTheirBytes) {
  const ChatRequest request = decode_ok(*openai_client, R"({"messages":[{"role":"user","content":[
    {"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,QUJD"}}]}]})");
  EXPECT_EQ(encoded(*anthropic, request, "claude").at("messages").at(0).at("content").at(0),
            value_of(R"({"type":"document","source":{"type":"base64",
                         "media_type":"application/pdf","data":"QUJD"},"title":"a.pdf"})"));
}

TEST(Translation, OfThinkingReachesOpenAiClientsAndReturnsSigned) {
  const auto answer = anthropic->decode(R"({"id":"m","model":"c","content":[
    {"type":"thinking","thinking":"hm","signature":"sig"},
    {"type":"redacted_thinking","data":"enc"},
    {"type":"tool_use","id":"t","name":"f","input":{}}],"stop_reason":"tool_use","usage":{}})");
  ASSERT_TRUE(answer);
  const json::value body = value_of(openai_client->encode(ChatRequest(), *answer, "", 1));
  const json::value& message = body.at("choices").at(0).at("message");
  EXPECT_EQ(message.at("reasoning_content"), "hm");

  json::value next = value_of(R"({"messages":[{"role":"user","content":"go"}]})");
  next.at("messages").as_array().push_back(message);
  const ChatRequest request = decode_ok(*openai_client, asahi::canonical_json(next));
  const json::value back = encoded(*anthropic, request, "claude-sonnet-4-5");
  EXPECT_EQ(back.at("messages").at(1).at("content").at(0),
            value_of(R"({"type":"thinking","thinking":"hm","signature":"sig"})"));
  EXPECT_EQ(back.at("messages").at(1).at("content").at(1),
            value_of(R"({"type":"redacted_thinking","data":"enc"})"));
}

TEST(Translation, OfAnAnswerMapsFinishAndUsage) {
  const auto answer = anthropic->decode(R"({"id":"m","model":"c",
    "content":[{"type":"text","text":"Hi"}],"stop_reason":"max_tokens",
    "usage":{"input_tokens":10,"cache_read_input_tokens":4,"cache_creation_input_tokens":2,
             "output_tokens":5}})");
  ASSERT_TRUE(answer);
  const json::value openai_body = value_of(openai_client->encode(ChatRequest(), *answer, "", 1));
  EXPECT_EQ(openai_body.at("choices").at(0).at("finish_reason"), "length");
  EXPECT_EQ(openai_body.at("usage").at("prompt_tokens"), 16);
  EXPECT_EQ(openai_body.at("usage").at("prompt_tokens_details").at("cached_tokens"), 4);
  // The client of our client counts the same.
  const auto again = openai->decode(asahi::canonical_json(openai_body));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->usage, answer->usage);
  const auto back = anthropic->decode(anthropic_client->encode(ChatRequest(), *again, "", 1));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->usage, answer->usage);
  EXPECT_EQ(back->finish, FinishReason::kLength);
}

// ---- JSON answers from Anthropic
// -----------------------------------------------------------------

constexpr std::string_view kSchemaRequest = R"({"messages":[{"role":"user","content":"x"}],
  "reasoning_effort":"high","response_format":{"type":"json_schema","json_schema":{
  "name":"weather","schema":{"type":"object","properties":{"t":{"type":"number"}}}}}})";

TEST(JsonAnswers, AreAskedOfAnthropicByAForcedTool) {
  const ChatRequest request = decode_ok(*openai_client, kSchemaRequest);
  const json::value body = encoded(*anthropic, request, "claude-sonnet-4-5");
  EXPECT_EQ(body.at("tools").at(0).at("name"), "answer_as_json_weather");
  EXPECT_EQ(body.at("tools").at(0).at("input_schema"),
            value_of(R"({"type":"object","properties":{"t":{"type":"number"}}})"));
  EXPECT_EQ(body.at("tool_choice"), value_of(R"({"type":"tool","name":"answer_as_json_weather"})"));
  EXPECT_FALSE(body.as_object().contains("thinking"));  // excluded by the forced tool
}

TEST(JsonAnswers, StandBesideTheClientsOwnTools) {
  json::value with_tools = value_of(kSchemaRequest);
  with_tools.as_object()["tools"] = value_of(R"([{"type":"function","function":{"name":"f"}}])");
  const ChatRequest request = decode_ok(*openai_client, asahi::canonical_json(with_tools));
  const json::value body = encoded(*anthropic, request, "claude-sonnet-4-5");
  EXPECT_EQ(body.at("tools").as_array().size(), 2u);
  EXPECT_EQ(body.at("tool_choice"), value_of(R"({"type":"any"})"));
}

TEST(JsonAnswers, AreAskedForInWordsWhereNoToolCan) {
  const ChatRequest object = decode_ok(*openai_client, R"({"response_format":{"type":"json_object"},
    "messages":[{"role":"user","content":"x"}]})");
  const json::value body = encoded(*anthropic, object, "claude-sonnet-4-5");
  EXPECT_FALSE(body.as_object().contains("tools"));
  EXPECT_TRUE(body.as_object().contains("system"));
}

TEST(JsonAnswers, ComeBackAsTextStreamedAndUnstreamed) {
  const auto answer = anthropic->decode(R"({"id":"m","model":"c","content":[{"type":"tool_use",
    "id":"t","name":"answer_as_json_weather","input":{"t":1.5}}],"stop_reason":"tool_use",
    "usage":{"input_tokens":1,"output_tokens":2}})");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->text(), R"({"t":1.5})");
  EXPECT_EQ(answer->finish, FinishReason::kStop);

  const auto events = decode_stream(
      *anthropic,
      named_sse_text(
          {R"({"type":"message_start","message":{"id":"m","model":"c","usage":{"input_tokens":1}}})",
           R"({"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t",
               "name":"answer_as_json_weather","input":{}}})",
           R"({"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta",
               "partial_json":"{\"t\":"}})",
           R"({"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta",
               "partial_json":"1.5}"}})",
           R"({"type":"content_block_stop","index":0})",
           R"({"type":"message_delta","delta":{"stop_reason":"tool_use"},
               "usage":{"output_tokens":2}})",
           R"({"type":"message_stop"})"}));
  ASSERT_TRUE(events);
  const ChatResponse streamed = collect(*events);
  EXPECT_EQ(streamed.text(), answer->text());
  EXPECT_EQ(streamed.finish, FinishReason::kStop);
  EXPECT_EQ(streamed.usage, answer->usage);
}

// ---- Streams
// -------------------------------------------------------------------------------------

TEST(StreamTranslation, FromOpenAiToAnthropicKeepsTheAnswer) {
  const auto events = decode_stream(
      *openai,
      sse_text({R"({"id":"i","model":"m","choices":[{"index":0,"delta":{"reasoning":"hm"}}]})",
                R"({"id":"i","model":"m","choices":[{"index":0,"delta":{"content":"Hi"}}]})",
                R"({"id":"i","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,
                   "id":"c","function":{"name":"f","arguments":"{\"x\""}}]}}]})",
                R"({"id":"i","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,
                   "function":{"arguments":":1}"}}]},"finish_reason":"tool_calls"}],
                   "usage":{"prompt_tokens":9,"completion_tokens":4,
                   "prompt_tokens_details":{"cached_tokens":5}}})",
                "[DONE]"}));
  ASSERT_TRUE(events);
  const std::string text = encode_stream(*anthropic_client, ChatRequest(), *events);
  const auto again = decode_stream(*anthropic, text);
  ASSERT_TRUE(again);
  const ChatResponse before = collect(*events), after = collect(*again);
  EXPECT_EQ(after.usage, before.usage);
  EXPECT_EQ(after.finish, FinishReason::kToolCalls);
  ASSERT_EQ(after.parts.size(), 3u);
  EXPECT_EQ(std::get<ReasoningPart>(after.parts[0]).text, "hm");
  EXPECT_EQ(std::get<TextPart>(after.parts[1]).text, "Hi");
  EXPECT_EQ(std::get<ToolCallPart>(after.parts[2]).arguments, R"({"x":1})");
}

TEST(StreamTranslation, FromAnthropicToOpenAiKeepsTheAnswer) {
  const auto events = decode_stream(
      *anthropic,
      named_sse_text(
          {R"({"type":"message_start","message":{"id":"m","model":"c",
               "usage":{"input_tokens":3,"cache_creation_input_tokens":6,"output_tokens":1}}})",
           R"({"type":"content_block_start","index":0,"content_block":{"type":"thinking",
               "thinking":"","signature":""}})",
           R"({"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta",
               "thinking":"hm"}})",
           R"({"type":"content_block_delta","index":0,"delta":{"type":"signature_delta",
               "signature":"sig"}})",
           R"({"type":"content_block_stop","index":0})",
           R"({"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}})",
           R"({"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Hi"}})",
           R"({"type":"content_block_stop","index":1})",
           R"({"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"t",
               "name":"f","input":{}}})",
           R"({"type":"content_block_stop","index":2})",
           R"({"type":"message_delta","delta":{"stop_reason":"tool_use"},
               "usage":{"output_tokens":8}})",
           R"({"type":"message_stop"})"}));
  ASSERT_TRUE(events);
  ChatRequest request;
  request.stream_usage = true;
  const std::string text = encode_stream(*openai_client, request, *events);
  const auto again = decode_stream(*openai, text);
  ASSERT_TRUE(again);
  const ChatResponse before = collect(*events), after = collect(*again);
  EXPECT_EQ(after.id, "id-given");
  EXPECT_EQ(after.model, "model-given");
  EXPECT_EQ(after.usage, before.usage);
  EXPECT_EQ(after.finish, FinishReason::kToolCalls);
  ASSERT_EQ(after.parts.size(), 3u);
  EXPECT_EQ(std::get<ReasoningPart>(after.parts[0]).signature, "sig");
  EXPECT_EQ(std::get<TextPart>(after.parts[1]).text, "Hi");
  EXPECT_EQ(std::get<ToolCallPart>(after.parts[2]).arguments, "{}");
}

}  // namespace
}  // namespace asahi::llm
