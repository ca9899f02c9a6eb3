#include "gateway/governance/policy_store.h"

#include <gtest/gtest.h>

#include "gateway/migrations/migrations.h"
#include "gateway/testing/loop.h"
#include "storage/sql/testing/database_test.h"

namespace asahi::gateway {
namespace {

using sql::testing::Engine;

/// The newest migration that is about policies: tests take it back.
constexpr int kLast = 111;

class PolicyStoreTest : public sql::testing::DatabaseTest {
 protected:
  void SetUp() override {
    if (!open_database({})) return;
    std::vector<sql::Migration> steps = migrations();
    std::erase_if(steps, [](const sql::Migration& step) { return step.version > kLast; });
    migrator_ = std::make_unique<sql::Migrator>(*db_, std::move(steps));
    const auto done = migrator_->upgrade();
    ASSERT_TRUE(done) << done.error().message;
    store_ = make();
  }
  std::unique_ptr<PolicyStore> make() {
    return std::make_unique<PolicyStore>(
        PolicyStore::Options{
            .publish = [this](const std::string& org) { published_.push_back(org); }},
        *db_, clock_);
  }
  Result<PolicyStore::Saved> save(std::string_view text) {
    return loops_.wait_for([&] {
      return store_->change("acme", "u1", [text](const OrgPolicy* now) {
        return read_policy(json::parse(text), now);
      });
    });
  }
  std::shared_ptr<const OrgRules> get(PolicyStore& store, std::string org = "acme") {
    auto rules = loops_.wait_for([&] { return store.get(org); });
    EXPECT_TRUE(rules) << rules.error().message;
    return rules ? *rules : nullptr;
  }

