#include <gtest/gtest.h>

#include "llm/testing/wire_fixtures.h"
#include "llm/wire/wire.h"

namespace asahi::llm {
namespace {

using namespace asahi::llm::testing;  // NOLINT: fixtures

const auto client = make_anthropic_client();
const auto vendor = make_anthropic_codec();

#define START(usage)                                                                        \
  R"({"type":"message_start","message":{"id":"msg_v","type":"message","role":"assistant",)" \
  R"("model":"claude-x","content":[],"stop_reason":null,"stop_sequence":null,"usage":)" usage "}}"
#define BLOCK_START(i, block) \
  R"({"type":"content_block_start","index":)" #i R"(,"content_block":)" block "}"
#define DELTA(i, delta) R"({"type":"content_block_delta","index":)" #i R"(,"delta":)" delta "}"
#define BLOCK_STOP(i) R"({"type":"content_block_stop","index":)" #i "}"
#define MESSAGE_DELTA(reason, usage)                           \
  R"({"type":"message_delta","delta":{"stop_reason":")" reason \
  R"(","stop_sequence":null},"usage":)" usage "}"
#define STOP R"({"type":"message_stop"})"

std::string full_stream() {
  return named_sse_text(
      {START(R"({"input_tokens":10,"cache_read_input_tokens":4,"output_tokens":1})"),
       R"({"type":"ping"})", BLOCK_START(0, R"({"type":"thinking","thinking":"","signature":""})"),
       DELTA(0, R"({"type":"thinking_delta","thinking":"hm"})"),
       DELTA(0, R"({"type":"signature_delta","signature":"sig"})"), BLOCK_STOP(0),
       BLOCK_START(1, R"({"type":"text","text":""})"),
       DELTA(1, R"({"type":"text_delta","text":"Hel"})"),
       DELTA(1, R"({"type":"text_delta","text":"lo"})"), BLOCK_STOP(1),
       BLOCK_START(2, R"({"type":"tool_use","id":"t1","name":"f","input":{}})"),
       DELTA(2, R"({"type":"input_json_delta","partial_json":""})"),
       DELTA(2, R"({"type":"input_json_delta","partial_json":"{\"x\":"})"),
       DELTA(2, R"({"type":"input_json_delta","partial_json":"1}"})"), BLOCK_STOP(2),
       BLOCK_START(3, R"({"type":"tool_use","id":"t2","name":"g","input":{}})"), BLOCK_STOP(3),
       MESSAGE_DELTA("tool_use", R"({"output_tokens":15})"), STOP});
}

TEST(AnthropicStreamDecoder, ReadsTheSameWhereverTheBytesAreCut) {
  const auto unstreamed = vendor->decode(R"({"id":"msg_v","model":"claude-x","content":[
    {"type":"thinking","thinking":"hm","signature":"sig"},{"type":"text","text":"Hello"},
    {"type":"tool_use","id":"t1","name":"f","input":{"x":1}},
    {"type":"tool_use","id":"t2","name":"g","input":{}}],"stop_reason":"tool_use",
    "usage":{"input_tokens":10,"cache_read_input_tokens":4,"output_tokens":15}})");
  ASSERT_TRUE(unstreamed);
  const std::string bytes = full_stream();
  for (const std::size_t step : {1u, 2u, 3u, 7u, 64u, 100000u}) {
    const auto events = decode_stream(*vendor, bytes, step);
    ASSERT_TRUE(events);
    const ChatResponse streamed = collect(*events);
    EXPECT_EQ(streamed.id, unstreamed->id);
    EXPECT_EQ(streamed.usage, unstreamed->usage);
    EXPECT_EQ(streamed.finish, unstreamed->finish);
    ASSERT_EQ(streamed.parts.size(), unstreamed->parts.size());
    EXPECT_EQ(std::get<ReasoningPart>(streamed.parts[0]).signature, "sig");
    EXPECT_EQ(streamed.text(), "Hello");
    for (const std::size_t i : {2u, 3u}) {
      EXPECT_EQ(std::get<ToolCallPart>(streamed.parts[i]).arguments,
                std::get<ToolCallPart>(unstreamed->parts[i]).arguments);
    }
  }
}

