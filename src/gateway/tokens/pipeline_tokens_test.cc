// Trimming as stage 9 of the pipeline: what the vendor gets, what the client is told, what is
// counted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/testing/pipeline.h"
#include "llm/vendor.h"

namespace asahi::gateway {
namespace {

using testing::event;
using testing::EventKind;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::text_answer;
using testing::the_end;
using testing::used;

const std::string kSystem =
    "Hello and welcome to the team! It is very important to note that you should always make sure "
    "to "
    "answer in a polite manner. Thank you so much for all of your help. In order to find an order, "
    "you "
    "need to ask for the number, which starts with BW followed by 8 digits. Please note that you "
    "must "
    "never share it. You should always answer in a polite manner. We are very proud of our "
    "wonderful "
    "team and our great products. In the event that somebody asks for a refund after 30 days, "
    "please "
    "make sure to say that it is not possible due to the fact that our policy does not allow it. "
    "We truly believe in people.";

std::string body_of(const char* more = "") {
  json::object body;
  body["prompt"] = "Where is my order, in order to be precise?";
  body["system_prompt"] = kSystem;
  body["model"] = "small";
  std::string text = write_json(body);
  text.pop_back();
  return text + more + "}";
}

std::string chat_body(const char* more = "") {
  json::object body;
  body["model"] = "small";
  body["messages"] = {json::object{{"role", "system"}, {"content", kSystem}},
                      json::object{{"role", "user"}, {"content", "Where is my order?"}}};
  std::string text = write_json(body);
  text.pop_back();
  return text + more + "}";
}

class PipelineTokens : public testing::PipelineTest {
 protected:
  const llm::ChatRequest& sent(std::size_t call = 0) {
    return vendors_["north"].calls().at(call).request;
  }
};

TEST_F(PipelineTokens, TheVendorGetsTheShortPromptAndTheClientIsTold) {
  vendors_["north"].answer(text_answer("Here.", used(100, 50)));
  const auto reply = infer(body_of());
  ASSERT_EQ(reply.status, 200) << reply.body;
  const std::string system = sent().messages[0].text();
  EXPECT_LT(system.size(), kSystem.size() * 2 / 3);
  EXPECT_THAT(system, HasSubstr("never share"));
  EXPECT_EQ(sent().messages[1].text(), "Where is my order, in order to be precise?");
  const json::object body = reply.object();
  EXPECT_THAT(reply.body, HasSubstr("\"token_optimization\""));
  const json::object& told = body.at("token_optimization").as_object();
  const std::int64_t saved = told.at("saved_tokens").as_int64();
  EXPECT_EQ(saved, told.at("original_tokens").as_int64() - told.at("optimized_tokens").as_int64());
  EXPECT_EQ(told.at("optimized_tokens").as_int64(), llm::estimate_tokens(sent()));
  EXPECT_GE(told.at("saved_percent").as_double(), 30);
  EXPECT_EQ(told.at("quality_risk"), "medium");
  EXPECT_FALSE(told.at("strategies").as_array().empty());
  bool technique = false;
  for (const json::value& name : body.at("optimization_techniques").as_array())
    technique |= name == "token_optimization";
  EXPECT_TRUE(technique);

  const InferenceEvent event = last_event();
  EXPECT_EQ(event.tokens_saved, saved);
  EXPECT_EQ(event.trim_savings.nanos, saved * 1'000);  // small: 0.001 per 1,000
  // The baseline would have been asked with the whole prompt.
  EXPECT_EQ(event.baseline_cost.nanos, (100 + saved) * 10'000 + 50 * 30'000);
}

TEST_F(PipelineTokens, ARequestMaySayNo) {
  vendors_["north"].answer(text_answer("Here.", used(100, 50)));
  const auto reply = infer(body_of(",\"optimize_tokens\":false"));
  EXPECT_EQ(sent().messages[0].text(), kSystem);
  EXPECT_THAT(reply.body, Not(HasSubstr("token_optimization")));
  EXPECT_EQ(last_event().tokens_saved, 0);
}

TEST_F(PipelineTokens, SoMayTheSettings) {
  config_.optimization.enabled = false;
  vendors_["north"].answer(text_answer("Here.", used(100, 50)));
  (void)infer(body_of());
  EXPECT_EQ(sent().messages[0].text(), kSystem);
}

TEST_F(PipelineTokens, TheCacheKnowsTheRequestAsItCame) {
  vendors_["north"].answer(text_answer("Here.", used(100, 50)));
  (void)infer(body_of());
  const auto again = post(native_, body_of(), {.may_repeat = false});
  EXPECT_EQ(again.object().at("cache_hit"), true);
  EXPECT_THAT(again.body, Not(HasSubstr("token_optimization")));
  // The same with trimming switched off is the same request.
  EXPECT_EQ(infer(body_of(",\"optimize_tokens\":false")).object().at("cache_hit"), true);
  EXPECT_EQ(calls_of("north"), 1U);
}

TEST_F(PipelineTokens, VendorShapesAndStreamsToo) {
  vendors_["north"].answer(text_answer("Here.", used(100, 50)));
  const auto reply = post(chat_, chat_body());
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_LT(sent().messages[0].text().size(), kSystem.size());
  EXPECT_TRUE(sent().messages_changed);
  EXPECT_TRUE(reply.object().at("asahi").as_object().contains("token_optimization")) << reply.body;

  vendors_["north"].stream({{event(EventKind::kText, "Here.")}, the_end(used(100, 50))});
  const auto streamed = post(chat_, chat_body(",\"stream\":true,\"bypass_cache\":true"));
  EXPECT_LT(sent(1).messages[0].text().size(), kSystem.size());
  EXPECT_THAT(streamed.body, HasSubstr("\"token_optimization\""));
}

TEST_F(PipelineTokens, SavingsOfTrimmingAreASeriesOfTheirOwn) {
  vendors_["north"].answer(text_answer("Here.", used(100, 50)));
  (void)infer(body_of());
  (void)events();
  const std::string metrics = telemetry_.expose();
  const std::string series = "asahi_savings_dollars_total{phase=\"tokens\"} ";
  ASSERT_THAT(metrics, HasSubstr(series));
  EXPECT_GT(std::strtod(metrics.c_str() + metrics.find(series) + series.size(), nullptr), 0);
  EXPECT_THAT(metrics, HasSubstr("asahi_token_estimate_ratio{model=\"small\"}"));
}

TEST_F(PipelineTokens, DriftIsWhatVendorsBillOverWhatWasCounted) {
  const InferenceEvent honest = [&] {
    vendors_["north"].answer(text_answer("Here.", used(13, 5)));
    (void)infer(R"({"prompt":"one two three four five six seven eight nine ten","model":"small"})");
    return last_event();
  }();
  EXPECT_EQ(honest.counted_input_tokens, 13);
  EXPECT_EQ(honest.answer_input_tokens, 13);
  // A cached answer says nothing about counting.
  (void)post(native_,
             R"({"prompt":"one two three four five six seven eight nine ten","model":"small"})",
             {.may_repeat = false});
  EXPECT_EQ(last_event().counted_input_tokens, 0);
}

TEST_F(PipelineTokens, TheDriftIsToldByModelAndMovesSlowly) {
  InferenceEvent event;
  event.model_selected = "drifting";
  event.counted_input_tokens = 100;
  event.answer_input_tokens = 150;
  const auto ratio = [&] {
    const std::string metrics = telemetry_.expose();
    const std::string series = "asahi_token_estimate_ratio{model=\"drifting\"} ";
    const std::size_t at = metrics.find(series);
    return at == std::string::npos ? 0 : std::strtod(metrics.c_str() + at + series.size(), nullptr);
  };
  metrics_.observe(event);
  EXPECT_NEAR(ratio(), 1.01, 1e-9);
  for (int i = 0; i < 500; ++i) metrics_.observe(event);
  EXPECT_NEAR(ratio(), 1.5, 1e-3);
  // What was not counted says nothing.
  event.counted_input_tokens = 0;
  event.answer_input_tokens = 5'000;
  metrics_.observe(event);
  EXPECT_NEAR(ratio(), 1.5, 1e-3);
}

TEST_F(PipelineTokens, ExamplesOfTheRequestAreAPoolToChooseFrom) {
  json::object body;
  body["prompt"] = "The machine makes a noise that nobody likes";
  body["system_prompt"] =
      "You sort reviews of kitchen machines. Answer with one word, and with no more.";
  body["model"] = "small";
  json::array examples;
  for (int i = 0; i < 14; ++i) {
    examples.push_back(json::object{
        {"input",
         "Machine " + std::to_string(i) + " came on a rainy day and did what such machines do"},
        {"output", i % 2 == 0 ? "good" : "bad"}});
  }
  body["examples"] = examples;
  vendors_["north"].answer(text_answer("bad", used(100, 1)));
  const auto reply = infer(write_json(body));
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_LT(sent().messages.size(), 30U);
  EXPECT_EQ(sent().messages.size() % 2, 0U);
  EXPECT_THAT(reply.body, HasSubstr("few_shot"));
}

}  // namespace
}  // namespace asahi::gateway
