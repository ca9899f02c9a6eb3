// What clients of each shape get: answers, errors, streams.
#include "gateway/http/replies.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/testing/pipeline.h"

namespace asahi::gateway {
namespace {

using testing::cut_stream;
using ::testing::ElementsAre;
using testing::event;
using testing::EventKind;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using testing::rate_limit;
using testing::Reply;
using testing::server_error;
using testing::text_answer;
using testing::used;

json::object parsed(std::string_view text) {
  auto value = parse_json(text);
  EXPECT_TRUE(value && value->is_object()) << text;
  return value && value->is_object() ? value->get_object() : json::object();
}

Outcome sample() {
  auto answer = std::make_shared<Answer>();
  answer->model = "gpt-4o";
  answer->provider = "openai";
  answer->query = "What?";
  answer->quality = 4.6;
  answer->response = text_answer("Hello.", used(1'000, 10));
  Outcome outcome;
  outcome.answer = std::move(answer);
  outcome.routing_reason = "because \"it\" fits";
  outcome.task_type = "faq";
  outcome.cost = {21'400};
  outcome.baseline = {1'040'600};
  outcome.consumed = used(1'000, 10);
  outcome.lookup_ms = 0.0123456;
  outcome.total_ms = 12.5;
  return outcome;
}

// ---- the asahi object

TEST(AsahiObject, TellsCostSavingsCacheAndRoute) {
  const std::string text = asahi_object(sample(), "req_1");
  EXPECT_EQ(
      text,
      R"({"request_id":"req_1","cost":0.000021,"cost_original":0.001041,"savings_usd":0.001019,)"
      R"("savings_pct":97.9,"cache_hit":false,"cache_tier":0,"routing_mode":"autopilot",)"
      R"("routing_reason":"because \"it\" fits","model":"gpt-4o","provider":"openai",)"
      R"("fallback_used":false})");
}

TEST(AsahiObject, ShowsALossAsALoss) {
  Outcome outcome = sample();
  outcome.cost = {2'081'200};
  const json::object object = parsed(asahi_object(outcome, "req_1"));
  EXPECT_DOUBLE_EQ(object.at("savings_usd").as_double(), -0.001041);
  EXPECT_DOUBLE_EQ(object.at("savings_pct").as_double(), -100);
}

TEST(AsahiObject, HasWarningsOnlyWhenThereAreSome) {
  Outcome outcome = sample();
  EXPECT_FALSE(parsed(asahi_object(outcome, "r")).contains("warnings"));
  outcome.warnings = {"fallback: \"x\"", "second"};
  EXPECT_EQ(parsed(asahi_object(outcome, "r")).at("warnings"),
            (json::array{"fallback: \"x\"", "second"}));
}

TEST(NativeBody, HasEveryFieldOfItsSpecificationAlways) {
  const json::object body =
      parsed(native_body(sample(), "req_1", "resp_1", "2026-01-01T00:00:00.000Z", "\"Hello.\""));
  std::vector<std::string> names;
  for (const auto& member : body) names.emplace_back(member.key());
  EXPECT_THAT(names,
              ElementsAre("request_id", "response_id", "timestamp", "response", "finish_reason",
                          "model_used", "provider", "routing_mode", "routing_reason",
                          "task_type_detected", "fallback_used", "tokens_input", "tokens_output",
                          "tokens_total", "cost", "cost_original", "cost_savings_vs_baseline",
                          "cost_savings_percent", "latency_ms", "latency_breakdown", "cache_hit",
                          "cache_tier", "cache", "optimization_techniques", "predicted_quality",
                          "quality_score", "alternatives", "warnings"));
  const json::object& times = body.at("latency_breakdown").as_object();
  for (const char* part :
       {"cache_lookup_ms", "routing_ms", "inference_ms", "post_processing_ms", "total_ms"}) {
    EXPECT_TRUE(times.contains(part)) << part;
  }
  EXPECT_EQ(times.at("cache_lookup_ms"), 0.012) << "three digits";
}

TEST(NativeBody, NamesTheModelCachedOnlyWhenItsOriginIsUnknown) {
  Outcome outcome = sample();
  auto answer = std::make_shared<Answer>(*outcome.answer);
  answer->model.clear();
  outcome.answer = answer;
  EXPECT_EQ(parsed(native_body(outcome, "r", "s", "t", "null")).at("model_used"), "cached");
}

TEST(NativeBody, ListsAlternativesOfAnExplicitCall) {
  const auto registry = testing_models::four_vendors();
  Outcome outcome = sample();
  outcome.mode = RoutingMode::kExplicit;
  outcome.alternatives = {{registry->get("small"), {1'234'567}, 88.88},
                          {registry->get("big"), {9'000'000}, -12.3}};
  const json::object body = parsed(native_body(outcome, "r", "s", "t", "null"));
  EXPECT_THAT(json::serialize(body.at("optimization_techniques")), "[]");
  const json::array& list = body.at("alternatives").as_array();
  ASSERT_EQ(list.size(), 2U);
  EXPECT_EQ(list[0].at("model"), "small");
  EXPECT_DOUBLE_EQ(list[0].at("estimated_cost").as_double(), 0.001235);
  EXPECT_DOUBLE_EQ(list[0].at("savings_percent").as_double(), 88.9);
  EXPECT_DOUBLE_EQ(list[1].at("savings_percent").as_double(), -12.3);
}

TEST(ResponseId, IsOfTheKindItsClientsKnow) {
  EXPECT_THAT(response_id(llm::Shape::kOpenAiChat), MatchesRegex("chatcmpl-[0-9a-f]+"));
  EXPECT_EQ(response_id(llm::Shape::kOpenAiChat).size(), std::string("chatcmpl-").size() + 24);
  EXPECT_THAT(response_id(llm::Shape::kOpenAiCompletions), MatchesRegex("cmpl-[0-9a-f]+"));
  EXPECT_THAT(response_id(llm::Shape::kOpenAiResponses), MatchesRegex("resp_[0-9a-f]+"));
  EXPECT_THAT(response_id(llm::Shape::kAnthropic), MatchesRegex("msg_[0-9a-f]+"));
  EXPECT_EQ(response_id(llm::Shape::kNative).size(), std::string("resp_").size() + 12);
}

// ---- answers as streams

TEST(AsEvents, AmountToTheAnswerTheyCameFrom) {
  llm::ChatResponse response;
  response.id = "id";
  response.model = "m";
  response.parts = {
      llm::ReasoningPart{.text = "first  I think\n\n then ", .signature = "c2ln", .encrypted = {}},
      llm::ReasoningPart{.text = "", .signature = {}, .encrypted = "ZW5j"},
      llm::TextPart{.text = "  Leading, two  blanks\n\nand é 🌅 end ", .cache_control = {}},
      llm::ToolCallPart{.id = "call_1", .name = "weather", .arguments = R"({"city": "Rome"})"},
      llm::ToolCallPart{.id = "call_2", .name = "time", .arguments = "{}"},
      llm::TextPart{.text = "after", .cache_control = {}},
      llm::RefusalPart{.text = "but not that"},
  };
  response.finish = llm::FinishReason::kToolCalls;
  response.stop_sequence = "END";
  response.usage = {
      .input = 7, .cached_input = 2, .output = 9, .reasoning_output = 4, .reported = true};
  llm::StreamCollector collector;
  for (const llm::StreamEvent& one : as_events(response)) collector.add(one);
  EXPECT_TRUE(collector.complete());
  EXPECT_EQ(json::serialize(parts_to_json(collector.response().parts)),
            json::serialize(parts_to_json(response.parts)));
  EXPECT_EQ(collector.response().finish, response.finish);
  EXPECT_EQ(collector.response().stop_sequence, "END");
  EXPECT_EQ(collector.response().usage, response.usage);
}

TEST(AsEvents, GiveTextWordByWord) {
  std::vector<std::string> words;
  for (const llm::StreamEvent& one : as_events(text_answer("A small  shelf.\nYes", {}))) {
    if (one.kind == EventKind::kText) words.push_back(one.text);
  }
  EXPECT_THAT(words, ElementsAre("A ", "small  ", "shelf.\n", "Yes"));
}

// ---- templates of repeated replies

TEST(ReplyTemplate, CutsWhereHitsDiffer) {
  const auto codec = llm::make_openai_chat_client();
  auto request = codec->decode(
      *JsonDocument::parse(R"({"model":"m","messages":[{"role":"user","content":"q"}]})"));
  ASSERT_TRUE(request);
  Answer answer;
  answer.model = "gpt-4o";
  answer.response = text_answer("The id is in the text: chatcmpl-1 {\"x\":0}", used(1, 2));
  const ReplyTemplate reply = make_template(*codec, *request, answer, 1'700'000'000);
  const json::object body =
      parsed(reply.head + "chatcmpl-new" + reply.middle + R"({"cost":1})" + reply.tail);
  EXPECT_EQ(body.at("id"), "chatcmpl-new");
  EXPECT_EQ(body.at("asahi"), (json::object{{"cost", 1}}));
  EXPECT_EQ(body.at("choices").at(0).at("message").at("content"),
            "The id is in the text: chatcmpl-1 {\"x\":0}");
}

// ---- each shape, from request to reply

struct ShapeCase {
  const char* name;
  const char* ask;  ///< of the model "small"
  const char* ask_stream;
  const char* id;  ///< pattern
};
void PrintTo(const ShapeCase& shape, std::ostream* out) { *out << shape.name; }
const ShapeCase kShapes[] = {
    {"native", R"({"prompt":"q","model":"small"})",
     R"({"prompt":"q","model":"small","stream":true})", "resp_.*"},
    {"chat", R"({"model":"small","messages":[{"role":"user","content":"q"}]})",
     R"({"model":"small","messages":[{"role":"user","content":"q"}],"stream":true,"stream_options":{"include_usage":true}})",
     "chatcmpl-.*"},
    {"completions", R"({"model":"small","prompt":"q"})",
     R"({"model":"small","prompt":"q","stream":true})", "cmpl-.*"},
    {"responses", R"({"model":"small","input":"q"})",
     R"({"model":"small","input":"q","stream":true})", "resp_.*"},
    {"messages", R"({"model":"small","max_tokens":100,"messages":[{"role":"user","content":"q"}]})",
     R"({"model":"small","max_tokens":100,"messages":[{"role":"user","content":"q"}],"stream":true})",
     "msg_.*"},
};

class ShapeTest : public testing::PipelineTest, public ::testing::WithParamInterface<ShapeCase> {
 protected:
  bool is(std::string_view name) const { return name == GetParam().name; }
  const Pipeline::Endpoint& endpoint() const {
    return is("native")        ? native_
           : is("chat")        ? chat_
           : is("completions") ? completions_
           : is("responses")   ? responses_
                               : messages_;
  }
  /// The answer's text in the shape's own place.
  std::string text_of(const json::object& body) const {
    if (is("native")) return json::value_to<std::string>(body.at("response"));
    if (is("chat"))
      return json::value_to<std::string>(body.at("choices").at(0).at("message").at("content"));
    if (is("completions")) return json::value_to<std::string>(body.at("choices").at(0).at("text"));
    if (is("responses"))
      return json::value_to<std::string>(body.at("output").at(0).at("content").at(0).at("text"));
    return json::value_to<std::string>(body.at("content").at(0).at("text"));
  }
  /// The text that a stream's frames add up to.
  std::string streamed_text(const Reply& reply) const {
    std::string all;
    for (const sse::Event& frame : reply.events()) {
      if (frame.data == "[DONE]") continue;
      const json::object data = parsed(frame.data);
      const json::value* found = nullptr;
      if (is("native") && data.at("type") == "token") found = &data.at("text");
      if (is("chat") && !data.at("choices").as_array().empty()) {
        found = data.at("choices").at(0).at("delta").as_object().if_contains("content");
      }
      if (is("completions") && !data.at("choices").as_array().empty())
        found = &data.at("choices").at(0).at("text");
      if (is("responses") && data.at("type") == "response.output_text.delta")
        found = &data.at("delta");
      if (is("messages") && data.at("type") == "content_block_delta")
        found = &data.at("delta").at("text");
      if (found != nullptr && found->is_string()) all += found->get_string();
    }
    return all;
  }
  json::object extras_of(const json::object& body) const {
    return is("native") ? body : body.at("asahi").as_object();
  }
  /// The one `asahi` object of a stream (native: its closing event).
  json::object streamed_extras(const Reply& reply) const {
    std::vector<json::object> found;
    for (const sse::Event& frame : reply.events()) {
      if (frame.data == "[DONE]") continue;
      const json::object data = parsed(frame.data);
      if (is("native") && data.at("type") == "done") found.push_back(data);
      if (const json::value* extras = data.if_contains("asahi"))
        found.push_back(extras->as_object());
      if (const json::value* response = data.if_contains("response");
          response != nullptr && response->is_object()) {
        if (const json::value* extras = response->get_object().if_contains("asahi")) {
          found.push_back(extras->as_object());
        }
      }
    }
    EXPECT_EQ(found.size(), 1U) << reply.body;
    return found.empty() ? json::object() : found.front();
  }
  json::object error_of(const Reply& reply) const { return reply.object(); }
};

TEST_P(ShapeTest, AnswersInItsOwnShape) {
  vendors_["north"].answer(text_answer("A shelf.", used(1'000, 500)));
  const Reply reply = post(endpoint(), GetParam().ask);
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_THAT(std::string(reply.headers.get("Content-Type")), HasSubstr("application/json"));
  const json::object body = reply.object();
  EXPECT_EQ(text_of(body), "A shelf.");
  const char* id = is("native") ? "response_id" : "id";
  EXPECT_THAT(json::value_to<std::string>(body.at(id)), MatchesRegex(GetParam().id));
  const json::object extras = extras_of(body);
  EXPECT_EQ(extras.at("request_id"), "req_000000000001");
  EXPECT_DOUBLE_EQ(extras.at("cost").as_double(), 0.002);
  EXPECT_EQ(extras.at("cache_hit"), false);
  EXPECT_EQ(extras.at("routing_mode"), "explicit");
  EXPECT_EQ(extras.at("provider"), "north");
  if (!is("native")) {
    EXPECT_EQ(body.at("model"), "small") << "the registry's name, not the vendor's";
    EXPECT_EQ(
        body.at("usage").at(is("responses") || is("messages") ? "input_tokens" : "prompt_tokens"),
        1'000);
  }
}

TEST_P(ShapeTest, GivesTheSameAnswerOnEveryHit) {
  vendors_["north"].answer(text_answer("A shelf.", used(1'000, 500)));
  const json::object miss = post(endpoint(), GetParam().ask).object();
  const Reply looked_up = post(endpoint(), GetParam().ask);
  const Reply repeated = post(endpoint(), GetParam().ask);
  EXPECT_FALSE(looked_up.fast);
  EXPECT_TRUE(repeated.fast);
  for (const Reply* hit : {&looked_up, &repeated}) {
    ASSERT_EQ(hit->status, 200);
    const json::object body = hit->object();
    EXPECT_EQ(text_of(body), "A shelf.");
    EXPECT_EQ(extras_of(body).at("cache_hit"), true);
    EXPECT_EQ(extras_of(body).at("cache_tier"), 1);
    EXPECT_EQ(extras_of(body).at("cost"), 0.0);
    const char* id = is("native") ? "response_id" : "id";
    EXPECT_NE(body.at(id), miss.at(id)) << "every reply has an id of its own";
    if (!is("native")) EXPECT_EQ(body.at("usage"), miss.at("usage"));
  }
  EXPECT_EQ(calls_of("north"), 1U);
}

TEST_P(ShapeTest, StreamsMissesAndHitsToTheSameText) {
  vendors_["north"].stream({{event(EventKind::kStart)},
                            {event(EventKind::kText, "A small ")},
                            {event(EventKind::kText, "shelf.")},
                            testing::the_end(used(1'000, 500))});
  const Reply miss = post(endpoint(), GetParam().ask_stream);
  const Reply hit = post(endpoint(), GetParam().ask_stream);
  EXPECT_EQ(calls_of("north"), 1U);
  for (const Reply* reply : {&miss, &hit}) {
    ASSERT_EQ(reply->status, 200) << reply->body;
    ASSERT_TRUE(reply->streamed);
    EXPECT_EQ(reply->headers.get("Content-Type"), "text/event-stream; charset=utf-8");
    EXPECT_EQ(reply->headers.get("Cache-Control"), "no-cache");
    EXPECT_EQ(reply->headers.get("X-Accel-Buffering"), "no");
    EXPECT_EQ(streamed_text(*reply), "A small shelf.");
    const auto frames = reply->events();
    ASSERT_FALSE(frames.empty());
    if (is("native") || is("chat") || is("completions")) {
      EXPECT_EQ(frames.back().data, "[DONE]");
    } else {
      EXPECT_EQ(frames.back().event, is("messages") ? "message_stop" : "response.completed");
    }
  }
  EXPECT_EQ(streamed_extras(miss).at("cache_hit"), false);
  EXPECT_DOUBLE_EQ(streamed_extras(miss).at("cost").as_double(), 0.002);
  EXPECT_EQ(streamed_extras(hit).at("cache_hit"), true);
  EXPECT_EQ(streamed_extras(hit).at("cost"), 0.0);
}

TEST_P(ShapeTest, WritesErrorsAsItsClientsRaiseThem) {
  for (int i = 0; i < 2; ++i) vendors_["north"].fail(rate_limit(std::chrono::minutes(10)));
  const Reply limited = post(endpoint(), GetParam().ask);
  EXPECT_EQ(limited.status, 429);
  EXPECT_EQ(limited.headers.get("Retry-After"), "600");
  const json::object error = error_of(limited);
  if (is("native")) {
    EXPECT_EQ(error.at("error"), "rate_limited");
    EXPECT_TRUE(error.contains("message") && error.contains("details") &&
                error.contains("timestamp"));
    EXPECT_EQ(error.at("request_id"), "req_000000000001");
  } else if (is("messages")) {
    EXPECT_EQ(error.at("type"), "error");
    EXPECT_EQ(error.at("error").at("type"), "rate_limit_error");
    EXPECT_TRUE(error.at("error").as_object().contains("message"));
  } else {
    for (const char* member : {"message", "type", "param", "code"}) {
      EXPECT_TRUE(error.at("error").as_object().contains(member)) << member;
    }
  }
}

TEST_P(ShapeTest, KnowsNoModelInItsOwnWay) {
  std::string ask = GetParam().ask;
  ask.replace(ask.find("small"), 5, "gone!");
  const Reply reply = post(endpoint(), ask);
  EXPECT_EQ(reply.status, is("native") ? 400 : 404) << "R19: SDKs expect 404";
  EXPECT_THAT(reply.body, HasSubstr(is("messages") ? "not_found_error" : "model_not_found"));
  EXPECT_THAT(reply.body, HasSubstr("gone!"));
}

TEST_P(ShapeTest, NamesTheFieldThatIsWrong) {
  std::string ask = GetParam().ask;
  ask.insert(1, R"("temperature":"hot",)");
  const Reply reply = post(endpoint(), ask);
  EXPECT_EQ(reply.status, 400);
  EXPECT_THAT(reply.body, HasSubstr("temperature"));
  EXPECT_EQ(vendors_.calls(), 0U);
}

TEST_P(ShapeTest, EndsABrokenStreamInAnErrorFrame) {
  config_.streaming.restart_partial = false;
  vendors_["north"].stream({{event(EventKind::kStart)}, {event(EventKind::kText, "A small ")}},
                           cut_stream());
  const Reply reply = post(endpoint(), GetParam().ask_stream);
  EXPECT_FALSE(reply.broken);
  const auto frames = reply.events();
  ASSERT_GE(frames.size(), 2U);
  EXPECT_EQ(streamed_text({.body = reply.body.substr(
                               0, reply.body.rfind("\n\n", reply.body.size() - 3) + 2)}),
            "A small ");
  EXPECT_THAT(frames.back().data, HasSubstr("error"));
  EXPECT_EQ(reply.body.find("[DONE]"), std::string::npos)
      << "an unfinished answer must not look finished";
  EXPECT_EQ(reply.body.find("message_stop"), std::string::npos);
  EXPECT_EQ(reply.body.find("response.completed"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Shapes, ShapeTest, ::testing::ValuesIn(kShapes),
                         [](const auto& info) { return info.param.name; });

class StreamedHitTest : public testing::PipelineTest {};

TEST_F(StreamedHitTest, IsAMissForAnAnswerWithPartsThatCannotBeStreamedAgain) {
  llm::ChatResponse response = text_answer("Found it.", used(10, 5));
  response.parts.emplace_back(llm::OpaquePart{
      .shape = llm::Shape::kAnthropic, .value = json::object{{"type", "web_search_result"}}});
  vendors_["north"].answer(response);
  (void)post(messages_, kShapes[4].ask);
  vendors_["north"].answer("asked again");
  const Reply streamed = post(messages_, kShapes[4].ask_stream);
  EXPECT_THAT(streamed.body, HasSubstr("asked again"))
      << "better a call than an answer with a hole";
}

}  // namespace
}  // namespace asahi::gateway
