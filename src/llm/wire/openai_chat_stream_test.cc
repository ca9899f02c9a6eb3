#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "llm/testing/wire_fixtures.h"
#include "llm/wire/wire.h"

namespace asahi::llm {
namespace {

using namespace asahi::llm::testing;  // NOLINT: fixtures

const auto client = make_openai_chat_client();
const auto vendor = make_openai_chat_codec();

#define CHUNK(delta, finish)                                                                 \
  R"({"id":"chatcmpl-v","object":"chat.completion.chunk","created":1,"model":"gpt-4o",)"     \
  R"("system_fingerprint":"fp","choices":[{"index":0,"delta":)" delta R"(,"logprobs":null,)" \
  R"("finish_reason":)" finish "}]}"
#define USAGE_CHUNK                                                                      \
  R"({"id":"chatcmpl-v","object":"chat.completion.chunk","created":1,"model":"gpt-4o",)" \
  R"("choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,)" \
  R"("prompt_tokens_details":{"cached_tokens":4}}})"

std::string plain_stream() {
  return sse_text({CHUNK(R"({"role":"assistant","content":""})", "null"),
                   CHUNK(R"({"content":"Hel"})", "null"), CHUNK(R"({"content":"lo"})", "null"),
                   CHUNK("{}", R"("stop")"), USAGE_CHUNK, "[DONE]"});
}

TEST(OpenAiStreamDecoder, ReadsTheSameWhereverTheBytesAreCut) {
  const std::string bytes = plain_stream();
  for (const std::size_t step : {1u, 2u, 3u, 7u, 64u, 100000u}) {
    const auto events = decode_stream(*vendor, bytes, step);
    ASSERT_TRUE(events) << step;
    const ChatResponse response = collect(*events);
    EXPECT_EQ(response.id, "chatcmpl-v");
    EXPECT_EQ(response.model, "gpt-4o");
    EXPECT_EQ(response.text(), "Hello");
    EXPECT_EQ(response.finish, FinishReason::kStop);
    EXPECT_EQ(response.usage,
              (Usage{.input = 10, .cached_input = 4, .output = 5, .reported = true}));
  }
}

TEST(OpenAiStreamDecoder, TellsACutStreamFromAWholeOne) {
  const auto cut = [](std::string_view bytes) {
    const auto events = decode_stream(*vendor, bytes);
    return events ? std::string("whole") : events.error().reason;
  };
  EXPECT_EQ(cut(""), "stream_cut");
  EXPECT_EQ(cut(sse_text({CHUNK(R"({"content":"x"})", "null")})), "stream_cut");
  // Vendors without an end mark: the finish reason and a clean end make it whole.
  EXPECT_EQ(cut(sse_text({CHUNK(R"({"content":"x"})", R"("stop")")})), "whole");
  EXPECT_EQ(cut(sse_text({CHUNK("{}", R"("stop")")}) + "data: {\"id\""), "stream_cut");
  EXPECT_EQ(cut(sse_text({CHUNK("{}", R"("stop")")}) + "data: [DONE]"), "whole");
  EXPECT_EQ(cut(R"({"error":{"message":"not a stream"}})"), "stream_cut");
}

TEST(OpenAiStreamDecoder, IsCutAtEveryByteBeforeTheFinishReason) {
  const std::string bytes = plain_stream();
  const std::size_t finish = bytes.find(R"("finish_reason":"stop")");
  for (std::size_t size = 0; size < finish; ++size) {
    const auto events = decode_stream(*vendor, std::string_view(bytes).substr(0, size));
    ASSERT_FALSE(events) << size;
    EXPECT_EQ(events.error().code, Errc::kUpstream);
  }
}

TEST(OpenAiStreamDecoder, TypesErrorsInsideTheStream) {
  const auto error_of = [](std::string_view frame) {
    const auto events = decode_stream(*vendor, sse_text({frame}));
    EXPECT_FALSE(events);
    return events ? Errc::kInternal : events.error().code;
  };
  EXPECT_EQ(error_of(R"({"error":{"message":"x","type":"server_error"}})"), Errc::kUnavailable);
  EXPECT_EQ(error_of(R"({"error":{"message":"x","code":"rate_limit_exceeded"}})"),
            Errc::kRateLimited);
  EXPECT_EQ(error_of(R"({"error":"plain words"})"), Errc::kUpstream);
  EXPECT_EQ(error_of(R"({"object":"error","message":"m","type":"invalid_request_error"})"),
            Errc::kInvalidArgument);
  EXPECT_EQ(error_of("{broken"), Errc::kUpstream);
  EXPECT_EQ(error_of("[1]"), Errc::kUpstream);
}

