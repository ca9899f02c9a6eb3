#include "memory/outside/orchestrator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "memory/outside/workflow_runs.h"
#include "memory/testing/on_loop.h"
#include "storage/sql/testing/test_database.h"

namespace asahi::memory {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// An orchestrator that is there or away; a quarter to midnight.
class OrchestratorTest : public ::testing::Test {
 protected:
  Orchestrator make(Orchestrator::Options options = {.configured = true}) {
    return Orchestrator(
        {.hello = [this]() -> Task<json::object> {
           ++greeted_;
           if (away_) co_return fail(Errc::kUnavailable, "connection refused");
           co_return json::object{{"name", "mahavishnu"}};
         },
         .call = [this](std::string tool, json::object arguments) -> Task<json::object> {
           EXPECT_EQ(tool, "workflow-trigger");
           if (refuses_) co_return fail(Errc::kUpstream, "no such workflow");
           started_.emplace_back(arguments.at("workflow").as_string());
           co_return json::object{};
         },
         .here = [this](Workflow workflow) { here_.push_back(workflow); },
         .claim = [this](std::string, Clock::Time, Clock::Time) -> Task<bool> {
           co_return !somebody_elses_;
         },
         .metrics = metrics_,
         .clock = clock_},
        std::move(options));
  }
  void tick(Orchestrator& orchestrator) {
    net::run_sync<bool>(loop_.loop(), [&]() -> Aw<bool> {
      co_await orchestrator.tick();
      co_return true;
    });
  }
  double fallback_gauge() {
    return metrics_.gauge("akosha_fallback_mode", "1: an orchestrator is configured and away.")
        .value();
  }

  ManualClock clock_{parse_rfc3339("2026-11-21T23:45:00Z").value()};
  testing::OnLoop loop_;
  telemetry::Registry metrics_;
  bool away_ = false, refuses_ = false, somebody_elses_ = false;
  int greeted_ = 0;
  std::vector<std::string> started_;
  std::vector<Workflow> here_;
};

TEST_F(OrchestratorTest, IsNotMissedWhereThereIsNone) {
  Orchestrator none = make({});
  clock_.advance(hours(48));
  tick(none);
  EXPECT_EQ(greeted_, 0);
  EXPECT_THAT(here_, IsEmpty());
  EXPECT_EQ(json::serialize(orchestrator_json(none.status())),
            R"({"status":"normal","fallback_mode":false,"last_mahavishnu_contact":null})");
}

TEST_F(OrchestratorTest, IsAskedForWorkflowsThatAreDue) {
  Orchestrator there = make();
  tick(there);
  EXPECT_THAT(started_, IsEmpty()) << "nothing is due before midnight";
  EXPECT_EQ(there.status().last_contact, clock_.now());
  clock_.advance(minutes(15));
  tick(there);
  EXPECT_THAT(started_, ElementsAre("akosha-daily-ingest", "akosha-health-check"));
  tick(there);
  EXPECT_EQ(started_.size(), 2U) << "once each time that it is due";
  clock_.advance(hours(2));
  tick(there);
  EXPECT_THAT(started_, ElementsAre("akosha-daily-ingest", "akosha-health-check",
                                    "akosha-tier-transition", "akosha-health-check"));
  EXPECT_THAT(here_, IsEmpty());
}

TEST_F(OrchestratorTest, WhileItIsAwayItsWorkIsDoneHere) {
  Orchestrator away = make();
  tick(away);
  away_ = true;
  const Clock::Time last = clock_.now();
  clock_.advance(minutes(15));
  tick(away);
  EXPECT_TRUE(away.status().fallback);
  EXPECT_EQ(away.status().last_contact, last);
  EXPECT_EQ(fallback_gauge(), 1);
  EXPECT_THAT(here_, ElementsAre(Workflow::kDailyIngest, Workflow::kHealthCheck));
  away_ = false;
  clock_.advance(minutes(1));
  tick(away);
  EXPECT_FALSE(away.status().fallback) << "it is asked again each minute";
  EXPECT_EQ(fallback_gauge(), 0);
}

TEST_F(OrchestratorTest, AWorkflowThatItRefusesIsDoneHere) {
  Orchestrator there = make();
  refuses_ = true;
  clock_.advance(minutes(15));
  tick(there);
  EXPECT_THAT(here_, ElementsAre(Workflow::kDailyIngest, Workflow::kHealthCheck));
  EXPECT_TRUE(there.status().fallback);
}

TEST_F(OrchestratorTest, OneProcessOfManyStartsAWorkflow) {
  Orchestrator other = make();
  somebody_elses_ = true;
  clock_.advance(minutes(15));
  tick(other);
  EXPECT_THAT(started_, IsEmpty());
  EXPECT_THAT(here_, IsEmpty());
  Orchestrator watcher = make({.configured = true, .starts_workflows = false});
  somebody_elses_ = false;
  clock_.advance(hours(24));
  tick(watcher);
  EXPECT_THAT(started_, IsEmpty()) << "some processes only follow its health";
}

class WorkflowRunsContract : public ::testing::TestWithParam<sql::testing::Engine> {};

TEST_P(WorkflowRunsContract, TheFirstOfManyIsTheOne) {
  auto place = sql::testing::TestDatabase::make(GetParam());
  if (!place && place.error().code == Errc::kNotFound) GTEST_SKIP() << place.error().message;
  ASSERT_TRUE(place) << place.error().message;
  const auto db = sql::open_database((*place)->options()).value();
  ASSERT_TRUE(sql::Migrator(*db, {workflow_runs_migration()}).upgrade());
  testing::OnLoop loop;
  WorkflowRuns one(*db), other(*db);
  const Clock::Time due = parse_rfc3339("2026-11-22T00:00:00Z").value();
  const auto claim = [&](WorkflowRuns& runs, const char* workflow, Clock::Time when) {
    return loop.wait<bool>([&] { return runs.claim(workflow, when, when); }).value();
  };
  EXPECT_TRUE(claim(one, "akosha-daily-ingest", due));
  EXPECT_FALSE(claim(other, "akosha-daily-ingest", due));
  EXPECT_TRUE(claim(other, "akosha-health-check", due));
  EXPECT_TRUE(claim(other, "akosha-daily-ingest", due + hours(24)));
  EXPECT_TRUE(claim(other, "akosha-daily-ingest", due + hours(24 * 100)));
  EXPECT_TRUE(claim(one, "akosha-daily-ingest", due)) << "forgotten after 90 days";
}

INSTANTIATE_TEST_SUITE_P(Engines, WorkflowRunsContract,
                         ::testing::ValuesIn(sql::testing::all_engines()),
                         sql::testing::engine_name);

}  // namespace
}  // namespace asahi::memory
