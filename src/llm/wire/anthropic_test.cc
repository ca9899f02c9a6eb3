#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "llm/testing/wire_fixtures.h"
#include "llm/wire/wire.h"

namespace asahi::llm {
namespace {

using namespace asahi::llm::testing;  // NOLINT: fixtures
using ::testing::HasSubstr;

const auto client = make_anthropic_client();
const auto vendor = make_anthropic_codec();

// ---- What clients may send

struct Refused {
  std::string_view body;
  std::string_view field;
  std::string_view message;  // a part of it
};

class AnthropicRefuses : public ::testing::TestWithParam<Refused> {};

TEST_P(AnthropicRefuses, NamingFieldAndRule) {
  const auto& row = GetParam();
  const auto request = client->decode(document(row.body));
  ASSERT_FALSE(request) << row.body;
  EXPECT_EQ(request.error().code, Errc::kInvalidArgument);
  EXPECT_EQ(request.error().field, row.field) << request.error().message;
  EXPECT_THAT(request.error().message, HasSubstr(std::string(row.message)));
}

#define OK R"("max_tokens":10,"messages":[{"role":"user","content":"hi"}])"
#define MSG(x) R"({"max_tokens":10,"messages":[)" x "]}"
#define BLOCK(x) MSG(R"({"role":"user","content":[)" x "]}")
INSTANTIATE_TEST_SUITE_P(
    Rules, AnthropicRefuses,
    ::testing::Values(
        Refused{"5", "", "not a valid JSON object"},
        Refused{R"({"messages":[{"role":"user","content":"x"}]})", "max_tokens",
                "max_tokens: Field required"},
        Refused{R"({"max_tokens":10})", "messages", "messages: Field required"},
        Refused{R"({"max_tokens":10,"messages":[]})", "messages",
                "messages: at least one message is required"},
        Refused{R"({"max_tokens":"x","messages":[]})", "max_tokens",
                "max_tokens: Input should be a valid integer"},
        Refused{R"({"max_tokens":0,"messages":[]})", "max_tokens",
                "max_tokens: Input should be greater than or equal to 1"},
        Refused{MSG("5"), "messages[0]", "messages.0: Input should be a valid dictionary"},
        Refused{MSG(R"({"content":"x"})"), "messages[0].role", "messages.0.role: Field required"},
        Refused{MSG(R"({"role":"tool","content":"x"})"), "messages", "top-level `system`"},
        Refused{MSG(R"({"role":"user"})"), "messages[0].content",
                "messages.0.content: Field required"},
        Refused{MSG(R"({"role":"user","content":5})"), "messages[0].content",
                "Input should be a valid string or a list of content blocks"},
        Refused{MSG(R"({"role":"user","content":""})"), "messages[0]", "non-empty content"},
        Refused{MSG(R"({"role":"user","content":"x","name":"bob"})"), "messages[0].name",
                "messages.0.name: Extra inputs are not permitted"},
        Refused{BLOCK("1"), "messages[0].content[0]", "messages.0.content.0"},
        Refused{BLOCK(R"({"type":"image_url"})"), "messages[0].content[0].type", "'tool_use'"},
        Refused{BLOCK(R"({"type":"text"})"), "messages[0].content[0].text", "Field required"},
        Refused{BLOCK(R"({"type":"text","text":""})"), "messages[0].content[0].text",
                "text content blocks must be non-empty"},
        Refused{BLOCK(R"({"type":"image","source":{"type":"base64","data":"AA"}})"),
                "messages[0].content[0].source.media_type",
                "messages.0.content.0.source.media_type: Field required"},
        Refused{
            BLOCK(R"({"type":"image","source":{"type":"base64","data":"A","media_type":"a/b"}})"),
            "messages[0].content[0].source.media_type", "'image/webp'"},
        Refused{BLOCK(R"({"type":"tool_result","content":"x"})"),
                "messages[0].content[0].tool_use_id", "Field required"},
        Refused{BLOCK(R"({"type":"tool_result","tool_use_id":"a","content":[{"type":"audio"}]})"),
                "messages[0].content[0].content[0].type", "'text'"},
        Refused{BLOCK(R"({"type":"tool_use","id":"a","name":"f","input":"x"})"),
                "messages[0].content[0].input", "valid object"},
        Refused{BLOCK(R"({"type":"thinking","thinking":"x"})"), "messages[0].content[0].signature",
                "Field required"},
        Refused{"{" OK R"(,"temperature":1.5})", "temperature",
                "temperature: Input should be less than or equal to 1"},
        Refused{"{" OK R"(,"temperature":-1})", "temperature", "greater than or equal to 0"},
        Refused{"{" OK R"(,"temperature":"x"})", "temperature", "valid number"},
        Refused{"{" OK R"(,"top_k":-1})", "top_k", "greater than or equal to 0"},
        Refused{"{" OK R"(,"stop_sequences":"x"})", "stop_sequences", "valid array"},
        Refused{"{" OK R"(,"stop_sequences":["\n"]})", "stop_sequences[0]", "non-whitespace"},
        Refused{"{" OK R"(,"stream":1})", "stream", "valid boolean"},
        Refused{"{" OK R"(,"system":5})", "system", "system: Input should be"},
        Refused{"{" OK R"(,"system":[{"type":"image"}]})", "system[0].type", "'text'"},
        Refused{"{" OK R"(,"metadata":{"user_id":5}})", "metadata.user_id", "valid string"},
        Refused{"{" OK R"(,"tools":[{"name":"f"}]})", "tools[0].input_schema", "Field required"},
        Refused{"{" OK R"(,"tools":[{"name":"","input_schema":{}}]})", "tools[0].name",
                "at least 1"},
        Refused{"{" OK R"(,"tool_choice":{"type":"auto"}})", "tool_choice", "`tools`"},
        Refused{"{" OK R"(,"tools":[],"tool_choice":{"type":"tool","name":"g"}})", "tool_choice",
                "'g' not found"},
        Refused{"{" OK R"(,"thinking":{"type":"enabled"}})", "thinking.budget_tokens",
                "Field required"},
        Refused{"{" OK R"(,"thinking":{"type":"enabled","budget_tokens":5}})",
                "thinking.budget_tokens", "greater than or equal to 1024"},
        Refused{"{" OK R"(,"thinking":{"type":"enabled","budget_tokens":2000}})", "",
                "`max_tokens` must be greater than `thinking.budget_tokens`"},
        Refused{"{" OK R"(,"stop":["x"]})", "stop", "stop: Extra inputs are not permitted"}));
#undef MSG

TEST(AnthropicDecode, ReadsARequestOfEverything) {
  const ChatRequest request = decode_ok(*client, R"({
    "model":"claude-sonnet-4-5","max_tokens":2000,"stream":true,"temperature":0.5,"top_k":3,
    "stop_sequences":["END"],"metadata":{"user_id":"u"},
    "system":[{"type":"text","text":"S","cache_control":{"type":"ephemeral"}}],
    "tools":[{"name":"f","description":"d","input_schema":{"type":"object"}}],
    "tool_choice":{"type":"any","disable_parallel_tool_use":true},
    "thinking":{"type":"enabled","budget_tokens":1024},
    "messages":[
      {"role":"user","content":[{"type":"text","text":"what"},
        {"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA"}},
        {"type":"document","title":"t","source":{"type":"url","url":"https://x/a.pdf"}}]},
      {"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"s"},
        {"type":"redacted_thinking","data":"r"},
        {"type":"tool_use","id":"t1","name":"f","input":{"x":1}}]},
      {"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","is_error":true,
        "content":[{"type":"text","text":"42"},
          {"type":"image","source":{"type":"url","url":"https://x/b.png"}}]},
        {"type":"text","text":"so?"}]}]})");
  ASSERT_EQ(request.messages.size(), 5u);
  EXPECT_EQ(request.messages[0].role, Role::kSystem);
  EXPECT_EQ(std::get<TextPart>(request.messages[0].parts[0]).cache_control,
            value_of(R"({"type":"ephemeral"})"));
  EXPECT_EQ(first_part<ImagePart>(request.messages[1].parts)->data, "AA");
  EXPECT_EQ(first_part<FilePart>(request.messages[1].parts)->url, "https://x/a.pdf");
  EXPECT_EQ(std::get<ReasoningPart>(request.messages[2].parts[0]).signature, "s");
  EXPECT_EQ(std::get<ReasoningPart>(request.messages[2].parts[1]).encrypted, "r");
  EXPECT_EQ(std::get<ToolCallPart>(request.messages[2].parts[2]).arguments, R"({"x":1})");
  EXPECT_EQ(request.messages[3].role, Role::kTool);
  const auto* result = first_part<ToolResultPart>(request.messages[3].parts);
  EXPECT_TRUE(result->is_error);
  EXPECT_EQ(result->images.size(), 1u);
  EXPECT_EQ(request.messages[4].text(), "so?");
  EXPECT_EQ(request.tool_choice.mode, ToolChoice::Mode::kRequired);
  EXPECT_EQ(request.tool_choice.parallel, false);
  EXPECT_EQ(request.reasoning.budget_tokens, 1024);
  EXPECT_EQ(request.top_k, 3);
  EXPECT_EQ(request.user, "u");
  EXPECT_TRUE(request.vendor_only.empty());
}

