#include <gtest/gtest.h>

#include "llm/testing/wire_feed.h"
#include "llm/wire/common.h"
#include "llm/wire/wire.h"

namespace asahi::llm {
namespace {

using llm_testing::describe;
using llm_testing::feed;

const auto kCodec = make_ollama_codec();

Message user(std::string text) {
  return {.role = Role::kUser, .parts = {TextPart{.text = std::move(text)}}};
}

json::value body_of(const ChatRequest& request) {
  const auto wire = kCodec->encode(request, "llama3.2");
  if (!wire) {
    ADD_FAILURE() << wire.error().message;
    return nullptr;
  }
  EXPECT_EQ(wire->target, "/api/chat");
  return parse_json(wire->body).value();
}

TEST(OllamaEncode, PutsSamplingIntoOptions) {
  ChatRequest request;
  request.messages = {{.role = Role::kDeveloper, .parts = {TextPart{.text = "Be brief."}}},
                      user("Hi")};
  request.max_tokens = 10;
  request.temperature = 0.7;
  request.seed = 5;
  request.stop = {"x"};
  request.format.kind = ResponseFormat::Kind::kJsonObject;
  request.reasoning.effort = "low";
  EXPECT_EQ(
      write_json(body_of(request)),
      R"({"model":"llama3.2","stream":false,"messages":[{"role":"system","content":"Be brief."},)"
      R"({"role":"user","content":"Hi"}],"format":"json","think":"low",)"
      R"("options":{"num_predict":10,"temperature":0.7,"seed":5,"stop":["x"]}})");
}

TEST(OllamaEncode, SendsPicturesCallsAndResults) {
  ChatRequest request;
  request.messages = {
      {.role = Role::kUser,
       .parts = {TextPart{.text = "See"}, ImagePart{.media_type = "image/png", .data = "AAAA"}}},
      {.role = Role::kAssistant,
       .parts = {ToolCallPart{.id = "1", .name = "f", .arguments = R"({"a":1})"}}},
      {.role = Role::kTool, .parts = {ToolResultPart{.tool_call_id = "1", .text = "ok"}}}};
  EXPECT_EQ(
      write_json(body_of(request).at("messages")),
      R"([{"role":"user","content":"See","images":["AAAA"]},)"
      R"({"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}]},)"
      R"({"role":"tool","content":"ok","tool_name":"f"}])");
}

TEST(OllamaEncode, RefusesPicturesByUrl) {
  ChatRequest request;
  request.messages = {
      {.role = Role::kUser, .parts = {ImagePart{.url = "https://x.example/a.png"}}}};
  const auto wire = kCodec->encode(request, "m");
  ASSERT_FALSE(wire);
  EXPECT_EQ(wire.error().field, "messages[0].content[0]");
}

TEST(OllamaEncode, OffersNoToolsWhenNoneMayBeCalled) {
  ChatRequest request;
  request.messages = {user("Hi")};
  request.tools = {{.name = "f"}, {.name = "g"}};
  request.tool_choice.mode = ToolChoice::Mode::kNone;
  EXPECT_FALSE(body_of(request).as_object().contains("tools"));
  request.tool_choice = {.mode = ToolChoice::Mode::kNamed, .name = "g"};
  EXPECT_EQ(body_of(request).at("tools").as_array().size(), 1);
}

constexpr std::string_view kWhole =
    R"({"model":"llama3.2","created_at":"t","message":{"role":"assistant","thinking":"Hm.","content":"It rains.",)"
    R"("tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}]},"done":true,"done_reason":"stop",)"
    R"("prompt_eval_count":26,"eval_count":12})";
constexpr std::string_view kLines =
    R"({"model":"llama3.2","message":{"role":"assistant","thinking":"Hm."},"done":false})"
    "\n"
    R"({"model":"llama3.2","message":{"role":"assistant","content":"It "},"done":false})"
    "\r\n\n"
    R"({"model":"llama3.2","message":{"role":"assistant","content":"rains.","tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}]},"done":false})"
    "\n"
    R"({"model":"llama3.2","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","prompt_eval_count":26,"eval_count":12})";

