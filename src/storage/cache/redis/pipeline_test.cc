#include "storage/cache/redis/pipeline.h"

#include <gtest/gtest.h>

namespace asahi::cache {
namespace {

using namespace std::chrono_literals;

constexpr Pipeline::Time kStart{1h};

/// What one command got.
struct Outcome {
  int times = 0;
  Result<Reply> result;
  Pipeline::Handler handler() {
    return [this](Result<Reply> reply) {
      ++times;
      result = std::move(reply);
    };
  }
};

void run(std::vector<Pipeline::Answer> answers) {
  for (auto& answer : answers) answer.handler(std::move(answer.result));
}

void feed(Pipeline& pipeline, std::string_view bytes) {
  auto fed = pipeline.feed(bytes);
  EXPECT_FALSE(fed.error) << fed.error->message;
  run(std::move(fed.answers));
}

TEST(Pipeline, AnswersInOrderFromOneWrite) {
  Pipeline pipeline({});
  Outcome a, b;
  pipeline.push("A", kStart, a.handler());
  pipeline.push("B", kStart, b.handler());
  EXPECT_EQ(pipeline.take_output(1000), "AB");
  EXPECT_FALSE(pipeline.has_output());
  feed(pipeline, "+first\r\n+sec");
  EXPECT_EQ(a.result->text, "first");
  EXPECT_EQ(b.times, 0);
  feed(pipeline, "ond\r\n");
  EXPECT_EQ(b.result->text, "second");
  EXPECT_EQ(pipeline.size(), 0u);
}

TEST(Pipeline, WritesWholeCommandsInBoundedPortions) {
  Pipeline pipeline({});
  pipeline.push(std::string(10, 'a'), kStart, {});
  pipeline.push(std::string(4, 'b'), kStart, {});
  pipeline.push(std::string(4, 'c'), kStart, {});
  EXPECT_EQ(pipeline.queued_bytes(), 18u);
  EXPECT_EQ(pipeline.take_output(8), "aaaaaaaaaa");  // larger than a portion goes alone
  EXPECT_EQ(pipeline.take_output(8), "bbbbcccc");
  EXPECT_EQ(pipeline.queued_bytes(), 0u);
}

TEST(Pipeline, ALateReplyNeverReachesTheNextCaller) {
  Pipeline pipeline({});
  Outcome slow, next;
  pipeline.push("A", kStart + 500ms, slow.handler());
  pipeline.take_output(1000);
  EXPECT_EQ(pipeline.next_deadline(), kStart + 500ms);
  run(pipeline.expire(kStart + 499ms));
  EXPECT_EQ(slow.times, 0);
  run(pipeline.expire(kStart + 500ms));
  EXPECT_EQ(slow.result.error().code, Errc::kTimeout);
  EXPECT_EQ(pipeline.overdue_since(), kStart + 500ms);

  pipeline.push("B", kStart + 900ms, next.handler());
  pipeline.take_output(1000);
  feed(pipeline, "+late\r\n");
  EXPECT_EQ(slow.times, 1);
  EXPECT_EQ(next.times, 0);
  EXPECT_FALSE(pipeline.overdue_since());
  feed(pipeline, "+own\r\n");
  EXPECT_EQ(next.result->text, "own");
}

TEST(Pipeline, ATimedOutCommandThatWasNotSentIsNeverSent) {
  Pipeline pipeline({});
  Outcome gone, kept;
  pipeline.push("gone", kStart, gone.handler());
  pipeline.push("kept", kStart + 1s, kept.handler());
  run(pipeline.expire(kStart));
  EXPECT_EQ(gone.result.error().code, Errc::kTimeout);
  EXPECT_EQ(pipeline.take_output(1000), "kept");
  EXPECT_FALSE(pipeline.overdue_since());
}

TEST(Pipeline, ALostConnectionFailsWhatWasSentAndKeepsTheRest) {
  Pipeline pipeline({});
  Outcome sent, waiting;
  pipeline.push("A", kStart, sent.handler());
  pipeline.take_output(1000);
  pipeline.push("B", kStart, waiting.handler());
  feed(pipeline, "$100\r\nhalf a reply");
  run(pipeline.connection_lost(fail(Errc::kUnavailable, "gone").error()));
  EXPECT_EQ(sent.result.error().code, Errc::kUnavailable);
  EXPECT_EQ(waiting.times, 0);
  EXPECT_EQ(pipeline.take_output(1000), "B");
  feed(pipeline, "+OK\r\n");
  EXPECT_EQ(waiting.result->text, "OK");
}

TEST(Pipeline, PushesAnswerNobody) {
  Pipeline pipeline({});
  Outcome a;
  pipeline.push("A", kStart, a.handler());
  pipeline.take_output(1000);
  feed(pipeline, ">2\r\n+invalidate\r\n*0\r\n+mine\r\n");
  EXPECT_EQ(a.result->text, "mine");
}

TEST(Pipeline, AnswersBeforeTheDamageStillCount) {
  Pipeline pipeline({});
  Outcome a;
  pipeline.push("A", kStart, a.handler());
  pipeline.take_output(1000);
  auto fed = pipeline.feed("+OK\r\nHTTP/1.1\r\n");
  EXPECT_TRUE(fed.error);
  run(std::move(fed.answers));
  EXPECT_EQ(a.result->text, "OK");
}

TEST(Pipeline, AReplyNobodyAskedForIsAnError) {
  Pipeline pipeline({});
  EXPECT_TRUE(pipeline.feed("+OK\r\n").error);
}

TEST(Pipeline, AnsweringMayComeStraightBack) {
  Pipeline pipeline({});
  Outcome second;
  pipeline.push("A", kStart, [&](Result<Reply>) { pipeline.push("B", kStart, second.handler()); });
  pipeline.take_output(1000);
  feed(pipeline, "+OK\r\n");
  EXPECT_EQ(pipeline.take_output(1000), "B");
  run(pipeline.fail_queued(fail(Errc::kUnavailable, "x").error()));
  run(pipeline.connection_lost(fail(Errc::kUnavailable, "gone").error()));
  EXPECT_EQ(second.times, 1);
}

}  // namespace
}  // namespace asahi::cache
