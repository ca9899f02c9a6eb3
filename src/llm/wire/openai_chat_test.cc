#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "llm/testing/wire_fixtures.h"
#include "llm/wire/wire.h"

namespace asahi::llm {
namespace {

using namespace asahi::llm::testing;  // NOLINT: fixtures
using ::testing::HasSubstr;

const auto client = make_openai_chat_client();
const auto vendor = make_openai_chat_codec();

// ---- What clients may send

struct Refused {
  std::string_view body;
  std::string_view field;
  std::string_view message;  // a part of it
};

class OpenAiChatRefuses : public ::testing::TestWithParam<Refused> {};

TEST_P(OpenAiChatRefuses, NamingFieldAndRule) {
  const auto& row = GetParam();
  const auto request = client->decode(document(row.body));
  ASSERT_FALSE(request) << row.body;
  EXPECT_EQ(request.error().code, Errc::kInvalidArgument);
  EXPECT_EQ(request.error().field, row.field) << request.error().message;
  EXPECT_THAT(request.error().message, HasSubstr(std::string(row.message)));
}

#define U R"("messages":[{"role":"user","content":"hi"}])"
#define MSG(x) R"({"messages":[)" x "]}"
INSTANTIATE_TEST_SUITE_P(
    Rules, OpenAiChatRefuses,
    ::testing::Values(
        Refused{"[]", "", "JSON object"},
        Refused{"{}", "messages", "Missing required parameter: 'messages'."},
        Refused{R"({"messages":"hi"})", "messages",
                "Invalid type for 'messages': expected an array, but got a string instead."},
        Refused{R"({"messages":[]})", "messages", "empty array"},
        Refused{R"({"messages":[1]})", "messages[0]", "expected an object, but got an integer"},
        Refused{MSG(R"({"content":"x"})"), "messages[0].role", "Missing required parameter"},
        Refused{MSG(R"({"role":"boss","content":"x"})"), "messages[0].role",
                "Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and "
                "'developer'."},
        Refused{MSG(R"({"role":"user"})"), "messages[0].content", "Missing required parameter"},
        Refused{MSG(R"({"role":"user","content":null})"), "messages[0].content", "Missing"},
        Refused{MSG(R"({"role":"user","content":5})"), "messages[0].content", "an integer"},
        Refused{MSG(R"({"role":"user","content":[]})"), "messages[0].content", "empty array"},
        Refused{MSG(R"({"role":"user","content":["x"]})"), "messages[0].content[0]", "an object"},
        Refused{MSG(R"({"role":"user","content":[{"text":"x"}]})"), "messages[0].content[0].type",
                "Missing"},
        Refused{MSG(R"({"role":"user","content":[{"type":"video"}]})"),
                "messages[0].content[0].type",
                "'video'. Supported values are: 'text', 'image_url', 'input_audio', and 'file'."},
        Refused{MSG(R"({"role":"system","content":[{"type":"image_url"}]})"),
                "messages[0].content[0].type", "Supported values are: 'text'."},
        Refused{MSG(R"({"role":"user","content":[{"type":"text","text":1}]})"),
                "messages[0].content[0].text", "a string"},
        Refused{MSG(R"({"role":"user","content":[{"type":"image_url","image_url":"http://x"}]})"),
                "messages[0].content[0].image_url", "an object"},
        Refused{
            MSG(R"({"role":"user","content":[{"type":"image_url","image_url":{"url":"x.png"}}]})"),
            "messages[0].content[0].image_url.url", "http(s) URL or a base64 data: URL"},
        Refused{MSG(R"({"role":"user","content":[{"type":"image_url",
                        "image_url":{"url":"https://x","detail":"huge"}}]})"),
                "messages[0].content[0].image_url.detail", "'auto', 'low', and 'high'"},
        Refused{MSG(R"({"role":"user","content":[{"type":"input_audio",
                        "input_audio":{"data":"AA","format":"ogg"}}]})"),
                "messages[0].content[0].input_audio.format", "'wav', and 'mp3'"},
        Refused{MSG(R"({"role":"user","content":[{"type":"file","file":{}}]})"),
                "messages[0].content[0].file.file_data", "Missing"},
        Refused{MSG(R"({"role":"assistant"})"), "messages[0].content", "tool_calls"},
        Refused{MSG(R"({"role":"assistant","tool_calls":[{"type":"function"}]})"),
                "messages[0].tool_calls[0].id", "Missing"},
        Refused{MSG(R"({"role":"assistant","tool_calls":[{"id":"a","type":"function",
                        "function":{"name":"f","arguments":{}}}]})"),
                "messages[0].tool_calls[0].function.arguments", "a string, but got an object"},
        Refused{MSG(R"({"role":"tool","content":"x"})"), "messages[0].tool_call_id", "Missing"},
        Refused{MSG(R"({"role":"tool","content":"x","tool_call_id":"a"})"), "messages[0].role",
                "must be a response to a preceding message with 'tool_calls'"},
        Refused{"{" U R"(,"temperature":3})", "temperature",
                "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but "
                "got 3 instead."},
        Refused{"{" U R"(,"temperature":-0.1})", "temperature", "below minimum"},
        Refused{"{" U R"(,"temperature":"hot"})", "temperature", "expected a decimal"},
        Refused{"{" U R"(,"temperature":true})", "temperature", "a boolean"},
        Refused{"{" U R"(,"top_p":1.01})", "top_p", "<= 1"},
        Refused{"{" U R"(,"max_tokens":0})", "max_tokens", "Expected a value >= 1"},
        Refused{"{" U R"(,"max_tokens":128001})", "max_tokens", "Expected a value <= 128000"},
        Refused{"{" U R"(,"max_tokens":18446744073709551615})", "max_tokens", "<= 128000"},
        Refused{"{" U R"(,"max_tokens":1.5})", "max_tokens", "expected an integer"},
        Refused{"{" U R"(,"max_tokens":5,"max_completion_tokens":5})", "max_tokens", "both"},
        Refused{"{" U R"(,"n":2})", "n", "one choice"},
        Refused{"{" U R"(,"n":0})", "n", "one choice"},
        Refused{"{" U R"(,"seed":"x"})", "seed", "an integer"},
        Refused{"{" U R"(,"stop":5})", "stop", "a string or an array of strings"},
        Refused{"{" U R"(,"stop":["a",1]})", "stop[1]", "a string"},
        Refused{"{" U R"(,"stop":["a","b","c","d","e"]})", "stop", "maximum length 4"},
        Refused{"{" U R"(,"stream":"yes"})", "stream", "a boolean"},
        Refused{"{" U R"(,"stream_options":{"include_usage":true}})", "stream_options",
                "only allowed when 'stream' is enabled"},
        Refused{"{" U R"(,"stream":true,"stream_options":{"include_usage":1}})",
                "stream_options.include_usage", "a boolean"},
        Refused{"{" U R"(,"model":5})", "model", "a string"},
        Refused{"{" U R"(,"user":5})", "user", "a string"},
        Refused{"{" U R"(,"presence_penalty":2.5})", "presence_penalty", "<= 2"},
        Refused{"{" U R"(,"logit_bias":{"50256":-101}})", "logit_bias.50256", ">= -100"},
        Refused{"{" U R"(,"top_logprobs":5})", "top_logprobs", "'logprobs' is true"},
        Refused{"{" U R"(,"reasoning_effort":"extreme"})", "reasoning_effort", "'minimal'"},
        Refused{"{" U R"(,"response_format":{"type":"xml"}})", "response_format.type",
                "'json_schema'"},
        Refused{"{" U R"(,"response_format":{"type":"json_schema"}})",
                "response_format.json_schema", "Missing"},
        Refused{"{" U R"(,"response_format":{"type":"json_schema","json_schema":{"schema":{}}}})",
                "response_format.json_schema.name", "Missing"},
        Refused{"{" U R"(,"response_format":{"type":"json_schema","json_schema":{"name":"a b"}}})",
                "response_format.json_schema.name", "pattern"},
        Refused{"{" U R"(,"tools":{}})", "tools", "an array"},
        Refused{"{" U R"(,"tools":[{"type":"magic"}]})", "tools[0].type", "'function'"},
        Refused{"{" U R"(,"tools":[{"type":"function"}]})", "tools[0].function", "Missing"},
        Refused{"{" U R"(,"tools":[{"type":"function","function":{"name":"a.b"}}]})",
                "tools[0].function.name", "^[a-zA-Z0-9_-]{1,64}$"},
        Refused{"{" U R"(,"tools":[{"type":"function","function":{"name":"f","parameters":[]}}]})",
                "tools[0].function.parameters", "an object"},
        Refused{"{" U R"(,"tool_choice":"auto"})", "tool_choice", "when 'tools' are specified"},
        Refused{"{" U R"(,"tools":[{"type":"function","function":{"name":"f"}}],
                         "tool_choice":"sometimes"})",
                "tool_choice", "'none', 'auto', and 'required'"},
        Refused{"{" U R"(,"tools":[{"type":"function","function":{"name":"f"}}],
                         "tool_choice":{"type":"function","function":{"name":"g"}}})",
                "tool_choice", "'g' is not among the tools"},
        Refused{"{" U R"(,"modalities":["smell"]})", "modalities[0]", "'text', and 'audio'"},
        Refused{"{" U R"(,"max_token":5})", "max_token",
                "Unrecognized request argument supplied: max_token"},
        Refused{"{" U R"(,"top_k":5})", "top_k", "Unrecognized request argument supplied: top_k"}));
