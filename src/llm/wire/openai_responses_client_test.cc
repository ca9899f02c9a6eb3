#include <gtest/gtest.h>

#include "llm/testing/wire_feed.h"
#include "llm/wire/common.h"
#include "llm/wire/wire.h"
#include "net/sse/parser.h"

namespace asahi::llm {
namespace {

using llm_testing::describe;
using llm_testing::document;
using llm_testing::feed;
using llm_testing::sse_objects;
using Kind = StreamEvent::Kind;

const auto kClient = make_openai_responses_client();
const auto kVendor = make_openai_responses_codec();

ChatRequest request_of(std::string_view body = R"({"model":"m","input":"x"})") {
  return kClient->decode(document(body)).value();
}

StreamEvent event(Kind kind, std::string text = {}, std::size_t tool = 0) {
  StreamEvent out;
  out.kind = kind;
  out.text = std::move(text);
  out.tool_index = tool;
  return out;
}

StreamEvent call(std::size_t index, std::string id, std::string name) {
  StreamEvent out = event(Kind::kToolCallStart, {}, index);
  out.tool_id = std::move(id);
  out.tool_name = std::move(name);
  return out;
}

ChatResponse totals(std::vector<Part> parts = {}) {
  ChatResponse response;
  response.id = "resp_abc";
  response.model = "gpt-4o";
  response.parts = std::move(parts);
  response.usage = {
      .input = 10, .cached_input = 4, .output = 6, .reasoning_output = 2, .reported = true};
  return response;
}

std::string encode_stream(const ChatRequest& request, const std::vector<StreamEvent>& events,
                          const ChatResponse& final, std::string_view extras = R"({"cost":1})") {
  const auto encoder = kClient->stream_encoder(request, "resp_abc", "gpt-4o", 1'700'000'000);
  std::string out;
  for (const auto& event : events) encoder->encode(event, out);
  encoder->finish(final, std::string(extras), out);
  return out;
}

std::vector<std::string> types_of(std::string_view text) {
  std::vector<std::string> out;
  for (const auto& object : sse_objects(text)) out.emplace_back(wire::string_at(object, "type"));
  return out;
}

TEST(ResponsesClient, WritesAWholeResponse) {
  ChatResponse response = totals({ReasoningPart{.text = "Hm."}, TextPart{.text = "Hi \"you\""},
                                  ToolCallPart{.id = "c1", .name = "f", .arguments = "{}"}});
  response.finish = FinishReason::kToolCalls;
  const auto body =
      parse_json(kClient->encode(request_of(), response, R"({"cost":0.1})", 17)).value();
  EXPECT_EQ(body.at("id").as_string(), "resp_abc");
  EXPECT_EQ(body.at("object").as_string(), "response");
  EXPECT_EQ(body.at("created_at").as_int64(), 17);
  EXPECT_EQ(body.at("status").as_string(), "completed");
  EXPECT_TRUE(body.at("error").is_null());
  EXPECT_EQ(
      write_json(body.at("output")),
      R"([{"id":"rs_abc_0","type":"reasoning","summary":[{"type":"summary_text","text":"Hm."}]},)"
      R"({"id":"msg_abc_1","type":"message","status":"completed","role":"assistant","content":)"
      R"([{"type":"output_text","text":"Hi \"you\"","annotations":[],"logprobs":[]}]},)"
      R"({"id":"fc_abc_2","type":"function_call","status":"completed","call_id":"c1","name":"f","arguments":"{}"}])");
  EXPECT_EQ(write_json(body.at("usage")),
            R"({"input_tokens":10,"input_tokens_details":{"cached_tokens":4},"output_tokens":6,)"
            R"("output_tokens_details":{"reasoning_tokens":2},"total_tokens":16})");
  EXPECT_EQ(write_json(body.at("asahi")), R"({"cost":0.1})");
}

TEST(ResponsesClient, RepeatsTheRequestsSettings) {
  const auto request =
      request_of(R"({"input":"x","temperature":0.3,"tools":[{"type":"function","name":"f"}],
      "metadata":{"k":"v"},"instructions":"i","tool_choice":"required","max_output_tokens":9,"store":true})");
  const auto body = parse_json(kClient->encode(request, totals(), "", 0)).value();
  EXPECT_EQ(write_json(body.at("temperature")), "0.3");
  EXPECT_EQ(write_json(body.at("tools")), R"([{"type":"function","name":"f"}])");
  EXPECT_EQ(write_json(body.at("metadata")), R"({"k":"v"})");
  EXPECT_EQ(body.at("tool_choice").as_string(), "required");
  EXPECT_EQ(body.at("max_output_tokens").as_int64(), 9);
  EXPECT_EQ(body.at("store").as_bool(), false);
  EXPECT_TRUE(body.at("previous_response_id").is_null());
  EXPECT_FALSE(body.as_object().contains("asahi"));
}

