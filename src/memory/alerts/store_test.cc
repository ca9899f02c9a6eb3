#include "memory/alerts/store.h"

#include <gtest/gtest.h>

#include "net/blocking.h"
#include "storage/sql/testing/database_test.h"

namespace asahi::memory {
namespace {

using series::AlertType;
using series::Severity;

class AlertStoreContract : public sql::testing::DatabaseTest {
 protected:
  void SetUp() override {
    if (!open_database({alert_migration()})) return;
    store_ = std::make_unique<AlertStore>(*db_);
    loops_.start();
  }
  void TearDown() override {
    loops_.stop();
    store_.reset();
    db_.reset();
  }
  template <class T>
  Result<T> attempt(std::function<Task<T>()> call) {
    return net::run_sync<Result<T>>(loops_.at(0), std::move(call));
  }
  template <class T>
  T get(std::function<Task<T>()> call) {
    auto outcome = attempt<T>(std::move(call));
    EXPECT_TRUE(outcome) << outcome.error().message;
    if constexpr (!std::is_void_v<T>) return outcome ? std::move(*outcome) : T{};
  }
  Webhook webhook(const std::string& id, const std::string& url) {
    return {.id = id,
            .url = url,
            .types = {AlertType::kHighLatency},
            .created_at = clock_.now(),
            .created_by = "test"};
  }
  AlertStore::Row row(const std::string& tenant, const std::string& id, AlertType type,
                      Severity severity = Severity::kWarning) {
    series::Alert alert{.id = id, .type = type, .severity = severity, .message = "m", .about = {}};
    alert.at = clock_.now();
    return {tenant, alert, Told::kUnderWay};
  }

  std::unique_ptr<AlertStore> store_;
  net::LoopPool loops_{1};
  ManualClock clock_;
};

TEST_P(AlertStoreContract, KeepsThresholdsOfATenantOverTheDefaults) {
  get<void>([&] {
    return store_->set_thresholds(
        "acme", {{AlertType::kHighLatency, 250.5}, {AlertType::kLowHitRate, {}}}, clock_.now());
  });
  get<void>([&] {
    return store_->set_thresholds("acme", {{AlertType::kHighLatency, 300}}, clock_.now());
  });
  const Thresholds acme = get<Thresholds>([&] { return store_->thresholds("acme"); });
  EXPECT_EQ(acme[static_cast<std::size_t>(AlertType::kHighLatency)], 300);
  EXPECT_EQ(acme[static_cast<std::size_t>(AlertType::kLowHitRate)], std::nullopt) << "never";
  EXPECT_EQ(acme[static_cast<std::size_t>(AlertType::kSpikeInErrors)], 10) << "the default";
  EXPECT_EQ(get<Thresholds>([&] { return store_->thresholds("other"); }),
            series::AlertConfig::defaults());
}

TEST_P(AlertStoreContract, KeepsAFewWebhooksOfATenant) {
  get<void>([&] { return store_->add_webhook("acme", webhook("whk_1", "https://a.example/x")); });
  const auto same = attempt<void>(
      [&] { return store_->add_webhook("acme", webhook("whk_2", "https://a.example/x")); });
  EXPECT_EQ(same.error().code, Errc::kConflict);
  get<void>([&] { return store_->add_webhook("other", webhook("whk_3", "https://a.example/x")); });
  const auto all = get<std::vector<Webhook>>([&] { return store_->webhooks("acme"); });
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].url, "https://a.example/x");
  EXPECT_EQ(all[0].created_at, clock_.now());
  EXPECT_TRUE(all[0].wants(AlertType::kHighLatency));
  EXPECT_FALSE(all[0].wants(AlertType::kLowHitRate));
  EXPECT_FALSE(get<bool>([&] { return store_->remove_webhook("other", "whk_1"); }))
      << "another tenant's";
  EXPECT_TRUE(get<bool>([&] { return store_->remove_webhook("acme", "whk_1"); }));
  for (std::size_t i = 0; i < AlertStore::kMostWebhooks; ++i) {
    const std::string n = std::to_string(i);
    get<void>([&] { return store_->add_webhook("acme", webhook("w" + n, "https://a/" + n)); });
  }
  const auto beyond =
      attempt<void>([&] { return store_->add_webhook("acme", webhook("w", "https://a/more")); });
  EXPECT_EQ(beyond.error().code, Errc::kConflict);
}

TEST_P(AlertStoreContract, ListsThePastNewestFirstAndForgetsIt) {
  get<void>([&] {
    return store_->add({row("acme", "alert_1", AlertType::kHighLatency),
                        row("other", "alert_2", AlertType::kHighLatency)});
  });
  clock_.advance(std::chrono::seconds(5));
  get<void>([&] {
    return store_->add({row("acme", "alert_3", AlertType::kLowHitRate, Severity::kCritical)});
  });
  get<void>([&] { return store_->set_told("acme", "alert_1", Told::kDelivered); });
  get<void>([&] { return store_->set_told("acme", "alert_2", Told::kFailed); });
  using Past = std::vector<PastAlert>;
  const Past all = get<Past>([&] { return store_->list({.tenant = "acme"}); });
  ASSERT_EQ(all.size(), 2U);
  EXPECT_NE(all[0].body.find("alert_3"), std::string::npos);
  EXPECT_EQ(all[0].told, Told::kUnderWay);
  EXPECT_EQ(all[1].told, Told::kDelivered);
  const Past older =
      get<Past>([&] { return store_->list({.tenant = "acme", .before = all[0].place}); });
  ASSERT_EQ(older.size(), 1U);
  EXPECT_EQ(get<Past>([&] {
              return store_->list({.tenant = "acme", .severity = Severity::kCritical});
            }).size(),
            1U);
  EXPECT_EQ(get<Past>([&] {
              return store_->list({.tenant = "acme", .type = AlertType::kTrendChange});
            }).size(),
            0U);
  EXPECT_EQ(get<std::uint64_t>([&] { return store_->sweep(clock_.now()); }), 2U);
  EXPECT_EQ(get<Past>([&] { return store_->list({.tenant = "acme"}); }).size(), 1U);
}

INSTANTIATE_TEST_SUITE_P(Engines, AlertStoreContract,
                         ::testing::ValuesIn(sql::testing::all_engines()),
                         sql::testing::engine_name);

}  // namespace
}  // namespace asahi::memory