#undef MSG

TEST(OpenAiChatDecode, ReadsARequestOfEverything) {
  const ChatRequest request = decode_ok(*client, R"({
    "model":"gpt-4o","stream":true,"stream_options":{"include_usage":true},
    "max_completion_tokens":77,"temperature":0.5,"top_p":0.9,"seed":7,"stop":["a","b"],"user":"u",
    "reasoning_effort":"low","parallel_tool_calls":false,"routing_mode":"autopilot",
    "tools":[{"type":"function","function":{"name":"f","description":"d","strict":true,
              "parameters":{"type":"object"}}}],
    "tool_choice":{"type":"function","function":{"name":"f"}},
    "response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,
              "schema":{"type":"object"}}},
    "messages":[
      {"role":"system","content":"S"},{"role":"developer","content":[{"type":"text","text":"D"}]},
      {"role":"user","name":"bob","content":[{"type":"text","text":"what"},
        {"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA","detail":"low"}},
        {"type":"input_audio","input_audio":{"data":"BB","format":"wav"}},
        {"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,CC"}}]},
      {"role":"assistant","content":null,"reasoning_content":"hm","tool_calls":[{"id":"c1",
        "type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}]},
      {"role":"tool","tool_call_id":"c1","content":"42"}]})");
  EXPECT_EQ(request.model, "gpt-4o");
  EXPECT_EQ(request.shape, Shape::kOpenAiChat);
  EXPECT_TRUE(request.stream);
  EXPECT_TRUE(request.stream_usage);
  EXPECT_EQ(request.max_tokens, 77);
  EXPECT_EQ(request.seed, 7);
  EXPECT_EQ(request.stop.size(), 2u);
  EXPECT_EQ(request.reasoning.effort, "low");
  EXPECT_EQ(request.tool_choice.mode, ToolChoice::Mode::kNamed);
  EXPECT_EQ(request.tool_choice.parallel, false);
  EXPECT_EQ(request.format.name, "n");
  ASSERT_EQ(request.tools.size(), 1u);
  EXPECT_EQ(request.tools[0].strict, true);
  ASSERT_EQ(request.messages.size(), 5u);
  EXPECT_EQ(request.messages[1].role, Role::kDeveloper);
  const auto& parts = request.messages[2].parts;
  ASSERT_EQ(parts.size(), 4u);
  EXPECT_EQ(std::get<ImagePart>(parts[1]).media_type, "image/png");
  EXPECT_EQ(std::get<ImagePart>(parts[1]).detail, "low");
  EXPECT_EQ(std::get<FilePart>(parts[3]).data, "CC");
  EXPECT_EQ(first_part<ReasoningPart>(request.messages[3].parts)->text, "hm");
  EXPECT_EQ(first_part<ToolCallPart>(request.messages[3].parts)->arguments, R"({"x":1})");
  EXPECT_EQ(first_part<ToolResultPart>(request.messages[4].parts)->text, "42");
}