TEST(ResponsesClient, SaysWhyItIsIncomplete) {
  ChatResponse response = totals({TextPart{.text = "Hal"}});
  response.finish = FinishReason::kLength;
  auto body = parse_json(kClient->encode(request_of(), response, "", 0)).value();
  EXPECT_EQ(body.at("status").as_string(), "incomplete");
  EXPECT_EQ(body.at("incomplete_details").at("reason").as_string(), "max_output_tokens");
  response.finish = FinishReason::kContentFilter;
  body = parse_json(kClient->encode(request_of(), response, "", 0)).value();
  EXPECT_EQ(body.at("incomplete_details").at("reason").as_string(), "content_filter");
  response.finish = FinishReason::kError;
  body = parse_json(kClient->encode(request_of(), response, "", 0)).value();
  EXPECT_EQ(body.at("status").as_string(), "failed");
  EXPECT_EQ(body.at("error").at("code").as_string(), "server_error");
}

TEST(ResponsesClient, SealsThoughtsOnlyWhenAsked) {
  const ChatResponse response = totals({ReasoningPart{.text = "t", .signature = "SIG"}});
  EXPECT_EQ(kClient->encode(request_of(), response, "", 0).find("SIG"), std::string::npos);
  const auto request = request_of(R"({"input":"x","include":["reasoning.encrypted_content"]})");
  EXPECT_NE(kClient->encode(request, response, "", 0)
                .find(R"("encrypted_content":"asahi.signature.SIG")"),
            std::string::npos);
}

TEST(ResponsesClient, PassesAResponseOfTheSameShapeOn) {
  auto response =
      kVendor
          ->decode(
              R"({"id":"resp_v","model":"gpt-5-2026","status":"completed","output":[],"new_field":{"a":1},"usage":null})")
          .value();
  response.model = "gpt-5";
  EXPECT_EQ(
      kClient->encode(request_of(), response, R"({"cost":2})", 0),
      R"({"id":"resp_v","status":"completed","output":[],"new_field":{"a":1},"usage":null,"model":"gpt-5",)"
      R"("asahi":{"cost":2}})");
}

TEST(ResponsesClientStream, WritesOpenAisEventsInOrder) {
  const std::string out = encode_stream(
      request_of(),
      {event(Kind::kStart), event(Kind::kReasoning, "Hm"), event(Kind::kReasoning, "."),
       event(Kind::kText, "Hel"), event(Kind::kText, "lo"), call(0, "c1", "f"),
       event(Kind::kToolCallDelta, "{\"a\""), event(Kind::kToolCallDelta, ":1}"),
       event(Kind::kFinish), event(Kind::kDone)},
      totals());
  EXPECT_EQ(types_of(out), (std::vector<std::string>{"response.created",
                                                     "response.in_progress",
                                                     "response.output_item.added",
                                                     "response.reasoning_summary_part.added",
                                                     "response.reasoning_summary_text.delta",
                                                     "response.reasoning_summary_text.delta",
                                                     "response.reasoning_summary_text.done",
                                                     "response.reasoning_summary_part.done",
                                                     "response.output_item.done",
                                                     "response.output_item.added",
                                                     "response.content_part.added",
                                                     "response.output_text.delta",
                                                     "response.output_text.delta",
                                                     "response.output_text.done",
                                                     "response.content_part.done",
                                                     "response.output_item.done",
                                                     "response.output_item.added",
                                                     "response.function_call_arguments.delta",
                                                     "response.function_call_arguments.delta",
                                                     "response.function_call_arguments.done",
                                                     "response.output_item.done",
                                                     "response.completed"}));
  const auto events = sse_objects(out);
  for (std::size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i].at("sequence_number").as_int64(), static_cast<std::int64_t>(i));
  }
  EXPECT_EQ(
      write_json(events[11]),
      R"({"type":"response.output_text.delta","sequence_number":11,"item_id":"msg_abc_1","output_index":1,)"
      R"("content_index":0,"delta":"Hel","logprobs":[]})");
  EXPECT_EQ(write_json(events.back().at("response").at("usage").at("total_tokens")), "16");
  EXPECT_EQ(write_json(events.back().at("response").at("asahi")), R"({"cost":1})");
  EXPECT_TRUE(out.starts_with("event: response.created\ndata: {"));
}

