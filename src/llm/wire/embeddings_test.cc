#include <gtest/gtest.h>

#include "llm/testing/wire_feed.h"
#include "llm/wire/embedding_json.h"
#include "llm/wire/embeddings_client.h"
#include "llm/wire/openai_embeddings.h"
#include "llm/wire/wire.h"

namespace asahi::llm::wire {
namespace {

using llm_testing::document;

Result<EmbeddingCall> decode(std::string_view body) {
  return decode_embedding_call(*document(body));
}

void expect_fault(std::string_view body, std::string_view field) {
  const auto call = decode(body);
  ASSERT_FALSE(call) << body;
  EXPECT_EQ(call.error().code, Errc::kInvalidArgument) << body;
  EXPECT_EQ(call.error().field, field) << body << ": " << call.error().message;
  EXPECT_FALSE(call.error().message.empty());
}

TEST(EmbeddingsClient, ReadsEveryKindOfInput) {
  EXPECT_EQ(decode(R"({"model":"m","input":"a"})")->request.input, (std::vector<std::string>{"a"}));
  EXPECT_EQ(decode(R"({"input":["a","b"]})")->request.input, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(decode(R"({"input":[1,2]})")->request.tokens,
            (std::vector<std::vector<std::int64_t>>{{1, 2}}));
  EXPECT_EQ(decode(R"({"input":[[1],[2,3]]})")->request.tokens,
            (std::vector<std::vector<std::int64_t>>{{1}, {2, 3}}));
}

TEST(EmbeddingsClient, ReadsItsSettings) {
  const auto call =
      decode(R"({"model":"m","input":"a","encoding_format":"base64","dimensions":256,"user":"u",
                              "input_type":"search_query","bypass_cache":true})");
  ASSERT_TRUE(call);
  EXPECT_EQ(call->encoding, EmbeddingCall::Encoding::kBase64);
  EXPECT_EQ(call->request.dimensions, 256);
  EXPECT_EQ(call->request.user, "u");
  EXPECT_EQ(call->request.input_type, "search_query");
  EXPECT_EQ(decode(R"({"input":"a","encoding_format":null})")->encoding,
            EmbeddingCall::Encoding::kFloat);
}

TEST(EmbeddingsClient, NamesTheFieldThatIsWrong) {
  expect_fault(R"({"model":"m"})", "input");
  expect_fault(R"({"input":[]})", "input");
  expect_fault(R"({"input":""})", "input");
  expect_fault(R"({"input":["a",""]})", "input[1]");
  expect_fault(R"({"input":["a",5]})", "input[1]");
  expect_fault(R"({"input":["a",[1]]})", "input[1]");
  expect_fault(R"({"input":[[1],[]]})", "input[1]");
  expect_fault(R"({"input":[[1],[2,-3]]})", "input[1][1]");
  expect_fault(R"({"input":[1,"a"]})", "input[1]");
  expect_fault(R"({"input":{}})", "input");
  expect_fault(R"({"input":"a","encoding_format":"int8"})", "encoding_format");
  expect_fault(R"({"input":"a","dimensions":0})", "dimensions");
  expect_fault(R"({"input":"a","dimension":3})", "dimension");
  expect_fault(R"({"input":"a","model":7})", "model");
}

TEST(EmbeddingsClient, LimitsTheNumberOfInputs) {
  std::string body = R"({"input":["a")";
  for (int i = 0; i < 2'048; ++i) body += R"(,"a")";
  expect_fault(body + "]}", "input");
}

TEST(EmbeddingsClient, WritesFloatsThatReadBackTheSame) {
  const EmbeddingResponse response{
      .model = "m", .vectors = {{0.1F, -2.5e-8F, 1.0F}}, .usage = {.input = 3, .reported = true}};
  EXPECT_EQ(
      encode_embedding_reply(response, EmbeddingCall::Encoding::kFloat, R"({"cost":1})"),
      R"({"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1,-2.5e-08,1]}],"model":"m",)"
      R"("usage":{"prompt_tokens":3,"total_tokens":3},"asahi":{"cost":1}})");
}

TEST(EmbeddingsClient, WritesLittleEndianFloatsInBase64) {
  const EmbeddingResponse response{.model = "m", .vectors = {{1.0F, -2.0F}, {0.5F, 0.0F}}};
  const std::string reply = encode_embedding_reply(response, EmbeddingCall::Encoding::kBase64, "");
  // 1.0f is 00 00 80 3f, -2.0f is 00 00 00 c0.
  EXPECT_NE(reply.find(R"("index":0,"embedding":"AACAPwAAAMA=")"), std::string::npos) << reply;
  EXPECT_EQ(reply.find("asahi"), std::string::npos);
  const auto read = decode_openai_embedding(reply);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->vectors, response.vectors);
}