TEST(OllamaStream, AmountsToTheUnstreamedAnswerHoweverItIsCut) {
  const std::string expected = describe(kCodec->decode(kWhole).value());
  EXPECT_NE(expected.find("usage in=26 cached=0 written=0/0 audio=0 out=12"), std::string::npos)
      << expected;
  EXPECT_NE(expected.find("finish tool_calls"), std::string::npos);
  for (const bool newline : {true, false}) {
    const std::string body = std::string(kLines) + (newline ? "\n" : "");
    for (std::size_t piece = 0; piece < 50; ++piece) {
      const auto fed = feed(*kCodec->stream_decoder(), body, piece);
      ASSERT_FALSE(fed.error) << fed.error->message;
      EXPECT_TRUE(fed.complete);
      EXPECT_EQ(describe(fed.response), expected) << piece;
    }
  }
}

TEST(OllamaStream, EndsCutWithoutItsLastLine) {
  for (const std::size_t size : {kLines.find('\n') + 1, kLines.size() - 10}) {
    const auto fed = feed(*kCodec->stream_decoder(), kLines.substr(0, size));
    ASSERT_TRUE(fed.error);
    EXPECT_EQ(fed.error->reason, "stream_cut");
  }
}

TEST(OllamaStream, AnErrorLineIsThatError) {
  const auto fed = feed(*kCodec->stream_decoder(),
                        std::string(kLines.substr(0, kLines.find('\n') + 1)) +
                            R"({"error":"an error was encountered while running the model"})");
  ASSERT_TRUE(fed.error);
  EXPECT_EQ(fed.error->code, Errc::kUpstream);
  EXPECT_NE(fed.error->message.find("while running the model"), std::string::npos);
}

TEST(OllamaStream, GarbageInTheMiddleIsAnError) {
  const auto fed = feed(*kCodec->stream_decoder(), "{\"message\":{}}\nnonsense\n");
  ASSERT_TRUE(fed.error);
  EXPECT_EQ(fed.error->reason, "vendor_garbage");
}

TEST(OllamaDecode, MapsItsReasonsAndToleratesMissingCounts) {
  const auto length = kCodec->decode(
      R"({"message":{"content":"x"},"done":true,"done_reason":"length","eval_count":3})");
  ASSERT_TRUE(length);
  EXPECT_EQ(length->finish, FinishReason::kLength);
  EXPECT_TRUE(length->usage.reported);
  EXPECT_EQ(length->usage.input, 0);
  EXPECT_FALSE(kCodec->decode(R"({"message":{"content":"x"},"done":true})")->usage.reported);
  EXPECT_FALSE(kCodec->decode(R"({"message":{"content":"x"},"done":false})"));
}

TEST(OllamaErrors, AMissingModelIsTheCallersMistake) {
  const auto error = kCodec->decode_error(404, {}, R"({"error":"model 'x' not found"})");
  EXPECT_EQ(error.code, Errc::kInvalidArgument);
  EXPECT_NE(error.message.find("model 'x' not found"), std::string::npos);
}

TEST(OllamaEmbeddings, RoundTrip) {
  EmbeddingRequest request;
  request.input = {"a", "b"};
  request.dimensions = 2;
  EXPECT_EQ(kCodec->encode_embedding(request, "nomic")->body,
            R"({"model":"nomic","input":["a","b"],"dimensions":2})");
  const auto response = kCodec->decode_embedding(
      R"({"model":"nomic","embeddings":[[0.6,0.8],[1,0]],"prompt_eval_count":4})");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->vectors[0], (std::vector<float>{0.6F, 0.8F}));
  EXPECT_EQ(response->usage.input, 4);
  EXPECT_EQ(kCodec->decode_embedding(R"({"embeddings":[[1],[1,2]]})").error().code,
            Errc::kUpstream);
  EXPECT_EQ(kCodec->decode_embedding(R"({"error":"boom"})").error().code, Errc::kUpstream);
}

}  // namespace
}  // namespace asahi::llm
