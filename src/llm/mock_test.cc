#include <gtest/gtest.h>

#include <cmath>

#include "llm/mock_answer.h"
#include "llm/vendor.h"
#include "net/blocking.h"
#include "net/loop.h"

namespace asahi::llm {
namespace {

using namespace std::chrono_literals;

ChatRequest ask(std::string text) {
  ChatRequest request;
  request.model = "gpt-4o";
  request.messages.push_back({.role = Role::kUser, .parts = {TextPart{.text = std::move(text)}}});
  return request;
}

struct Streamed {
  ChatResponse response;
  bool complete = false;
  std::optional<Error> error;
};

struct MockVendorTest : testing::Test {
  MockVendorTest() { pool.start(); }

  Result<ChatResponse> chat(const ChatRequest& request, CallContext context = {}) {
    return net::run_sync<Result<ChatResponse>>(pool.at(0), [&]() -> Task<ChatResponse> {
      co_return co_await vendor->chat(request, context);
    });
  }

  Streamed stream(const ChatRequest& request, CallContext context = {}) {
    return net::run_sync<Streamed>(pool.at(0), [&]() -> Aw<Streamed> {
      Streamed out;
      auto opened = co_await vendor->stream(request, context);
      if (!opened) {
        out.error = opened.error();
        co_return out;
      }
      StreamCollector collector;
      while (true) {
        auto events = co_await (*opened)->next();
        if (!events) {
          out.error = events.error();
          break;
        }
        if (events->empty()) break;
        for (const auto& event : *events) collector.add(event);
      }
      out.response = collector.response();
      out.complete = collector.complete();
      co_return out;
    });
  }

  net::LoopPool pool{1};
  std::unique_ptr<ChatModel> vendor = make_mock_vendor({.average_latency = 10ms});
};

TEST_F(MockVendorTest, NamesTheModelAndTheInputTokens) {
  const auto answer = chat(ask("one two three four five six seven eight nine ten"));
  ASSERT_TRUE(answer);
  EXPECT_NE(answer->text().find("mock answer of gpt-4o to a prompt of 13 tokens"),
            std::string::npos)
      << answer->text();
  EXPECT_EQ(answer->usage.input, 13);
  EXPECT_EQ(answer->usage.output, 20);
  EXPECT_TRUE(answer->usage.reported);
  EXPECT_EQ(answer->finish, FinishReason::kStop);
}

TEST_F(MockVendorTest, OutputIsAShareOfALongPrompt) {
  std::string prompt;
  for (int i = 0; i < 1'000; ++i) prompt += "word ";
  const auto answer = chat(ask(prompt));
  ASSERT_TRUE(answer);
  EXPECT_GE(answer->usage.output, 390);
  EXPECT_LT(answer->usage.output, 1'040);
}

TEST_F(MockVendorTest, SaysTheSameForTheSameSeedAndPrompt) {
  const auto first = chat(ask("hello"));
  const auto second = chat(ask("hello"));
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->text(), second->text());
  EXPECT_EQ(first->id, second->id);
  vendor = make_mock_vendor({.seed = 43, .average_latency = 10ms});
  const auto other_seed = chat(ask("hello"));
  ASSERT_TRUE(other_seed);
  EXPECT_NE(first->id, other_seed->id);
}

TEST_F(MockVendorTest, AStreamAmountsToTheUnstreamedAnswer) {
  for (const char* prompt : {"hello there", "[[mock:tool:get_time]]", "[[mock:echo:a  b c]]"}) {
    const auto whole = chat(ask(prompt));
    const auto streamed = stream(ask(prompt));
    ASSERT_TRUE(whole);
    EXPECT_TRUE(streamed.complete);
    EXPECT_EQ(streamed.response.text(), whole->text());
    EXPECT_EQ(streamed.response.usage, whole->usage);
    EXPECT_EQ(streamed.response.finish, whole->finish);
    EXPECT_EQ(streamed.response.id, whole->id);
    EXPECT_EQ(streamed.response.parts.size(), whole->parts.size());
  }
}

TEST_F(MockVendorTest, EchoesText) {
  EXPECT_EQ(chat(ask("[[mock:echo:hello world]]"))->text(), "hello world");
}

TEST_F(MockVendorTest, RateLimitCarriesAWait) {
  const auto answer = chat(ask("please [[mock:429]]"));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::kRateLimited);
  EXPECT_EQ(answer.error().upstream_status, 429);
  EXPECT_EQ(answer.error().retry_after, std::optional(1000ms));
}

TEST_F(MockVendorTest, ServerErrorIsUnavailable) {
  const auto streamed = stream(ask("[[mock:500]]"));
  ASSERT_TRUE(streamed.error);
  EXPECT_EQ(streamed.error->code, Errc::kUnavailable);
  EXPECT_EQ(streamed.error->upstream_status, 500);
}

TEST_F(MockVendorTest, TimeoutEndsAtTheIdleLimit) {
  const auto answer = chat(ask("[[mock:timeout]]"), {.idle_timeout = 20ms});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::kTimeout);
}

TEST_F(MockVendorTest, TimeoutEndsAtTheDeadline) {
  const auto answer =
      chat(ask("[[mock:timeout]]"), {.deadline = std::chrono::steady_clock::now() + 20ms});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::kTimeout);
}