TEST(Base64Vectors, RefuseWhatIsNone) {
  EXPECT_FALSE(vector_from_base64(""));
  EXPECT_FALSE(vector_from_base64("AAAA"));
  EXPECT_FALSE(vector_from_base64("????"));
  EXPECT_FALSE(vector_from_base64("AADAfw=="));  // not a number
}

TEST(OpenAiEmbeddings, EncodesTextsAndTokens) {
  EmbeddingRequest request;
  request.input = {"a\"b"};
  request.dimensions = 8;
  EXPECT_EQ(
      encode_openai_embedding(request, "text-embedding-3-small")->body,
      R"({"model":"text-embedding-3-small","input":["a\"b"],"encoding_format":"float","dimensions":8})");
  request = {};
  request.tokens = {{1, 2}, {3}};
  EXPECT_EQ(encode_openai_embedding(request, "m")->body,
            R"({"model":"m","input":[[1,2],[3]],"encoding_format":"float"})");
}

TEST(OpenAiEmbeddings, GoesByTheIndex) {
  const auto response = decode_openai_embedding(
      R"({"data":[{"index":1,"embedding":[2]},{"index":0,"embedding":[1]}],"usage":{"prompt_tokens":4,"total_tokens":4}})");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->vectors, (std::vector<std::vector<float>>{{1}, {2}}));
  EXPECT_EQ(response->usage.input, 4);
}

TEST(OpenAiEmbeddings, GarbageIsUpstream) {
  for (const char* body : {"", "{}", R"({"data":[{"index":0,"embedding":[]}]})",
                           R"({"data":[{"index":5,"embedding":[1]}]})",
                           R"({"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]})",
                           R"({"data":[{"embedding":["x"]}]})"}) {
    const auto response = decode_openai_embedding(body);
    ASSERT_FALSE(response) << body;
    EXPECT_EQ(response.error().code, Errc::kUpstream) << body;
  }
  EXPECT_EQ(decode_openai_embedding(R"({"error":{"type":"rate_limit_exceeded","message":"x"}})")
                .error()
                .code,
            Errc::kRateLimited);
}

struct CohereTest : testing::Test {
  std::unique_ptr<VendorCodec> codec = make_cohere_codec();
};

TEST_F(CohereTest, EncodesWithItsInputType) {
  EmbeddingRequest request;
  request.input = {"a"};
  const auto wire = codec->encode_embedding(request, "embed-english-v3.0");
  ASSERT_TRUE(wire);
  EXPECT_EQ(wire->target, "/v2/embed");
  EXPECT_EQ(
      wire->body,
      R"({"model":"embed-english-v3.0","input_type":"search_document","embedding_types":["float"],)"
      R"("texts":["a"]})");
}

TEST_F(CohereTest, SendsTheWidthOnlyToModelsThatChooseIt) {
  EmbeddingRequest request;
  request.input = {"a"};
  request.input_type = "search_query";
  request.dimensions = 1024;
  EXPECT_EQ(codec->encode_embedding(request, "embed-english-v3.0")->body.find("output_dimension"),
            std::string::npos);
  EXPECT_NE(codec->encode_embedding(request, "embed-v4.0")->body.find(R"("output_dimension":1024)"),
            std::string::npos);
  request.dimensions = 512;
  const auto refused = codec->encode_embedding(request, "embed-english-v3.0");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().field, "dimensions");
}

TEST_F(CohereTest, RefusesTokensTooManyTextsAndChat) {
  EmbeddingRequest request;
  request.tokens = {{1}};
  EXPECT_EQ(codec->encode_embedding(request, "m").error().field, "input");
  request.tokens.clear();
  request.input.assign(97, "a");
  EXPECT_EQ(codec->encode_embedding(request, "m").error().field, "input");
  EXPECT_EQ(codec->encode(ChatRequest{}, "m").error().code, Errc::kInvalidArgument);
}

TEST_F(CohereTest, ReadsVectorsAndBilledTokens) {
  const auto response = codec->decode_embedding(
      R"({"id":"x","embeddings":{"float":[[1,0],[0,1]]},"meta":{"billed_units":{"input_tokens":11}}})");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->vectors.size(), 2);
  EXPECT_EQ(response->usage.input, 11);
  EXPECT_TRUE(response->usage.reported);
  EXPECT_EQ(codec->decode_embedding(R"({"embeddings":{"int8":[[1]]}})").error().code,
            Errc::kUpstream);
}

TEST_F(CohereTest, TypesItsErrors) {
  EXPECT_EQ(codec->decode_error(498, {}, R"({"message":"blocked token"})").reason, "vendor_auth");
  EXPECT_EQ(codec->decode_error(429, {}, R"({"message":"trial limit"})").code, Errc::kRateLimited);
}

}  // namespace
}  // namespace asahi::llm::wire
