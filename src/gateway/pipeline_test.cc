// One model call through the gateway: cache, routing, vendors, money, events.
#include "gateway/pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/testing/pipeline.h"

namespace asahi::gateway {
namespace {

using namespace std::chrono_literals;
using testing::bad_request;
using testing::cut_stream;
using ::testing::ElementsAre;
using testing::event;
using testing::EventKind;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using testing::rate_limit;
using testing::server_error;
using testing::text_answer;
using testing::the_end;
using testing::used;

/// Explicit calls to "small": routing has tests of its own.
constexpr const char* kAsk = R"({"prompt":"What is a cache?","model":"small"})";
constexpr const char* kAskStreamed =
    R"({"prompt":"What is a cache?","model":"small","stream":true})";

class PipelineFlowTest : public testing::PipelineTest {};

// ---- misses and hits

TEST_F(PipelineFlowTest, AsksTheVendorAndTellsWhatItCost) {
  vendors_["north"].answer(text_answer("A shelf.", used(1'000, 500)));
  const auto reply = infer(kAsk);
  ASSERT_EQ(reply.status, 200) << reply.body;
  const json::object body = reply.object();
  EXPECT_EQ(body.at("response"), "A shelf.");
  EXPECT_EQ(body.at("request_id"), "req_000000000001");
  EXPECT_THAT(std::string(body.at("response_id").as_string()), MatchesRegex("resp_[0-9a-f]+"));
  EXPECT_EQ(body.at("model_used"), "small");
  EXPECT_EQ(body.at("provider"), "north");
  EXPECT_EQ(body.at("routing_mode"), "explicit");
  EXPECT_EQ(body.at("finish_reason"), "stop");
  EXPECT_EQ(body.at("tokens_input"), 1'000);
  EXPECT_EQ(body.at("tokens_output"), 500);
  EXPECT_EQ(body.at("tokens_total"), 1'500);
  EXPECT_THAT(reply.body, HasSubstr(R"("cost":0.002000)"));
  EXPECT_THAT(reply.body, HasSubstr(R"("cost_original":0.025000)"))
      << "1,000 × 0.010 + 500 × 0.030";
  EXPECT_THAT(reply.body, HasSubstr(R"("cost_savings_vs_baseline":0.023000)"));
  EXPECT_THAT(reply.body, HasSubstr(R"("cost_savings_percent":92.0)"));
  EXPECT_EQ(body.at("cache_hit"), false);
  EXPECT_EQ(body.at("cache_tier"), 0);
  EXPECT_TRUE(body.at("cache").at("similarity").is_null());
  EXPECT_EQ(vendors_["north"].calls()[0].request.model, "north-small-1");

  const InferenceEvent told = last_event();
  EXPECT_EQ(told.cost.nanos, 2'000'000);
  EXPECT_EQ(told.baseline_cost.nanos, 25'000'000);
  EXPECT_EQ(told.input_tokens, 1'000);
  EXPECT_EQ(told.output_tokens, 500);
  EXPECT_EQ(told.model_selected, "small");
  EXPECT_EQ(told.provider, "north");
  EXPECT_EQ(told.org_id, "default");
  EXPECT_EQ(told.route, "/tested");
  EXPECT_EQ(told.error_code, "");
  EXPECT_FALSE(told.cache_hit);
}

TEST_F(PipelineFlowTest, AnswersTheSameRequestFromTheCacheForNothing) {
  vendors_["north"].answer(text_answer("A shelf.", used(1'000, 500)));
  (void)infer(kAsk);
  const auto reply = post(native_, kAsk, {.may_repeat = false});
  const json::object body = reply.object();
  EXPECT_EQ(body.at("response"), "A shelf.");
  EXPECT_EQ(body.at("cache_hit"), true);
  EXPECT_EQ(body.at("cache_tier"), 1);
  EXPECT_EQ(body.at("tokens_total"), 0) << "nothing was consumed now";
  EXPECT_THAT(reply.body, HasSubstr(R"("cost":0.000000)"));
  EXPECT_THAT(reply.body, HasSubstr(R"("cost_original":0.025000)"))
      << "from the stored tokens (R60)";
  EXPECT_EQ(body.at("cache").at("cached_query"), "What is a cache?");
  EXPECT_THAT(reply.body, HasSubstr("cache_tier_1"));
  EXPECT_EQ(calls_of("north"), 1U);

  const InferenceEvent told = last_event();
  EXPECT_TRUE(told.cache_hit);
  EXPECT_EQ(told.cache_tier, 1);
  EXPECT_EQ(told.cost.nanos, 0);
  EXPECT_EQ(told.baseline_cost.nanos, 25'000'000);
  EXPECT_EQ(told.input_tokens, 0);
  EXPECT_EQ(told.answer_input_tokens, 1'000);
  EXPECT_EQ(told.answer_output_tokens, 500);
  EXPECT_EQ(told.tokens_saved, 1'500);
}

TEST_F(PipelineFlowTest, TakesTheFastWayForExactRepeatsAndTellsTheSame) {
  vendors_["north"].answer(text_answer("A shelf.", used(1'000, 500)));
  (void)infer(kAsk);
  const auto looked_up = infer(kAsk);
  EXPECT_FALSE(looked_up.fast) << "the first hit still parses";
  const auto repeated = infer(kAsk);
  EXPECT_TRUE(repeated.fast);
  const auto fields = [](const testing::Reply& reply) {
    json::object body = reply.object();
    for (const char* differs : {"response_id", "latency_ms", "latency_breakdown"})
      body.erase(differs);
    return json::serialize(body);
  };
  EXPECT_EQ(fields(repeated), fields(looked_up));
  const auto all = events();
  ASSERT_EQ(all.size(), 3U);
  EXPECT_TRUE(all[2].cache_hit);
  EXPECT_EQ(all[2].baseline_cost, all[1].baseline_cost);
  EXPECT_EQ(all[2].task_type, all[1].task_type);
  EXPECT_EQ(all[2].routing_mode, all[1].routing_mode);
  EXPECT_EQ(all[2].answer_output_tokens, 500);
  EXPECT_NE(all[2].event_id, all[1].event_id);
}

TEST_F(PipelineFlowTest, ForgetsARepeatWhenItsEntryIsGone) {
  vendors_["north"].answer("one");
  (void)infer(kAsk);
  (void)infer(kAsk);
  ASSERT_TRUE(infer(kAsk).fast);
  ASSERT_TRUE(loops_.wait_for([&] { return store_.erase_prefix("asahi:cache"); }));
  vendors_["north"].answer("two");
  const auto reply = infer(kAsk);
  EXPECT_FALSE(reply.fast);
  EXPECT_EQ(reply.object().at("response"), "two");
}

TEST_F(PipelineFlowTest, ForgetsARepeatWhenItsTimeIsOver) {
  vendors_["north"].answer("one");
  (void)infer(kAsk);
  (void)infer(kAsk);
  clock_.advance(std::chrono::hours(168) + 1s);  // tasks.faq
  vendors_["north"].answer("two");
  EXPECT_EQ(infer(kAsk).object().at("response"), "two");
}

TEST_F(PipelineFlowTest, KeepsAnswersAsLongAsTheirTaskSays) {
  config_.tasks["faq"].cache_ttl_hours = 2;
  vendors_["north"].answer("one");
  (void)infer(kAsk);
  clock_.advance(1h + 59min);
  EXPECT_EQ(infer(kAsk).object().at("cache_hit"), true);
  clock_.advance(2min);
  vendors_["north"].answer("two");
  EXPECT_EQ(infer(kAsk).object().at("cache_hit"), false);
}

TEST_F(PipelineFlowTest, NeverShowsOneOrganisationTheAnswersOfAnother) {
  for (const char* org : {"acme", "globex"}) {
    vendors_["north"].answer(std::string("for ") + org);
    const std::string body =
        R"({"prompt":"q","model":"small","organization_id":")" + std::string(org) + R"("})";
    EXPECT_EQ(infer(body).object().at("response"), json::value("for " + std::string(org)));
    const auto again = infer(body).object();
    EXPECT_EQ(again.at("response"), json::value("for " + std::string(org)));
    EXPECT_EQ(again.at("cache_hit"), true);
    EXPECT_EQ(last_event().org_id, org);
  }
}

TEST_F(PipelineFlowTest, DoesNotGiveOneShapesEntryToAnother) {
  vendors_["north"].answer("for completions");
  vendors_["north"].answer("for chat");
  (void)post(completions_, R"({"model":"small","prompt":"q","temperature":0})");
  (void)post(chat_,
             R"({"model":"small","messages":[{"role":"user","content":"q"}],"temperature":0})");
  EXPECT_EQ(calls_of("north"), 2U);
}

TEST_F(PipelineFlowTest, GoesPastTheCacheWhenAsked) {
  vendors_["north"].answer("one");
  vendors_["north"].answer("two");
  const char* past = R"({"prompt":"What is a cache?","model":"small","bypass_cache":true})";
  EXPECT_EQ(infer(past).object().at("response"), "one");
  EXPECT_EQ(infer(past).object().at("response"), "two");
  EXPECT_EQ(cached_entries(), 0U) << "neither read nor written";
}

TEST_F(PipelineFlowTest, KeepsNothingThatWasPaidWithTheCallersOwnKey) {
  vendors_["north"].answer("mine");
  const auto reply = infer(R"({"prompt":"q","model":"small","provider_api_key":"sk-own"})");
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_TRUE(vendors_["north"].calls()[0].own_key);
  EXPECT_EQ(cached_entries(), 0U);
  EXPECT_EQ(reply.body.find("sk-own"), std::string::npos);
}

TEST_F(PipelineFlowTest, ShowsTheCallersOwnKeyToNoOtherVendor) {
  for (int i = 0; i < 2; ++i) vendors_["north"].fail(server_error());
  const auto failed =
      infer(R"({"prompt":"q","model":"small","provider_api_key":"sk-own","allow_fallback":true,)"
            R"("fallback_models":["mid","big"]})");
  EXPECT_EQ(failed.status, 503) << failed.body;
  for (const char* other : {"east", "south", "west"})
    EXPECT_TRUE(vendors_[other].calls().empty()) << other;
  const auto unnamed = infer(R"({"prompt":"q","provider_api_key":"sk-own"})");
  EXPECT_EQ(unnamed.status, 400);
  EXPECT_THAT(unnamed.body, HasSubstr("provider_api_key is the key of one vendor"));
}

TEST_F(PipelineFlowTest, KeepsOnlyDeterministicAnswersWhenSoConfigured) {
  config_.cache.cache_nondeterministic = false;
  vendors_["north"].answer("default temperature");
  vendors_["north"].answer("warm");
  vendors_["north"].answer("cold");
  (void)infer(R"({"prompt":"q","model":"small"})");
  (void)infer(R"({"prompt":"q","model":"small","temperature":0.7})");
  EXPECT_EQ(cached_entries(), 0U);
  (void)infer(R"({"prompt":"q","model":"small","temperature":0})");
  EXPECT_EQ(cached_entries(), 1U);
}

TEST_F(PipelineFlowTest, KeepsNoAnswerThatIsCutOrEmpty) {
  llm::ChatResponse cut = text_answer("half a", used(1, 1));
  cut.finish = llm::FinishReason::kLength;
  llm::ChatResponse filtered = text_answer("…", used(1, 1));
  filtered.finish = llm::FinishReason::kContentFilter;
  for (const auto& poor : {cut, filtered, text_answer("", used(1, 0))}) {
    vendors_["north"].answer(poor);
    EXPECT_EQ(infer(kAsk).status, 200);
    EXPECT_EQ(cached_entries(), 0U);
  }
}

TEST_F(PipelineFlowTest, KeepsToolCallsAndGivesThemBackWhole) {
  llm::ChatResponse response = text_answer("", used(10, 5));
  response.parts = {
      llm::ToolCallPart{.id = "call_1", .name = "weather", .arguments = R"({"city":"Rome"})"}};
  response.finish = llm::FinishReason::kToolCalls;
  vendors_["north"].answer(response);
  const char* ask = R"({"model":"small","messages":[{"role":"user","content":"Rome?"}],
    "tools":[{"type":"function","function":{"name":"weather","parameters":{"type":"object"}}}]})";
  const auto first = post(chat_, ask);
  ASSERT_EQ(first.status, 200) << first.body;
  const auto second = post(chat_, ask);
  EXPECT_EQ(second.object().at("asahi").at("cache_hit"), true);
  EXPECT_EQ(second.object().at("choices"), first.object().at("choices"));
  EXPECT_EQ(calls_of("north"), 1U);
}

TEST_F(PipelineFlowTest, SharesEntriesBetweenStreamedAndPlainCalls) {
  vendors_["north"].answer(text_answer("A small shelf.", used(1'000, 500)));
  (void)infer(kAskStreamed);
  const auto plain = infer(kAsk);
  EXPECT_EQ(plain.object().at("response"), "A small shelf.");
  EXPECT_EQ(plain.object().at("cache_hit"), true);
  const auto streamed = infer(kAskStreamed);
  EXPECT_TRUE(streamed.streamed);
  EXPECT_EQ(calls_of("north"), 1U);
}

TEST_F(PipelineFlowTest, RoutesCallsThatNameNoModeAsConfigured) {
  config_.routing.default_mode = "guided";
  for (const char* vendor : {"north", "east", "south", "west"}) {
    vendors_[vendor].answer("one");
    vendors_[vendor].answer("two");
  }
  EXPECT_EQ(infer(R"({"prompt":"q"})").object().at("routing_mode"), "guided");
  EXPECT_EQ(infer(R"({"prompt":"q","routing_mode":"autopilot"})").object().at("routing_mode"),
            "autopilot");
}

// ---- single flight

TEST_F(PipelineFlowTest, PaysOnceForIdenticalCallsInFlight) {
  vendors_["north"].answer(text_answer("A shelf.", used(1'000, 500)));
  vendors_["north"].hold();
  auto leader = start(native_, kAsk, {});
  ASSERT_TRUE(loops_.until([&] { return vendors_["north"].calls().size() == 1; }));
  auto follower = start(native_, kAsk, {});
  loops_.on([] {});
  loops_.on([] {});
  loops_.on([&] { vendors_["north"].release(); });
  const auto first = leader->get().object();
  const auto second = follower->get().object();
  EXPECT_EQ(first.at("cache_hit"), false);
  EXPECT_EQ(second.at("cache_hit"), true);
  EXPECT_EQ(second.at("response"), "A shelf.");
  EXPECT_EQ(second.at("tokens_total"), 0);
  EXPECT_EQ(second.at("optimization_techniques"), (json::array{"cache_tier_1", "single_flight"}));
  EXPECT_EQ(calls_of("north"), 1U);
  NanoUsd sum;
  for (const InferenceEvent& told : events()) sum += told.cost;
  EXPECT_EQ(sum.nanos, 2'000'000);
  EXPECT_EQ(events().size(), 2U);
}

TEST_F(PipelineFlowTest, RecordsTheCostOfACallWhoseFirstClientLeft) {
  vendors_["north"].answer(text_answer("A shelf.", used(1'000, 500)));
  vendors_["north"].hold();
  auto leader = start(native_, kAsk, {});
  ASSERT_TRUE(loops_.until([&] { return vendors_["north"].calls().size() == 1; }));
  auto follower = start(native_, kAsk, {});
  loops_.on([] {});
  loops_.on([] {});
  leader->leave();
  (void)leader->get();
  loops_.on([&] { vendors_["north"].release(); });
  EXPECT_EQ(follower->get().status, 200);
  const auto all = events();
  ASSERT_EQ(all.size(), 2U) << "one per request";
  EXPECT_EQ(all[0].cost.nanos + all[1].cost.nanos, 2'000'000);
}

TEST_F(PipelineFlowTest, TellsEveryWaiterOfAFailure) {
  vendors_["north"].fail(bad_request());
  vendors_["north"].hold();
  auto leader = start(native_, kAsk, {});
  ASSERT_TRUE(loops_.until([&] { return vendors_["north"].calls().size() == 1; }));
  auto follower = start(native_, kAsk, {});
  loops_.on([] {});
  loops_.on([] {});
  loops_.on([&] { vendors_["north"].release(); });
  EXPECT_EQ(leader->get().status, 400);
  EXPECT_EQ(follower->get().status, 400);
  EXPECT_EQ(events().size(), 2U);
  EXPECT_EQ(totals_.of("default").errors, 2);
}

TEST_F(PipelineFlowTest, CancelsTheVendorWhenNobodyWaitsAnyMore) {
  vendors_["north"].answer("never read");
  vendors_["north"].hold();
  auto only = start(native_, kAsk, {});
  ASSERT_TRUE(loops_.until([&] { return vendors_["north"].calls().size() == 1; }));
  only->leave();
  (void)only->get();
  EXPECT_TRUE(loops_.until([&] { return vendors_["north"].calls()[0].cancelled; }));
  loops_.on([] {});
  const auto all = events();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].error_code, "cancelled");
}

// ---- failures

TEST_F(PipelineFlowTest, RefusesWhatIsNoRequestAndRecordsIt) {
  const std::tuple<const char*, int, const char*> cases[] = {
      {"", 400, "validation_error"},
      {"{", 400, "validation_error"},
      {"[]", 400, "validation_error"},
      {R"({"prompt":""})", 400, "validation_error"},
      {R"({"prompt":"q","organization_id":"a b"})", 400, "validation_error"},
      {R"({"prompt":"q","model":"no-such-model"})", 400, "model_not_found"},
  };
  std::size_t recorded = 0;
  for (const auto& [body, status, code] : cases) {
    const auto reply = infer(body);
    EXPECT_EQ(reply.status, status) << body;
    const json::object error = reply.object();
    EXPECT_EQ(error.at("error"), code) << reply.body;
    EXPECT_EQ(error.at("request_id"), "req_000000000001");
    const auto all = events();
    ASSERT_EQ(all.size(), ++recorded);
    EXPECT_EQ(all.back().event_type, "error");
    EXPECT_NE(all.back().error_code, "");
    EXPECT_EQ(all.back().cost.nanos, 0);
  }
  EXPECT_EQ(vendors_.calls(), 0U);
  EXPECT_EQ(cached_entries(), 0U);
}

TEST_F(PipelineFlowTest, RefusesOtherContentTypes) {
  EXPECT_EQ(post(native_, kAsk, {.headers = {{"Content-Type", "text/plain"}}}).status, 415);
  vendors_["north"].answer("hello");
  EXPECT_EQ(post(native_, kAsk, {.headers = {{"Content-Type", "application/json; charset=utf-8"}}})
                .status,
            200);
}

TEST_F(PipelineFlowTest, SaysWhenToComeBack) {
  for (int i = 0; i < 2; ++i) vendors_["north"].fail(rate_limit(10min));
  const auto reply = infer(kAsk);
  EXPECT_EQ(reply.status, 429);
  EXPECT_EQ(reply.headers.get("Retry-After"), "600");
  EXPECT_EQ(reply.object().at("error"), "rate_limited");
  EXPECT_EQ(reply.object().at("retry_after_seconds"), 600);
  EXPECT_EQ(last_event().error_code, "rate_limited");
  EXPECT_EQ(cached_entries(), 0U);
}

TEST_F(PipelineFlowTest, GoesOnWithAnotherModelAndSaysSo) {
  for (int i = 0; i < 2; ++i) vendors_["north"].fail(server_error());
  vendors_["east"].answer(text_answer("from the east", used(100, 10)));
  const auto reply =
      infer(R"({"prompt":"What is a cache?","model":"small","allow_fallback":true})");
  ASSERT_EQ(reply.status, 200) << reply.body;
  const json::object body = reply.object();
  EXPECT_EQ(body.at("model_used"), "mid");
  EXPECT_EQ(body.at("fallback_used"), true);
  EXPECT_THAT(reply.body, HasSubstr("fallback: north/small: overloaded"));
  const InferenceEvent told = last_event();
  EXPECT_TRUE(told.fallback_used);
  EXPECT_EQ(told.retries, 2);
  EXPECT_EQ(told.cost.nanos, 110 * 2'000) << "at the price of the model that answered";
}

TEST_F(PipelineFlowTest, Is503WhenNobodyAnswers) {
  for (int i = 0; i < 2; ++i) vendors_["north"].fail(server_error());
  const auto reply = infer(kAsk);
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(reply.headers.get("Retry-After"), "30");
  EXPECT_EQ(reply.object().at("error"), "service_unavailable");
  EXPECT_EQ(last_event().retries, 1);
  EXPECT_EQ(last_event().model_selected, "small");
}

// ---- idempotency

TEST_F(PipelineFlowTest, ReplaysAReplyForTheSameKey) {
  vendors_["north"].answer("one");
  const char* past = R"({"prompt":"q","model":"small","bypass_cache":true})";
  const auto first = post(native_, past, {.headers = {{"Idempotency-Key", "k1"}}});
  const auto second = post(native_, past, {.headers = {{"Idempotency-Key", "k1"}}});
  EXPECT_EQ(second.body, first.body) << "the stored reply, ids and all";
  EXPECT_EQ(second.headers.get("Idempotent-Replayed"), "true");
  EXPECT_FALSE(first.headers.has("Idempotent-Replayed"));
  EXPECT_EQ(calls_of("north"), 1U);
  clock_.advance(24h + 1s);
  vendors_["north"].answer("two");
  EXPECT_EQ(post(native_, past, {.headers = {{"Idempotency-Key", "k1"}}}).object().at("response"),
            "two");
}

TEST_F(PipelineFlowTest, RefusesAKeyThatWasUsedForAnotherRequest) {
  vendors_["north"].answer("one");
  (void)post(native_, kAsk, {.headers = {{"Idempotency-Key", "k1"}}});
  const auto other = post(native_, R"({"prompt":"another","model":"small"})",
                          {.headers = {{"Idempotency-Key", "k1"}}});
  EXPECT_EQ(other.status, 409);
  EXPECT_EQ(other.object().at("error"), "conflict");
}

TEST_F(PipelineFlowTest, LetsAKeyBeUsedAgainAfterAnError) {
  for (int i = 0; i < 2; ++i) vendors_["north"].fail(server_error());
  EXPECT_EQ(post(native_, kAsk, {.headers = {{"Idempotency-Key", "k1"}}}).status, 503);
  vendors_["north"].answer("one");
  EXPECT_EQ(post(native_, kAsk, {.headers = {{"Idempotency-Key", "k1"}}}).status, 200);
}

TEST_F(PipelineFlowTest, DoesNotTakeTheFastWayWithAKey) {
  vendors_["north"].answer("one");
  (void)infer(kAsk);
  (void)infer(kAsk);
  ASSERT_TRUE(infer(kAsk).fast);
  EXPECT_FALSE(post(native_, kAsk, {.headers = {{"Idempotency-Key", "k2"}}}).fast);
}

// ---- streams

TEST_F(PipelineFlowTest, EndsAStreamThatBrokeInAnErrorEventAndKeepsNothing) {
  config_.streaming.restart_partial = false;
  vendors_["north"].stream({{event(EventKind::kText, "one two three four ")}}, cut_stream());
  const auto reply = infer(kAskStreamed);
  EXPECT_EQ(reply.status, 200);
  EXPECT_FALSE(reply.broken) << "the body ends properly, so that the error event arrives";
  const auto frames = reply.events();
  ASSERT_EQ(frames.size(), 2U);
  EXPECT_EQ(frames[1].event, "error");
  EXPECT_THAT(frames[1].data, HasSubstr("stream_cut"));
  EXPECT_EQ(reply.body.find("[DONE]"), std::string::npos);
  EXPECT_EQ(cached_entries(), 0U);
  const InferenceEvent told = last_event();
  EXPECT_EQ(told.error_code, "stream_cut");
  EXPECT_TRUE(told.streamed);
  EXPECT_EQ(told.output_tokens, 5) << "what came was paid for";
  EXPECT_EQ(told.cost.nanos, told.input_tokens * 1'000 + 5 * 2'000);
}

TEST_F(PipelineFlowTest, ContinuesABrokenStreamAndCountsBothVendors) {
  vendors_["north"].stream(
      {{testing::usage_event(used(100, 5)), event(EventKind::kText, "one two three four ")}},
      cut_stream());
  vendors_["east"].stream({{event(EventKind::kText, "five")}, the_end(used(120, 1))});
  const auto reply =
      infer(R"({"prompt":"count","model":"small","allow_fallback":true,"stream":true})");
  EXPECT_THAT(reply.body, HasSubstr(R"({"type":"token","text":"five"})"));
  EXPECT_THAT(reply.body, HasSubstr("[DONE]"));
  EXPECT_THAT(reply.body, HasSubstr("mid-stream"));
  const InferenceEvent told = last_event();
  EXPECT_EQ(told.error_code, "");
  EXPECT_EQ(told.input_tokens, 220);
  EXPECT_EQ(told.output_tokens, 6);
  EXPECT_EQ(told.cost.nanos, (100 * 1'000 + 5 * 2'000) + 121 * 2'000);
}

TEST_F(PipelineFlowTest, HasAStatusForAStreamThatNeverBegan) {
  for (int i = 0; i < 2; ++i) vendors_["north"].fail(server_error());
  const auto reply = infer(kAskStreamed);
  EXPECT_EQ(reply.status, 503);
  EXPECT_FALSE(reply.streamed);
  EXPECT_EQ(last_event().error_code, "service_unavailable");
}

TEST_F(PipelineFlowTest, StopsAStreamWhoseClientLeftAndCountsWhatItGot) {
  vendors_["north"].stream({{event(EventKind::kText, "one two three four ")},
                            {event(EventKind::kText, "five six ")},
                            {event(EventKind::kText, "seven")},
                            the_end()});
  const auto reply = post(native_, kAskStreamed, {.reads = 1});
  ASSERT_TRUE(reply.broken);
  EXPECT_EQ(reply.broken->code, Errc::kCancelled);
  EXPECT_EQ(loops_.on([&] { return vendors_["north"].abandoned_streams(); }), 1);
  const InferenceEvent told = last_event();
  EXPECT_EQ(told.error_code, "cancelled");
  EXPECT_GT(told.cost.nanos, 0);
  EXPECT_EQ(events().size(), 1U);
  EXPECT_EQ(cached_entries(), 0U);
}

// ---- money: the same to the nano-dollar, streamed or not

struct Bill {
  const char* name;
  llm::Usage usage;
  std::int64_t nanos;
};
void PrintTo(const Bill& bill, std::ostream* out) { *out << bill.name; }
const Bill kBills[] = {
    {"plain", {.input = 1'000, .output = 500, .reported = true}, 1'000 * 1'000 + 500 * 2'000},
    {"cached",
     {.input = 1'000, .cached_input = 600, .output = 500, .reported = true},
     400 * 1'000 + 600 * 100 + 500 * 2'000},
    {"cache_writes",
     {.input = 1'000,
      .cache_write_input = 100,
      .cache_write_1h_input = 50,
      .output = 1,
      .reported = true},
     850 * 1'000 + 100 * 1'250 + 50 * 3'000 + 2'000},
    {"reasoning",
     {.input = 10, .output = 900, .reasoning_output = 800, .reported = true},
     10 * 1'000 + 900 * 2'000},
    {"audio",
     {.input = 100, .audio_input = 40, .output = 90, .audio_output = 30, .reported = true},
     60 * 1'000 + 40 * 50'000 + 60 * 2'000 + 30 * 70'000},
    {"everything",
     {.input = 1'000,
      .cached_input = 500,
      .cache_write_input = 100,
      .cache_write_1h_input = 50,
      .audio_input = 10,
      .output = 700,
      .reasoning_output = 300,
      .audio_output = 20,
      .reported = true},
     340 * 1'000 + 500 * 100 + 100 * 1'250 + 50 * 3'000 + 10 * 50'000 + 680 * 2'000 + 20 * 70'000},
    {"one_token", {.input = 1, .cached_input = 1, .output = 0, .reported = true}, 100},
};

class PipelineMoneyTest : public testing::PipelineTest,
                          public ::testing::WithParamInterface<Bill> {};

TEST_P(PipelineMoneyTest, IsTheSameStreamedAndUnstreamed) {
  llm::ChatResponse response = text_answer("An answer.", GetParam().usage);
  vendors_["north"].answer(response);
  vendors_["north"].answer(response);
  (void)infer(R"({"prompt":"q","model":"small"})");
  (void)infer(R"({"prompt":"other","model":"small","stream":true})");
  const auto all = events();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_FALSE(all[0].streamed);
  EXPECT_TRUE(all[1].streamed);
  const std::int64_t baseline = GetParam().usage.input * 10'000 + GetParam().usage.output * 30'000;
  for (const InferenceEvent& told : all) {
    EXPECT_EQ(told.cost.nanos, GetParam().nanos);
    EXPECT_EQ(told.baseline_cost.nanos, baseline);
    EXPECT_EQ(told.input_tokens, GetParam().usage.input);
    EXPECT_EQ(told.output_tokens, GetParam().usage.output);
    EXPECT_EQ(told.cached_input_tokens, GetParam().usage.cached_input);
    EXPECT_EQ(told.reasoning_tokens, GetParam().usage.reasoning_output);
  }
  // The stored answers say the same when they are given again.
  (void)infer(R"({"prompt":"other","model":"small"})");
  EXPECT_TRUE(last_event().cache_hit);
  EXPECT_EQ(last_event().baseline_cost.nanos, baseline);
  EXPECT_EQ(totals_.of("default").cost.nanos, 2 * GetParam().nanos);
}

INSTANTIATE_TEST_SUITE_P(Usages, PipelineMoneyTest, ::testing::ValuesIn(kBills),
                         [](const auto& info) { return info.param.name; });

TEST_F(PipelineFlowTest, EstimatesWhatAVendorDoesNotReportAlikeStreamedAndNot) {
  llm::ChatResponse response = text_answer("one two three four five six seven eight nine ten", {});
  vendors_["north"].answer(response);
  vendors_["north"].answer(response);
  (void)infer(R"({"prompt":"alpha beta","model":"small"})");
  (void)infer(R"({"prompt":"gamma delta","model":"small","stream":true})");
  const auto all = events();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].output_tokens, 13) << "⌊10 words × 1.3⌋";
  EXPECT_GT(all[0].input_tokens, 0);
  EXPECT_EQ(all[1].output_tokens, all[0].output_tokens);
  EXPECT_EQ(all[1].input_tokens, all[0].input_tokens);
  EXPECT_EQ(all[1].cost, all[0].cost);
}

// ---- counters

TEST_F(PipelineFlowTest, CountsEachRequestExactlyOnce) {
  vendors_["north"].answer(text_answer("one", used(1'000, 500)));
  (void)infer(kAsk);          // miss
  (void)infer(kAsk);          // hit
  (void)infer(kAsk);          // hit on the fast way
  (void)infer(kAskStreamed);  // hit, streamed
  (void)infer("{");           // refused
  for (int i = 0; i < 2; ++i) vendors_["north"].fail(server_error());
  (void)infer(R"({"prompt":"other","model":"small"})");  // no vendor answers
  (void)events();

  const auto requests = [&](const char* model, const char* task, const char* tier,
                            const char* status) {
    return telemetry_
        .counter("asahi_requests_total", "Model calls answered or failed",
                 {{"model", model}, {"task_type", task}, {"cache_tier", tier}, {"status", status}})
        .value();
  };
  EXPECT_EQ(requests("small", "faq", "0", "success"), 1);
  EXPECT_EQ(requests("small", "faq", "1", "success"), 3);
  EXPECT_EQ(requests("none", "general", "0", "error"), 1);
  EXPECT_EQ(requests("small", "general", "0", "error"), 1);
  const auto counter = [&](const char* name, const char* help, telemetry::Labels labels) {
    return telemetry_.counter(name, help, labels).value();
  };
  EXPECT_EQ(
      counter("asahi_cache_hits_total", "Requests answered from a cache tier", {{"tier", "1"}}), 3);
  EXPECT_EQ(counter("asahi_cache_misses_total", "Lookups that a cache tier could not answer",
                    {{"tier", "1"}}),
            1);
  EXPECT_DOUBLE_EQ(
      counter("asahi_cost_dollars_total", "Money paid to vendors", {{"model", "small"}}), 0.002);
  EXPECT_EQ(counter("asahi_tenant_requests_total", "Model calls per organisation",
                    {{"org_id", "default"}}),
            6);
  EXPECT_EQ(
      telemetry_
          .gauge("asahi_cache_hit_rate", "Share of lookups answered since start", {{"tier", "1"}})
          .value(),
      0.75);
  const OrgTotals sums = totals_.of("default");
  EXPECT_EQ(sums.requests, 6);
  EXPECT_EQ(sums.errors, 2);
  EXPECT_EQ(sums.lookups, 4);
  EXPECT_EQ(sums.hits(), 3);
  EXPECT_EQ(sums.cost.nanos, 2'000'000);
  EXPECT_EQ(sums.baseline_cost.nanos, 4 * 25'000'000);
  EXPECT_EQ(sums.cache_saved.nanos, 3 * 25'000'000);
  EXPECT_EQ(sums.requests_by_mode.at("explicit"), 4);
}

}  // namespace
}  // namespace asahi::gateway
