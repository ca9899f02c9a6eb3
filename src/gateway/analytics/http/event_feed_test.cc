#include "gateway/analytics/http/event_feed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/analytics/http/routes.h"
#include "gateway/analytics/testing/events.h"
#include "gateway/testing/loop.h"
#include "identity/principal.h"
#include "storage/sql/database.h"

namespace asahi::gateway::analytics {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

const Clock::Time kNow = testing::at("2026-11-22T10:20:30Z");

InferenceEvent event_of(const std::string& org, const std::string& request_id) {
  InferenceEvent event = testing::answered(kNow);
  event.org_id = org;
  event.request_id = request_id;
  return event;
}

class EventFeedTest : public ::testing::Test {
 protected:
  std::unique_ptr<EventFeed::Client> join(EventFeed::Wish wish) {
    auto joined = loops_.on([&] { return feed_.join(std::move(wish), loops_.loop()); });
    EXPECT_TRUE(joined) << joined.error().message;
    return joined ? std::move(*joined) : nullptr;
  }
  EventFeed::News take(EventFeed::Client& client) {
    return loops_.on([&] { return client.take(); });
  }
  void leave(std::unique_ptr<EventFeed::Client> client) {
    loops_.on([&] { client.reset(); });
  }

  ManualClock clock_{kNow};
  gateway::testing::Loops loops_;
  EventFeed feed_{{.queue = 3, .max_clients = 3, .max_clients_of_org = 2}, clock_};
};

TEST_F(EventFeedTest, AClientGetsTheEventsOfItsOrganisation) {
  auto client = join({.org_id = "acme", .model = {}});
  feed_.publish(event_of("acme", "req_1"));
  feed_.publish(event_of("globex", "req_2"));
  loops_.wait_for([&]() -> Aw<bool> {
    co_await client->news().wait();
    co_return true;
  });
  const auto news = take(*client);
  ASSERT_EQ(news.events.size(), 1U);
  EXPECT_THAT(*news.events[0], HasSubstr(R"("request_id":"req_1")"));
  EXPECT_TRUE(take(*client).events.empty());
  leave(std::move(client));
  EXPECT_EQ(feed_.clients(), 0U);
}

TEST_F(EventFeedTest, WhatDoesNotFitIsCounted) {
  auto client = join({.org_id = "acme", .model = {}});
  for (int i = 0; i < 10; ++i) feed_.publish(event_of("acme", "req_" + std::to_string(i)));
  const auto news = take(*client);
  EXPECT_EQ(news.events.size(), 3U);
  EXPECT_EQ(news.dropped, 7U);
  EXPECT_EQ(take(*client).dropped, 0U);
  leave(std::move(client));
}

TEST_F(EventFeedTest, ASampleIsEvenlySpread) {
  auto client = join({.org_id = "acme", .model = {}, .sample = 0.25});
  std::size_t seen = 0;
  for (int i = 0; i < 100; ++i) {
    feed_.publish(event_of("acme", "req_x"));
    seen += take(*client).events.size();
  }
  EXPECT_EQ(seen, 25U);
  leave(std::move(client));
}

TEST_F(EventFeedTest, ASummaryCountsAllSinceTheOneBefore) {
  auto client = join({.org_id = "acme", .model = "gpt-4o", .sample = 0.1, .summaries = true});
  for (int i = 0; i < 10; ++i) feed_.publish(event_of("acme", "req_x"));
  InferenceEvent other = event_of("acme", "req_y");
  other.model_selected = "claude";
  feed_.publish(other);
  clock_.advance(1s);
  const auto news = take(*client);
  EXPECT_TRUE(news.events.empty());
  EXPECT_EQ(news.summary.from, kNow);
  EXPECT_EQ(news.summary.sums.requests, 10);
  EXPECT_EQ(news.summary.requests_by_model.at("gpt-4o"), 10);
  const auto next = take(*client);
  EXPECT_EQ(next.summary.from, kNow + 1s);
  EXPECT_EQ(next.summary.sums.requests, 0);
  leave(std::move(client));
}

TEST_F(EventFeedTest, ClientsAreBoundedPerOrganisationAndInAll) {
  auto one = join({.org_id = "acme", .model = {}});
  auto two = join({.org_id = "acme", .model = {}});
  const auto third =
      loops_.on([&] { return feed_.join({.org_id = "acme", .model = {}}, loops_.loop()); });
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code, Errc::kRateLimited);
  EXPECT_TRUE(third.error().retry_after);
  auto other = join({.org_id = "globex", .model = {}});
  const auto fourth =
      loops_.on([&] { return feed_.join({.org_id = "initech", .model = {}}, loops_.loop()); });
  ASSERT_FALSE(fourth);
  EXPECT_EQ(fourth.error().code, Errc::kUnavailable);
  leave(std::move(one));
  one = join({.org_id = "initech", .model = {}});
  leave(std::move(one));
  leave(std::move(two));
  leave(std::move(other));
}

TEST_F(EventFeedTest, ClosingWakesEveryClientAndLetsNobodyIn) {
  auto client = join({.org_id = "acme", .model = {}, .summaries = true});
  feed_.close();
  loops_.wait_for([&]() -> Aw<bool> {
    co_await client->news().wait();
    co_return true;
  });
  EXPECT_TRUE(loops_.on([&] { return client->closed(); }));
  const auto late =
      loops_.on([&] { return feed_.join({.org_id = "acme", .model = {}}, loops_.loop()); });
  EXPECT_FALSE(late);
  leave(std::move(client));
}

