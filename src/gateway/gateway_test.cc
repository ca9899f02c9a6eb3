// The gateway as server/ puts it up, with the built-in vendor and SQLite, called through its
// routes.
#include "gateway/gateway.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/migrations/migrations.h"
#include "gateway/testing/loop.h"
#include "gateway/testing/pipeline.h"
#include "gateway/testing/temp_folder.h"
#include "storage/cache/memory_store.h"
#include "storage/sql/migrations.h"

namespace asahi::gateway {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing::Reply;

class GatewayTest : public ::testing::Test {
 protected:
  /// One life of the process on this test's folder.
  struct Life {
    explicit Life(const GatewayConfig& config) {
      auto opened =
          sql::open_database({.url = "sqlite:///test.db", .data_dir = config.app.data_dir});
      EXPECT_TRUE(opened);
      database = std::move(*opened);
      EXPECT_TRUE(sql::Migrator(*database, migrations()).upgrade());
      auto made = Gateway::make({config,
                                 loops.pool(),
                                 clients,
                                 *database,
                                 store,
                                 store,
                                 metrics,
                                 system_clock(),
                                 borrowed.budgets,
                                 *borrowed.limiter,
                                 borrowed.audit,
                                 borrowed.accounts,
                                 {},
                                 {}});
      EXPECT_TRUE(made) << made.error().message;
      gateway = std::move(*made);
      gateway->add_routes(router);
      gateway->start();
    }
    ~Life() {
      gateway->stop();
      loops.pool().stop();
    }

    testing::Loops loops;
    telemetry::Registry metrics;
    net::PerLoop<http::Client> clients{loops.pool(), [](net::Loop& loop) {
                                         return std::make_unique<http::Client>(
                                             loop, http::ClientOptions{});
                                       }};
    cache::MemoryStore store{{}, system_clock()};
    testing::Borrowed borrowed{system_clock()};
    std::unique_ptr<sql::Database> database;
    std::unique_ptr<Gateway> gateway;
    http::Router router;
  };

  GatewayTest() {
    config_.app.mock = true;
    config_.app.data_dir = folder_.path();
    config_.app.models_file = "";
    config_.tracking.log_dir = folder_.path() + "/logs";
  }

  void start() { life_ = std::make_unique<Life>(config_); }
  void restart() {
    life_.reset();
    start();
  }

  /// `between` runs when the response is there and its stream not yet read.
  Reply call(http::Method method, std::string path, std::string body = {},
             std::function<void()> between = nullptr) {
    return testing::Pending<Reply>(
               life_->loops,
               [this, method, path, body, between](CancelSource& cancel) -> Aw<Reply> {
                 http::Request request;
                 request.method = method;
                 request.path = path.substr(0, path.find('?'));
                 if (path.find('?') != std::string::npos)
                   request.query = path.substr(path.find('?') + 1);
                 request.body = body;
                 const http::Router::Match match = life_->router.match(method, request.path);
                 Reply reply;
                 if (match.route == nullptr) {
                   reply.status = 404;
                   co_return reply;
                 }
                 http::Context context{
                     .request = request,
                     .loop = life_->loops.loop(),
                     .cancel = cancel,
                     .deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60),
                     .received = std::chrono::steady_clock::now(),
                     .request_id = "req_1",
                     .client_request_id = {},
                     .path_params = match.params,
                     .route = match.route->pattern};
                 http::Response response = co_await match.route->handler(context);
                 if (between) between();
                 reply.status = response.status;
                 reply.body = response.body;
                 reply.headers = response.headers;
                 if (response.stream) {
                   testing::Reader reader(1'000'000);
                   (void)co_await response.stream(reader);
                   reply.body = reader.text;
                 }
                 co_return reply;
               })
        .get();
  }
  Reply infer(std::string prompt, bool stream = false, std::function<void()> between = nullptr) {
    return call(http::Method::kPost, "/infer",
                json::serialize(json::object{{"prompt", prompt}, {"stream", stream}}),
                std::move(between));
  }
  /// The figures once they hold `requests`: a slow machine may need longer than the route waits.
  json::object metrics(std::int64_t requests) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    for (;;) {
      json::object figures = call(http::Method::kGet, "/metrics").object();
      if (figures.at("total_requests").as_int64() >= requests ||
          std::chrono::steady_clock::now() > give_up) {
        return figures;
      }
    }
  }
  double gauge(std::string_view name) {
    const std::string text = "\n" + life_->gateway->expose_metrics();
    const std::size_t at = text.find("\n" + std::string(name) + " ");
    EXPECT_NE(at, std::string::npos) << name;
    return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size() + 2));
  }

  testing::TempFolder folder_;
  GatewayConfig config_;
  std::unique_ptr<Life> life_;
};