TEST(AnthropicStreamDecoder, IsCutAnywhereBeforeItsEndMark) {
  const std::string bytes = full_stream();
  const std::size_t mark = bytes.find("event: message_stop");
  for (std::size_t size = 0; size <= mark; ++size) {
    const auto events = decode_stream(*vendor, std::string_view(bytes).substr(0, size));
    ASSERT_FALSE(events) << size;
    EXPECT_EQ(events.error().code, Errc::kUpstream);
    EXPECT_EQ(events.error().reason, "stream_cut");
  }
}

TEST(AnthropicStreamDecoder, TypesErrorsInsideTheStream) {
  const auto error_of = [](std::string_view frame) {
    const auto events = decode_stream(*vendor, named_sse_text({frame}));
    EXPECT_FALSE(events);
    return events ? Errc::kInternal : events.error().code;
  };
  EXPECT_EQ(error_of(R"({"type":"error","error":{"type":"overloaded_error","message":"x"}})"),
            Errc::kUnavailable);
  EXPECT_EQ(error_of(R"({"type":"error","error":{"type":"rate_limit_error","message":"x"}})"),
            Errc::kRateLimited);
  EXPECT_EQ(error_of(R"({"type":"error"})"), Errc::kUpstream);
  EXPECT_FALSE(decode_stream(*vendor, "data: {\n\n"));
}

TEST(AnthropicStreamDecoder, IgnoresEventsAndBlocksOfLaterVersions) {
  const auto events = decode_stream(
      *vendor,
      named_sse_text({START("{}"), R"({"type":"brand_new","x":1})",
                      BLOCK_START(0, R"({"type":"server_tool_use","id":"s","name":"w"})"),
                      DELTA(0, R"({"type":"input_json_delta","partial_json":"{\"q\":1}"})"),
                      BLOCK_STOP(0), DELTA(9, R"({"type":"text_delta","text":"lost"})"),
                      MESSAGE_DELTA("end_turn", "{}"), STOP}));
  ASSERT_TRUE(events);
  EXPECT_TRUE(collect(*events).parts.empty());
}

class AnthropicUsageShapes : public ::testing::TestWithParam<std::array<std::string_view, 3>> {};

TEST_P(AnthropicUsageShapes, AreTheSameStreamedAndUnstreamed) {
  const auto [whole, at_start, at_end] = GetParam();
  const auto unstreamed =
      vendor->decode(R"({"id":"i","content":[],"usage":)" + std::string(whole) + "}");
  ASSERT_TRUE(unstreamed);
  const std::string start =
      R"({"type":"message_start","message":{"id":"i","usage":)" + std::string(at_start) + "}}";
  const std::string end = R"({"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":)" +
                          std::string(at_end) + "}";
  const auto events = decode_stream(*vendor, named_sse_text({start, end, STOP}), 5);
  ASSERT_TRUE(events);
  EXPECT_EQ(collect(*events).usage, unstreamed->usage);
}

INSTANTIATE_TEST_SUITE_P(
    All, AnthropicUsageShapes,
    ::testing::Values(
        std::array<std::string_view, 3>{R"({"input_tokens":10,"output_tokens":50})",
                                        R"({"input_tokens":10,"output_tokens":1})",
                                        R"({"output_tokens":50})"},
        std::array<std::string_view, 3>{
            R"({"input_tokens":10,"cache_read_input_tokens":70,"cache_creation_input_tokens":30,
                "cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20},
                "output_tokens":50})",
            R"({"input_tokens":10,"cache_read_input_tokens":70,"cache_creation_input_tokens":30,
                "cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20},
                "output_tokens":2})",
            R"({"output_tokens":50})"},
        // Server tools add input while the answer runs: the end repeats everything.
        std::array<std::string_view, 3>{
            R"({"input_tokens":900,"cache_read_input_tokens":5,"output_tokens":50})",
            R"({"input_tokens":10,"cache_read_input_tokens":0,"output_tokens":2})",
            R"({"input_tokens":900,"cache_read_input_tokens":5,"output_tokens":50})"},
        std::array<std::string_view, 3>{R"({"input_tokens":10,"output_tokens":5})", "{}",
                                        R"({"input_tokens":10,"output_tokens":5})"}));

// ---- What clients get
// ----------------------------------------------------------------------------