TEST_F(EventFeedTest, AClientMayOutliveTheFeed) {
  auto feed = std::make_unique<EventFeed>(EventFeed::Options{}, clock_);
  auto client =
      loops_.on([&] { return *feed->join({.org_id = "acme", .model = {}}, loops_.loop()); });
  feed.reset();
  leave(std::move(client));
}

/// The stream as its client reads it.
class StreamTest : public ::testing::Test {
 protected:
  struct Reader final : http::BodyWriter {
    Task<void> write(std::string bytes) override {
      text += bytes;
      co_return Result<void>{};
    }
    std::string text;
  };

  StreamTest() {
    caller_->org_id = "acme";
    serve(router_);
  }
  AnalyticsParts serve(http::Router& router,
                       std::optional<std::chrono::milliseconds> silence = {}) {
    AnalyticsParts parts{.store = store_,
                         .policies = policies_,
                         .feed = feed_,
                         .clock = clock_,
                         .baseline_model = {},
                         .tiers = {},
                         .settle = nullptr};
    if (silence) parts.stream_keep_alive = *silence;
    add_analytics_routes(router, parts);
    return parts;
  }
  /// Opens the stream, and reads it until it ends.
  std::unique_ptr<gateway::testing::Pending<bool>> open(const std::string& query) {
    return open(router_, query);
  }
  std::unique_ptr<gateway::testing::Pending<bool>> open(const http::Router& router,
                                                        const std::string& query) {
    return std::make_unique<gateway::testing::Pending<bool>>(
        loops_, [this, &router, query](CancelSource& cancel) -> Aw<bool> {
          http::Request request;
          request.path = request.target = "/analytics/stream";
          request.query = query;
          const auto match = router.match(http::Method::kGet, request.path);
          http::Context context{.request = request,
                                .loop = loops_.loop(),
                                .cancel = cancel,
                                .deadline = {},
                                .received = {},
                                .request_id = "req_1",
                                .client_request_id = {},
                                .path_params = {},
                                .route = match.route->pattern,
                                .caller = caller_,
                                .reply_headers = {}};
          http::Response response = co_await match.route->handler(context);
          EXPECT_EQ(response.status, 200) << response.body;
          EXPECT_EQ(response.headers.get("content-type"), "text/event-stream; charset=utf-8");
          EXPECT_EQ(context.deadline, std::chrono::steady_clock::time_point::max());
          const auto ended = co_await response.stream(reader_);
          co_return ended.has_value();
        });
  }
  bool reads(const std::string& text) {
    return loops_.until([&] { return reader_.text.find(text) != std::string::npos; });
  }

  ManualClock clock_{kNow};
  std::unique_ptr<sql::Database> database_ = *sql::open_database({.url = "sqlite://:memory:"});
  Store store_{*database_, clock_};
  PolicyStore policies_{{}, *database_, clock_};
  EventFeed feed_{{.queue = 2}, clock_};
  std::shared_ptr<identity::Principal> caller_ = std::make_shared<identity::Principal>();
  http::Router router_;
  Reader reader_;
  gateway::testing::Loops loops_;
};

TEST_F(StreamTest, SendsEachEventAndToldDrops) {
  auto stream = open("");
  ASSERT_TRUE(reads(": connected"));
  loops_.on([&] {
    for (const char* id : {"req_1", "req_2", "req_3"}) feed_.publish(event_of("acme", id));
  });
  ASSERT_TRUE(reads("event: dropped\ndata: {\"count\":1}\n\n"));
  EXPECT_THAT(reader_.text, HasSubstr("event: inference\ndata: {\"event_id\""));
  EXPECT_THAT(reader_.text, HasSubstr("req_2"));
  EXPECT_THAT(reader_.text, Not(HasSubstr("req_3")));
  stream->leave();
  EXPECT_FALSE(stream->get());
  EXPECT_EQ(feed_.clients(), 0U);
}

TEST_F(StreamTest, SendsSumsInPlaceOfEventsWhenAsked) {
  auto stream = open("aggregate=50");
  ASSERT_TRUE(reads(": connected"));
  for (int i = 0; i < 1'000; ++i) feed_.publish(event_of("acme", "req_x"));
  ASSERT_TRUE(reads("event: summary\n"));
  EXPECT_THAT(reader_.text, HasSubstr(R"("requests":1000)"));
  EXPECT_THAT(reader_.text, Not(HasSubstr("req_x")));
  stream->leave();
  EXPECT_FALSE(stream->get());
}

TEST_F(StreamTest, SaysThatItIsThereWhileNothingHappens) {
  http::Router router;
  EXPECT_EQ(serve(router, std::chrono::milliseconds(20)).stream_keep_alive.count(), 20);
  auto stream = open(router, "");
  ASSERT_TRUE(reads(": connected\n\n: keep-alive\n\n: keep-alive\n\n"));
  loops_.on([&] { feed_.publish(event_of("acme", "req_1")); });
  ASSERT_TRUE(reads("req_1"));
  EXPECT_THAT(reader_.text, Not(HasSubstr("event: dropped")));
  stream->leave();
  EXPECT_FALSE(stream->get());
}

TEST_F(StreamTest, IsSilentForHalfAMinuteAtMost) {
  http::Router router;
  EXPECT_EQ(serve(router).stream_keep_alive, std::chrono::seconds(30));
}

TEST_F(StreamTest, EndsProperlyWhenTheServerStops) {
  auto stream = open("aggregate=60000");
  ASSERT_TRUE(reads(": connected"));
  feed_.close();
  EXPECT_TRUE(stream->get());
  EXPECT_THAT(reader_.text, HasSubstr("event: bye\n"));
}

}  // namespace
}  // namespace asahi::gateway::analytics
