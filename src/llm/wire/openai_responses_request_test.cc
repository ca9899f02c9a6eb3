#include <gtest/gtest.h>

#include "llm/testing/wire_feed.h"
#include "llm/wire/common.h"
#include "llm/wire/wire.h"

namespace asahi::llm {
namespace {

using llm_testing::document;

const auto kClient = make_openai_responses_client();
const auto kVendor = make_openai_responses_codec();

Result<ChatRequest> decode(std::string_view body) { return kClient->decode(document(body)); }

void expect_fault(std::string_view body, std::string_view field) {
  const auto request = decode(body);
  ASSERT_FALSE(request) << body;
  EXPECT_EQ(request.error().code, Errc::kInvalidArgument) << body;
  EXPECT_EQ(request.error().field, field) << body << ": " << request.error().message;
}

TEST(ResponsesRequest, ReadsAString) {
  const auto request = decode(R"({"model":"gpt-4o","input":"Hi","instructions":"Be brief."})");
  ASSERT_TRUE(request);
  EXPECT_EQ(request->model, "gpt-4o");
  ASSERT_EQ(request->messages.size(), 2);
  EXPECT_EQ(request->messages[0].role, Role::kSystem);
  EXPECT_EQ(request->messages[0].text(), "Be brief.");
  EXPECT_EQ(request->messages[1].role, Role::kUser);
  EXPECT_EQ(request->messages[1].text(), "Hi");
  EXPECT_EQ(request->shape, Shape::kOpenAiResponses);
  EXPECT_FALSE(request->stream);
}

TEST(ResponsesRequest, ReadsEveryPartOfAMessage) {
  const auto request = decode(R"({"input":[{"role":"user","content":[
      {"type":"input_text","text":"See"},
      {"type":"input_image","image_url":"data:image/png;base64,AAAA","detail":"low"},
      {"type":"input_image","image_url":"https://x.example/a.png"},
      {"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,BBBB"},
      {"type":"input_audio","input_audio":{"format":"wav","data":"CCCC"}}]}]})");
  ASSERT_TRUE(request);
  const auto& parts = request->messages.at(0).parts;
  ASSERT_EQ(parts.size(), 5);
  EXPECT_EQ(std::get<ImagePart>(parts[1]).media_type, "image/png");
  EXPECT_EQ(std::get<ImagePart>(parts[1]).detail, "low");
  EXPECT_EQ(std::get<ImagePart>(parts[2]).url, "https://x.example/a.png");
  EXPECT_EQ(std::get<FilePart>(parts[3]).data, "BBBB");
  EXPECT_EQ(std::get<FilePart>(parts[3]).name, "a.pdf");
  EXPECT_EQ(std::get<AudioPart>(parts[4]).format, "wav");
  EXPECT_TRUE(request->vendor_only.empty());
}

TEST(ResponsesRequest, JoinsTheItemsOfOneTurn) {
  const auto request = decode(R"({"input":[
      {"role":"user","content":"Weather?"},
      {"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"Look it up."}],"encrypted_content":"enc"},
      {"type":"message","role":"assistant","id":"msg_1","status":"completed",
       "content":[{"type":"output_text","text":"One moment.","annotations":[]}]},
      {"type":"function_call","id":"fc_1","call_id":"c1","name":"weather","arguments":"{}"},
      {"type":"function_call","call_id":"c2","name":"time","arguments":"{}"},
      {"type":"function_call_output","call_id":"c1","output":"rain"},
      {"type":"function_call_output","call_id":"c2","output":[{"type":"input_text","text":"noon"},
       {"type":"input_image","image_url":"https://x.example/clock.png"}]}]})");
  ASSERT_TRUE(request) << request.error().message;
  ASSERT_EQ(request->messages.size(), 4);
  const auto& turn = request->messages[1];
  EXPECT_EQ(turn.role, Role::kAssistant);
  ASSERT_EQ(turn.parts.size(), 4);
  EXPECT_EQ(std::get<ReasoningPart>(turn.parts[0]).text, "Look it up.");
  EXPECT_EQ(std::get<ReasoningPart>(turn.parts[0]).encrypted, "enc");
  EXPECT_EQ(std::get<ToolCallPart>(turn.parts[2]).id, "c1");
  EXPECT_EQ(request->messages[2].role, Role::kTool);
  const auto& result = std::get<ToolResultPart>(request->messages[3].parts.at(0));
  EXPECT_EQ(result.text, "noon");
  EXPECT_EQ(result.images.size(), 1);
}