TEST_F(MockVendorTest, CancellingEndsTheWait) {
  const auto answer = net::run_sync<Result<ChatResponse>>(pool.at(0), [&]() -> Task<ChatResponse> {
    const ChatRequest request = ask("[[mock:timeout]]");
    CancelSource cancel;
    const CallContext context{.cancel = &cancel};
    net::Loop::current()->post([&cancel] { cancel.cancel(); });
    co_return co_await vendor->chat(request, context);
  });
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::kCancelled);
}

TEST_F(MockVendorTest, ACutStreamGivesHalfAndThenAnError) {
  const auto streamed = stream(ask("[[mock:cut]] tell me"));
  ASSERT_TRUE(streamed.error);
  EXPECT_EQ(streamed.error->code, Errc::kUpstream);
  EXPECT_EQ(streamed.error->reason, "stream_cut");
  EXPECT_FALSE(streamed.complete);
  EXPECT_FALSE(streamed.response.text().empty());
  EXPECT_EQ(chat(ask("[[mock:cut]] tell me")).error().reason, "stream_cut");
}

TEST_F(MockVendorTest, CallsTheNamedToolWithArgumentsThatFitItsSchema) {
  ChatRequest request = ask("[[mock:tool:get_weather]]");
  request.tools.push_back(
      {.name = "get_weather",
       .parameters =
           parse_json(
               R"({"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer",
                                    "minimum":3},"unit":{"enum":["C","F"]},"tags":{"type":"array","items":
                                    {"type":"boolean"}}}})")
               .value()});
  const auto answer = chat(request);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->finish, FinishReason::kToolCalls);
  const auto& call = std::get<ToolCallPart>(answer->parts.at(0));
  EXPECT_EQ(call.name, "get_weather");
  EXPECT_EQ(call.arguments, R"({"city":"mock","days":3,"unit":"C","tags":[true]})");
}

TEST_F(MockVendorTest, AnswersOnceTheToolResultIsThere) {
  ChatRequest request = ask("[[mock:tool:get_weather]]");
  request.messages.push_back(
      {.role = Role::kAssistant, .parts = {ToolCallPart{.id = "1", .name = "get_weather"}}});
  request.messages.push_back(
      {.role = Role::kTool, .parts = {ToolResultPart{.tool_call_id = "1", .text = "rain"}}});
  const auto answer = chat(request);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->finish, FinishReason::kStop);
  EXPECT_NE(answer->text().find("The tool said: rain"), std::string::npos);
}

TEST_F(MockVendorTest, GivesJsonWhenAskedForJson) {
  ChatRequest request = ask("list it");
  request.format.kind = ResponseFormat::Kind::kJsonSchema;
  request.format.schema =
      parse_json(R"({"type":"object","properties":{"name":{"type":"string"}}})").value();
  EXPECT_EQ(chat(request)->text(), R"({"name":"mock"})");
}

TEST_F(MockVendorTest, ARecursiveSchemaEnds) {
  json::value schema = parse_json(R"({"type":"object","properties":{}})").value();
  for (int i = 0; i < 60; ++i) schema = json::object{{"type", "array"}, {"items", schema}};
  EXPECT_TRUE(mock::sample_of(schema).is_array());
}

TEST(MockAnswers, StandInPlaceOfTheProseButLeaveUsageAndMarkersAlone) {
  ChatRequest request;
  Message message{.role = Role::kUser};
  message.parts.emplace_back(TextPart{.text = "what is a cache", .cache_control = {}});
  request.messages.push_back(message);
  MockOptions options;
  const auto own = mock::make_plan(options, request);
  options.answers = [](const ChatRequest& asked) {
    return asked.messages.back().text() == "what is a cache" ? std::string("a store") : "";
  };
  const auto told = mock::make_plan(options, request);
  EXPECT_EQ(told.response.text(), "a store");
  EXPECT_EQ(told.response.usage.input, own.response.usage.input);
  EXPECT_EQ(told.response.usage.output, own.response.usage.output);

  const auto with_text = [&](std::string text) {
    request.messages.back().parts.assign(1, TextPart{.text = std::move(text), .cache_control = {}});
    return mock::make_plan(options, request).response.text();
  };
  EXPECT_TRUE(with_text("something else").starts_with("This is the mock answer"));
  EXPECT_EQ(with_text("[[mock:echo:hello]]"), "hello");
}

TEST(MockEmbedder, GivesUnitVectorsThatFollowFromTheText) {
  net::LoopPool pool(1);
  pool.start();
  const auto embedder = make_mock_embedder(7, 64);
  EmbeddingRequest request;
  request.model = "mock-embed";
  request.input = {"alpha beta", "alpha beta", "gamma"};
  const auto answer =
      net::run_sync<Result<EmbeddingResponse>>(pool.at(0), [&]() -> Task<EmbeddingResponse> {
        const CallContext context;
        co_return co_await embedder->embed(request, context);
      });
  ASSERT_TRUE(answer);
  ASSERT_EQ(answer->vectors.size(), 3);
  EXPECT_EQ(answer->vectors[0], answer->vectors[1]);
  EXPECT_NE(answer->vectors[0], answer->vectors[2]);
  for (const auto& vector : answer->vectors) {
    ASSERT_EQ(vector.size(), 64);
    double sum = 0;
    for (const float x : vector) sum += static_cast<double>(x) * x;
    EXPECT_NEAR(sum, 1, 1e-5);
  }
  EXPECT_EQ(answer->usage.input, 5);
}

}  // namespace
}  // namespace asahi::llm
