#include "memory/alerts/alerts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <mutex>
#include <thread>

#include "net/blocking.h"
#include "net/http/server.h"
#include "storage/sql/testing/test_database.h"

namespace asahi::memory {
namespace {

using series::AlertType;

/// A receiver of webhooks on this machine.
class Receiver {
 public:
  explicit Receiver(net::LoopPool& loops) {
    http::Router router;
    router.post("/hook", [this](http::Context& context) -> Aw<http::Response> {
      const std::scoped_lock lock(mutex_);
      bodies_.push_back(context.request.body);
      const int status = failures_ > 0 ? 500 : 204;
      if (failures_ > 0) --failures_;
      http::Response reply;
      reply.status = status;
      co_return reply;
    });
    http::ServerOptions options;
    options.host = "127.0.0.1";
    options.port = 0;
    server_ = http::Server::bind(loops, std::move(options), std::move(router)).value();
    server_->start();
  }
  ~Receiver() { server_->drain(std::chrono::milliseconds(100)); }
  std::string url() const {
    return "http://127.0.0.1:" + std::to_string(server_->port()) + "/hook";
  }
  void fail_next(int times) {
    const std::scoped_lock lock(mutex_);
    failures_ = times;
  }
  std::vector<std::string> bodies() const {
    const std::scoped_lock lock(mutex_);
    return bodies_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> bodies_;
  int failures_ = 0;
  std::unique_ptr<http::Server> server_;
};

class AlertsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    place_ = sql::testing::TestDatabase::make(sql::testing::Engine::kSqliteMemory).value();
    db_ = sql::open_database(place_->options()).value();
    ASSERT_TRUE(sql::Migrator(*db_, {alert_migration()}).upgrade());
    store_ = std::make_unique<AlertStore>(*db_);
    loops_.start();
    receiver_ = std::make_unique<Receiver>(loops_);
  }
  void TearDown() override {
    if (alerts_ != nullptr) alerts_->stop();
    receiver_.reset();
    loops_.stop();
    alerts_.reset();
    db_.reset();
  }
  void make(Alerts::Options options = {}) {
    options.retry.base = std::chrono::milliseconds(1);
    options.retry.cap = std::chrono::milliseconds(2);
    alerts_ = std::make_unique<Alerts>(
        Alerts::Parts{loops_.at(0), *store_, hub_, registry_, clock_}, options);
    alerts_->start();
  }
  void subscribe(const std::string& tenant) {
    const auto added = net::run_sync<Result<void>>(loops_.at(0), [&] {
      return store_->add_webhook(tenant, {.id = "whk_" + tenant,
                                          .url = receiver_->url(),
                                          .types = {},
                                          .created_at = clock_.now(),
                                          .created_by = "test"});
    });
    ASSERT_TRUE(added) << added.error().message;
  }
  std::vector<PastAlert> past(const std::string& tenant) {
    return net::run_sync<Result<std::vector<PastAlert>>>(
               loops_.at(0), [&] { return store_->list({.tenant = tenant}); })
        .value();
  }
  /// Waits for the outcome in the history: everything else has happened then.
  std::vector<PastAlert> settled(const std::string& tenant, std::size_t count) {
    for (int i = 0; i < 1000; ++i) {
      auto all = past(tenant);
      const bool done = all.size() >= count && std::ranges::none_of(all, [](const auto& one) {
                          return one.told == Told::kUnderWay;
                        });
      if (done) return all;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    ADD_FAILURE() << "the alerts did not come to an end";
    return past(tenant);
  }
  static series::Observation slow(double ms) {
    return {.type = AlertType::kHighLatency, .value = ms, .message = {}, .about = {}};
  }

  net::LoopPool loops_{1};
  std::unique_ptr<sql::testing::TestDatabase> place_;
  std::unique_ptr<sql::Database> db_;
  std::unique_ptr<AlertStore> store_;
  ManualClock clock_;
  Hub hub_{clock_};
  telemetry::Registry registry_;
  std::unique_ptr<Receiver> receiver_;
  std::unique_ptr<Alerts> alerts_;
};

TEST_F(AlertsTest, TellsTheWebhooksTheChannelsAndTheHistoryOfTheTenant) {
  make({.allow_private = true});
  subscribe("acme");
  const auto listener = hub_.join(Reach::whole("acme"), [] {});
  ASSERT_TRUE(listener->subscribe("insights"));
  alerts_->observe("acme", slow(2500));
  alerts_->observe("other", slow(2500));
  const auto all = settled("acme", 1);
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].told, Told::kDelivered);
  ASSERT_EQ(receiver_->bodies().size(), 1U) << "the other tenant has no webhook";
  const json::object body = json::parse(receiver_->bodies()[0]).as_object();
  EXPECT_EQ(body.at("alert_type"), "high_latency");
  EXPECT_EQ(body.at("severity"), "error");
  EXPECT_EQ(body.at("pattern_data").at("actual_value").to_number<double>(), 2500);
  const auto events = listener->take();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].name, "insight.generated");
  EXPECT_EQ(settled("other", 1).front().told, Told::kNobody);
}