TEST(ResponsesRequest, TwoAssistantTextsAreTwoMessages) {
  const auto request = decode(
      R"({"input":[{"role":"assistant","content":"a"},{"role":"assistant","content":"b"}]})");
  ASSERT_TRUE(request);
  EXPECT_EQ(request->messages.size(), 2);
}

TEST(ResponsesRequest, GivesAnothersSignatureBackAsOne) {
  const auto request = decode(
      R"({"input":[{"type":"reasoning","summary":[{"type":"summary_text","text":"t"}],
          "encrypted_content":"asahi.signature.SIG"}]})");
  ASSERT_TRUE(request);
  const auto& thought = std::get<ReasoningPart>(request->messages[0].parts[0]);
  EXPECT_EQ(thought.signature, "SIG");
  EXPECT_TRUE(thought.encrypted.empty());
}

TEST(ResponsesRequest, ReadsItsSettings) {
  const auto request =
      decode(R"({"input":"x","max_output_tokens":50,"temperature":0.2,"top_p":0.9,"user":"u",
      "stream":true,"store":false,"metadata":{"a":"b"},"include":["reasoning.encrypted_content"],"truncation":"auto",
      "parallel_tool_calls":false,"reasoning":{"effort":"high","summary":"auto"},"service_tier":"auto",
      "stream_options":{"include_obfuscation":false},"prompt_cache_key":"k","previous_response_id":null,
      "text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object"},"strict":true},"verbosity":"low"},
      "tools":[{"type":"function","name":"f","description":"d","parameters":{"type":"object"},"strict":false}],
      "tool_choice":{"type":"function","name":"f"},"routing_mode":"explicit","cost_budget":0.1})");
  ASSERT_TRUE(request) << request.error().field << request.error().message;
  EXPECT_EQ(request->max_tokens, 50);
  EXPECT_EQ(request->temperature, 0.2);
  EXPECT_EQ(request->reasoning.effort, "high");
  EXPECT_TRUE(request->reasoning.include_summary);
  EXPECT_TRUE(request->stream);
  EXPECT_TRUE(request->stream_usage);
  EXPECT_EQ(request->format.kind, ResponseFormat::Kind::kJsonSchema);
  EXPECT_EQ(request->format.strict, true);
  EXPECT_EQ(request->tools.at(0).name, "f");
  EXPECT_EQ(request->tools.at(0).strict, false);
  EXPECT_EQ(request->tool_choice.mode, ToolChoice::Mode::kNamed);
  EXPECT_EQ(request->tool_choice.name, "f");
  EXPECT_EQ(request->tool_choice.parallel, false);
  EXPECT_EQ(request->user, "u");
  EXPECT_TRUE(request->vendor_only.empty());
}

TEST(ResponsesRequest, AllowedToolsAreTheOnlyOnes) {
  const auto request = decode(
      R"({"input":"x","tools":[{"type":"function","name":"f"},{"type":"function","name":"g"}],
      "tool_choice":{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"g"}]}})");
  ASSERT_TRUE(request);
  ASSERT_EQ(request->tools.size(), 1);
  EXPECT_EQ(request->tools[0].name, "g");
  EXPECT_EQ(request->tool_choice.mode, ToolChoice::Mode::kRequired);
}

