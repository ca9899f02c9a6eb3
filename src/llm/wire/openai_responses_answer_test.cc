#include <gtest/gtest.h>

#include "llm/testing/wire_feed.h"
#include "llm/wire/common.h"
#include "llm/wire/wire.h"
#include "net/sse/parser.h"

namespace asahi::llm {
namespace {

using llm_testing::describe;
using llm_testing::feed;

const auto kVendor = make_openai_responses_codec();

std::string sse(std::initializer_list<std::string_view> frames) {
  std::string out;
  for (const auto frame : frames) {
    const auto object = parse_json(frame).value().get_object();
    sse::append_event(out, wire::string_at(object, "type"), frame);
  }
  return out;
}

constexpr std::string_view kOutput =
    R"([{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"First."},)"
    R"({"type":"summary_text","text":"Second."}],"encrypted_content":"enc"},)"
    R"({"type":"message","id":"msg_1","role":"assistant","status":"completed","content":)"
    R"([{"type":"output_text","text":"It rains.","annotations":[]},{"type":"refusal","refusal":"No more."}]},)"
    R"({"type":"function_call","id":"fc_1","call_id":"c1","name":"f","arguments":"{\"a\":1}"},)"
    R"({"type":"function_call","id":"fc_2","call_id":"c2","name":"g","arguments":""}])";
constexpr std::string_view kUsage =
    R"({"input_tokens":30,"input_tokens_details":{"cached_tokens":10},"output_tokens":20,)"
    R"("output_tokens_details":{"reasoning_tokens":5},"total_tokens":50})";

std::string response_json(std::string_view status, std::string_view output,
                          std::string_view usage) {
  return R"({"id":"resp_1","object":"response","model":"gpt-5","status":")" + std::string(status) +
         R"(","error":null,"incomplete_details":null,"output":)" + std::string(output) +
         R"(,"usage":)" + std::string(usage) + "}";
}

std::string stream_of_deltas() {
  const std::string completed = R"({"type":"response.completed","sequence_number":40,"response":)" +
                                response_json("completed", kOutput, kUsage) + "}";
  return sse({
      R"({"type":"response.created","sequence_number":0,"response":{"id":"resp_1","model":"gpt-5","status":"in_progress","output":[]}})",
      R"({"type":"response.in_progress","sequence_number":1,"response":{"id":"resp_1","model":"gpt-5","status":"in_progress","output":[]}})",
      R"({"type":"response.output_item.added","output_index":0,"item":{"type":"reasoning","id":"rs_1","summary":[]}})",
      R"({"type":"response.reasoning_summary_part.added","output_index":0,"summary_index":0,"part":{"type":"summary_text","text":""}})",
      R"({"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":0,"delta":"Fir"})",
      R"({"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":0,"delta":"st."})",
      R"({"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":1,"delta":"Second."})",
      R"({"type":"response.output_item.done","output_index":0,"item":{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"First."},{"type":"summary_text","text":"Second."}],"encrypted_content":"enc"}})",
      R"({"type":"response.output_item.added","output_index":1,"item":{"type":"message","id":"msg_1","content":[]}})",
      R"({"type":"response.output_text.delta","output_index":1,"content_index":0,"delta":"It "})",
      R"({"type":"response.output_text.delta","output_index":1,"content_index":0,"delta":"rains."})",
      R"({"type":"response.refusal.delta","output_index":1,"content_index":1,"delta":"No more."})",
      R"({"type":"response.output_item.done","output_index":1,"item":{"type":"message","id":"msg_1","content":[{"type":"output_text","text":"It rains."},{"type":"refusal","refusal":"No more."}]}})",
      R"({"type":"response.output_item.added","output_index":2,"item":{"type":"function_call","id":"fc_1","call_id":"c1","name":"f","arguments":""}})",
      R"({"type":"response.function_call_arguments.delta","output_index":2,"delta":"{\"a\""})",
      R"({"type":"response.function_call_arguments.delta","output_index":2,"delta":":1}"})",
      R"({"type":"response.output_item.done","output_index":2,"item":{"type":"function_call","id":"fc_1","call_id":"c1","name":"f","arguments":"{\"a\":1}"}})",
      R"({"type":"response.output_item.added","output_index":3,"item":{"type":"function_call","id":"fc_2","call_id":"c2","name":"g","arguments":""}})",
      R"({"type":"response.output_item.done","output_index":3,"item":{"type":"function_call","id":"fc_2","call_id":"c2","name":"g","arguments":""}})",
      completed,
  });
}