TEST(AnthropicStreamEncoder, ForwardsFramesAndAddsItsExtrasToTheLastEvent) {
  const auto events = decode_stream(*vendor, full_stream());
  ASSERT_TRUE(events);
  const auto sent = sse_events(full_stream());
  const auto got = sse_events(encode_stream(*client, ChatRequest(), *events));
  ASSERT_EQ(got.size(), sent.size());
  for (std::size_t i = 0; i + 1 < got.size(); ++i) {
    EXPECT_EQ(got[i].event, sent[i].event);
    EXPECT_EQ(got[i].data, sent[i].data);
  }
  EXPECT_EQ(got.back().event, "message_stop");
  EXPECT_EQ(value_of(got.back().data), value_of(R"({"type":"message_stop","asahi":{"cost":1}})"));
}

/// Checks what an SDK relies on: one start, blocks numbered from 0 and closed before the end.
void expect_well_formed(const std::vector<sse::Event>& events) {
  ASSERT_GE(events.size(), 3u);
  EXPECT_EQ(events.front().event, "message_start");
  EXPECT_EQ(events.back().event, "message_stop");
  EXPECT_EQ(events[events.size() - 2].event, "message_delta");
  std::int64_t next = 0;
  bool open = false;
  for (std::size_t i = 0; i < events.size(); ++i) {
    const json::value data = value_of(events[i].data);
    EXPECT_EQ(events[i].event, std::string_view(data.at("type").as_string()));
    if (events[i].event == "message_start") {
      EXPECT_EQ(i, 0u);
    }
    if (events[i].event == "content_block_start") {
      EXPECT_FALSE(open);
      EXPECT_EQ(data.at("index").as_int64(), next);
      open = true;
    } else if (events[i].event == "content_block_delta") {
      EXPECT_TRUE(open);
      EXPECT_EQ(data.at("index").as_int64(), next);
    } else if (events[i].event == "content_block_stop") {
      EXPECT_TRUE(open);
      EXPECT_EQ(data.at("index").as_int64(), next);
      ++next;
      open = false;
    } else if (events[i].event == "message_delta") {
      EXPECT_FALSE(open);
    }
  }
}

TEST(AnthropicStreamEncoder, BuildsEventsThatHaveNoFrames) {
  auto events = decode_stream(*vendor, full_stream());
  ASSERT_TRUE(events);
  for (auto& event : *events) event.has_raw = event.frame_follows = false;
  const std::string text = encode_stream(*client, ChatRequest(), *events);
  expect_well_formed(sse_events(text));
  // Read again it is the same answer.
  const auto again = decode_stream(*vendor, text);
  ASSERT_TRUE(again);
  const ChatResponse before = collect(*events), after = collect(*again);
  EXPECT_EQ(after.id, "id-given");
  EXPECT_EQ(after.usage, before.usage);
  EXPECT_EQ(after.text(), before.text());
  ASSERT_EQ(after.parts.size(), before.parts.size());
  EXPECT_EQ(std::get<ReasoningPart>(after.parts[0]).signature, "sig");
  EXPECT_EQ(std::get<ToolCallPart>(after.parts[2]).arguments, R"({"x":1})");
}

TEST(AnthropicStreamEncoder, GoesOnInOneMessageWhenTheVendorChangesInMidStream) {
  const auto first = decode_stream(*vendor, full_stream());
  ASSERT_TRUE(first);
  for (std::size_t cut = 1; cut < first->size(); ++cut) {
    std::vector<StreamEvent> joined(first->begin(),
                                    first->begin() + static_cast<std::ptrdiff_t>(cut));
    joined.insert(joined.end(), first->begin(), first->end());
    expect_well_formed(sse_events(encode_stream(*client, ChatRequest(), joined)));
  }
}

TEST(AnthropicStreamEncoder, EndsWithAnErrorEvent) {
  auto encoder = client->stream_encoder(ChatRequest(), "i", "m", 1);
  std::string out;
  encoder->fail(Error{.code = Errc::kUpstream, .message = "broke off"}, "req_1", out);
  const auto events = sse_events(out);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].event, "error");
  EXPECT_EQ(value_of(events[0].data), value_of(R"({"type":"error","error":{"type":"api_error",
    "message":"broke off"},"request_id":"req_1"})"));
}

TEST(AnthropicStreamEncoder, FinishesAnAnswerWithoutAnyEvent) {
  auto encoder = client->stream_encoder(ChatRequest(), "i", "m", 1);
  std::string out;
  encoder->finish(ChatResponse(), "", out);
  expect_well_formed(sse_events(out));
}

}  // namespace
}  // namespace asahi::llm
