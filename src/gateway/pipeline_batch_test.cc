// Requests that share a vendor call, through the whole pipeline.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/testing/pipeline.h"

namespace asahi::gateway {
namespace {

using ::testing::HasSubstr;
using testing::server_error;
using testing::text_answer;
using testing::used;

class PipelineBatchTest : public testing::PipelineTest {
 protected:
  PipelineBatchTest() {
    config_.batching.enabled = true;
    config_.batching.only_if_cheaper = false;
    config_.batching.grace_ms = 20'000;
    config_.batching.poll_interval_ms = 5;
  }
  static std::string ask(const std::string& prompt, const std::string& more = "") {
    return R"({"prompt":")" + prompt + R"(","model":"small","task_type":"faq")" + more + "}";
  }
  /// Both wait; then their time is over.
  void both_wait() {
    ASSERT_TRUE(loops_.until([this] { return batcher_->stats().queue_size == 2; }));
    clock_.advance(std::chrono::milliseconds(500));
  }
  /// Answers the next call, which is not there yet, in the batch's format.
  void answer_batch(std::vector<std::string> texts, llm::Usage usage) {
    vendors_["north"].on_call = [this, texts, usage, done = false]() mutable {
      if (std::exchange(done, true)) return;
      const std::string asked = vendors_["north"].calls().back().request.messages.back().text();
      const std::string tag = asked.substr(2, 12);
      std::string reply;
      for (std::size_t i = 0; i < texts.size(); ++i)
        reply += "<<" + tag + ":" + std::to_string(i + 1) + ">>\n" + texts[i] + "\n";
      vendors_["north"].answer(text_answer(reply + "<<" + tag + ":end>>", usage));
    };
  }
};

TEST_F(PipelineBatchTest, TwoRequestsShareOneCallAndItsPrice) {
  answer_batch({"A fox.", "An owl."}, used(1'001, 301));
  auto one = start(native_, ask("What is a fox?"), {});
  auto two = start(native_, ask("What is an owl?"), {});
  both_wait();
  const auto fox = one->get(), owl = two->get();
  ASSERT_EQ(fox.status, 200) << fox.body;
  EXPECT_EQ(calls_of("north"), 1U);
  EXPECT_EQ(fox.object().at("response"), "A fox.");
  EXPECT_EQ(owl.object().at("response"), "An owl.");
  EXPECT_THAT(fox.body, HasSubstr(R"("batching")"));
  std::int64_t nanos = 0, input = 0, output = 0;
  for (const InferenceEvent& event : events()) {
    nanos += event.cost.nanos;
    input += event.input_tokens;
    output += event.output_tokens;
  }
  EXPECT_EQ(nanos, 1'001'000 + 602'000) << "to the nano-dollar";
  EXPECT_EQ(input, 1'001);
  EXPECT_EQ(output, 301);
}

TEST_F(PipelineBatchTest, TheirAnswersAreCachedOneByOne) {
  answer_batch({"A fox.", "An owl."}, used(100, 30));
  auto one = start(native_, ask("What is a fox?"), {});
  auto two = start(native_, ask("What is an owl?"), {});
  both_wait();
  (void)one->get();
  (void)two->get();
  const auto again = infer(ask("What is an owl?"));
  EXPECT_EQ(again.object().at("cache_tier"), 1);
  EXPECT_EQ(again.object().at("response"), "An owl.");
}

TEST_F(PipelineBatchTest, AnAnswerBesideOtherUsersTextsIsNotCached) {
  config_.batching.isolation = "organization";
  answer_batch({"A fox.", "An owl."}, used(100, 30));
  auto one = start(native_, ask("What is a fox?", R"(,"user_id":"ann")"), {});
  auto two = start(native_, ask("What is an owl?", R"(,"user_id":"bob")"), {});
  both_wait();
  EXPECT_EQ(one->get().status, 200);
  EXPECT_EQ(two->get().status, 200);
  EXPECT_EQ(calls_of("north"), 1U);
  EXPECT_EQ(cached_entries(), 0U);
}

TEST_F(PipelineBatchTest, UsersDoNotShareACallUnlessTheOperatorSaysSo) {
  vendors_["north"].answer("A fox.");
  vendors_["north"].answer("An owl.");
  auto one = start(native_, ask("What is a fox?", R"(,"user_id":"ann")"), {});
  auto two = start(native_, ask("What is an owl?", R"(,"user_id":"bob")"), {});
  both_wait();
  EXPECT_EQ(one->get().status, 200);
  EXPECT_EQ(two->get().status, 200);
  EXPECT_EQ(calls_of("north"), 2U);
}

TEST_F(PipelineBatchTest, ABrokenSharedAnswerCostsItsCallersTheirPartsAndGivesThemTheirOwnCalls) {
  vendors_["north"].answer(text_answer("Foxes and owls are animals.", used(100, 30)));
  vendors_["north"].answer(text_answer("A fox.", used(10, 5)));
  vendors_["north"].answer(text_answer("A bird or a fox.", used(10, 5)));
  auto one = start(native_, ask("What is a fox?"), {});
  auto two = start(native_, ask("What is an owl?"), {});
  both_wait();
  EXPECT_EQ(one->get().status, 200);
  EXPECT_EQ(two->get().status, 200);
  EXPECT_EQ(calls_of("north"), 3U);
  std::int64_t nanos = 0;
  for (const InferenceEvent& event : events()) nanos += event.cost.nanos;
  EXPECT_EQ(nanos, (100'000 + 60'000) + 2 * (10'000 + 10'000));
}

TEST_F(PipelineBatchTest, AFailedSharedCallIsNotTriedAgain) {
  vendors_["north"].fail(server_error());
  vendors_["north"].answer("A fox.");
  vendors_["north"].answer("An owl.");
  auto one = start(native_, ask("What is a fox?"), {});
  auto two = start(native_, ask("What is an owl?"), {});
  both_wait();
  EXPECT_EQ(one->get().status, 200);
  EXPECT_EQ(two->get().status, 200);
  EXPECT_EQ(calls_of("north"), 3U);
}

TEST_F(PipelineBatchTest, ARequestMaySayThatItGoesAlone) {
  vendors_["north"].answer("A fox.");
  const auto reply = infer(ask("What is a fox?", R"(,"allow_batching":false)"));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(batcher_->stats().individual_fallbacks, 0U) << "it did not wait at all";
}

TEST_F(PipelineBatchTest, AClientThatLeavesWhileItWaitsCostsNothing) {
  auto one = start(native_, ask("What is a fox?", R"(,"bypass_cache":true)"), {});
  ASSERT_TRUE(loops_.until([this] { return batcher_->stats().queue_size == 1; }));
  one->leave();
  (void)one->get();
  EXPECT_EQ(calls_of("north"), 0U);
  EXPECT_EQ(last_event().cost.nanos, 0);
}

TEST_F(PipelineBatchTest, MetricsTellWhatBatchingSavedApartFromRouting) {
  config_.batching.only_if_cheaper = true;
  std::string rules;
  for (int i = 0; i < 600; ++i) rules += "rule ";
  answer_batch({"A fox.", "An owl."}, used(1'000, 20));
  const std::string more = R"(,"system_prompt":")" + rules + "\"";
  auto one = start(native_, ask("What is a fox?", more), {});
  auto two = start(native_, ask("What is an owl?", more), {});
  ASSERT_TRUE(loops_.until([this] { return batcher_->stats().queue_size == 2; }));
  clock_.advance(std::chrono::milliseconds(500));
  EXPECT_EQ(one->get().status, 200);
  EXPECT_EQ(two->get().status, 200);
  EXPECT_GT(last_event().batching_savings.nanos, 0);
  EXPECT_THAT(telemetry_.expose(),
              HasSubstr("asahi_savings_dollars_total{phase=\"batching\"} 0.00"));
}

}  // namespace
}  // namespace asahi::gateway