TEST(ResponsesDecode, ReadsItemsInOrder) {
  const auto response = kVendor->decode(response_json("completed", kOutput, kUsage));
  ASSERT_TRUE(response);
  EXPECT_EQ(describe(*response),
            "id resp_1\nmodel gpt-5\n"
            "reasoning First.\n\nSecond. signature= encrypted=enc\n"
            "text It rains.\nrefusal No more.\ncall c1 f {\"a\":1}\ncall c2 g \n"
            "finish tool_calls\n"
            "usage in=30 cached=10 written=0/0 audio=0 out=20 reasoning=5 audio=0 reported=true\n");
}

TEST(ResponsesStream, AmountsToTheUnstreamedAnswerHoweverItIsCut) {
  const std::string expected =
      describe(kVendor->decode(response_json("completed", kOutput, kUsage)).value());
  const std::string stream = stream_of_deltas();
  for (std::size_t piece = 0; piece < 90; ++piece) {
    const auto fed = feed(*kVendor->stream_decoder(), stream, piece);
    ASSERT_FALSE(fed.error) << fed.error->message;
    EXPECT_TRUE(fed.complete);
    EXPECT_EQ(describe(fed.response), expected) << piece;
  }
}

// Every shape of usage costs the same streamed and unstreamed.
TEST(ResponsesStream, CarriesTheUsageOfTheUnstreamedAnswer) {
  for (
      const std::string_view usage :
      {"null", R"({"input_tokens":0,"output_tokens":0})",
       R"({"input_tokens":7,"output_tokens":3,"total_tokens":10})",
       R"({"input_tokens":100,"input_tokens_details":{"cached_tokens":100,"cache_write_tokens":20},"output_tokens":1})",
       R"({"input_tokens":5,"output_tokens":2,"output_tokens_details":{"reasoning_tokens":9},"total_tokens":16})",
       R"({"input_tokens":-4,"output_tokens":1e30})",
       R"({"prompt_tokens":3,"completion_tokens":4})"}) {
    for (const std::string_view status : {"completed", "incomplete"}) {
      const std::string whole = response_json(status, "[]", usage);
      const auto fed = feed(
          *kVendor->stream_decoder(),
          sse({R"({"type":"response.created","response":{"id":"resp_1","model":"gpt-5"}})",
               R"({"type":"response.)" + std::string(status) + R"(","response":)" + whole + "}"}));
      EXPECT_EQ(describe(fed.response), describe(kVendor->decode(whole).value())) << usage;
    }
  }
}

TEST(ResponsesStream, TakesWholeItemsFromServersWithoutDeltas) {
  const auto whole = response_json("completed", kOutput, kUsage);
  const auto output = parse_json(kOutput).value().get_array();
  std::string stream =
      sse({R"({"type":"response.created","response":{"id":"resp_1","model":"gpt-5"}})"});
  for (std::size_t i = 0; i < output.size(); ++i) {
    stream += sse({R"({"type":"response.output_item.done","output_index":)" + std::to_string(i) +
                   R"(,"item":)" + write_json(output[i]) + "}"});
  }
  stream += sse({R"({"type":"response.completed","response":)" + whole + "}"});
  const auto fed = feed(*kVendor->stream_decoder(), stream + "data: [DONE]\n\n");
  ASSERT_FALSE(fed.error);
  EXPECT_EQ(describe(fed.response), describe(kVendor->decode(whole).value()));
}

TEST(ResponsesStream, CarriesEveryFrameOnce) {
  const std::string stream = stream_of_deltas();
  const auto fed = feed(*kVendor->stream_decoder(), stream);
  std::string again;
  for (const auto& event : fed.events) {
    EXPECT_EQ(event.raw_shape, Shape::kOpenAiResponses);
    EXPECT_NE(event.has_raw, event.frame_follows);
    if (event.has_raw) sse::append_event(again, event.raw_event, event.raw);
  }
  EXPECT_EQ(again, stream);
}

