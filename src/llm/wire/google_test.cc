#include <gtest/gtest.h>

#include "llm/testing/wire_feed.h"
#include "llm/wire/common.h"
#include "llm/wire/google_schema.h"
#include "llm/wire/wire.h"

namespace asahi::llm {
namespace {

using llm_testing::describe;
using llm_testing::feed;
using namespace std::chrono_literals;

const auto kCodec = make_google_codec();

Message user(std::string text) {
  return {.role = Role::kUser, .parts = {TextPart{.text = std::move(text)}}};
}

json::value body_of(const ChatRequest& request, std::string_view model = "gemini-2.5-flash") {
  const auto wire = kCodec->encode(request, model);
  if (!wire) {
    ADD_FAILURE() << wire.error().message;
    return nullptr;
  }
  return parse_json(wire->body).value();
}

std::string sse(std::initializer_list<std::string_view> frames) {
  std::string out;
  for (const auto frame : frames) {
    out += "data: ";
    out += frame;
    out += "\r\n\r\n";
  }
  return out;
}

TEST(GoogleEncode, MovesSystemTextsOutAndCallsTheAssistantModel) {
  ChatRequest request;
  request.messages = {{.role = Role::kSystem, .parts = {TextPart{.text = "Be brief."}}},
                      user("Hi"),
                      {.role = Role::kAssistant, .parts = {TextPart{.text = "Hello"}}},
                      user("And?")};
  request.max_tokens = 100;
  request.temperature = 0.5;
  request.top_k = 3;
  request.stop = {"END"};
  EXPECT_EQ(
      write_json(body_of(request)),
      R"({"contents":[{"role":"user","parts":[{"text":"Hi"}]},{"role":"model","parts":[{"text":"Hello"}]},)"
      R"({"role":"user","parts":[{"text":"And?"}]}],"systemInstruction":{"parts":[{"text":"Be brief."}]},)"
      R"("generationConfig":{"maxOutputTokens":100,"temperature":0.5,"topK":3,"stopSequences":["END"]}})");
}

TEST(GoogleEncode, NamesTheModelInTheTarget) {
  ChatRequest request;
  request.messages = {user("Hi")};
  EXPECT_EQ(kCodec->encode(request, "gemini-2.5-pro")->target,
            "/v1beta/models/gemini-2.5-pro:generateContent");
  request.stream = true;
  EXPECT_EQ(kCodec->encode(request, "tunedModels/x")->target,
            "/v1beta/tunedModels/x:streamGenerateContent?alt=sse");
  EXPECT_EQ(kCodec->encode(request, "a:b?c")->target,
            "/v1beta/models/a%3Ab%3Fc:streamGenerateContent?alt=sse");
}

TEST(GoogleEncode, GathersTheResultsOfOneTurn) {
  ChatRequest request;
  request.messages = {
      user("Weather?"),
      {.role = Role::kAssistant,
       .parts = {ToolCallPart{.id = "a", .name = "weather", .arguments = R"({"city":"Paris"})"},
                 ToolCallPart{.id = "b", .name = "time", .arguments = ""}}},
      {.role = Role::kTool,
       .parts = {ToolResultPart{.tool_call_id = "a", .text = R"({"sky":"blue"})"}}},
      {.role = Role::kTool,
       .parts = {ToolResultPart{.tool_call_id = "b", .text = "noon", .is_error = true}}}};
  EXPECT_EQ(
      write_json(body_of(request).at("contents")),
      R"([{"role":"user","parts":[{"text":"Weather?"}]},)"
      R"({"role":"model","parts":[{"functionCall":{"name":"weather","args":{"city":"Paris"}}},)"
      R"({"functionCall":{"name":"time","args":{}}}]},)"
      R"({"role":"user","parts":[{"functionResponse":{"name":"weather","response":{"sky":"blue"}}},)"
      R"({"functionResponse":{"name":"time","response":{"error":"noon"}}}]}])");
}

TEST(GoogleEncode, RefusesAResultWithoutItsCall) {
  ChatRequest request;
  request.messages = {
      user("Hi"),
      {.role = Role::kTool, .parts = {ToolResultPart{.tool_call_id = "zz", .text = "x"}}}};
  const auto wire = kCodec->encode(request, "m");
  ASSERT_FALSE(wire);
  EXPECT_EQ(wire.error().code, Errc::kInvalidArgument);
  EXPECT_EQ(wire.error().field, "messages[1].content[0]");
}

TEST(GoogleEncode, ReturnsTheSignatureThatCameWithACall) {
  ChatRequest request;
  request.messages = {
      user("go"),
      {.role = Role::kAssistant,
       .parts = {ToolCallPart{.id = "call_1__sig__-_8", .name = "f", .arguments = "{}"},
                 ToolCallPart{.id = "call_2", .name = "g", .arguments = "{}"}}},
  };
  const auto parts = body_of(request, "gemini-3-pro").at("contents").at(1).at("parts");
  EXPECT_EQ(parts.at(0).at("thoughtSignature").as_string(), "+/8=");
  EXPECT_FALSE(parts.at(1).as_object().contains("thoughtSignature"));
}

TEST(GoogleEncode, MarksCallsOfOtherModelsForGemini3) {
  ChatRequest request;
  request.messages = {user("go"),
                      {.role = Role::kAssistant,
                       .parts = {ToolCallPart{.id = "x", .name = "f", .arguments = "{}"}}}};
  EXPECT_EQ(body_of(request, "gemini-3-pro")
                .at("contents")
                .at(1)
                .at("parts")
                .at(0)
                .at("thoughtSignature")
                .as_string(),
            "skip_thought_signature_validator");
  EXPECT_FALSE(body_of(request)
                   .at("contents")
                   .at(1)
                   .at("parts")
                   .at(0)
                   .as_object()
                   .contains("thoughtSignature"));
}

TEST(GoogleEncode, SendsPicturesInline) {
  ChatRequest request;
  request.messages = {{.role = Role::kUser,
                       .parts = {ImagePart{.media_type = "image/png", .data = "AAAA"},
                                 ImagePart{.url = "https://x.example/a.jpg?s=1"}}}};
  EXPECT_EQ(write_json(body_of(request).at("contents").at(0).at("parts")),
            R"([{"inlineData":{"mimeType":"image/png","data":"AAAA"}},)"
            R"({"fileData":{"mimeType":"image/jpeg","fileUri":"https://x.example/a.jpg?s=1"}}])");
}

TEST(GoogleEncode, MapsToolsAndTheirChoice) {
  ChatRequest request;
  request.messages = {user("go")};
  request.tools = {
      {.name = "f",
       .description = "does",
       .parameters = parse_json(R"({"type":"object","properties":{"a":{"type":["string","null"]}},
                                                 "additionalProperties":false})")
                         .value()},
      {.name = "none", .parameters = parse_json(R"({"type":"object","properties":{}})").value()}};
  request.tool_choice = {.mode = ToolChoice::Mode::kNamed, .name = "f"};
  const auto body = body_of(request);
  EXPECT_EQ(
      write_json(body.at("tools")),
      R"([{"functionDeclarations":[{"name":"f","description":"does","parameters":{"type":"object",)"
      R"("properties":{"a":{"type":"string","nullable":true}}}},{"name":"none"}]}])");
  EXPECT_EQ(write_json(body.at("toolConfig")),
            R"({"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["f"]}})");
}

