#include "llm/wire/common.h"

#include <gtest/gtest.h>

#include "llm/testing/wire_fixtures.h"

namespace asahi::llm::wire {
namespace {

using asahi::llm::testing::value_of;

TEST(ArgumentsObject, IsAnObjectWhateverTheModelWrote) {
  EXPECT_EQ(arguments_object(" "), "{}");
  EXPECT_EQ(arguments_object(R"({"a":1})"), R"({"a":1})");
  EXPECT_EQ(arguments_object(R"({"a":)"), R"({"arguments":"{\"a\":"})");
  EXPECT_EQ(arguments_object("[1]"), R"({"arguments":"[1]"})");
}

TEST(Paths, RenderInBothStyles) {
  const Path root;
  const Path messages = root.field("messages");
  const Path second = messages.element(1);
  const Path content = second.field("content");
  EXPECT_EQ(content.brackets(), "messages[1].content");
  EXPECT_EQ(content.dots(), "messages.1.content");
  EXPECT_EQ(root.brackets(), "");
}

TEST(DataUrls, AreSplitAndPutTogether) {
  const ImagePart image = image_from_url("data:image/png;charset=x;base64,AAAA");
  EXPECT_EQ(image.media_type, "image/png");
  EXPECT_EQ(image.data, "AAAA");
  EXPECT_EQ(image_url(image), "data:image/png;base64,AAAA");
  EXPECT_EQ(image_from_url("https://a/b.png").url, "https://a/b.png");
  EXPECT_FALSE(parse_data_url("data:image/png,AAAA"));
  EXPECT_FALSE(parse_data_url("data:image/png;base64"));
}

TEST(SafeMessage, TakesKeysAndControlCharactersOut) {
  EXPECT_EQ(safe_message("Incorrect API key provided: sk-proj-abc123def. Find\nit"),
            "Incorrect API key provided: ***. Find it");
  EXPECT_EQ(safe_message("key AIzaSyA1234567890 is bad"), "key *** is bad");
  EXPECT_EQ(safe_message("token 0123456789abcdef0123456789abcdef"), "token ***");
  EXPECT_EQ(safe_message("model claude-3-5-sonnet-20241022 not found"),
            "model claude-3-5-sonnet-20241022 not found");
}

TEST(SafeMessage, CutsAt300CharactersBetweenCodePoints) {
  std::string text;
  for (int i = 0; i < 400; ++i) text += "ü";
  const std::string safe = safe_message(text);
  EXPECT_LE(safe.size(), 300u);
  EXPECT_TRUE(safe.ends_with("ü..."));
}

TEST(RetryAfter, ReadsSecondsMillisecondsAndDates) {
  const auto of = [](std::initializer_list<http::Headers::Field> fields) {
    http::Headers headers;
    for (const auto& [name, value] : fields) headers.add(name, value);
    return retry_after(headers);
  };
  using std::chrono::milliseconds;
  EXPECT_EQ(of({{"Retry-After", "20"}}), milliseconds(20'000));
  EXPECT_EQ(of({{"Retry-After", "0.35"}}), milliseconds(350));
  EXPECT_EQ(of({{"retry-after-ms", "125"}, {"retry-after", "1"}}), milliseconds(125));
  EXPECT_EQ(of({{"Date", "Wed, 21 Oct 2015 07:28:00 GMT"},
                {"Retry-After", "Wed, 21 Oct 2015 07:29:30 GMT"}}),
            milliseconds(90'000));
  EXPECT_EQ(of({{"Date", "Wed, 21 Oct 2015 07:28:00 GMT"},
                {"Retry-After", "Wed, 21 Oct 2015 07:27:00 GMT"}}),
            milliseconds(0));
  EXPECT_EQ(of({{"Retry-After", "99999999999"}}), milliseconds(std::chrono::hours(24)));
  EXPECT_EQ(of({{"Retry-After", "soon"}}), std::nullopt);
  EXPECT_EQ(of({{"Retry-After", "-5"}}), std::nullopt);
  EXPECT_EQ(of({{"Retry-After", "Wed, 99 Oct 2015 07:28:00 GMT"},
                {"Date", "Wed, 21 Oct 2015 07:28:00 GMT"}}),
            std::nullopt);
  EXPECT_EQ(of({}), std::nullopt);
}

TEST(VendorError, TypesStatusesByWhatACallerCanDo) {
  struct Row {
    int status;
    Errc code;
    std::string_view reason;
  };
  for (const auto& row :
       {Row{400, Errc::kInvalidArgument, "context_length_exceeded"},
        Row{401, Errc::kUpstream, "vendor_auth"}, Row{402, Errc::kUpstream, "vendor_billing"},
        Row{403, Errc::kUpstream, "vendor_auth"},
        Row{404, Errc::kInvalidArgument, "context_length_exceeded"}, Row{408, Errc::kTimeout, ""},
        Row{413, Errc::kTooLarge, ""}, Row{422, Errc::kInvalidArgument, "context_length_exceeded"},
        Row{429, Errc::kRateLimited, "context_length_exceeded"}, Row{500, Errc::kUnavailable, ""},
        Row{503, Errc::kUnavailable, ""}, Row{529, Errc::kUnavailable, "overloaded"},
        Row{302, Errc::kUpstream, ""}}) {
    const Error error = vendor_error(row.status, {}, "words", "context_length_exceeded");
    EXPECT_EQ(error.code, row.code) << row.status;
    EXPECT_EQ(error.reason, row.reason) << row.status;
    EXPECT_EQ(error.upstream_status, row.status);
    EXPECT_NE(error.message.find("words"), std::string::npos);
  }
}

TEST(VendorError, OfATypeMeansWhatItsStatusWouldMean) {
  EXPECT_EQ(vendor_error_of_type("overloaded_error", "").code, Errc::kUnavailable);
  EXPECT_EQ(vendor_error_of_type("rate_limit_error", "").code, Errc::kRateLimited);
  EXPECT_EQ(vendor_error_of_type("x", "", "429").code, Errc::kRateLimited);
  EXPECT_EQ(vendor_error_of_type("invalid_request_error", "").code, Errc::kInvalidArgument);
  EXPECT_EQ(vendor_error_of_type("brand_new_error", "").code, Errc::kUpstream);
}

// ---- Usage

Usage openai(std::string_view text) { return read_openai_usage(value_of(text).as_object()); }

Usage anthropic(std::initializer_list<std::string_view> updates) {
  AnthropicUsage usage;
  for (const auto text : updates) usage.update(value_of(text).as_object());
  return usage.normalised();
}

TEST(OpenAiUsage, CountsDetailsAsPartsOfTheTotals) {
  const Usage usage = openai(
      R"({"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
          "prompt_tokens_details":{"cached_tokens":60,"audio_tokens":10},
          "completion_tokens_details":{"reasoning_tokens":30,"audio_tokens":5}})");
  EXPECT_EQ(usage, (Usage{.input = 100,
                          .cached_input = 60,
                          .audio_input = 10,
                          .output = 50,
                          .reasoning_output = 30,
                          .audio_output = 5,
                          .reported = true}));
}

TEST(OpenAiUsage, ReadsTheVariantsOfOpenAiShapedVendors) {
  // DeepSeek
  EXPECT_EQ(openai(R"({"prompt_tokens":100,"completion_tokens":5,"total_tokens":105,
                       "prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":36})"),
            (Usage{.input = 100, .cached_input = 64, .output = 5, .reported = true}));
  // xAI counts reasoning beside the completion
  EXPECT_EQ(openai(R"({"prompt_tokens":32,"completion_tokens":9,"total_tokens":135,
                       "completion_tokens_details":{"reasoning_tokens":94}})"),
            (Usage{.input = 32, .output = 103, .reasoning_output = 94, .reported = true}));
  // Moonshot
  EXPECT_EQ(openai(R"({"prompt_tokens":10,"completion_tokens":2,"cached_tokens":4})"),
            (Usage{.input = 10, .cached_input = 4, .output = 2, .reported = true}));
  // Responses
  EXPECT_EQ(
      openai(R"({"input_tokens":10,"output_tokens":7,"total_tokens":17,
                       "input_tokens_details":{"cached_tokens":3},
                       "output_tokens_details":{"reasoning_tokens":5}})"),
      (Usage{
          .input = 10, .cached_input = 3, .output = 7, .reasoning_output = 5, .reported = true}));
  // Gemini's OpenAI-shaped endpoint counts thoughts in the total only
  EXPECT_EQ(openai(R"({"prompt_tokens":10,"completion_tokens":5,"total_tokens":95})"),
            (Usage{.input = 10, .output = 85, .reasoning_output = 80, .reported = true}));
  // Voyage and Jina: embeddings with a total only
  EXPECT_EQ(openai(R"({"total_tokens":7})"), (Usage{.input = 7, .reported = true}));
  // vLLM sends null details
  EXPECT_EQ(openai(R"({"prompt_tokens":1,"completion_tokens":2,"prompt_tokens_details":null})"),
            (Usage{.input = 1, .output = 2, .reported = true}));
}

TEST(OpenAiUsage, HoldsNonsenseWithinTheTotals) {
  const Usage usage = openai(
      R"({"prompt_tokens":-5,"completion_tokens":3.0,"prompt_tokens_details":{"cached_tokens":9},
          "completion_tokens_details":{"reasoning_tokens":9}})");
  EXPECT_EQ(usage, (Usage{.input = 0, .output = 3, .reasoning_output = 3, .reported = true}));
}

TEST(OpenAiUsage, IsReadBackAsWritten) {
  const Usage usage{.input = 100,
                    .cached_input = 20,
                    .cache_write_input = 30,
                    .cache_write_1h_input = 10,
                    .audio_input = 5,
                    .output = 50,
                    .reasoning_output = 25,
                    .audio_output = 5,
                    .reported = true};
  std::string text;
  JsonOut out(text);
  write_openai_usage(out, usage);
  EXPECT_EQ(openai(text), usage);
}

TEST(AnthropicUsage, AddsCacheReadsAndWritesToTheInput) {
  EXPECT_EQ(anthropic({R"({"input_tokens":10,"cache_creation_input_tokens":100,
                          "cache_read_input_tokens":1000,"output_tokens":7,
                          "cache_creation":{"ephemeral_5m_input_tokens":40,
                                            "ephemeral_1h_input_tokens":60}})"}),
            (Usage{.input = 1110,
                   .cached_input = 1000,
                   .cache_write_input = 40,
                   .cache_write_1h_input = 60,
                   .output = 7,
                   .reported = true}));
}

TEST(AnthropicUsage, WithoutTheSplitIsWrittenAtTheFiveMinutePrice) {
  EXPECT_EQ(anthropic({R"({"input_tokens":10,"cache_creation_input_tokens":100})"}),
            (Usage{.input = 110, .cache_write_input = 100, .reported = true}));
}

TEST(AnthropicUsage, LaterEventsReplaceFieldByField) {
  EXPECT_EQ(anthropic({R"({"input_tokens":25,"cache_read_input_tokens":5,"output_tokens":1})",
                       R"({"output_tokens":15})"}),
            (Usage{.input = 30, .cached_input = 5, .output = 15, .reported = true}));
  EXPECT_EQ(anthropic({R"({"input_tokens":25,"output_tokens":1})",
                       R"({"input_tokens":40,"cache_read_input_tokens":null,"output_tokens":9})"}),
            (Usage{.input = 40, .output = 9, .reported = true}));
}

TEST(AnthropicUsage, IsReadBackAsWritten) {
  const Usage usage{.input = 100,
                    .cached_input = 20,
                    .cache_write_input = 30,
                    .cache_write_1h_input = 10,
                    .output = 50,
                    .reasoning_output = 20,
                    .reported = true};
  std::string text;
  JsonOut out(text);
  write_anthropic_usage(out, usage);
  EXPECT_EQ(anthropic({text}), usage);
}

}  // namespace
}  // namespace asahi::llm::wire