TEST_F(AlertsTest, TellsTheSameOnceInItsWindow) {
  make({.allow_private = true});
  subscribe("acme");
  for (int i = 0; i < 5; ++i) alerts_->observe("acme", slow(2500));
  alerts_->observe("acme", slow(900));
  EXPECT_EQ(settled("acme", 1).size(), 1U);
  clock_.advance(std::chrono::minutes(5));
  alerts_->observe("acme", slow(2500));
  EXPECT_EQ(settled("acme", 2).size(), 2U);
}

TEST_F(AlertsTest, TriesThreeTimesAndThenGivesUp) {
  make({.allow_private = true});
  subscribe("acme");
  receiver_->fail_next(2);
  alerts_->observe("acme", slow(2500));
  EXPECT_EQ(settled("acme", 1).front().told, Told::kDelivered);
  EXPECT_EQ(receiver_->bodies().size(), 3U);
  receiver_->fail_next(100);
  alerts_->observe("acme", slow(9000));
  EXPECT_EQ(settled("acme", 2).front().told, Told::kFailed);
  EXPECT_EQ(receiver_->bodies().size(), 6U);
  const auto circuits = alerts_->circuits("acme");
  ASSERT_EQ(circuits.size(), 1U);
  EXPECT_EQ(circuits[0].second.consecutive_failures, 3U);
  EXPECT_TRUE(alerts_->circuits("other").empty());
}

TEST_F(AlertsTest, AsksNoPrivateAddressForATenant) {
  make();
  subscribe("acme");
  alerts_->observe("acme", slow(2500));
  EXPECT_EQ(settled("acme", 1).front().told, Told::kFailed);
  EXPECT_TRUE(receiver_->bodies().empty());
  for (const char* url : {"http://127.0.0.1/x", "http://localhost:80/", "http://169.254.169.254/",
                          "http://[::1]/", "ftp://example.com/", "not a url"})
    EXPECT_FALSE(alerts_->check_url(url)) << url;
  EXPECT_TRUE(alerts_->check_url("https://hooks.example.com/x"));
}

TEST_F(AlertsTest, TellsTheOperatorAboutTheInstallation) {
  make({.operators_url = receiver_->url()});
  alerts_->observe("acme", slow(2500));
  alerts_->observe(
      std::string(Alerts::kInstallation),
      {.type = AlertType::kStorageCapacity, .value = 0.95, .message = {}, .about = {}});
  EXPECT_EQ(settled(std::string(Alerts::kInstallation), 1).front().told, Told::kDelivered);
  ASSERT_EQ(receiver_->bodies().size(), 1U);
  EXPECT_NE(receiver_->bodies()[0].find("storage_capacity"), std::string::npos);
}

TEST_F(AlertsTest, LosesWhatItsQueueDoesNotTakeAndCountsIt) {
  make({.queue = 0});
  alerts_->observe("acme", slow(2500));
  EXPECT_EQ(registry_.counter("akosha_alert_observations_dropped_total", "").value(), 1);
}

TEST_F(AlertsTest, DecidesAThousandASecond) {
  make();
  const auto begun = std::chrono::steady_clock::now();
  for (int i = 0; i < 1000; ++i) {
    alerts_->observe("acme", {.type = AlertType::kNewEntityDetected,
                              .value = 1,
                              .message = {},
                              .about = {{"entity", std::to_string(i)}}});
  }
  for (int i = 0; i < 1000 && hub_.published() < 1000; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(hub_.published(), 1000U);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(5));
}

}  // namespace
}  // namespace asahi::memory