TEST(AnthropicDecode, NotesWhatOnlyAnthropicCanDo) {
  const ChatRequest request = decode_ok(
      *client, "{" OK R"(,"tools":[{"type":"web_search_20250305","name":"web_search"}]})");
  EXPECT_EQ(request.vendor_only, "the tool web_search_20250305");
  EXPECT_TRUE(vendor->encode(request, "claude-sonnet-4-5"));
  EXPECT_FALSE(make_openai_chat_codec()->encode(request, "gpt-4o"));
}

// ---- Requests to Anthropic

TEST(AnthropicEncode, PassesTheClientsFieldsThroughAndItsOwnNot) {
  const ChatRequest request = decode_ok(*client, R"({"model":"claude-sonnet-4-5","max_tokens":10,
    "routing_mode":"guided","service_tier":"auto","container":"c","temperature":1.0,
    "system":[{"type":"text","text":"S","cache_control":{"type":"ephemeral","ttl":"1h"}}],
    "messages":[{"role":"user","content":[{"type":"text","text":"hi","citations":[]}]}]})");
  EXPECT_EQ(encoded(*vendor, request, "claude-sonnet-4-5-20250929"), value_of(R"({
    "model":"claude-sonnet-4-5-20250929","max_tokens":10,"service_tier":"auto","container":"c",
    "temperature":1.0,
    "system":[{"type":"text","text":"S","cache_control":{"type":"ephemeral","ttl":"1h"}}],
    "messages":[{"role":"user","content":[{"type":"text","text":"hi","citations":[]}]}]})"));
}