TEST(OpenAiStreamDecoder, ReadsParallelToolCalls) {
  const auto events = decode_stream(
      *vendor,
      sse_text({CHUNK(R"({"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"a",
                  "type":"function","function":{"name":"f","arguments":""}}]})",
                      "null"),
                CHUNK(R"({"tool_calls":[{"index":0,"function":{"arguments":"{\"x\""}}]})", "null"),
                CHUNK(R"({"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]})", "null"),
                CHUNK(R"({"tool_calls":[{"index":1,"id":"b","type":"function",
                  "function":{"name":"g","arguments":"{}"}}]})",
                      "null"),
                CHUNK("{}", R"("tool_calls")"), "[DONE]"}));
  ASSERT_TRUE(events);
  const ChatResponse response = collect(*events);
  ASSERT_EQ(response.parts.size(), 2u);
  EXPECT_EQ(std::get<ToolCallPart>(response.parts[0]).arguments, R"({"x":1})");
  EXPECT_EQ(std::get<ToolCallPart>(response.parts[1]).id, "b");
  EXPECT_EQ(response.finish, FinishReason::kToolCalls);
}

TEST(OpenAiStreamDecoder, TellsCallsApartThatHaveNoIndex) {
  const auto events = decode_stream(
      *vendor,
      sse_text(
          {CHUNK(R"({"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}}]})", "null"),
           CHUNK(R"({"tool_calls":[{"id":"b","function":{"name":"g","arguments":{"y":2}}}]})",
                 R"("tool_calls")"),
           "[DONE]"}));
  ASSERT_TRUE(events);
  const ChatResponse response = collect(*events);
  ASSERT_EQ(response.parts.size(), 2u);
  EXPECT_EQ(std::get<ToolCallPart>(response.parts[0]).name, "f");
  EXPECT_EQ(std::get<ToolCallPart>(response.parts[1]).arguments, R"({"y":2})");
}

// ---- One answer, streamed and not, costs the same
// ------------------------------------------------

class UsageShapes : public ::testing::TestWithParam<std::string_view> {};

TEST_P(UsageShapes, AreTheSameStreamedAndUnstreamed) {
  const std::string usage(GetParam());
  const std::string answer = R"({"id":"i","model":"m","choices":[{"index":0,"message":
    {"role":"assistant","reasoning_content":"hm","content":"Hello"},"finish_reason":"stop"}],
    "usage":)" + usage + "}";
  const auto unstreamed = vendor->decode(answer);
  ASSERT_TRUE(unstreamed);

  const std::string head = R"({"id":"i","model":"m","choices":[{"index":0,"delta":)";
  const std::string a = head + R"({"reasoning_content":"hm"}}]})";
  const std::string b = head + R"({"content":"Hello"}}]})";
  const std::string finish = head + R"({},"finish_reason":"stop"}]})";
  const std::string finish_and_usage =
      head + R"({},"finish_reason":"stop"}],"usage":)" + usage + "}";
  const std::string last = R"({"id":"i","model":"m","choices":[],"usage":)" + usage + "}";
  const std::string null_usage = R"({"id":"i","model":"m","choices":[],"usage":null})";
  const std::string groq =
      head + R"({},"finish_reason":"stop"}],"x_groq":{"usage":)" + usage + "}}";
  const std::string everywhere =
      head + R"({"content":"Hello"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}})";
  for (const auto& stream :
       {sse_text({a, b, finish, last, "[DONE]"}), sse_text({a, b, finish_and_usage, "[DONE]"}),
        sse_text({a, b, null_usage, finish, last}), sse_text({a, b, groq, "[DONE]"}),
        sse_text({a, everywhere, finish_and_usage, "[DONE]"})}) {
    for (const std::size_t step : {1u, 1000u}) {
      const auto events = decode_stream(*vendor, stream, step);
      ASSERT_TRUE(events);
      const ChatResponse streamed = collect(*events);
      EXPECT_EQ(streamed.usage, unstreamed->usage);
      EXPECT_EQ(streamed.text(), unstreamed->text());
      EXPECT_EQ(streamed.parts.size(), unstreamed->parts.size());
      EXPECT_EQ(streamed.finish, unstreamed->finish);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, UsageShapes,
    ::testing::Values(
        R"({"prompt_tokens":10,"completion_tokens":5,"total_tokens":15})",
        R"({"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,
            "prompt_tokens_details":{"cached_tokens":8,"audio_tokens":1},
            "completion_tokens_details":{"reasoning_tokens":3,"audio_tokens":1}})",
        R"({"prompt_tokens":10,"completion_tokens":5,"total_tokens":115,
            "completion_tokens_details":{"reasoning_tokens":100}})",
        R"({"prompt_tokens":10,"completion_tokens":5,"prompt_cache_hit_tokens":7})",
        R"({"prompt_tokens":10,"completion_tokens":5,"cached_tokens":7,"reasoning_tokens":2})"));