TEST(OpenAiChatDecode, LeavesTheChoiceOfModelToTheGateway) {
  EXPECT_EQ(decode_ok(*client, "{" U "}").model, "");
  EXPECT_EQ(decode_ok(*client, "{" U R"(,"model":null,"temperature":null,"tools":null})").model,
            "");
}

TEST(OpenAiChatDecode, NeverLetsNanThrough) {
  // JSON has no NaN; overflowing numbers must not become infinite temperatures either.
  EXPECT_FALSE(JsonDocument::parse("{" U R"(,"temperature":NaN})"));
  const auto parsed = JsonDocument::parse("{" U R"(,"temperature":1e999})");
  if (parsed) {
    EXPECT_FALSE(client->decode(*parsed));
  }
}

TEST(OpenAiChatDecode, UnderstandsLegacyFunctions) {
  const ChatRequest request = decode_ok(*client, R"({
    "functions":[{"name":"f","parameters":{"type":"object"}}],"function_call":{"name":"f"},
    "messages":[{"role":"user","content":"x"},
      {"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},
      {"role":"function","name":"f","content":"1"}]})");
  EXPECT_EQ(request.tools.at(0).name, "f");
  EXPECT_EQ(request.tool_choice.mode, ToolChoice::Mode::kNamed);
  EXPECT_EQ(first_part<ToolCallPart>(request.messages[1].parts)->id,
            first_part<ToolResultPart>(request.messages[2].parts)->tool_call_id);
}