TEST_F(GatewayTest, CountsModelCallsWhileTheyAreAnswered) {
  start();
  EXPECT_EQ(gauge("asahi_active_requests"), 0);
  double seen = -1;
  ASSERT_EQ(infer("hello", true, [&] { seen = gauge("asahi_active_requests"); }).status, 200);
  EXPECT_EQ(seen, 1) << "a stream counts until its end";
  EXPECT_EQ(gauge("asahi_active_requests"), 0);
  ASSERT_EQ(infer("other", false, [&] { seen = gauge("asahi_active_requests"); }).status, 200);
  EXPECT_EQ(seen, 0) << "a plain reply is composed";
  EXPECT_EQ(infer("").status, 400);
  EXPECT_EQ(gauge("asahi_active_requests"), 0);
  EXPECT_EQ(call(http::Method::kGet, "/health").status, 200);
  EXPECT_EQ(gauge("asahi_active_requests"), 0);
}

TEST_F(GatewayTest, ShowsTheQueueOfEventsOnEveryExposition) {
  start();
  ASSERT_EQ(infer("hello").status, 200);
  (void)metrics(1);  // waits for the event to be counted
  EXPECT_EQ(gauge("asahi_request_queue_depth"), 0);
  const std::string text = call(http::Method::kGet, "/metrics?format=prometheus").body;
  EXPECT_THAT(text, HasSubstr("asahi_request_queue_depth 0"));
  EXPECT_THAT(text, HasSubstr("asahi_requests_total"));
}

TEST_F(GatewayTest, GoesOnCountingAfterARestart) {
  start();
  ASSERT_EQ(infer("What is a cache?").status, 200);
  ASSERT_EQ(infer("What is a cache?").status, 200);
  ASSERT_EQ(infer("").status, 400);
  json::object before = metrics(3);
  EXPECT_EQ(before.at("total_requests"), 3);
  EXPECT_EQ(before.at("errors"), 1);
  EXPECT_EQ(before.at("tier1_hits"), 1);
  EXPECT_EQ(before.at("tier1_misses"), 1);
  EXPECT_GT(before.at("total_cost").to_number<double>(), 0);

  restart();
  json::object after = metrics(3);
  for (const char* figure :
       {"total_requests", "errors", "total_cost", "gpt4_equivalent_cost", "absolute_savings",
        "savings_percent", "cache_cost_saved", "cache_hit_rate", "tier1_hits", "tier1_misses",
        "cost_by_model", "requests_by_model", "mode_distribution", "avg_quality"}) {
    EXPECT_EQ(after.at(figure), before.at(figure)) << figure;
  }
  ASSERT_EQ(infer("What is another thing?").status, 200);
  EXPECT_EQ(metrics(4).at("total_requests"), 4);

  restart();
  EXPECT_EQ(metrics(4).at("total_requests"), 4) << "and nothing is counted twice";
}

TEST_F(GatewayTest, CountsWhatACrashKeptOutOfTheDatabase) {
  start();
  ASSERT_EQ(infer("What is a cache?").status, 200);
  (void)metrics(1);
  ASSERT_TRUE(life_->database->query_blocking({"DELETE FROM event_log_positions", {}}));
  // The log is the truth: rows that never reached the table come from it.
  life_->gateway->stop();
  ASSERT_TRUE(life_->database->query_blocking({"DELETE FROM inference_events", {}}));
  ASSERT_TRUE(life_->database->query_blocking({"DELETE FROM event_log_positions", {}}));
  restart();
  EXPECT_EQ(metrics(1).at("total_requests"), 1);
}

TEST_F(GatewayTest, WritesNumbersAsPeopleDo) {
  start();
  ASSERT_EQ(infer("What is a cache?").status, 200);
  for (const char* path :
       {"/metrics", "/models", "/v1/models", "/cache/stats", "/cache/entries", "/cache/export"}) {
    const Reply reply = call(http::Method::kGet, path);
    EXPECT_EQ(reply.status, 200) << path;
    EXPECT_THAT(reply.body, Not(::testing::ContainsRegex("[0-9]E[-+]?[0-9]"))) << path;
    (void)reply.object();
  }
  EXPECT_THAT(call(http::Method::kGet, "/models").body, HasSubstr("0.0025"));
}