TEST(AnthropicEncode, LetsChangedMessagesWinIncludingTheSystemPrompt) {
  ChatRequest request = decode_ok(*client, "{" OK R"(,"system":"secret","top_k":5,
    "cache_control":{"type":"ephemeral"}})");
  std::get<TextPart>(request.messages[0].parts[0]).text = "***";
  request.messages_changed = true;
  EXPECT_EQ(encoded(*vendor, request, "claude-sonnet-4-5"), value_of(R"({
    "model":"claude-sonnet-4-5","max_tokens":10,"top_k":5,"cache_control":{"type":"ephemeral"},
    "system":[{"type":"text","text":"***"}],
    "messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]})"));
}

TEST(AnthropicEncode, LeavesOutThinkingThatAnthropicDidNotSign) {
  const ChatRequest request = decode_ok(*client, R"({"max_tokens":10,"messages":[
    {"role":"user","content":"a"},
    {"role":"assistant","content":[{"type":"thinking","thinking":"x","signature":""},
                                   {"type":"text","text":"b"}]},
    {"role":"user","content":"c"}]})");
  const json::value body = encoded(*vendor, request, "claude-sonnet-4-5");
  EXPECT_EQ(body.at("messages").at(1).at("content"), value_of(R"([{"type":"text","text":"b"}])"));
}