// ---- Requests to vendors

TEST(OpenAiChatEncode, PassesTheClientsFieldsThroughAndItsOwnNot) {
  const ChatRequest request = decode_ok(*client, R"({"model":"gpt-4o","metadata":{"k":"v"},
    "prediction":{"type":"content","content":"x"},"logit_bias":{"5":1},"store":true,
    "routing_mode":"guided","bypass_cache":true,"asahi":{"x":1},"agent_id":"a",
    "optimize_tokens":false,"allow_batching":true,"enrich_with_features":[],
    "max_tokens":5,"temperature":0.70,
    "messages":[{"role":"user","content":[{"type":"text","text":"hi","cache_hint":1}]}]})");
  EXPECT_EQ(encoded(*vendor, request, "gpt-4o"), value_of(R"({"model":"gpt-4o",
    "metadata":{"k":"v"},"prediction":{"type":"content","content":"x"},"logit_bias":{"5":1},
    "store":true,"max_tokens":5,"temperature":0.7,
    "messages":[{"role":"user","content":[{"type":"text","text":"hi","cache_hint":1}]}]})"));
}

TEST(OpenAiChatEncode, SendsTheClientsVeryText) {
  const auto request = client->decode(document(
      R"({ "model":"m", "top_p" : 0.50,"messages":[ {"role":"user","content":"\u00e9"} ]})"));
  ASSERT_TRUE(request);
  const auto wire = vendor->encode(*request, "n");
  ASSERT_TRUE(wire);
  EXPECT_EQ(wire->body,
            R"({"model":"n","top_p" : 0.50,"messages":[ {"role":"user","content":"\u00e9"} ]})");
}