// ---- What clients get
// ----------------------------------------------------------------------------

ChatRequest streaming(bool usage) {
  ChatRequest request;
  request.shape = Shape::kOpenAiChat;
  request.stream = true;
  request.stream_usage = usage;
  return request;
}

TEST(OpenAiStreamEncoder, ForwardsFramesAndEndsWithOneLastChunk) {
  const auto events = decode_stream(*vendor, plain_stream());
  ASSERT_TRUE(events);
  const auto frames = sse_events(encode_stream(*client, streaming(true), *events));
  ASSERT_EQ(frames.size(), 5u);
  EXPECT_EQ(frames[0].data, CHUNK(R"({"role":"assistant","content":""})", "null"));
  EXPECT_EQ(frames[1].data, CHUNK(R"({"content":"Hel"})", "null"));
  const json::value last = value_of(frames[3].data);
  EXPECT_EQ(last.at("id"), "chatcmpl-v");
  EXPECT_EQ(last.at("choices").at(0).at("finish_reason"), "stop");
  EXPECT_EQ(last.at("usage").at("prompt_tokens_details").at("cached_tokens"), 4);
  EXPECT_EQ(last.at("asahi"), value_of(R"({"cost":1})"));
  EXPECT_EQ(frames[4].data, "[DONE]");
}

TEST(OpenAiStreamEncoder, DropsUsageThatTheClientDidNotAskFor) {
  const auto events = decode_stream(*vendor, plain_stream());
  ASSERT_TRUE(events);
  const std::string text = encode_stream(*client, streaming(false), *events);
  EXPECT_EQ(text.find("usage"), std::string::npos);
  EXPECT_NE(text.find("asahi"), std::string::npos);
}

TEST(OpenAiStreamEncoder, KeepsTheRestOfAFrameThatCarriesUsageEarly) {
  const auto events = decode_stream(
      *vendor, sse_text({R"({"id":"i","model":"m","citations":["u"],"choices":[{"index":0,
                   "delta":{"content":"x"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}})",
                         R"({"id":"i","model":"m","choices":[{"index":0,"delta":{"content":"y"},
                   "finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}})",
                         "[DONE]"}));
  ASSERT_TRUE(events);
  const auto frames = sse_events(encode_stream(*client, streaming(false), *events));
  ASSERT_EQ(frames.size(), 3u);
  EXPECT_EQ(value_of(frames[0].data), value_of(R"({"id":"i","model":"m","citations":["u"],
    "choices":[{"index":0,"delta":{"content":"x"}}]})"));
  EXPECT_EQ(value_of(frames[1].data).at("choices").at(0).at("delta").at("content"), "y");
}