TEST(ResponsesRequest, NamesTheFieldThatIsWrong) {
  expect_fault(R"([])", "");
  expect_fault(R"({"model":"m"})", "input");
  expect_fault(R"({"input":[]})", "input");
  expect_fault(R"({"input":5})", "input");
  expect_fault(R"({"input":"x","messages":[]})", "messages");
  expect_fault(R"({"input":"x","max_tokens":5})", "max_tokens");
  expect_fault(R"({"input":["x"]})", "input[0]");
  expect_fault(R"({"input":[{"content":"x"}]})", "input[0].type");
  expect_fault(R"({"input":[{"role":"tool","content":"x"}]})", "input[0].role");
  expect_fault(R"({"input":[{"role":"user"}]})", "input[0].content");
  expect_fault(R"({"input":[{"role":"user","content":[{"type":"text","text":"x"}]}]})",
               "input[0].content[0].type");
  expect_fault(R"({"input":[{"role":"user","content":[{"type":"input_text"}]}]})",
               "input[0].content[0].text");
  expect_fault(R"({"input":[{"role":"user","content":[{"type":"input_image"}]}]})",
               "input[0].content[0].image_url");
  expect_fault(R"({"input":[{"role":"user","content":[{"type":"input_file"}]}]})",
               "input[0].content[0]");
  expect_fault(R"({"input":[{"type":"function_call","name":"f","arguments":"{}"}]})",
               "input[0].call_id");
  expect_fault(R"({"input":[{"type":"function_call_output","call_id":"c"}]})", "input[0].output");
  expect_fault(R"({"input":"x","tools":[{"name":"f"}]})", "tools[0].type");
  expect_fault(R"({"input":"x","tools":[{"type":"function","function":{"name":"f"}}]})",
               "tools[0].name");
  expect_fault(R"({"input":"x","tools":[{"type":"function","name":"a b"}]})", "tools[0].name");
  expect_fault(R"({"input":"x","tool_choice":"sometimes"})", "tool_choice");
  expect_fault(R"({"input":"x","temperature":3})", "temperature");
  expect_fault(R"({"input":"x","max_output_tokens":0})", "max_output_tokens");
  expect_fault(R"({"input":"x","reasoning":{"effort":"huge"}})", "reasoning.effort");
  expect_fault(R"({"input":"x","text":{"format":{"type":"xml"}}})", "text.format.type");
  expect_fault(R"({"input":"x","text":{"format":{"type":"json_schema","name":"n"}}})",
               "text.format.schema");
  expect_fault(R"({"input":"x","background":true})", "background");
  expect_fault(R"({"input":"x","metadata":{"a":1}})", "metadata.a");
  expect_fault(R"({"input":"x","stream":"yes"})", "stream");
}

TEST(ResponsesRequest, WhatOnlyItsVendorCanDoIsRefusedByOthers) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {R"({"input":"x","tools":[{"type":"function","name":"f"},{"type":"web_search"}]})",
       "tools[1].type 'web_search'"},
      {R"({"input":"x","previous_response_id":"resp_1"})", "previous_response_id"},
      {R"({"input":[{"type":"item_reference","id":"msg_1"}]})", "input[0].type 'item_reference'"},
      {R"({"input":[{"id":"msg_1"}]})", "input[0].type 'item_reference'"},
      {R"({"input":[{"type":"web_search_call","id":"ws_1","status":"completed"}]})",
       "input[0].type 'web_search_call'"},
      {R"({"input":"x","conversation":"conv_1"})", "conversation"},
      {R"({"prompt":{"id":"pmpt_1"}})", "prompt"},
      {R"({"input":[{"role":"user","content":[{"type":"input_file","file_id":"file_1"}]}]})",
       "input[0].content[0].file_id"},
      {R"({"input":"x","tool_choice":{"type":"web_search_preview"}})", "tool_choice.type"},
      {R"({"input":"x","top_logprobs":2})", "top_logprobs"},
  };
  for (const auto& [body, named] : cases) {
    const auto request = decode(body);
    ASSERT_TRUE(request) << body << request.error().message;
    const auto refused = make_google_codec()->encode(*request, "gemini");
    ASSERT_FALSE(refused) << body;
    EXPECT_EQ(refused.error().code, Errc::kInvalidArgument);
    EXPECT_TRUE(refused.error().message.starts_with(named)) << refused.error().message;
    const auto passed = kVendor->encode(*request, "gpt");
    EXPECT_TRUE(passed) << body;
  }
}

