#include "gateway/routing/routing_store.h"

#include <gtest/gtest.h>

#include "gateway/migrations/migrations.h"
#include "gateway/testing/loop.h"
#include "storage/sql/testing/database_test.h"

namespace asahi::gateway {
namespace {

using sql::testing::Engine;

class RoutingStoreTest : public sql::testing::DatabaseTest {
 protected:
  void SetUp() override {
    if (!open_database({})) return;
    migrator_ = std::make_unique<sql::Migrator>(*db_, migrations());
    const auto done = migrator_->upgrade();
    ASSERT_TRUE(done) << done.error().message;
    store_ = make();
  }
  std::unique_ptr<RoutingStore> make() {
    return std::make_unique<RoutingStore>(
        RoutingStore::Options{
            .publish = [this](const std::string& org) { published_.push_back(org); }},
        *db_, clock_);
  }
  Result<RoutingStore::Saved> set_rules(std::string_view list) {
    RulesReading reading = read_rules(json::object{{"rules", json::parse(list)}}, nullptr);
    EXPECT_TRUE(reading.faults.empty());
    return loops_.wait_for([&] {
      return store_->change(
          "acme", "u1", [rules = reading.rules](OrgRouting& routing) { routing.rules = rules; });
    });
  }
  std::shared_ptr<const OrgRouting> get(RoutingStore& store, std::string org = "acme") {
    auto routing = loops_.wait_for([&] { return store.get(org); });
    EXPECT_TRUE(routing) << routing.error().message;
    return routing ? *routing : nullptr;
  }
  void add_event(const std::string& org, const std::string& request_id, const std::string& type) {
    const auto done = db_->query_blocking(
        {"INSERT INTO inference_events (event_id, request_id, timestamp, org_id, model_selected, "
         "task_type, event_type) VALUES (?, ?, ?, ?, ?, ?, ?)",
         {"evt_" + org + request_id, request_id, format_rfc3339(clock_.now()), org,
          std::string("gpt-4o"), std::string("faq"), type}});
    ASSERT_TRUE(done) << done.error().message;
  }

  ManualClock clock_;
  std::unique_ptr<sql::Migrator> migrator_;
  std::vector<std::string> published_;
  std::unique_ptr<RoutingStore> store_;
  testing::Loops loops_;
};
INSTANTIATE_TEST_SUITE_P(Engines, RoutingStoreTest,
                         ::testing::ValuesIn(sql::testing::all_engines()),
                         sql::testing::engine_name);

constexpr std::string_view kRules =
    R"([{"type":"time_based","enabled":true,"from_hour":22,"to_hour":6,"model":"m"},
        {"type":"fallback_chain","enabled":false,"models":["a","b"],"triggers":["timeout","no_key"]}])";

TEST_P(RoutingStoreTest, AnOrganisationWithoutRulesHasEmptyOnes) {
  EXPECT_TRUE(get(*store_)->is_empty());
  EXPECT_EQ(get(*store_)->updated_by, "");
}

TEST_P(RoutingStoreTest, GivesBackRulesAndWeights) {
  const auto first = set_rules(kRules);
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_FALSE(first->before);
  const auto second = loops_.wait_for([&] {
    return store_->change("acme", "u2",
                          [](OrgRouting& routing) { routing.weights = ScoreWeights{.cost = 2}; });
  });
  ASSERT_TRUE(second) << second.error().message;
  ASSERT_TRUE(second->before);
  EXPECT_FALSE(second->before->weights);
  const auto stored = get(*make());
  EXPECT_EQ(stored->rules, first->now.rules) << "a change of weights leaves the rules alone";
  EXPECT_EQ(stored->weights, ScoreWeights{.cost = 2});
  EXPECT_EQ(stored->updated_by, "u2");
  EXPECT_EQ(stored->updated_at, clock_.now());
  EXPECT_TRUE(get(*store_, "other")->is_empty());
}

TEST_P(RoutingStoreTest, AChangeHoldsHereAtOnceAndElsewhereAfterItsMessage) {
  const auto other = make();
  EXPECT_TRUE(get(*store_)->is_empty());
  EXPECT_TRUE(get(*other)->is_empty());
  ASSERT_TRUE(set_rules(kRules));
  EXPECT_EQ(store_->try_get("acme"), nullptr);
  EXPECT_FALSE(get(*store_)->is_empty());
  EXPECT_NE(store_->try_get("acme"), nullptr);
  EXPECT_TRUE(get(*other)->is_empty());
  ASSERT_EQ(published_, std::vector<std::string>{"acme"});
  other->forget("acme");
  EXPECT_FALSE(get(*other)->is_empty());
}

TEST_P(RoutingStoreTest, AMissedMessageCostsAMinute) {
  const auto other = make();
  EXPECT_TRUE(get(*other)->is_empty());
  ASSERT_TRUE(set_rules(kRules));
  clock_.advance(std::chrono::seconds(61));
  EXPECT_FALSE(get(*other)->is_empty());
}

TEST_P(RoutingStoreTest, FindsTheAnswerThatFeedbackIsAbout) {
  add_event("acme", "req_1", "inference");
  add_event("acme", "req_2", "error");
  add_event("other", "req_3", "inference");
  const auto subject = [&](std::string request_id) {
    auto found = loops_.wait_for([&] { return store_->subject("acme", request_id); });
    EXPECT_TRUE(found) << found.error().message;
    return found ? *found : std::nullopt;
  };
  ASSERT_TRUE(subject("req_1"));
  EXPECT_EQ(subject("req_1")->model, "gpt-4o");
  EXPECT_EQ(subject("req_1")->task_type, "faq");
  EXPECT_FALSE(subject("req_2")) << "nobody answered";
  EXPECT_FALSE(subject("req_3")) << "another organisation's";
}

TEST_P(RoutingStoreTest, KeepsTheLatestFeedbackOfARequest) {
  const auto keep = [&](Feedback feedback) {
    return loops_.wait_for([&] { return store_->keep(feedback); });
  };
  Feedback feedback{.org_id = "acme", .request_id = "req_1", .model = "m", .task_type = "faq"};
  feedback.correct = false;
  ASSERT_TRUE(keep(feedback));
  feedback.correct.reset();
  feedback.rating = 4;
  ASSERT_TRUE(keep(feedback));
  const auto rows =
      db_->query_blocking({"SELECT org_id, correct, rating FROM routing_feedback", {}});
  ASSERT_TRUE(rows) << rows.error().message;
  ASSERT_EQ(rows->size(), 1U);
  EXPECT_TRUE(rows->is_null(0, "correct"));
  EXPECT_EQ(rows->integer(0, "rating"), 4);
}

TEST_P(RoutingStoreTest, MigratesDownAndUpAgain) {
  const auto down = migrator_->downgrade(static_cast<int>(migrations().size()));
  ASSERT_TRUE(down) << down.error().message;
  EXPECT_FALSE(db_->query_blocking({"SELECT org_id FROM routing_rules", {}}));
  ASSERT_TRUE(migrator_->upgrade());
  EXPECT_TRUE(db_->query_blocking({"SELECT org_id FROM routing_rules", {}}));
}

}  // namespace
}  // namespace asahi::gateway