TEST(GoogleEncode, AsksForJsonBySchema) {
  ChatRequest request;
  request.messages = {user("go")};
  request.format = {
      .kind = ResponseFormat::Kind::kJsonSchema,
      .schema = parse_json(R"({"type":"object","properties":{"n":{"type":"integer"}}})").value()};
  auto config = body_of(request).at("generationConfig");
  EXPECT_EQ(config.at("responseMimeType").as_string(), "application/json");
  EXPECT_TRUE(config.as_object().contains("responseSchema"));
  request.format.schema =
      parse_json(R"({"$ref":"#/$defs/x","$defs":{"x":{"type":"string"}}})").value();
  config = body_of(request).at("generationConfig");
  EXPECT_TRUE(config.as_object().contains("responseJsonSchema"));
}

TEST(GoogleEncode, TurnsEffortIntoABudget) {
  ChatRequest request;
  request.messages = {user("go")};
  request.reasoning = {.effort = "medium", .include_summary = true};
  EXPECT_EQ(write_json(body_of(request).at("generationConfig").at("thinkingConfig")),
            R"({"thinkingBudget":8192,"includeThoughts":true})");
  EXPECT_EQ(
      write_json(body_of(request, "gemini-3-pro").at("generationConfig").at("thinkingConfig")),
      R"({"thinkingLevel":"high","includeThoughts":true})");
  request.reasoning = {.effort = "none"};
  EXPECT_EQ(write_json(body_of(request).at("generationConfig").at("thinkingConfig")),
            R"({"thinkingBudget":0})");
}

TEST(GoogleSchema, RefusesWhatTheSubsetLacks) {
  for (const char* schema :
       {R"({"type":"string","oneOf":[]})", R"({"type":"integer","enum":[1,2]})",
        R"({"type":"object","additionalProperties":{"type":"string"}})", R"({"type":"object"})",
        R"({"type":["string","number"]})", "true"}) {
    EXPECT_FALSE(wire::to_google_schema(parse_json(schema).value())) << schema;
  }
}

TEST(GoogleSchema, RewritesNullBranchesAndConstants) {
  const auto schema =
      parse_json(R"({"anyOf":[{"const":"a"},{"type":"null"}],"$comment":"x"})").value();
  EXPECT_EQ(write_json(*wire::to_google_schema(schema)),
            R"({"nullable":true,"anyOf":[{"enum":["a"],"type":"string"}]})");
}

constexpr std::string_view kWhole =
    R"({"candidates":[{"content":{"role":"model","parts":[{"text":"Thinking…","thought":true},{"text":"It is "},)"
    R"({"text":"blue."},{"functionCall":{"name":"f","args":{"a":1}},"thoughtSignature":"c2ln"}]},"finishReason":"STOP"}],)"
    R"("usageMetadata":{"promptTokenCount":100,"cachedContentTokenCount":40,"toolUsePromptTokenCount":7,)"
    R"("candidatesTokenCount":20,"thoughtsTokenCount":50,"totalTokenCount":177,)"
    R"("promptTokensDetails":[{"modality":"TEXT","tokenCount":90},{"modality":"AUDIO","tokenCount":10}]},)"
    R"("modelVersion":"gemini-2.5-flash","responseId":"r1"})";

TEST(GoogleDecode, CountsThoughtsAsOutputAndToolPromptsAsInput) {
  const auto response = kCodec->decode(kWhole);
  ASSERT_TRUE(response);
  EXPECT_EQ(response->usage, (Usage{.input = 107,
                                    .cached_input = 40,
                                    .audio_input = 10,
                                    .output = 70,
                                    .reasoning_output = 50,
                                    .reported = true}));
  EXPECT_EQ(response->text(), "It is blue.");
  EXPECT_EQ(response->finish, FinishReason::kToolCalls);
  EXPECT_EQ(response->id, "r1");
  EXPECT_EQ(response->model, "gemini-2.5-flash");
  const auto& call = std::get<ToolCallPart>(response->parts.at(2));
  EXPECT_EQ(call.arguments, R"({"a":1})");
  EXPECT_TRUE(call.id.ends_with("__sig__c2ln"));
}

TEST(GoogleStream, AmountsToTheUnstreamedAnswerHoweverItIsCut) {
  const std::string stream = sse({
      R"({"candidates":[{"content":{"parts":[{"text":"Thinking…","thought":true}]}}],"usageMetadata":{"promptTokenCount":100},"modelVersion":"gemini-2.5-flash","responseId":"r1"})",
      R"({"candidates":[{"content":{"parts":[{"text":"It is "}]}}],"modelVersion":"gemini-2.5-flash","responseId":"r1"})",
      R"({"candidates":[{"content":{"parts":[{"text":"blue."},{"functionCall":{"name":"f","args":{"a":1}},"thoughtSignature":"c2ln"}]}}]})",
      R"({"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":100,"cachedContentTokenCount":40,"toolUsePromptTokenCount":7,"candidatesTokenCount":20,"thoughtsTokenCount":50,"promptTokensDetails":[{"modality":"AUDIO","tokenCount":10}]}})",
  });
  const std::string expected = describe(kCodec->decode(kWhole).value());
  for (std::size_t piece = 0; piece < 70; ++piece) {
    const auto fed = feed(*kCodec->stream_decoder(), stream, piece);
    ASSERT_FALSE(fed.error) << fed.error->message;
    EXPECT_TRUE(fed.complete);
    EXPECT_EQ(describe(fed.response), expected) << piece;
  }
}

TEST(GoogleDecode, GivesTheSameCallOfTwoAnswersTwoIds) {
  const auto id_in = [](std::string_view answer) {
    const std::string body =
        R"({"responseId":")" + std::string(answer) +
        R"(","candidates":[{"content":{"parts":[{"functionCall":{"name":"f"}}]},"finishReason":"STOP"}]})";
    return std::get<ToolCallPart>(kCodec->decode(body).value().parts.at(0)).id;
  };
  EXPECT_EQ(id_in("r1"), id_in("r1"));
  EXPECT_NE(id_in("r1"), id_in("r2"));
}

