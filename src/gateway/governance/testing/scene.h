#pragma once
// Governance over a database in memory, with what its jobs and routes need around it.

#include <gtest/gtest.h>

#include <memory>
#include <span>
#include <string>

#include "gateway/analytics/rollups.h"
#include "gateway/analytics/store.h"
#include "gateway/cache/exact_cache.h"
#include "gateway/governance/migrations.h"
#include "gateway/governance/policy_store.h"
#include "gateway/governance/testing/accounts_fake.h"
#include "gateway/migrations/migrations.h"
#include "gateway/testing/loop.h"
#include "identity/testing/fakes.h"
#include "storage/cache/memory_store.h"
#include "storage/sql/database.h"
#include "storage/sql/migrations.h"

namespace asahi::gateway::testing {

class GovernanceScene : public ::testing::Test {
 protected:
  GovernanceScene() {
    std::vector<sql::Migration> steps = migrations();
    const auto done = sql::Migrator(*database_, std::move(steps)).upgrade();
    EXPECT_TRUE(done) << done.error().message;
  }

  /// One row of `inference_events`, `age` ago, and what it adds to the rollups.
  void add_event(const std::string& org, const std::string& user, std::chrono::seconds age,
                 const std::string& cost = "0.000000000", const std::string& model = "gpt-4o",
                 const std::string& error = {}) {
    InferenceEvent event;
    event.event_id = event.request_id = "evt_" + std::to_string(++events_);
    event.timestamp = clock_.now() - age;
    event.org_id = org;
    event.user_id = user;
    event.model_selected = model;
    event.cost = parse_nano_usd(cost).value();
    event.error_code = error;
    const auto done = database_->transaction_blocking([&](sql::Session& session) -> Result<void> {
      if (auto begun = rollups_.begin(session); !begun) return begun;
      auto stored = session.query(
          {"INSERT INTO inference_events (event_id, request_id, timestamp, user_id, org_id, "
           "model_selected, cost, error_code) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
           {event.event_id, event.request_id, format_rfc3339(event.timestamp), user, org, model,
            cost, error.empty() ? sql::Value{} : sql::Value{error}}});
      if (!stored) return std::unexpected(std::move(stored.error()));
      return rollups_.add(session, std::span(&event, 1));
    });
    EXPECT_TRUE(done) << done.error().message;
    rollups_.committed();
  }
  std::int64_t count(const std::string& table, const std::string& where = "1 = 1") {
    const auto rows =
        database_->query_blocking({"SELECT COUNT(*) AS n FROM " + table + " WHERE " + where, {}});
    EXPECT_TRUE(rows) << rows.error().message;
    return rows ? rows->integer(0, "n") : -1;
  }
  void add_answer(const std::string& org, const std::string& name, std::chrono::seconds age,
                  NanoUsd cost = {}, const std::string& model = "gpt-4o") {
    Answer answer;
    answer.model = model;
    answer.query = name;
    answer.cost = cost;
    answer.created = clock_.now() - age;
    answer.expires = clock_.now() + std::chrono::hours(1);
    answer.response.parts.emplace_back(llm::TextPart{"answer", {}});
    auto bytes = std::make_shared<const std::string>(serialize_answer(answer));
    ASSERT_TRUE(loops_.wait_for(
        [&] { return store_.set(cache_.key(org, "native", name), bytes, std::chrono::hours(1)); }));
  }
  std::vector<std::string> answers(const std::string& org) {
    std::vector<std::string> names;
    const auto done = loops_.wait_for([&] {
      return cache_.each(org, [&](const cache::Entry&, const Answer& answer) {
        names.push_back(answer.query);
        return true;
      });
    });
    EXPECT_TRUE(done);
    std::ranges::sort(names);
    return names;
  }
  void set_profile(const std::string& org, std::string_view text) {
    auto profile = read_profile(json::parse(text));
    ASSERT_TRUE(profile) << profile.error().message;
    profile->org_id = org;
    ASSERT_TRUE(loops_.wait_for([&] { return policies_.save(*profile); }));
  }

  ManualClock clock_;
  std::unique_ptr<sql::Database> database_ = *sql::open_database({.url = "sqlite://:memory:"});
  analytics::RollupWriter rollups_{clock_};
  analytics::Store analytics_{*database_, clock_};
  PolicyStore policies_{{}, *database_, clock_};
  cache::MemoryStore store_{{}, clock_};
  ExactCache cache_{{}, store_, store_, clock_};
  identity::testing::AuditFake audit_;
  AccountsFake accounts_;
  identity::testing::LedgerFake ledger_;
  Loops loops_;

 private:
  int events_ = 0;
};

}  // namespace asahi::gateway::testing
