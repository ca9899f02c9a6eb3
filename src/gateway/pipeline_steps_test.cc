// Tier 3: composed requests from the results of their steps.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/testing/pipeline.h"

namespace asahi::gateway {
namespace {

using ::testing::HasSubstr;
using testing::server_error;
using testing::text_answer;
using testing::used;

constexpr const char* kRustGo = R"({"prompt":"Compare Rust and Go","model":"small"})";

class PipelineStepsTest : public testing::PipelineTest {
 protected:
  PipelineStepsTest() {
    tier3_ = true;
    config_.cache.tier3.execute_steps = true;
    config_.cache.tier1.enabled = true;
  }
  void say(std::string text) {
    vendors_["north"].answer(text_answer(std::move(text), used(100, 50)));
  }
  std::string asked(std::size_t call) {
    return vendors_["north"].calls()[call].request.messages.back().text();
  }
  /// Fills the steps of "Compare Rust and Go".
  void compare_rust_and_go() {
    say("Rust is safe.");
    say("Go is simple.");
    say("They differ.");
    EXPECT_EQ(infer(kRustGo).status, 200);
  }
  /// Returns once what is written behind replies stands in the store.
  void settle(std::size_t entries) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (cached_entries() < entries && std::chrono::steady_clock::now() < give_up)
      std::this_thread::yield();
    EXPECT_EQ(cached_entries(), entries);
  }
};

TEST_F(PipelineStepsTest, RunsTheStepsAndFeedsTheSummariesIntoTheLast) {
  say("Rust is safe.");
  say("Go is simple.");
  say("They differ.");
  const auto reply = infer(kRustGo);
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(reply.object().at("response"), "They differ.");
  EXPECT_EQ(calls_of("north"), 3U);
  EXPECT_THAT(asked(0), HasSubstr("Rust"));
  EXPECT_THAT(asked(2), HasSubstr("Rust: Rust is safe."));
  EXPECT_THAT(asked(2), HasSubstr("Go: Go is simple."));
  // Three calls of 100 and 50 tokens at 0.001 and 0.002.
  EXPECT_THAT(reply.body, HasSubstr(R"("cost":0.000600)"));
  EXPECT_EQ(reply.object().at("tokens_input"), 300);
  EXPECT_EQ(reply.object().at("cache_hit"), false);
  EXPECT_THAT(reply.body,
              HasSubstr(R"({"step_id":"step_1","step_type":"summarize","cached":false})"));
  EXPECT_EQ(last_event().cost.nanos, 600'000);
}

TEST_F(PipelineStepsTest, PaysOnlyForWhatIsMissing) {
  compare_rust_and_go();
  settle(4);
  say("Zig is small.");
  say("They differ, too.");
  const auto reply = infer(R"({"prompt":"Compare Rust and Zig","model":"small"})");
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(calls_of("north"), 5U) << "the summary of Rust is known";
  EXPECT_THAT(asked(4), HasSubstr("Rust: Rust is safe."));
  EXPECT_THAT(reply.body, HasSubstr(R"("cost":0.000400)"));
  EXPECT_THAT(reply.body, HasSubstr(R"("optimization_techniques":["cache_tier_3"])"));
  EXPECT_THAT(reply.body,
              HasSubstr(R"({"step_id":"step_1","step_type":"summarize","cached":true})"));
}

TEST_F(PipelineStepsTest, AnswersFromTheCacheWhenEveryStepIsKnown) {
  say("An animal.");
  say("A mathematician.");
  (void)infer(R"({"prompt":"What is a fox? Who was Ada Lovelace?","model":"small"})");
  settle(3);
  // The same parts in another order are another request, of the same steps.
  const auto reply = infer(R"({"prompt":"Who was Ada Lovelace? What is a fox?","model":"small"})");
  const json::object body = reply.object();
  EXPECT_EQ(body.at("response"), "A mathematician.\n\nAn animal.");
  EXPECT_EQ(body.at("cache_hit"), true);
  EXPECT_EQ(body.at("cache_tier"), 3);
  EXPECT_THAT(reply.body, HasSubstr(R"("cost":0.000000)"));
  EXPECT_THAT(reply.body, HasSubstr(R"("optimization_techniques":["cache_tier_3"])"));
  EXPECT_EQ(calls_of("north"), 2U);
  const InferenceEvent told = last_event();
  EXPECT_TRUE(told.cache_hit);
  EXPECT_EQ(told.cache_tier, 3);
}

TEST_F(PipelineStepsTest, AStreamedRequestTakesWhatIsKnownAndRunsNothingInSteps) {
  say("An animal.");
  say("A mathematician.");
  (void)infer(R"({"prompt":"What is a fox? Who was Ada Lovelace?","model":"small"})");
  settle(3);
  const auto reply =
      infer(R"({"prompt":"Who was Ada Lovelace? What is a fox?","model":"small","stream":true})");
  EXPECT_TRUE(reply.streamed);
  EXPECT_THAT(reply.body, HasSubstr(R"("cache_tier":3)"));
  EXPECT_EQ(calls_of("north"), 2U);
}

TEST_F(PipelineStepsTest, WithoutKnownStepsTheWholeIsAskedAtOnce) {
  config_.cache.tier3.execute_steps = false;
  say("They differ.");
  const auto reply = infer(kRustGo);
  EXPECT_EQ(reply.object().at("response"), "They differ.");
  EXPECT_EQ(calls_of("north"), 1U);
  EXPECT_EQ(asked(0), "Compare Rust and Go");
}

TEST_F(PipelineStepsTest, StepsHoldForTheSameInstructionsAndSettingsOnly) {
  compare_rust_and_go();
  settle(4);
  for (const char* other :
       {R"({"prompt":"Compare Rust and Zig","model":"small","system_prompt":"Be rude."})",
        R"({"prompt":"Compare Rust and Zig","model":"small","temperature":0.1})",
        R"({"prompt":"Compare Rust and Zig","model":"small","max_tokens":7})",
        R"({"prompt":"Compare Rust and Zig","model":"small","document_id":"d1"})",
        R"({"prompt":"Compare Rust and Zig","model":"small","organization_id":"rival"})"}) {
    const std::size_t before = calls_of("north");
    say("Rust.");
    say("Zig.");
    say("They differ.");
    (void)infer(other);
    EXPECT_EQ(calls_of("north") - before, 3U) << other;
  }
}

TEST_F(PipelineStepsTest, AStepThatFailsLeadsToOneCallForTheWhole) {
  say("Rust is safe.");
  vendors_["north"].answer([] {
    auto cut = text_answer("Go is", used(100, 50));
    cut.finish = llm::FinishReason::kLength;
    return cut;
  }());
  say("They differ.");
  const auto reply = infer(kRustGo);
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(reply.object().at("response"), "They differ.");
  EXPECT_EQ(asked(2), "Compare Rust and Go");
  EXPECT_THAT(reply.body, HasSubstr(R"("cost":0.000600)")) << "what the steps cost is part of it";
  EXPECT_EQ(last_event().cost.nanos, 600'000);
}

TEST_F(PipelineStepsTest, ASummaryThatLacksWhatIsAskedForLeadsToTheWholeText) {
  const std::string text(300, 'x');
  const std::string body =
      R"({"prompt":"According to the text, who won?\n\n)" + text + R"(","model":"small"})";
  say("A text of x.");
  say("NOT_IN_SUMMARY");
  say("Nobody.");
  const auto reply = infer(body);
  EXPECT_EQ(reply.object().at("response"), "Nobody.");
  EXPECT_THAT(asked(2), HasSubstr(text));
}

TEST_F(PipelineStepsTest, BypassLeavesTheStepsAlone) {
  say("They differ.");
  (void)infer(R"({"prompt":"Compare Rust and Go","model":"small","bypass_cache":true})");
  EXPECT_EQ(calls_of("north"), 1U);
  EXPECT_EQ(cached_entries(), 0U);
}

class EncryptedStepsTest : public PipelineStepsTest {
 protected:
  EncryptedStepsTest() {
    installation_.encryption_on = true;
    ComplianceProfile profile;
    profile.org_id = "acme";
    profile.encryption_required = true;
    give(profile);
    caller_->kind = identity::Principal::Kind::kApiKey;
    caller_->org_id = "acme";
    caller_->permissions = identity::PermissionSet::organisation();
  }
  testing::Reply ask(std::string body) {
    return post(native_, std::move(body), {.caller = caller_});
  }
  std::shared_ptr<identity::Principal> caller_ = std::make_shared<identity::Principal>();
};

TEST_F(EncryptedStepsTest, StepsAreStoredEncryptedAndComeBack) {
  ring_.set(KeyRing::make({Secret(std::string(64, 'a'))}, {.pbkdf2_iterations = 1'000}).value());
  say("An animal.");
  say("A mathematician.");
  EXPECT_EQ(ask(R"({"prompt":"What is a fox? Who was Ada Lovelace?","model":"small"})").status,
            200);
  settle(3);
  loops_.wait_for([&]() -> Task<void> {
    return store_.scan("", [](std::vector<cache::Entry> batch) {
      for (const cache::Entry& entry : batch)
        EXPECT_THAT(*entry.value, ::testing::StartsWith("sealed:")) << entry.key;
      return true;
    });
  });
  const auto hit = ask(R"({"prompt":"Who was Ada Lovelace? What is a fox?","model":"small"})");
  EXPECT_THAT(hit.body, HasSubstr(R"("cache_tier":3)"));
}

TEST_F(EncryptedStepsTest, WithoutAKeyNothingIsStored) {
  say("They differ.");
  EXPECT_EQ(ask(kRustGo).status, 200) << "asked as a whole: there is nothing to gain from steps";
  EXPECT_EQ(cached_entries(), 0U);
}

TEST_F(PipelineStepsTest, AChatInAnyShapeIsTakenApart) {
  compare_rust_and_go();
  say("Rust.");
  say("Go.");
  say("Different.");
  const auto reply = post(
      chat_, R"({"model":"small","messages":[{"role":"user","content":"Compare Rust and Go"}]})");
  EXPECT_EQ(reply.status, 200);
  EXPECT_THAT(reply.body, HasSubstr(R"("steps":[{"step_id":"step_1")"));
  EXPECT_THAT(reply.body, HasSubstr("Different."));
}

}  // namespace
}  // namespace asahi::gateway