TEST(ResponsesVendor, PassesTheClientsOwnJsonThrough) {
  const auto request =
      decode(R"({"model":"asahi","input":[{"role":"user","content":"x","phase":"p"}],"stream":true,
      "tools":[{"type":"web_search","search_context_size":"low"}],"bypass_cache":true,"asahi":{"x":1},
      "fallback_models":["a"],"stream_options":{"include_obfuscation":false},"temperature":0.7})");
  ASSERT_TRUE(request) << request.error().message;
  const auto wire = kVendor->encode(*request, "gpt-4o");
  ASSERT_TRUE(wire);
  EXPECT_EQ(wire->target, "/v1/responses");
  EXPECT_EQ(wire->body,
            R"({"model":"gpt-4o","input":[{"role":"user","content":"x","phase":"p"}],)"
            R"("tools":[{"type":"web_search","search_context_size":"low"}],)"
            R"("stream_options":{"include_obfuscation":false},"temperature":0.7,"stream":true})");
}

TEST(ResponsesVendor, ReencodesMessagesThatWereChanged) {
  auto request =
      decode(R"({"input":[{"role":"user","content":"secret"},{"type":"web_search_call","id":"ws"}],
      "instructions":"old","tools":[{"type":"web_search"}]})");
  ASSERT_TRUE(request);
  request->messages_changed = true;
  request->messages[1].parts = {TextPart{.text = "masked"}};
  EXPECT_EQ(kVendor->encode(*request, "m")->body,
            R"({"model":"m","tools":[{"type":"web_search"}],"input":[)"
            R"({"type":"message","role":"system","content":[{"type":"input_text","text":"old"}]},)"
            R"({"type":"message","role":"user","content":[{"type":"input_text","text":"masked"}]},)"
            R"({"type":"web_search_call","id":"ws"}]})");
}

TEST(ResponsesVendor, TranslatesOtherShapes) {
  ChatRequest request;
  request.shape = Shape::kOpenAiChat;
  request.messages = {
      {.role = Role::kSystem, .parts = {TextPart{.text = "s"}}},
      {.role = Role::kUser,
       .parts = {TextPart{.text = "u"}, ImagePart{.media_type = "image/png", .data = "AA"}}},
      {.role = Role::kAssistant,
       .parts = {ReasoningPart{.text = "dropped"}, TextPart{.text = "a"},
                 ToolCallPart{.id = "c", .name = "f", .arguments = "{}"}}},
      {.role = Role::kTool, .parts = {ToolResultPart{.tool_call_id = "c", .text = "r"}}}};
  request.tools = {{.name = "f"}};
  request.tool_choice.mode = ToolChoice::Mode::kRequired;
  request.max_tokens = 20;
  request.seed = 4;
  request.reasoning.budget_tokens = 4'000;
  EXPECT_EQ(
      kVendor->encode(request, "gpt-5")->body,
      R"({"model":"gpt-5","input":[{"type":"message","role":"system","content":[{"type":"input_text","text":"s"}]},)"
      R"({"type":"message","role":"user","content":[{"type":"input_text","text":"u"},)"
      R"({"type":"input_image","image_url":"data:image/png;base64,AA","detail":"auto"}]},)"
      R"({"type":"message","role":"assistant","content":[{"type":"output_text","text":"a"}]},)"
      R"({"type":"function_call","call_id":"c","name":"f","arguments":"{}"},)"
      R"({"type":"function_call_output","call_id":"c","output":"r"}],)"
      R"("tools":[{"type":"function","name":"f","parameters":{"type":"object","properties":{}},"strict":false}],)"
      R"("tool_choice":"required","reasoning":{"effort":"medium"},"max_output_tokens":20,"store":false})");
}

TEST(ResponsesVendor, ShortensIdsOfOtherVendorsForCallAndResultAlike) {
  const std::string id = "call_1__sig__" + std::string(500, 'A');
  ChatRequest request;
  request.messages = {
      {.role = Role::kAssistant, .parts = {ToolCallPart{.id = id, .name = "f", .arguments = "{}"}}},
      {.role = Role::kTool, .parts = {ToolResultPart{.tool_call_id = id, .text = "r"}}}};
  const auto input = parse_json(kVendor->encode(request, "m")->body).value().at("input");
  EXPECT_EQ(input.at(0).at("call_id"), input.at(1).at("call_id"));
  EXPECT_LE(input.at(0).at("call_id").as_string().size(), 64);
}

TEST(ResponsesVendor, RefusesStopSequences) {
  ChatRequest request;
  request.stop = {"x"};
  EXPECT_EQ(kVendor->encode(request, "m").error().field, "stop");
}

}  // namespace
}  // namespace asahi::llm