// Every shape of usage costs the same streamed and unstreamed.
TEST(GoogleStream, CarriesTheUsageOfTheUnstreamedAnswer) {
  for (
      const std::string usage :
      {"{}", R"({"promptTokenCount":5})", R"({"promptTokenCount":5,"thoughtsTokenCount":9})",
       R"({"promptTokenCount":5,"cachedContentTokenCount":50,"candidatesTokenCount":2})",
       R"({"toolUsePromptTokenCount":3,"candidatesTokensDetails":[{"modality":"AUDIO","tokenCount":4}]})",
       R"({"promptTokenCount":"many","promptTokensDetails":[7,{"tokenCount":1}]})"}) {
    const std::string last =
        R"({"candidates":[{"finishReason":"STOP"}],"usageMetadata":)" + usage + "}";
    const auto fed =
        feed(*kCodec->stream_decoder(),
             sse({R"({"candidates":[],"usageMetadata":{"promptTokenCount":1}})", last}));
    EXPECT_EQ(describe(fed.response), describe(kCodec->decode(last).value())) << usage;
  }
}

TEST(GoogleStream, WithoutAFinishReasonIsCut) {
  const auto fed = feed(*kCodec->stream_decoder(),
                        sse({R"({"candidates":[{"content":{"parts":[{"text":"It"}]}}]})"}));
  ASSERT_TRUE(fed.error);
  EXPECT_EQ(fed.error->reason, "stream_cut");
  EXPECT_EQ(fed.error->code, Errc::kUpstream);
}