// What the gateway checked, priced and keyed is what the vendor reads.
TEST(OpenAiChatEncode, SendsWhatWasReadWhereAKeyStandsTwice) {
  const auto request = client->decode(
      document(R"({"model":"m","messages":[{"role":"user","content":"a","content":"b"}]})"));
  ASSERT_TRUE(request);
  const auto wire = vendor->encode(*request, "m");
  ASSERT_TRUE(wire);
  EXPECT_EQ(wire->body, R"({"model":"m","messages":[{"role":"user","content":"b"}]})");
}

TEST(OpenAiChatEncode, AlwaysAsksForUsageWhenStreaming) {
  const ChatRequest request =
      decode_ok(*client, "{" U R"(,"stream":true,"stream_options":{"include_obfuscation":false}})");
  const json::value body = encoded(*vendor, request, "gpt-4o");
  EXPECT_EQ(body.at("stream"), true);
  EXPECT_EQ(body.at("stream_options"),
            value_of(R"({"include_obfuscation":false,"include_usage":true})"));
}

TEST(OpenAiChatEncode, LetsChangedMessagesWin) {
  ChatRequest request = decode_ok(*client, R"({"logprobs":true,
    "messages":[{"role":"user","content":"my key is secret"}]})");
  std::get<TextPart>(request.messages[0].parts[0]).text = "my key is ***";
  request.messages_changed = true;
  EXPECT_EQ(encoded(*vendor, request, "gpt-4o"), value_of(R"({"model":"gpt-4o","logprobs":true,
    "messages":[{"role":"user","content":"my key is ***"}]})"));
}

TEST(OpenAiChatEncode, FitsParametersWhenItRoutedToAnotherModel) {
  const ChatRequest request =
      decode_ok(*client, "{\"model\":\"auto\"," U R"(,"max_tokens":5,"temperature":0.2,"seed":1})");
  EXPECT_EQ(encoded(*vendor, request, "gpt-5-mini"),
            value_of("{\"model\":\"gpt-5-mini\"," U R"(,"max_completion_tokens":5,"seed":1})"));
  EXPECT_EQ(encoded(*vendor, request, "mistral-large-latest"),
            value_of("{\"model\":\"mistral-large-latest\"," U
                     R"(,"max_tokens":5,"temperature":0.2,"random_seed":1})"));
}

TEST(OpenAiChatEncode, RebuildsARequestOfTheMessageModel) {
  ChatRequest request;
  request.max_tokens = 9;
  request.temperature = 1.5;
  request.stream = true;
  request.stop = {"x"};
  Message message;
  message.role = Role::kDeveloper;
  message.parts.emplace_back(TextPart{"hi", {}});
  request.messages.push_back(message);
  EXPECT_EQ(encoded(*vendor, request, "gpt-4o"), value_of(R"({"model":"gpt-4o",
    "messages":[{"role":"developer","content":"hi"}],"max_tokens":9,"temperature":1.5,
    "stop":["x"],"stream":true,"stream_options":{"include_usage":true}})"));
  EXPECT_EQ(encoded(*vendor, request, "o3-mini"), value_of(R"({"model":"o3-mini",
    "messages":[{"role":"developer","content":"hi"}],"max_completion_tokens":9,
    "stream":true,"stream_options":{"include_usage":true}})"));
  EXPECT_EQ(encoded(*vendor, request, "deepseek-chat").at("messages").at(0).at("role"), "system");
}