// What we write, our own vendor side reads as the same answer.
TEST(ResponsesClientStream, AmountsToWhatItWasGiven) {
  const std::vector<StreamEvent> events = {event(Kind::kStart),
                                           event(Kind::kReasoning, "Think."),
                                           event(Kind::kText, "A"),
                                           event(Kind::kRefusal, "No."),
                                           event(Kind::kText, "B"),
                                           call(0, "c1", "f"),
                                           call(1, "c2", "g"),
                                           event(Kind::kToolCallDelta, "{", 0),
                                           event(Kind::kToolCallDelta, "[]", 1),
                                           event(Kind::kToolCallDelta, "}", 0),
                                           event(Kind::kDone)};
  ChatResponse final = totals();
  final.finish = FinishReason::kToolCalls;
  const std::string out = encode_stream(request_of(), events, final);
  const auto fed = feed(*kVendor->stream_decoder(), out);
  ASSERT_FALSE(fed.error) << fed.error->message;
  EXPECT_EQ(describe(fed.response),
            "id resp_abc\nmodel gpt-4o\nreasoning Think. signature= encrypted=\ntext A\nrefusal "
            "No.\ntext B\n"
            "call c1 f {}\ncall c2 g []\nfinish tool_calls\n"
            "usage in=10 cached=4 written=0/0 audio=0 out=6 reasoning=2 audio=0 reported=true\n");
  const auto completed = sse_objects(out).back().at("response");
  EXPECT_EQ(describe(kVendor->decode(write_json(completed)).value()), describe(fed.response));
}

TEST(ResponsesClientStream, ACutAnswerIsIncomplete) {
  ChatResponse final = totals();
  final.finish = FinishReason::kLength;
  const auto events = sse_objects(encode_stream(request_of(), {event(Kind::kText, "Hal")}, final));
  EXPECT_EQ(wire::string_at(events.back(), "type"), "response.incomplete");
  EXPECT_EQ(events.back().at("response").at("output").at(0).at("status").as_string(), "incomplete");
}

TEST(ResponsesClientStream, AnAnswerThatIsThereAsAWholeIsStreamedToo) {
  const std::string out =
      encode_stream(request_of(), {},
                    totals({TextPart{.text = "cached"},
                            ToolCallPart{.id = "c", .name = "f", .arguments = "{}"}}));
  const auto fed = feed(*kVendor->stream_decoder(), out);
  EXPECT_EQ(fed.response.text(), "cached");
  EXPECT_EQ(fed.response.parts.size(), 2);
}

TEST(ResponsesClientStream, PassesFramesOnAndAddsItsExtrasAtTheEnd) {
  std::string stream;
  sse::append_event(stream, "response.created",
                    R"({"type":"response.created","response":{"id":"resp_v","model":"m"}})");
  sse::append_event(stream, "response.web_search_call.searching",
                    R"({"type":"response.web_search_call.searching"})");
  sse::append_event(stream, "response.output_text.delta",
                    R"({"type":"response.output_text.delta","output_index":0,"delta":"a"})");
  std::string expected = stream;
  sse::append_event(
      stream, "response.completed",
      R"({"type":"response.completed","response":{"id":"resp_v","status":"completed","output":[]},"x":1})");
  sse::append_event(
      expected, "response.completed",
      R"({"type":"response.completed","x":1,"response":{"id":"resp_v","status":"completed","output":[],)"
      R"("asahi":{"cost":1}}})");
  const auto fed = feed(*kVendor->stream_decoder(), stream);
  EXPECT_EQ(encode_stream(request_of(), fed.events, fed.response), expected);
}

TEST(ResponsesClientStream, GoesOnBehindTheItemsOfAnotherVendor) {
  std::string stream;
  sse::append_event(stream, "response.created",
                    R"({"type":"response.created","response":{"id":"resp_v","model":"m"}})");
  sse::append_event(
      stream, "response.output_item.added",
      R"({"type":"response.output_item.added","output_index":0,"item":{"type":"message","id":"msg_v"}})");
  std::vector<StreamEvent> events = feed(*kVendor->stream_decoder(), stream).events;
  events.push_back(event(Kind::kStart));
  events.push_back(event(Kind::kText, "more"));
  const auto objects =
      sse_objects(encode_stream(request_of(), events, totals({TextPart{.text = "some more"}})));
  EXPECT_EQ(wire::string_at(objects[2], "type"), "response.output_item.added");
  EXPECT_EQ(objects[2].at("output_index").as_int64(), 1);
  EXPECT_EQ(
      objects.back().at("response").at("output").at(0).at("content").at(0).at("text").as_string(),
      "some more");
}

TEST(ResponsesClientStream, ReportsAnErrorThatSdksRaise) {
  const auto encoder = kClient->stream_encoder(request_of(), "resp_abc", "m", 0);
  std::string out;
  encoder->encode(event(Kind::kText, "a"), out);
  out.clear();
  encoder->fail(Error{.code = Errc::kUnavailable, .message = "gone"}, "req_1", out);
  EXPECT_TRUE(out.starts_with("event: error\ndata: "));
  const auto object = sse_objects(out).at(0);
  EXPECT_EQ(wire::string_at(object, "type"), "error");
  EXPECT_EQ(wire::string_at(object, "message"), "gone");
  EXPECT_EQ(object.at("error").at("type").as_string(), "server_error");
  EXPECT_EQ(object.at("sequence_number").as_int64(), 5);
}

}  // namespace
}  // namespace asahi::llm