TEST(AnthropicEncode, GivesCallsOfOtherVendorsIdsThatItTakes) {
  const ChatRequest request = decode_ok(*client, R"({"max_tokens":10,"messages":[
    {"role":"user","content":"a"},
    {"role":"assistant","content":[{"type":"tool_use","id":"f.x:0","name":"f","input":{},
                                    "cache_control":{"type":"ephemeral"}},
                                   {"type":"tool_use","id":"f_x:0","name":"f","input":{}}]},
    {"role":"user","content":[{"type":"tool_result","tool_use_id":"f.x:0","content":"r"},
                              {"type":"tool_result","tool_use_id":"f_x:0","content":"s"}]}]})");
  const json::value body = encoded(*vendor, request, "claude-sonnet-4-5");
  const json::value& calls = body.at("messages").at(1).at("content");
  const json::value& results = body.at("messages").at(2).at("content");
  EXPECT_EQ(calls.at(0).at("cache_control"), value_of(R"({"type":"ephemeral"})"));
  EXPECT_EQ(calls.at(0).at("id"), results.at(0).at("tool_use_id"));
  EXPECT_EQ(calls.at(1).at("id"), results.at(1).at("tool_use_id"));
  EXPECT_NE(calls.at(0).at("id"), calls.at(1).at("id"));
  EXPECT_EQ(std::string_view(calls.at(0).at("id").as_string()).find_first_of(".:"),
            std::string_view::npos);
}

TEST(AnthropicEncode, DropsSamplingForModelsThatRefuseIt) {
  const ChatRequest request =
      decode_ok(*client, "{\"model\":\"auto\"," OK R"(,"temperature":0.5,"top_k":5})");
  EXPECT_FALSE(encoded(*vendor, request, "claude-opus-4-7").as_object().contains("temperature"));
  EXPECT_TRUE(
      encoded(*vendor, request, "claude-opus-4-20250514").as_object().contains("temperature"));
  EXPECT_TRUE(
      encoded(*vendor, request, "claude-3-5-haiku-20241022").as_object().contains("temperature"));
}

Message message(Role role, std::vector<Part> parts) {
  Message out;
  out.role = role;
  out.parts = std::move(parts);
  return out;
}

Part text(std::string words) { return TextPart{std::move(words), {}}; }