TEST(OpenAiChatEncode, ShortensIdsOfOtherVendorsForCallAndResultAlike) {
  const std::string id = "call_1__sig__" + std::string(500, 'A');
  ChatRequest request = decode_ok(*client, R"({"model":"m","messages":[
    {"role":"user","content":"a"},
    {"role":"assistant","content":null,"x":1,"tool_calls":[{"id":")" +
                                               id +
                                               R"(","type":"function",
      "function":{"name":"f","arguments":"{}"}}]},
    {"role":"tool","tool_call_id":")" + id + R"(","content":"r"}]})");
  const auto id_for = [&](std::string_view model) {
    const json::value messages = encoded(*vendor, request, model).at("messages");
    const json::value called = messages.at(1).at("tool_calls").at(0).at("id");
    EXPECT_EQ(called, messages.at(2).at("tool_call_id"));
    return std::string(called.as_string());
  };
  for (const bool changed : {false, true}) {
    request.messages_changed = changed;
    EXPECT_LE(id_for("gpt-4o").size(), 40u);
    EXPECT_EQ(id_for("mistral-large-latest").size(), 9u);
    EXPECT_EQ(id_for("deepseek-chat"), id);
  }
  request.messages_changed = false;
  EXPECT_EQ(encoded(*vendor, request, "gpt-4o").at("messages").at(1).at("x"), 1);
}

TEST(OpenAiChatAnswer, ThatCallsToolsEndsInCallsWhateverItsFinishReason) {
  constexpr std::string_view kCall =
      R"("tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{}"}}]})";
  const std::string choice = R"({"choices":[{"index":0,)";
  const std::string end = R"(,"finish_reason":"stop"}]})";
  const auto whole =
      vendor->decode(choice + R"("message":{"content":null,)" + std::string(kCall) + end);
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->finish, FinishReason::kToolCalls);
  const auto events =
      decode_stream(*vendor, sse_text({choice + R"("delta":{)" + std::string(kCall) + "}]}",
                                       choice + R"("delta":{})" + end, "[DONE]"}));
  ASSERT_TRUE(events);
  EXPECT_EQ(collect(*events).finish, FinishReason::kToolCalls);
}

TEST(OpenAiChatEncode, RefusesWhatOnlyAnotherVendorCanDo) {
  ChatRequest request;
  request.shape = Shape::kAnthropic;
  request.vendor_only = "the tool web_search_20250305";
  const auto wire = vendor->encode(request, "gpt-4o");
  ASSERT_FALSE(wire);
  EXPECT_EQ(wire.error().code, Errc::kInvalidArgument);
  EXPECT_THAT(wire.error().message, HasSubstr("web_search_20250305"));
}

TEST(OpenAiChatEncode, NamesTargetAndCredentials) {
  const auto wire = vendor->encode(decode_ok(*client, "{" U "}"), "m");
  ASSERT_TRUE(wire);
  EXPECT_EQ(wire->target, "/v1/chat/completions");
  EXPECT_EQ(wire->headers.get("content-type"), "application/json");
  http::Headers headers;
  vendor->authorize(headers, "sk-1");
  EXPECT_EQ(headers.get("authorization"), "Bearer sk-1");
}

// ---- Answers

constexpr std::string_view kAnswer = R"({"id":"chatcmpl-v","object":"chat.completion",
  "created":1,"model":"gpt-4o-2024","system_fingerprint":"fp","choices":[{"index":0,
  "message":{"role":"assistant","content":"Hi","refusal":null,"annotations":[{"a":1}]},
  "logprobs":{"content":[]},"finish_reason":"stop"}],
  "usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"extra":7}})";

TEST(OpenAiChatAnswer, KeepsTheVendorsJsonForClientsOfTheSameShape) {
  auto response = vendor->decode(kAnswer);
  ASSERT_TRUE(response);
  EXPECT_EQ(response->text(), "Hi");
  EXPECT_EQ(response->usage.input, 10);
  response->id = "chatcmpl-given";
  response->model = "gpt-4o";
  const json::value body =
      value_of(client->encode(ChatRequest(), *response, R"({"cost":0.1})", 1700000000));
  json::value expected = value_of(kAnswer);
  expected.as_object()["id"] = "chatcmpl-given";
  expected.as_object()["model"] = "gpt-4o";
  expected.as_object()["asahi"] = value_of(R"({"cost":0.1})");
  EXPECT_EQ(body, expected);
}