// ---- the cache's routes

TEST_F(GatewayTest, ExportsWhatTheCacheHolds) {
  start();
  ASSERT_EQ(infer("What is a cache?").status, 200);
  ASSERT_EQ(infer("What is a shelf?").status, 200);
  const json::object all = call(http::Method::kGet, "/cache/export").object();
  EXPECT_EQ(all.at("count"), 2);
  const json::object& entry = all.at("entries").at(0).as_object();
  for (const char* field : {"tier", "key", "query", "model", "cost", "task_type", "created_at",
                            "expires_at", "size_bytes"}) {
    EXPECT_TRUE(entry.contains(field)) << field;
  }
  EXPECT_FALSE(entry.contains("response")) << "only when asked for";
  const json::object with =
      call(http::Method::kGet, "/cache/export?include_response=true").object();
  EXPECT_TRUE(with.at("entries").at(0).as_object().contains("response"));

  const Reply lines = call(http::Method::kGet, "/cache/export?format=ndjson");
  EXPECT_EQ(lines.headers.get("Content-Type"), "application/x-ndjson");
  EXPECT_EQ(std::ranges::count(lines.body, '\n'), 2);
  EXPECT_EQ(call(http::Method::kGet, "/cache/export?format=xml").status, 400);
}

TEST_F(GatewayTest, ListsEntriesWithTheirTimeLeft) {
  start();
  ASSERT_EQ(infer("What is a cache?").status, 200);
  const json::object listed = call(http::Method::kGet, "/cache/entries").object();
  EXPECT_EQ(listed.at("count"), 1);
  const std::int64_t left = listed.at("entries").at(0).at("ttl_seconds_left").as_int64();
  EXPECT_GT(left, 168 * 3'600 - 60);
  EXPECT_LE(left, 168 * 3'600);
  EXPECT_EQ(call(http::Method::kGet, "/cache/entries?tier=2").object().at("count"), 0);
  for (const char* wrong : {"tier=4", "limit=0", "limit=501", "limit=x"}) {
    EXPECT_EQ(call(http::Method::kGet, std::string("/cache/entries?") + wrong).status, 400)
        << wrong;
  }
}

TEST_F(GatewayTest, ClearsTheCacheByTier) {
  start();
  ASSERT_EQ(infer("What is a cache?").status, 200);
  EXPECT_EQ(call(http::Method::kDelete, "/cache/clear?tier=2").object().at("total"), 0);
  EXPECT_EQ(call(http::Method::kGet, "/cache/stats").object().at("entries"), 1);
  EXPECT_EQ(call(http::Method::kDelete, "/cache/expired").object().at("total"), 0);
  const json::object cleared = call(http::Method::kDelete, "/api/v1/cache/clear").object();
  EXPECT_EQ(cleared.at("removed"), (json::object{{"tier_1", 1}, {"tier_2", 0}, {"tier_3", 0}}));
  EXPECT_EQ(cleared.at("total"), 1);
  EXPECT_EQ(call(http::Method::kGet, "/cache/stats").object().at("entries"), 0);
  EXPECT_EQ(call(http::Method::kDelete, "/cache/clear?tier=9").status, 400);
}

TEST_F(GatewayTest, TellsHitsAndMissesOfTheExactCache) {
  start();
  ASSERT_EQ(infer("What is a cache?").status, 200);
  ASSERT_EQ(infer("What is a cache?").status, 200);
  (void)metrics(2);
  const json::object stats = call(http::Method::kGet, "/cache/stats").object();
  EXPECT_EQ(stats.at("backend"), "memory");
  EXPECT_EQ(stats.at("degraded"), false);
  EXPECT_EQ(stats.at("exact"), (json::object{{"hits", 1}, {"misses", 1}}));
  EXPECT_EQ(stats.at("hit_rate"), 0.5);
}

TEST_F(GatewayTest, IsNotReadyWhileItDrains) {
  start();
  EXPECT_EQ(call(http::Method::kGet, "/health/ready").status, 200);
  life_->gateway->begin_drain();
  EXPECT_EQ(call(http::Method::kGet, "/health/ready").status, 503);
  EXPECT_EQ(call(http::Method::kGet, "/health").status, 503);
  EXPECT_EQ(call(http::Method::kGet, "/health/live").status, 200);
  EXPECT_EQ(infer("hello").status, 200) << "what is under way is still answered";
}

}  // namespace
}  // namespace asahi::gateway