TEST(ResponsesStream, EarlyEndIsACut) {
  const std::string stream = stream_of_deltas();
  for (std::size_t size = 0; size + 1 < stream.size(); size += 97) {
    const auto fed = feed(*kVendor->stream_decoder(), stream.substr(0, size));
    ASSERT_TRUE(fed.error) << size;
    EXPECT_EQ(fed.error->reason, "stream_cut");
    EXPECT_EQ(fed.error->code, Errc::kUpstream);
  }
}

TEST(ResponsesStream, FailuresInsideAreTyped) {
  const std::string created =
      sse({R"({"type":"response.created","response":{"id":"r","model":"m"}})"});
  const auto fault = [&](std::string_view frame) {
    return feed(*kVendor->stream_decoder(), created + sse({frame})).error.value();
  };
  EXPECT_EQ(
      fault(R"({"type":"error","code":"rate_limit_exceeded","message":"slow","param":null})").code,
      Errc::kRateLimited);
  EXPECT_EQ(
      fault(R"({"type":"error","error":{"type":"server_error","code":null,"message":"x"}})").code,
      Errc::kUnavailable);
  EXPECT_EQ(
      fault(
          R"({"type":"response.failed","response":{"status":"failed","error":{"code":"invalid_prompt","message":"bad"}}})")
          .code,
      Errc::kInvalidArgument);
  EXPECT_EQ(
      fault(
          R"({"type":"response.failed","response":{"status":"failed","error":{"code":"server_error","message":"x"}}})")
          .code,
      Errc::kUnavailable);
  EXPECT_EQ(feed(*kVendor->stream_decoder(), "data: nonsense\n\n").error->reason, "vendor_garbage");
}

TEST(ResponsesDecode, MapsItsStates) {
  const auto finish = [](std::string_view state) {
    return kVendor->decode(R"({"output":[],)" + std::string(state) + "}")->finish;
  };
  EXPECT_EQ(finish(R"("status":"completed")"), FinishReason::kStop);
  EXPECT_EQ(finish(R"("status":"incomplete","incomplete_details":{"reason":"max_output_tokens"})"),
            FinishReason::kLength);
  EXPECT_EQ(finish(R"("status":"incomplete","incomplete_details":{"reason":"content_filter"})"),
            FinishReason::kContentFilter);
  EXPECT_EQ(
      kVendor
          ->decode(
              R"({"output":[],"status":"failed","error":{"code":"server_error","message":"m"}})")
          .error()
          .code,
      Errc::kUnavailable);
  EXPECT_EQ(kVendor->decode(R"({"output":[],"status":"queued"})").error().reason, "vendor_garbage");
}

TEST(ResponsesDecode, AnErrorInsideA200AndGarbageAreErrors) {
  EXPECT_EQ(
      kVendor->decode(R"({"error":{"type":"rate_limit_exceeded","message":"m"}})").error().code,
      Errc::kRateLimited);
  for (const char* body : {"", "<html>", "[]", "{}", "null", R"({"output":{}})"}) {
    const auto response = kVendor->decode(body);
    ASSERT_FALSE(response) << body;
    EXPECT_EQ(response.error().code, Errc::kUpstream);
  }
}

TEST(ResponsesErrors, ReadRetryAfterInBothForms) {
  http::Headers headers;
  headers.set("retry-after", "7");
  const std::string_view body =
      R"({"error":{"message":"Slow down","type":"requests","code":"rate_limit_exceeded"}})";
  auto error = kVendor->decode_error(429, headers, body);
  EXPECT_EQ(error.code, Errc::kRateLimited);
  EXPECT_EQ(error.retry_after, std::optional(std::chrono::milliseconds(7'000)));
  EXPECT_EQ(error.reason, "rate_limit_exceeded");
  headers.set("date", "Wed, 21 Oct 2026 07:28:00 GMT");
  headers.set("retry-after", "Wed, 21 Oct 2026 07:28:30 GMT");
  EXPECT_EQ(kVendor->decode_error(429, headers, body).retry_after,
            std::optional(std::chrono::milliseconds(30'000)));
  error = kVendor->decode_error(529, {}, "overloaded");
  EXPECT_EQ(error.code, Errc::kUnavailable);
  EXPECT_EQ(error.upstream_status, 529);
  EXPECT_EQ(kVendor->decode_error(401, {}, body).reason, "vendor_auth");
}

}  // namespace
}  // namespace asahi::llm
