#include <fmt/format.h>

#include <chrono>
#include <thread>

#include "gateway/testing/pipeline.h"

namespace asahi::gateway {
namespace {

using testing::PipelineTest;
using testing::Reply;

constexpr const char* kHow = "How do I reset my password in the customer portal?";
constexpr const char* kSame = "How can I reset my password in the customer portal?";
constexpr const char* kOther = "How do I reset my username in the customer portal?";

class SemanticPipeline : public PipelineTest {
 protected:
  SemanticPipeline() {
    config_.cache.tier2.enabled = true;
    config_.cache.tier2.audit_share = 0;
    config_.cache.tier2.promotion_threshold = 1;
    for (int i = 0; i < 8; ++i) vendors_["north"].answer("Press the button below the form.");
  }

  static std::string native(std::string_view prompt, std::string_view more = "") {
    return fmt::format(R"({{"prompt":"{}","model":"small"{}}})", prompt, more);
  }
  static std::string chat(std::string_view prompt, std::string_view more = "") {
    return fmt::format(R"({{"model":"small","messages":[{{"role":"user","content":"{}"}}]{}}})",
                       prompt, more);
  }
  json::object answered(const Reply& reply) {
    EXPECT_EQ(reply.status, 200) << reply.body;
    return reply.object();
  }
  /// Entries are written behind the reply.
  bool kept(std::uint64_t entries, const std::string& org = "default") {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (semantic_->index.local->size(org) < entries ||
           semantic()->stats(org).entries < entries) {
      if (std::chrono::steady_clock::now() > give_up) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
  }
};

TEST_F(SemanticPipeline, AnswersAQuestionThatMeansTheSameAndExplainsIt) {
  const Reply first = infer(native(kHow));
  ASSERT_EQ(first.status, 200) << first.body;
  ASSERT_TRUE(kept(1));
  const json::object reply = infer(native(kSame)).object();
  EXPECT_EQ(reply.at("cache_tier"), 2) << json::serialize(reply);
  EXPECT_EQ(reply.at("response"), first.object().at("response"));
  EXPECT_EQ(reply.at("cost").to_number<double>(), 0);
  const json::object& cache = reply.at("cache").as_object();
  EXPECT_EQ(cache.at("cached_query"), kHow);
  EXPECT_EQ(cache.at("verdict"), "same");
  EXPECT_GE(cache.at("similarity").to_number<double>(), cache.at("threshold").to_number<double>());
  EXPECT_LE(cache.at("expected_error").to_number<double>(), 0.01);
  EXPECT_EQ(reply.at("optimization_techniques").as_array().at(0), "semantic_cache");
  EXPECT_EQ(calls_of("north"), 1U);
  const InferenceEvent event = last_event();
  EXPECT_EQ(event.cache_tier, 2);
  EXPECT_GT(event.cache_similarity, 0.7);
  EXPECT_GT(event.savings().nanos, 0);
}

TEST_F(SemanticPipeline, VendorShapesAndStreamsToo) {
  ASSERT_EQ(post(chat_, chat(kHow)).status, 200);
  ASSERT_TRUE(kept(1));
  const json::object reply = post(chat_, chat(kSame)).object();
  const json::object& asahi = reply.at("asahi").as_object();
  EXPECT_EQ(asahi.at("cache_tier"), 2);
  EXPECT_EQ(asahi.at("cache").as_object().at("cached_query"), kHow);
  const Reply streamed = post(chat_, chat(kSame, R"(,"stream":true)"));
  EXPECT_TRUE(streamed.streamed);
  EXPECT_NE(streamed.body.find("\"cache_tier\":2"), std::string::npos) << streamed.body;
  EXPECT_EQ(calls_of("north"), 1U);
}

TEST_F(SemanticPipeline, AnotherQuestionIsAMissThatSaysWhy) {
  (void)infer(native(kHow));
  ASSERT_TRUE(kept(1));
  const json::object reply = answered(infer(native(kOther)));
  EXPECT_EQ(reply.at("cache_tier"), 0);
  EXPECT_FALSE(reply.at("cache").as_object().at("reason").as_string().empty());
  EXPECT_EQ(calls_of("north"), 2U);
}

TEST_F(SemanticPipeline, OtherSurroundingsNeverShare) {
  (void)infer(native(kHow, R"(,"system_prompt":"Answer as a pirate.")"));
  ASSERT_TRUE(kept(1));
  EXPECT_EQ(infer(native(kSame)).object().at("cache_tier"), 0);
  EXPECT_EQ(infer(native(kSame, R"(,"max_tokens":5)")).object().at("cache_tier"), 0);
  EXPECT_EQ(post(chat_, chat(kSame)).object().at("asahi").as_object().at("cache_tier"), 0);
  EXPECT_EQ(calls_of("north"), 4U);
}

TEST_F(SemanticPipeline, AnotherOrganisationNeverSees) {
  (void)infer(native(kHow, R"(,"organization_id":"acme")"));
  ASSERT_TRUE(kept(1, "acme"));
  EXPECT_EQ(infer(native(kSame, R"(,"organization_id":"globex")")).object().at("cache_tier"), 0);
  EXPECT_EQ(infer(native(kSame, R"(,"organization_id":"acme")")).object().at("cache_tier"), 2);
}

TEST_F(SemanticPipeline, ARequestATaskAndAKeyMaySayNo) {
  config_.tasks["legal"].semantic_cache = false;
  (void)infer(native(kHow));
  ASSERT_TRUE(kept(1));
  EXPECT_EQ(answered(infer(native(kSame, R"(,"semantic_cache":false)"))).at("cache_tier"), 0);
  // The answer that was just made is an exact hit from now on: other words.
  constexpr const char* kAgain = "How could I reset my password in the customer portal?";
  EXPECT_EQ(answered(infer(native(kAgain, R"(,"task_type":"legal")"))).at("cache_tier"), 0);
  auto caller = std::make_shared<identity::Principal>();
  caller->permissions = {identity::Permission::kInfer};
  caller->semantic_cache = false;
  Ask ask;
  ask.caller = caller;
  EXPECT_EQ(post(native_, native("How might I reset my password in the customer portal?"), ask)
                .object()
                .at("cache_tier"),
            0);
  EXPECT_EQ(
      infer(native("How do I reset a password in the customer portal?")).object().at("cache_tier"),
      2);
}

TEST_F(SemanticPipeline, WhatIsNotAllTextIsNoQuestion) {
  const char* tools = R"(,"tools":[{"type":"function","function":{"name":"f","parameters":{}}}])";
  (void)post(chat_, chat(kHow, tools));
  (void)post(chat_, chat(kHow));
  ASSERT_TRUE(kept(1));
  EXPECT_EQ(semantic()->stats("default").questions, 0U) << "nothing was there to be asked";
  EXPECT_EQ(post(chat_, chat(kSame, tools)).object().at("asahi").as_object().at("cache_tier"), 0);
}

TEST_F(SemanticPipeline, AnswersThatAreNotWorthKeepingAreNot) {
  const auto ask_mid = [this](std::string_view prompt) {
    return infer(fmt::format(R"({{"prompt":"{}","model":"mid"}})", prompt));
  };
  llm::ChatResponse cut = testing::text_answer("It goes on and");
  cut.finish = llm::FinishReason::kLength;
  for (const llm::ChatResponse& answer :
       {cut, testing::text_answer("On 5432."), testing::text_answer("Press it.")})
    vendors_["east"].answer(answer);
  (void)ask_mid(kHow);
  (void)ask_mid("Which port does PostgreSQL listen on?");
  ASSERT_TRUE(kept(1));
  EXPECT_EQ(ask_mid(kSame).object().at("cache_tier"), 0);
}

TEST_F(SemanticPipeline, EntriesEndWithTheirTime) {
  (void)infer(native(kHow, R"(,"task_type":"coding")"));
  ASSERT_TRUE(kept(1));
  clock_.advance(std::chrono::hours(4) - std::chrono::seconds(1));
  EXPECT_EQ(infer(native(kSame, R"(,"task_type":"coding")")).object().at("cache_tier"), 2);
  clock_.advance(std::chrono::seconds(2));
  EXPECT_EQ(infer(native(kSame, R"(,"task_type":"coding")")).object().at("cache_tier"), 0);
}

TEST_F(SemanticPipeline, VerySimilarAnswersGoToTierOneWithTheirOrigin) {
  config_.cache.tier2.promotion_threshold = 0.8;
  (void)infer(native(kHow));
  ASSERT_TRUE(kept(1));
  const json::object similar = infer(native(kSame)).object();
  ASSERT_EQ(similar.at("cache_tier"), 2);
  const json::object exact = infer(native(kSame)).object();
  EXPECT_EQ(exact.at("cache_tier"), 1);
  EXPECT_EQ(exact.at("cache").as_object().at("entry_id"),
            similar.at("cache").as_object().at("entry_id"));
}

TEST_F(SemanticPipeline, AReportedAnswerServesNobodyAgain) {
  (void)infer(native(kHow));
  ASSERT_TRUE(kept(1));
  const json::object hit = infer(native(kSame)).object();
  ASSERT_EQ(hit.at("cache_tier"), 2);
  const std::string id(hit.at("cache").as_object().at("entry_id").as_string());
  const auto reported = loops_.wait_for([&] { return semantic()->report("default", id); });
  ASSERT_TRUE(reported);
  EXPECT_TRUE(*reported);
  EXPECT_EQ(infer(native(kSame)).object().at("cache_tier"), 0);
  const auto foreign = loops_.wait_for([&] { return semantic()->report("globex", id); });
  ASSERT_TRUE(foreign);
  EXPECT_FALSE(*foreign);
}

TEST_F(SemanticPipeline, AModelThatTheCallerMayNotUseDoesNotAnswerFromTheCache) {
  vendors_["east"].answer("Press the button.");
  const auto ask_any = [this](std::string_view prompt, const Ask& ask) {
    return answered(post(native_, fmt::format(R"({{"prompt":"{}"}})", prompt), ask));
  };
  EXPECT_EQ(ask_any(kHow, {}).at("model_used"), "small");
  ASSERT_TRUE(kept(1));
  auto caller = std::make_shared<identity::Principal>();
  caller->permissions = {identity::Permission::kInfer};
  caller->allowed_models = {"mid"};
  Ask ask;
  ask.caller = caller;
  const json::object reply = ask_any(kSame, ask);
  EXPECT_EQ(reply.at("cache_tier"), 0);
  EXPECT_EQ(reply.at("model_used"), "mid");
}

TEST_F(SemanticPipeline, ChecksAskTheModelAndCompare) {
  config_.cache.tier2.audit_share = 1;
  (void)infer(native(kHow));
  ASSERT_TRUE(kept(1));
  const json::object reply = infer(native(kSame)).object();
  EXPECT_EQ(reply.at("cache_tier"), 0);
  EXPECT_TRUE(reply.at("cache").as_object().at("checked").as_bool());
  EXPECT_EQ(calls_of("north"), 2U);
}

constexpr const char* kWeather = "How is the weather in Berlin in spring?";
constexpr const char* kWeatherToo = "how's the weather in Berlin in the spring";

class ContextualPipeline : public SemanticPipeline {
 protected:
  static std::string talk(std::string_view first, std::string_view answer, std::string_view last) {
    return fmt::format(
        R"({{"model":"small","messages":[{{"role":"user","content":"{}"}},)"
        R"({{"role":"assistant","content":"{}"}},{{"role":"user","content":"{}"}}]}})",
        first, answer, last);
  }
  json::object said(const std::string& body) {
    return answered(post(chat_, body)).at("asahi").as_object();
  }
};

TEST_F(ContextualPipeline, ConversationsThatSayTheSameShareAnswers) {
  config_.cache.tier2.contextual = true;
  EXPECT_EQ(said(talk(kWeather, "Mild.", "And in Paris?")).at("cache_tier"), 0);
  ASSERT_TRUE(kept(1));
  const json::object hit = said(talk(kWeatherToo, "Mild.", "And in Paris?"));
  ASSERT_EQ(hit.at("cache_tier"), 2) << json::serialize(hit);
  EXPECT_GE(hit.at("cache").as_object().at("threshold").to_number<double>(), 0.92);
  for (const std::string& other :
       {talk("How expensive are flats in Berlin in spring?", "Mild.", "And in Paris?"),
        talk(kWeather, "Cold.", "And in Paris?"), talk(kWeather, "Mild.", "And in Rome?"),
        chat("And in Paris?")})
    EXPECT_EQ(said(other).at("cache_tier"), 0) << other;
}

TEST_F(ContextualPipeline, WithoutItOnlyEqualConversationsDo) {
  EXPECT_EQ(said(talk(kWeather, "Mild.", kHow)).at("cache_tier"), 0);
  ASSERT_TRUE(kept(1));
  EXPECT_EQ(said(talk(kWeatherToo, "Mild.", kHow)).at("cache_tier"), 0);
  EXPECT_EQ(said(talk(kWeather, "Mild.", kSame)).at("cache_tier"), 2);
}

}  // namespace
}  // namespace asahi::gateway