TEST(OpenAiChatAnswer, IsBuiltWhenThereIsNoOriginal) {
  ChatResponse response;
  response.id = "chatcmpl-1";
  response.model = "m";
  response.parts.emplace_back(ReasoningPart{"think", "sig", {}});
  response.parts.emplace_back(ToolCallPart{"c", "f", "{}"});
  response.finish = FinishReason::kToolCalls;
  response.usage = Usage{.input = 3, .output = 4, .reported = true};
  const json::value body = value_of(client->encode(ChatRequest(), response, "", 5));
  EXPECT_EQ(body.at("object"), "chat.completion");
  EXPECT_EQ(body.at("created"), 5);
  EXPECT_EQ(body.at("choices").at(0), value_of(R"({"index":0,"message":{"role":"assistant",
    "content":null,"refusal":null,"reasoning_content":"think",
    "reasoning_details":[{"type":"reasoning.text","text":"think","signature":"sig"}],
    "tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}],
    "annotations":[]},"logprobs":null,"finish_reason":"tool_calls"})"));
  EXPECT_EQ(body.at("usage").at("total_tokens"), 7);
  EXPECT_FALSE(body.as_object().contains("asahi"));
  EXPECT_FALSE(body.as_object().contains("error"));
}

TEST(OpenAiChatAnswer, OfGarbageIsAnUpstreamError) {
  for (const std::string_view body :
       {"", "<html>", "[]", "{}", R"({"choices":[]})", R"({"choices":[{}]})",
        R"({"choices":[{"message":5}]})", R"({"error":{"message":"boom"}})"}) {
    const auto response = vendor->decode(body);
    ASSERT_FALSE(response) << body;
    EXPECT_EQ(response.error().code, Errc::kUpstream) << body;
  }
}

TEST(OpenAiChatAnswer, WithAnErrorInsideIsTypedByIt) {
  const auto response =
      vendor->decode(R"({"error":{"message":"slow down","code":429,"type":"x"}})");
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, Errc::kRateLimited);
}

TEST(OpenAiChatAnswer, ReadsMistralsThinkingParts) {
  const auto response = vendor->decode(R"({"choices":[{"message":{"content":[
    {"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"yes"}]},
    "finish_reason":"stop"}]})");
  ASSERT_TRUE(response);
  EXPECT_EQ(first_part<ReasoningPart>(response->parts)->text, "hm");
  EXPECT_EQ(response->text(), "yes");
}

TEST(OpenAiChatErrors, OfVendorsKeepTheirWordsAndField) {
  http::Headers headers;
  headers.add("Retry-After", "3");
  const Error bad = vendor->decode_error(400, headers, R"({"error":{"message":"too long",
    "type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}})");
  EXPECT_EQ(bad.code, Errc::kInvalidArgument);
  EXPECT_EQ(bad.reason, "context_length_exceeded");
  EXPECT_EQ(bad.field, "messages");
  EXPECT_THAT(bad.message, HasSubstr("too long"));
  const Error limited = vendor->decode_error(429, headers, "not json");
  EXPECT_EQ(limited.code, Errc::kRateLimited);
  EXPECT_EQ(limited.retry_after, std::chrono::seconds(3));
  EXPECT_THAT(vendor->decode_error(422, {}, R"({"object":"error","message":"mistral"})").message,
              HasSubstr("mistral"));
  EXPECT_EQ(vendor->decode_error(503, {}, "<html>").message.find("<html>"), std::string::npos);
}

TEST(OpenAiChatErrors, HaveTheShapeThatSdksRead) {
  Error error{.code = Errc::kInvalidArgument, .message = "bad"};
  error.field = "n";
  error.reason = "invalid_value";
  EXPECT_EQ(value_of(client->encode_error(error, 400, "req_1")),
            value_of(R"({"error":{"message":"bad","type":"invalid_request_error","param":"n",
                         "code":"invalid_value"}})"));
  EXPECT_EQ(value_of(client->encode_error(Error{.message = "x"}, 500, "")),
            value_of(R"({"error":{"message":"x","type":"server_error","param":null,
                         "code":null}})"));
  EXPECT_EQ(value_of(client->encode_error(Error{.message = "x"}, 401, "")).at("error").at("code"),
            "invalid_api_key");
  EXPECT_EQ(value_of(client->encode_error(Error{.message = "x"}, 429, "")).at("error").at("type"),
            "rate_limit_error");
}

