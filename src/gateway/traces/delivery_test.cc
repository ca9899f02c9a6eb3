// What becomes of a delivery, and the outbox between the gateway and a collector.
#include "gateway/traces/delivery.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/testing/loop.h"
#include "gateway/traces/outbox.h"
#include "net/http/server.h"

namespace asahi::gateway {
namespace {

using namespace std::chrono_literals;
using What = DeliveryVerdict::What;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr RetryPolicy kPolicy{.max_attempts = 3, .base = 1s, .cap = 30s};

http::ClientResponse reply(int status,
                           std::vector<std::pair<std::string, std::string>> headers = {},
                           std::string body = "{}") {
  http::ClientResponse made{.status = status, .headers = {}, .body = std::move(body)};
  for (auto& [name, value] : headers) made.headers.add(name, value);
  return made;
}

TEST(OtlpVerdict, IsDeliveredAtAnySuccess) {
  EXPECT_EQ(judge_otlp(reply(200), 1, kPolicy, 0).what, What::kDelivered);
  EXPECT_EQ(judge_otlp(reply(202, {}, ""), 1, kPolicy, 0).what, What::kDelivered);
  const auto partial =
      judge_otlp(reply(200, {}, R"({"partialSuccess":{"rejectedSpans":"3"}})"), 1, kPolicy, 0);
  EXPECT_EQ(partial.what, What::kDelivered) << "sent again it would be refused again";
  EXPECT_THAT(partial.why, HasSubstr("3 spans"));
}

TEST(OtlpVerdict, TriesAgainWhereTheProtocolSaysSo) {
  for (const int status : {429, 502, 503, 504})
    EXPECT_EQ(judge_otlp(reply(status), 1, kPolicy, 0).what, What::kAgain) << status;
  for (const int status : {301, 400, 401, 403, 404, 413, 500, 501})
    EXPECT_EQ(judge_otlp(reply(status), 1, kPolicy, 0).what, What::kGiveUp) << status;
  EXPECT_EQ(judge_otlp(fail(Errc::kUnavailable, "refused"), 1, kPolicy, 0).what, What::kAgain);
  EXPECT_EQ(judge_otlp(fail(Errc::kTimeout, "late"), 1, kPolicy, 0).what, What::kAgain);
  EXPECT_EQ(judge_otlp(fail(Errc::kUpstream, "broken"), 1, kPolicy, 0).what, What::kAgain);
  EXPECT_EQ(judge_otlp(fail(Errc::kCancelled, "stop"), 1, kPolicy, 0).what, What::kGiveUp);
}

TEST(OtlpVerdict, WaitsLongerEachTimeAndThenGivesUp) {
  const auto first = judge_otlp(reply(503), 1, kPolicy, 0.5);
  const auto second = judge_otlp(reply(503), 2, kPolicy, 0.5);
  EXPECT_EQ(first.pause, 1s);
  EXPECT_EQ(second.pause, 2s);
  EXPECT_EQ(judge_otlp(reply(503), 3, kPolicy, 0.5).what, What::kGiveUp);
}

TEST(OtlpVerdict, WaitsAsLongAsItWasToldUnlessThatIsForEver) {
  EXPECT_GE(judge_otlp(reply(429, {{"Retry-After", "7"}}), 1, kPolicy, 0).pause, 7s);
  EXPECT_EQ(judge_otlp(reply(429, {{"Retry-After", "3600"}}), 1, kPolicy, 0).what, What::kGiveUp);
}

TEST(SentryLimits, HoldEventsBackByCategory) {
  const Clock::Steady now{1h};
  const auto until = [&](int status, std::vector<std::pair<std::string, std::string>> headers) {
    SentryLimits limits;
    limits.note(status, reply(status, std::move(headers)).headers, now);
    for (const auto time : {0s, 59s, 89s, 3'000s}) {
      if (!limits.limited(now + time)) return time;
    }
    return 9'999s;
  };
  EXPECT_EQ(until(200, {}), 0s);
  EXPECT_EQ(until(500, {}), 0s);
  EXPECT_EQ(until(429, {}), 89s) << "a minute, where nothing is said";
  EXPECT_EQ(until(429, {{"Retry-After", "60"}}), 89s);
  EXPECT_EQ(until(200, {{"X-Sentry-Rate-Limits", "60:error:organization"}}), 89s);
  EXPECT_EQ(until(429, {{"X-Sentry-Rate-Limits", "60:transaction;attachment:key"}}), 0s);
  EXPECT_EQ(until(429, {{"X-Sentry-Rate-Limits", "10:transaction:key, 2700::organization"}}),
            3'000s);
  EXPECT_EQ(until(429, {{"X-Sentry-Rate-Limits", "nonsense"}}), 89s);
}

TEST(SentryVerdict, NeverTriesAgain) {
  EXPECT_EQ(judge_sentry(reply(200)).what, What::kDelivered);
  EXPECT_EQ(judge_sentry(reply(429)).what, What::kGiveUp);
  EXPECT_EQ(judge_sentry(fail(Errc::kUnavailable, "refused")).what, What::kGiveUp);
}

/// A collector on a real socket that answers as it is told.
class OutboxTest : public ::testing::Test {
 protected:
  OutboxTest() {
    http::Router router;
    router.post("/in", [this](http::Context& context) -> Aw<http::Response> {
      bodies_.push_back(context.request.body);
      if (silent_) co_await context.loop.sleep_for(10s, &context.cancel);
      const int status = statuses_.empty() ? 200 : statuses_.front();
      if (!statuses_.empty()) statuses_.erase(statuses_.begin());
      co_return http::Response::json(status, "{}");
    });
    http::ServerOptions options;
    options.host = "127.0.0.1";
    options.port = 0;
    server_ = std::move(*http::Server::bind(loops_.pool(), std::move(options), std::move(router)));
    server_->start();
    options_.name = "test";
    options_.origin = *http::Origin::parse(fmt::format("http://127.0.0.1:{}", server_->port()));
    options_.target = "/in";
    options_.interval = 5ms;
    options_.timeout = 2s;
  }
  ~OutboxTest() override {
    if (outbox_ != nullptr) outbox_->stop(1s);
    server_->drain(0ms);
    loops_.pool().stop();
  }
  Outbox& outbox() {
    if (outbox_ == nullptr) {
      outbox_ = std::make_unique<Outbox>(
          options_, Outbox::Parts{.loop = loops_.loop(),
                                  .client = client_,
                                  .metrics = metrics_,
                                  .compose =
                                      [](std::vector<std::string> items) {
                                        std::string all;
                                        for (const std::string& item : items) all += item + ";";
                                        return all;
                                      },
                                  .judge =
                                      [](const Result<http::ClientResponse>& reply, int attempt) {
                                        return judge_otlp(
                                            reply, attempt,
                                            {.max_attempts = 3, .base = 1ms, .cap = 2ms}, 0);
                                      }});
    }
    return *outbox_;
  }
  double counted(const char* name, telemetry::Labels labels) {
    labels.insert(labels.begin(), {"sink", "test"});
    return metrics_.counter(name, "", labels).value();
  }
  double sent() { return counted("asahi_telemetry_sent_total", {}); }
  double dropped(const char* reason) {
    return counted("asahi_telemetry_dropped_total", {{"reason", reason}});
  }
  bool until(std::function<bool()> condition) { return loops_.until(std::move(condition)); }

  testing::Loops loops_;
  http::Client client_{loops_.loop(), {}};
  telemetry::Registry metrics_;
  Outbox::Options options_;
  std::vector<std::string> bodies_;  ///< on the loop
  std::vector<int> statuses_;
  bool silent_ = false;
  std::unique_ptr<http::Server> server_;
  std::unique_ptr<Outbox> outbox_;
};

TEST_F(OutboxTest, SendsInBatches) {
  options_.batch_items = 2;
  options_.interval = 200ms;
  for (const char* item : {"a", "b", "c"}) EXPECT_TRUE(outbox().offer(item));
  ASSERT_TRUE(until([this] { return sent() == 3; }));
  EXPECT_THAT(loops_.on([this] { return bodies_; }), ElementsAre("a;b;", "c;"));
}

TEST_F(OutboxTest, TriesAgainWhenTheCollectorIsBusy) {
  statuses_ = {503, 429};
  EXPECT_TRUE(outbox().offer("a"));
  ASSERT_TRUE(until([this] { return sent() == 1; }));
  EXPECT_THAT(loops_.on([this] { return bodies_; }), ElementsAre("a;", "a;", "a;"));
}

TEST_F(OutboxTest, CountsWhatIsNotTaken) {
  statuses_ = {400, 503, 503, 503};
  EXPECT_TRUE(outbox().offer("a"));
  ASSERT_TRUE(until([this] { return dropped("not_taken") == 1; }));
  EXPECT_TRUE(outbox().offer("b"));
  ASSERT_TRUE(until([this] { return dropped("not_taken") == 2; }));
  EXPECT_TRUE(outbox().offer("c"));
  ASSERT_TRUE(until([this] { return sent() == 1; })) << "it goes on";
}

TEST_F(OutboxTest, DropsWhatDoesNotFitAndNeverWaits) {
  options_.max_items = 3;
  options_.interval = 10s;
  options_.batch_items = 10;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(outbox().offer("x"));
  EXPECT_FALSE(outbox().offer("x"));
  EXPECT_EQ(dropped("queue_full"), 1);
  outbox().stop(2s);
  EXPECT_EQ(sent(), 3) << "what waits is sent at the end";
  EXPECT_FALSE(outbox().offer("x")) << "nothing more is taken";
}

TEST_F(OutboxTest, StopsOverACollectorThatDoesNotAnswer) {
  loops_.on([this] { silent_ = true; });
  options_.timeout = 60s;
  EXPECT_TRUE(outbox().offer("a"));
  ASSERT_TRUE(until([this] { return !bodies_.empty(); }));
  const auto began = std::chrono::steady_clock::now();
  outbox().stop(50ms);
  EXPECT_LT(std::chrono::steady_clock::now() - began, 5s);
  EXPECT_EQ(dropped("not_taken"), 1);
}

}  // namespace
}  // namespace asahi::gateway