TEST(OpenAiStreamEncoder, KeepsOneIdAndModelWhenTheVendorChangesInMidStream) {
  auto events = decode_stream(*vendor, plain_stream());
  ASSERT_TRUE(events);
  std::string other = plain_stream();
  for (std::size_t at; (at = other.find("chatcmpl-v")) != std::string::npos;) {
    other.replace(at, 10, "other-id");
  }
  const auto second = decode_stream(*vendor, other);
  ASSERT_TRUE(second);
  std::vector<StreamEvent> joined(events->begin(), events->begin() + 2);  // broke off after "Hel"
  joined.insert(joined.end(), second->begin(), second->end());
  const auto frames = sse_events(encode_stream(*client, streaming(true), joined));
  ASSERT_GE(frames.size(), 4u);
  int roles = 0, ends = 0;
  for (const auto& frame : frames) {
    if (frame.data == "[DONE]") continue;
    const json::value chunk = value_of(frame.data);
    EXPECT_EQ(chunk.at("id"), "chatcmpl-v");
    EXPECT_EQ(chunk.at("model"), "gpt-4o");
    roles += chunk.at("choices").at(0).at("delta").as_object().contains("role");
    ends += !chunk.at("choices").at(0).at("finish_reason").is_null();
  }
  EXPECT_EQ(roles, 1);
  EXPECT_EQ(ends, 1);
}

TEST(OpenAiStreamEncoder, BuildsChunksFromEventsThatHaveNoFrames) {
  auto events = decode_stream(*vendor, plain_stream());
  ASSERT_TRUE(events);
  for (auto& event : *events) {
    event.has_raw = false;
    event.frame_follows = false;
  }
  const auto frames = sse_events(encode_stream(*client, streaming(true), *events));
  ASSERT_EQ(frames.size(), 5u);
  EXPECT_EQ(value_of(frames[0].data), value_of(R"({"id":"id-given",
    "object":"chat.completion.chunk","created":1700000000,"model":"model-given",
    "system_fingerprint":null,"choices":[{"index":0,"delta":{"role":"assistant","content":"",
    "refusal":null},"logprobs":null,"finish_reason":null}],"usage":null})"));
  EXPECT_EQ(value_of(frames[1].data).at("choices").at(0).at("delta"),
            value_of(R"({"content":"Hel"})"));
  const json::value last = value_of(frames[3].data);
  EXPECT_EQ(last.at("usage").at("total_tokens"), 15);
  EXPECT_EQ(last.at("choices").at(0).at("delta"), value_of("{}"));
  EXPECT_EQ(frames[4].data, "[DONE]");
}

TEST(OpenAiStreamEncoder, EndsWithAnErrorAndWithoutTheEndMark) {
  auto encoder = client->stream_encoder(streaming(false), "i", "m", 1);
  std::string out;
  Error error{.code = Errc::kUpstream, .message = "broke off"};
  error.reason = "stream_cut";
  encoder->fail(error, "req_1", out);
  const auto frames = sse_events(out);
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(value_of(frames[0].data),
            value_of(R"({"error":{"message":"broke off","type":"server_error","param":null,
                         "code":"stream_cut"}})"));
}

TEST(OpenAiStreamEncoder, FinishesAnAnswerWithoutAnyEvent) {
  auto encoder = client->stream_encoder(streaming(false), "i", "m", 1);
  std::string out;
  encoder->finish(ChatResponse(), "", out);
  EXPECT_EQ(sse_events(out).size(), 3u);
}

TEST(CompletionStream, HasChunksOfTheLegacyShape) {
  const auto events = decode_stream(*vendor, plain_stream());
  ASSERT_TRUE(events);
  const auto completions = make_openai_completions_client();
  const auto frames = sse_events(encode_stream(*completions, streaming(true), *events));
  ASSERT_EQ(frames.size(), 4u);
  EXPECT_EQ(value_of(frames[0].data), value_of(R"({"id":"id-given","object":"text_completion",
    "created":1700000000,"model":"model-given","choices":[{"text":"Hel","index":0,
    "logprobs":null,"finish_reason":null}],"usage":null})"));
  const json::value last = value_of(frames[2].data);
  EXPECT_EQ(last.at("choices").at(0).at("finish_reason"), "stop");
  EXPECT_EQ(last.at("usage").at("completion_tokens"), 5);
  EXPECT_EQ(frames[3].data, "[DONE]");
}

}  // namespace
}  // namespace asahi::llm