TEST(AnthropicEncode, MergesTurnsAndLiftsSystemPrompts) {
  ChatRequest request;
  request.messages.push_back(message(Role::kSystem, {text("one")}));
  request.messages.push_back(message(Role::kUser, {text("a")}));
  request.messages.push_back(message(Role::kDeveloper, {text("two")}));
  request.messages.push_back(message(Role::kUser, {text("b"), text("")}));
  request.messages.push_back(
      message(Role::kAssistant, {text("c"), ToolCallPart{"call_1", "f", "{\"x\":1}"},
                                 ToolCallPart{"call_2", "g", "not json"}}));
  request.messages.push_back(message(Role::kTool, {ToolResultPart{"call_1", "r1", {}, false}}));
  request.messages.push_back(message(Role::kTool, {ToolResultPart{"call_2", "r2", {}, true}}));
  request.messages.push_back(message(Role::kUser, {text("d")}));
  request.messages.push_back(message(Role::kAssistant, {text("prefill \n")}));
  EXPECT_EQ(encoded(*vendor, request, "claude-sonnet-4-5"), value_of(R"({
    "model":"claude-sonnet-4-5",
    "system":[{"type":"text","text":"one"},{"type":"text","text":"two"}],
    "messages":[
      {"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
      {"role":"assistant","content":[{"type":"text","text":"c"},
        {"type":"tool_use","id":"call_1","name":"f","input":{"x":1}},
        {"type":"tool_use","id":"call_2","name":"g","input":{"arguments":"not json"}}]},
      {"role":"user","content":[
        {"type":"tool_result","tool_use_id":"call_1","content":"r1"},
        {"type":"tool_result","tool_use_id":"call_2","content":"r2","is_error":true},
        {"type":"text","text":"d"}]},
      {"role":"assistant","content":[{"type":"text","text":"prefill"}]}],
    "max_tokens":4096})"));
}

TEST(AnthropicEncode, BeginsWithTheUserWhateverTheClientSent) {
  ChatRequest request;
  request.messages.push_back(message(Role::kSystem, {text("only this")}));
  json::value body = encoded(*vendor, request, "claude-sonnet-4-5");
  EXPECT_EQ(body.at("messages"), value_of(R"([{"role":"user","content":"only this"}])"));
  EXPECT_FALSE(body.as_object().contains("system"));
  request.messages.push_back(message(Role::kAssistant, {text("x")}));
  body = encoded(*vendor, request, "claude-sonnet-4-5");
  EXPECT_EQ(body.at("messages").at(0).at("role"), "user");
  EXPECT_TRUE(body.as_object().contains("system"));
}

TEST(AnthropicEncode, FitsSamplingToItsRanges) {
  ChatRequest request;
  request.messages.push_back(message(Role::kUser, {text("a")}));
  request.temperature = 1.7;
  request.top_p = 0.5;
  request.stop = {"\n", "END"};
  request.max_tokens = 7;
  EXPECT_EQ(encoded(*vendor, request, "claude-sonnet-4-5"), value_of(R"({
    "model":"claude-sonnet-4-5","messages":[{"role":"user","content":[{"type":"text","text":"a"}]}],
    "max_tokens":7,"temperature":1,"stop_sequences":["END"]})"));
}

TEST(AnthropicEncode, ThinksWithABudgetOrAdaptively) {
  ChatRequest request;
  request.messages.push_back(message(Role::kUser, {text("a")}));
  request.reasoning.effort = "medium";
  request.temperature = 0.2;
  json::value body = encoded(*vendor, request, "claude-sonnet-4-5");
  EXPECT_EQ(body.at("thinking"), value_of(R"({"type":"enabled","budget_tokens":8192})"));
  EXPECT_EQ(body.at("max_tokens"), 4096 + 8192);
  EXPECT_FALSE(body.as_object().contains("temperature"));
  body = encoded(*vendor, request, "claude-opus-4-6");
  EXPECT_EQ(body.at("thinking"), value_of(R"({"type":"adaptive"})"));
  EXPECT_EQ(body.at("output_config"), value_of(R"({"effort":"medium"})"));
  request.max_tokens = 4000;
  EXPECT_EQ(encoded(*vendor, request, "claude-sonnet-4-5").at("thinking").at("budget_tokens"),
            2000);
  request.max_tokens = 100;  // no room to think
  EXPECT_FALSE(encoded(*vendor, request, "claude-sonnet-4-5").as_object().contains("thinking"));
}

TEST(AnthropicEncode, KnowsThatTheNewestModelsThinkUnaskedAndRefuseForcedCalls) {
  ChatRequest request;
  request.messages.push_back(message(Role::kUser, {text("a")}));
  request.tools.push_back(Tool{.name = "f"});
  request.tool_choice.mode = ToolChoice::Mode::kRequired;
  request.temperature = 0.3;
  // 5.0 can be told not to think, and then be forced.
  json::value body = encoded(*vendor, request, "claude-opus-5");
  EXPECT_EQ(body.at("thinking"), value_of(R"({"type":"disabled"})"));
  EXPECT_EQ(body.at("tool_choice"), value_of(R"({"type":"any"})"));
  EXPECT_FALSE(body.as_object().contains("temperature"));
  // 5.5 can not: words have to do.
  body = encoded(*vendor, request, "claude-sonnet-5-5");
  EXPECT_FALSE(body.as_object().contains("thinking"));
  EXPECT_EQ(body.at("tool_choice"), value_of(R"({"type":"auto"})"));
  EXPECT_TRUE(body.as_object().contains("system"));
  EXPECT_EQ(body.at("max_tokens"), 4096 + 8192);
  request.reasoning.effort = "none";
  EXPECT_EQ(encoded(*vendor, request, "claude-sonnet-5-5").at("output_config"),
            value_of(R"({"effort":"low"})"));
}

TEST(AnthropicEncode, EndsWithTheUserForModelsWithoutPrefill) {
  ChatRequest request;
  request.messages.push_back(message(Role::kUser, {text("a")}));
  request.messages.push_back(message(Role::kAssistant, {text("b")}));
  EXPECT_EQ(encoded(*vendor, request, "claude-sonnet-4-5").at("messages").as_array().size(), 2u);
  EXPECT_EQ(encoded(*vendor, request, "claude-opus-4-6").at("messages").as_array().size(), 3u);
}

TEST(AnthropicEncode, StopsThinkingInsideAToolLoopThatLostItsSignature) {
  ChatRequest request;
  request.reasoning.effort = "low";
  request.messages.push_back(message(Role::kUser, {text("a")}));
  request.messages.push_back(message(Role::kAssistant, {ToolCallPart{"c", "f", "{}"}}));
  request.messages.push_back(message(Role::kTool, {ToolResultPart{"c", "r", {}, false}}));
  EXPECT_FALSE(encoded(*vendor, request, "claude-sonnet-4-5").as_object().contains("thinking"));
  auto& parts = request.messages[1].parts;
  parts.insert(parts.begin(), ReasoningPart{"t", "sig", {}});
  const json::value body = encoded(*vendor, request, "claude-sonnet-4-5");
  EXPECT_TRUE(body.as_object().contains("thinking"));
  EXPECT_EQ(body.at("messages").at(1).at("content").at(0),
            value_of(R"({"type":"thinking","thinking":"t","signature":"sig"})"));
}

TEST(AnthropicEncode, RefusesAudioAndForeignFileIds) {
  for (const Part& part : {Part(AudioPart{"wav", "AA"}), Part(FilePart{.file_id = "file-1"})}) {
    ChatRequest request;
    request.messages.push_back(message(Role::kUser, {part}));
    const auto wire = vendor->encode(request, "claude-sonnet-4-5");
    ASSERT_FALSE(wire);
    EXPECT_EQ(wire.error().code, Errc::kInvalidArgument);
  }
}

TEST(AnthropicEncode, NamesTargetVersionAndCredentials) {
  ChatRequest request = decode_ok(*client, "{" OK "}");
  request.anthropic_beta = "files-api-2025-04-14";
  const auto wire = vendor->encode(request, "m");
  ASSERT_TRUE(wire);
  EXPECT_EQ(wire->target, "/v1/messages");
  EXPECT_EQ(wire->headers.get("anthropic-version"), "2023-06-01");
  EXPECT_EQ(wire->headers.get("anthropic-beta"), "files-api-2025-04-14");
  http::Headers headers;
  vendor->authorize(headers, "k");
  EXPECT_EQ(headers.get("x-api-key"), "k");
}

// ---- Answers

constexpr std::string_view kAnswer = R"({"id":"msg_v","type":"message","role":"assistant",
  "model":"claude-x","content":[{"type":"thinking","thinking":"hm","signature":"s"},
  {"type":"text","text":"Hi","citations":null},
  {"type":"server_tool_use","id":"st","name":"web_search","input":{}},
  {"type":"tool_use","id":"t1","name":"f","input":{"x":1.5}}],
  "stop_reason":"tool_use","stop_sequence":null,"container":null,
  "usage":{"input_tokens":10,"cache_read_input_tokens":4,"cache_creation_input_tokens":2,
  "output_tokens":5,"service_tier":"standard"}})";