TEST(GoogleStream, CarriesEachFrameOnce) {
  const std::string frame =
      R"({"candidates":[{"content":{"parts":[{"text":"a"},{"text":"b"}]},"finishReason":"STOP"}]})";
  const auto fed = feed(*kCodec->stream_decoder(), sse({frame}));
  ASSERT_GE(fed.events.size(), 4);
  EXPECT_TRUE(fed.events[0].has_raw);
  EXPECT_EQ(fed.events[0].raw, frame);
  EXPECT_EQ(fed.events[0].raw_shape, Shape::kGoogle);
  EXPECT_FALSE(fed.events[1].has_raw);
  EXPECT_TRUE(fed.events[1].frame_follows);
}

TEST(GoogleDecode, MapsFinishReasons) {
  const auto finish = [](std::string_view reason) {
    return kCodec->decode(R"({"candidates":[{"finishReason":")" + std::string(reason) + R"("}]})")
        ->finish;
  };
  EXPECT_EQ(finish("STOP"), FinishReason::kStop);
  EXPECT_EQ(finish("MAX_TOKENS"), FinishReason::kLength);
  EXPECT_EQ(finish("SAFETY"), FinishReason::kContentFilter);
  EXPECT_EQ(finish("PROHIBITED_CONTENT"), FinishReason::kContentFilter);
  EXPECT_EQ(finish("MALFORMED_FUNCTION_CALL"), FinishReason::kError);
  EXPECT_EQ(finish("FINISH_REASON_UNSPECIFIED"), FinishReason::kUnknown);
}

TEST(GoogleDecode, ABlockedPromptIsFilteredAndStillCosts) {
  const auto response = kCodec->decode(
      R"({"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":9}})");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->finish, FinishReason::kContentFilter);
  EXPECT_EQ(response->usage.input, 9);
  EXPECT_TRUE(response->parts.empty());
}

TEST(GoogleDecode, FindsTheErrorInsideA200) {
  const auto response =
      kCodec->decode(R"([{"error":{"code":429,"message":"Slow down","status":"RESOURCE_EXHAUSTED",)"
                     R"("details":[{"retryDelay":"34.5s"}]}}])");
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, Errc::kRateLimited);
  EXPECT_EQ(response.error().retry_after, std::optional(34'500ms));
}

TEST(GoogleDecode, GarbageIsUpstream) {
  for (const char* body : {"", "<html>", "[]", "{}", R"({"candidates":[]})", "null"}) {
    const auto response = kCodec->decode(body);
    ASSERT_FALSE(response) << body;
    EXPECT_EQ(response.error().code, Errc::kUpstream) << body;
  }
}

TEST(GoogleErrors, ABadKeyIsTheVendorsRefusalOfUsDespiteIts400) {
  const auto error = kCodec->decode_error(
      400, {},
      R"({"error":{"code":400,"message":"API key not valid.","details":[{"reason":"API_KEY_INVALID"}]}})");
  EXPECT_EQ(error.code, Errc::kUpstream);
  EXPECT_EQ(error.reason, "vendor_auth");
  EXPECT_EQ(error.upstream_status, 400);
}

TEST(GoogleErrors, OverflowingCountsDoNotOverflow) {
  const auto response = kCodec->decode(
      R"({"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":)"
      R"(9223372036854775807,"toolUsePromptTokenCount":9223372036854775807,)"
      R"("candidatesTokenCount":-5,"cachedContentTokenCount":99999999999999999999}})");
  ASSERT_TRUE(response);
  EXPECT_GT(response->usage.input, 0);
  EXPECT_LE(response->usage.cached_input, response->usage.input);
  EXPECT_EQ(response->usage.output, 0);
}

TEST(GoogleAuthorize, UsesItsOwnHeader) {
  http::Headers headers;
  kCodec->authorize(headers, "k");
  EXPECT_EQ(headers.get("x-goog-api-key"), "k");
  EXPECT_FALSE(headers.has("authorization"));
}

}  // namespace
}  // namespace asahi::llm