TEST(OpenAiEmbeddings, GoThereAndComeBackInOrder) {
  EmbeddingRequest request;
  request.input = {"a", "b"};
  request.dimensions = 2;
  const auto wire = vendor->encode_embedding(request, "text-embedding-3-small");
  ASSERT_TRUE(wire);
  EXPECT_EQ(wire->target, "/v1/embeddings");
  EXPECT_EQ(value_of(wire->body), value_of(R"({"model":"text-embedding-3-small",
    "input":["a","b"],"encoding_format":"float","dimensions":2})"));
  const auto response = vendor->decode_embedding(R"({"model":"m","data":[
    {"index":1,"embedding":[0,1]},{"index":0,"embedding":[1,0.5]}],
    "usage":{"prompt_tokens":4,"total_tokens":4}})");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->vectors, (std::vector<std::vector<float>>{{1, 0.5F}, {0, 1}}));
  EXPECT_EQ(response->usage.input, 4);
  for (const std::string_view bad :
       {R"({"data":[{"index":7,"embedding":[1]}]})", R"({"data":[{"index":0,"embedding":["x"]}]})",
        R"({"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]})",
        R"({"data":[{"index":-1,"embedding":[1]}]})", "{}"}) {
    EXPECT_FALSE(vendor->decode_embedding(bad)) << bad;
  }
}

// ---- Legacy completions

const auto completions = make_openai_completions_client();

TEST(Completions, TurnAPromptIntoAUserMessage) {
  const ChatRequest request = decode_ok(
      *completions, R"({"model":"m","prompt":["Say hi"],"max_tokens":5,"presence_penalty":1})");
  ASSERT_EQ(request.messages.size(), 1u);
  EXPECT_EQ(request.messages[0].text(), "Say hi");
  EXPECT_EQ(encoded(*vendor, request, "gpt-4o"), value_of(R"({"model":"gpt-4o",
    "messages":[{"role":"user","content":"Say hi"}],"max_tokens":5,"presence_penalty":1})"));
}

TEST(Completions, RefuseWhatChatModelsCannotDo) {
  for (const auto& [body, field] : std::initializer_list<std::pair<std::string_view, std::string>>{
           {R"({})", "prompt"},
           {R"({"prompt":""})", "prompt"},
           {R"({"prompt":5})", "prompt"},
           {R"({"prompt":[1,2]})", "prompt"},
           {R"({"prompt":["a","b"]})", "prompt"},
           {R"({"prompt":"a","echo":true})", "echo"},
           {R"({"prompt":"a","suffix":"x"})", "suffix"},
           {R"({"prompt":"a","logprobs":2})", "logprobs"},
           {R"({"prompt":"a","best_of":2})", "best_of"},
           {R"({"prompt":"a","n":2})", "n"},
           {R"({"prompt":"a","messages":[]})", "messages"}}) {
    const auto request = completions->decode(document(body));
    ASSERT_FALSE(request) << body;
    EXPECT_EQ(request.error().field, field) << request.error().message;
  }
}

TEST(Completions, AnswerInTheLegacyShape) {
  auto response = vendor->decode(kAnswer);
  ASSERT_TRUE(response);
  response->id = "cmpl-1";
  const json::value body =
      value_of(completions->encode(ChatRequest(), *response, R"({"cost":1})", 9));
  EXPECT_EQ(body.at("object"), "text_completion");
  EXPECT_EQ(body.at("choices"),
            value_of(R"([{"text":"Hi","index":0,"logprobs":null,"finish_reason":"stop"}])"));
  EXPECT_EQ(body.at("asahi").at("cost"), 1);
}

}  // namespace
}  // namespace asahi::llm