TEST(AnthropicAnswer, KeepsTheVendorsJsonForClientsOfTheSameShape) {
  auto response = vendor->decode(kAnswer);
  ASSERT_TRUE(response);
  EXPECT_EQ(response->usage.input, 16);
  EXPECT_EQ(first_part<ToolCallPart>(response->parts)->arguments, R"({"x":1.5})");
  EXPECT_EQ(response->finish, FinishReason::kToolCalls);
  response->id = "msg_given";
  response->model = "claude";
  json::value expected = value_of(kAnswer);
  expected.as_object()["id"] = "msg_given";
  expected.as_object()["model"] = "claude";
  expected.as_object()["asahi"] = value_of(R"({"cost":0.1})");
  EXPECT_EQ(value_of(client->encode(ChatRequest(), *response, R"({"cost":0.1})", 1)), expected);
}

TEST(AnthropicAnswer, IsBuiltWhenThereIsNoOriginal) {
  ChatResponse response;
  response.id = "msg_1";
  response.model = "m";
  response.parts.emplace_back(ReasoningPart{"hm", {}, {}});
  response.parts.emplace_back(TextPart{"Hi", {}});
  response.parts.emplace_back(ToolCallPart{"c", "f", ""});
  response.finish = FinishReason::kToolCalls;
  response.usage = Usage{.input = 10, .cached_input = 4, .output = 3, .reported = true};
  EXPECT_EQ(value_of(client->encode(ChatRequest(), response, "", 1)), value_of(R"({"id":"msg_1",
    "type":"message","role":"assistant","model":"m","content":[
    {"type":"thinking","thinking":"hm","signature":""},
    {"type":"text","text":"Hi"},
    {"type":"tool_use","id":"c","name":"f","input":{}}],
    "stop_reason":"tool_use","stop_sequence":null,
    "usage":{"input_tokens":6,"cache_creation_input_tokens":0,"cache_read_input_tokens":4,
    "cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},
    "output_tokens":3,"output_tokens_details":{"thinking_tokens":0}}})"));
}