  ManualClock clock_;
  std::unique_ptr<sql::Migrator> migrator_;
  std::vector<std::string> published_;
  std::unique_ptr<PolicyStore> store_;
  testing::Loops loops_;
};
INSTANTIATE_TEST_SUITE_P(Engines, PolicyStoreTest, ::testing::ValuesIn(sql::testing::all_engines()),
                         sql::testing::engine_name);

TEST_P(PolicyStoreTest, GivesBackEveryFieldOfAPolicy) {
  const auto saved = save(
      R"({"allowed_models":["gpt-*"],"blocked_models":["a","b"],"max_cost_per_day":12.345678901,
    "max_cost_per_month":100,"max_cost_per_request":0.25,"max_requests_per_day":10,"max_requests_per_month":100,
    "default_quality_threshold":4.25,"default_latency_budget_ms":500,"require_audit_log":true,"data_residency":"eu",
    "rate_limit_per_minute":60,"tokens_per_minute":1000,"per_user":{"requests_per_minute":5},
    "per_model":{"gpt-4o":{"tokens_per_minute":100}},"cost_sensitivity":"low"})");
  ASSERT_TRUE(saved) << saved.error().message;
  EXPECT_FALSE(saved->before);
  const auto stored = loops_.wait_for([&] { return store_->policy("acme"); });
  ASSERT_TRUE(stored && *stored) << stored.error().message;
  EXPECT_EQ(policy_json(**stored), policy_json(saved->policy));
  EXPECT_EQ((*stored)->max_cost_per_day->nanos, 12'345'678'901);
  EXPECT_EQ((*stored)->updated_by, "u1");
}

TEST_P(PolicyStoreTest, GivesBackEveryFieldOfAProfile) {
  auto profile = read_profile(json::parse(
      R"({"frameworks":["gdpr","hipaa"],"data_residency":"eu","encryption_required":true,
      "prompt_storage_allowed":false,"retention_days":30,"pii_detection_enabled":true,"pii_action":"redact",
      "baa_signed_at":"2026-01-02T03:04:05Z","assessed_at":"2026-01-02T03:04:05Z","impact_assessment":"x","incident_contact":"y"})"));
  profile->org_id = "acme";
  EXPECT_TRUE(*loops_.wait_for([&] { return store_->save(*profile); }));
  EXPECT_FALSE(*loops_.wait_for([&] { return store_->save(*profile); }));
  const auto stored = loops_.wait_for([&] { return store_->profile("acme"); });
  ASSERT_TRUE(stored && *stored) << stored.error().message;
  profile->updated_at = (*stored)->updated_at;
  EXPECT_EQ(**stored, *profile);
  EXPECT_EQ(loops_.wait_for([&] { return store_->profiles(); })->size(), 1U);
  EXPECT_FALSE(get(*store_)->duties.store_prompts);
  EXPECT_EQ(get(*store_)->residency, "eu");
}

TEST_P(PolicyStoreTest, AFailedChangeLeavesThePolicyAsItWas) {
  ASSERT_TRUE(save(R"({"max_requests_per_day":5})"));
  const auto refused = save(R"({"max_requests_per_day":-5})");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().field, "max_requests_per_day");
  EXPECT_EQ(get(*store_)->policy.max_requests_per_day, 5);
  EXPECT_EQ(published_.size(), 1U);
}

TEST_P(PolicyStoreTest, ConcurrentChangesAreAllKept) {
  testing::Pending<Result<PolicyStore::Saved>> one(loops_, [&](CancelSource&) {
    return store_->change("acme", "a", [](const OrgPolicy* now) {
      return read_policy(json::parse(R"({"max_requests_per_day":5})"), now);
    });
  });
  testing::Pending<Result<PolicyStore::Saved>> two(loops_, [&](CancelSource&) {
    return store_->change("acme", "b", [](const OrgPolicy* now) {
      return read_policy(json::parse(R"({"data_residency":"eu"})"), now);
    });
  });
  ASSERT_TRUE(one.get());
  ASSERT_TRUE(two.get());
  EXPECT_EQ(get(*store_)->policy.max_requests_per_day, 5);
  EXPECT_EQ(get(*store_)->policy.data_residency, "eu");
}

TEST_P(PolicyStoreTest, AChangeHoldsHereAtOnceAndElsewhereAfterItsMessage) {
  const auto other = make();
  EXPECT_FALSE(get(*store_)->has_policy);
  EXPECT_FALSE(get(*other)->has_policy);
  EXPECT_NE(store_->try_get("acme"), nullptr);
  ASSERT_TRUE(save(R"({"max_requests_per_day":5})"));
  EXPECT_EQ(store_->try_get("acme"), nullptr);
  EXPECT_TRUE(get(*store_)->has_policy);
  EXPECT_FALSE(get(*other)->has_policy);
  ASSERT_EQ(published_, std::vector<std::string>{"acme"});
  other->invalidate(published_[0]);
  EXPECT_TRUE(get(*other)->has_policy);
}

TEST_P(PolicyStoreTest, MissedMessagesCostAtMostAMinute) {
  const auto other = make();
  EXPECT_FALSE(get(*other)->has_policy);
  ASSERT_TRUE(save(R"({"max_requests_per_day":5})"));
  clock_.advance(std::chrono::seconds(50));
  EXPECT_NE(other->try_get("acme"), nullptr);
  clock_.advance(std::chrono::seconds(5));
  EXPECT_EQ(other->try_get("acme"), nullptr) << "one caller reads again before the end";
  EXPECT_NE(other->try_get("acme"), nullptr) << "the others go on meanwhile";
  clock_.advance(std::chrono::seconds(6));
  EXPECT_EQ(other->try_get("acme"), nullptr);
  EXPECT_TRUE(get(*other)->has_policy);
}

TEST_P(PolicyStoreTest, RulesThatDidNotChangeStayTheSameObject) {
  ASSERT_TRUE(save(R"({"max_requests_per_day":5})"));
  const auto first = get(*store_);
  store_->invalidate("");
  EXPECT_EQ(store_->try_get("acme"), nullptr);
  EXPECT_EQ(get(*store_), first);
}

TEST_P(PolicyStoreTest, TheLastKnownRulesHoldWhileTheDatabaseIsAway) {
  ASSERT_TRUE(save(R"({"max_requests_per_day":5})"));
  EXPECT_TRUE(get(*store_)->has_policy);
  ASSERT_TRUE(migrator_->downgrade(2));
  store_->invalidate("acme");
  EXPECT_TRUE(get(*store_)->has_policy);
  EXPECT_NE(store_->try_get("acme"), nullptr) << "and calls do not ask it one after the other";
  clock_.advance(std::chrono::seconds(6));
  EXPECT_EQ(store_->try_get("acme"), nullptr);
  const auto unknown = loops_.wait_for([&] { return store_->get("other"); });
  EXPECT_FALSE(unknown);
}

TEST_P(PolicyStoreTest, SchemaGoesDownAndUpAgain) {
  const auto down = migrator_->downgrade(2);
  ASSERT_TRUE(down) << down.error().message;
  const auto up = migrator_->upgrade();
  ASSERT_TRUE(up) << up.error().message;
  EXPECT_FALSE(get(*store_)->has_policy);
}

}  // namespace
}  // namespace asahi::gateway