TEST(AnthropicAnswer, OfGarbageIsAnUpstreamError) {
  for (const std::string_view body : {"", "<html>", "[]", "{}", R"({"content":"x"})",
                                      R"({"type":"error","error":{"message":"boom"}})"}) {
    const auto response = vendor->decode(body);
    ASSERT_FALSE(response) << body;
    EXPECT_EQ(response.error().code, Errc::kUpstream) << body;
  }
}

TEST(AnthropicErrors, AreTypedFromStatusAndBody) {
  const Error error = vendor->decode_error(
      529, {}, R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})");
  EXPECT_EQ(error.code, Errc::kUnavailable);
  EXPECT_THAT(error.message, HasSubstr("Overloaded"));
  EXPECT_EQ(vendor->decode_error(404, {}, R"({"error":{"type":"not_found_error"}})").reason,
            "model_not_found");
  EXPECT_EQ(vendor->decode_error(401, {}, "").reason, "vendor_auth");
}

TEST(AnthropicErrors, HaveTheShapeThatSdksRead) {
  struct Row {
    int status;
    std::string_view type;
  };
  for (const auto& row :
       {Row{400, "invalid_request_error"}, Row{401, "authentication_error"},
        Row{403, "permission_error"}, Row{404, "not_found_error"}, Row{413, "request_too_large"},
        Row{429, "rate_limit_error"}, Row{500, "api_error"}, Row{502, "api_error"},
        Row{503, "overloaded_error"}, Row{529, "overloaded_error"}, Row{504, "timeout_error"}}) {
    const json::value body =
        value_of(client->encode_error(Error{.message = "m"}, row.status, "req_1"));
    EXPECT_EQ(body.at("type"), "error");
    EXPECT_EQ(body.at("error").at("type"), json::value(row.type));
    EXPECT_EQ(body.at("error").at("message"), "m");
    EXPECT_EQ(body.at("request_id"), "req_1");
  }
}

}  // namespace
}  // namespace asahi::llm
