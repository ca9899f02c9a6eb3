#include "memory/knowledge/graph_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <tuple>

#include "memory/testing/knowledge_fixture.h"

namespace asahi::memory::knowledge {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class GraphStoreContract : public testing::KnowledgeContract {
 protected:
  graph::StatedFact lives(std::string town, hours ago) {
    return {.from = "user:ana",
            .to = "place:" + town,
            .type = "located_in",
            .exclusive = graph::Exclusive::kOneTarget,
            .valid_from = clock_.now() - ago,
            .evidence = "Ana lives in " + town + "."};
  }
  graph::StatedFact knows(std::string whom) {
    return {.from = "user:ana",
            .to = "user:" + whom,
            .type = "knows",
            .valid_from = clock_.now() - hours(1)};
  }
  LearnedCounts learn(GraphStore& store, std::string memory, std::vector<graph::StatedFact> facts,
                      std::string tenant = "acme") {
    graph::Statement statement{.source = {"agent", std::move(memory)}, .facts = std::move(facts)};
    statement.entities.push_back({.id = "user:ana", .properties = R"({"name":"Ana Ruiz"})"});
    const std::vector<TenantStatement> list{{std::move(tenant), std::move(statement)}};
    auto learned = store.learn(list);
    EXPECT_TRUE(learned) << learned.error().message;
    return learned.value_or(LearnedCounts{});
  }
  graph::FactId only_fact(const std::string& entity, const std::string& tenant = "acme") {
    auto id = graph_->read(tenant, [&](const graph::Graph& graph) -> Result<graph::FactId> {
      const auto facts = graph::Sight(graph, {.valid_at = clock_.now()}).facts(entity, 10);
      if (facts.size() != 1) return fail(Errc::kNotFound, "not one fact");
      return facts[0].id;
    });
    EXPECT_TRUE(id);
    return id.value_or(0);
  }
};

TEST_P(GraphStoreContract, WhatWasLearnedOutlivesTheProcess) {
  learn(*graph_, "m1", {lives("lisbon", hours(48)), knows("ben")});
  const auto restarted = store();
  EXPECT_THAT(around(*restarted, "acme", "user:ana"),
              ElementsAre("located_in place:lisbon", "knows user:ben"));
  EXPECT_EQ(all_of(*restarted, "acme"), all_of(*graph_, "acme"));
  const auto fact = restarted->read("acme", [&](const graph::Graph& graph) -> Result<graph::Fact> {
    return graph::Sight(graph, {.valid_at = clock_.now()}).facts("place:lisbon", 1).at(0);
  });
  ASSERT_TRUE(fact);
  EXPECT_EQ(fact->source, (graph::Source{"agent", "m1"})) << "where it comes from is kept";
  EXPECT_EQ(fact->version.evidence, "Ana lives in lisbon.");
}

TEST_P(GraphStoreContract, LearningTheSameMemoryTwiceChangesNothing) {
  EXPECT_EQ(learn(*graph_, "m1", {knows("ben")}).added, 1U);
  const std::uint64_t epoch = graph_->epoch("acme").value();
  const auto again = learn(*graph_, "m1", {knows("ben")});
  EXPECT_EQ(again.added + again.changed + again.withdrawn, 0U);
  EXPECT_EQ(graph_->epoch("acme").value(), epoch) << "no row was written";
}

TEST_P(GraphStoreContract, TenantsSeeNothingOfEachOther) {
  learn(*graph_, "m0", {knows("cleo")}, "acme");
  learn(*graph_, "m1", {knows("ben")}, "acme");
  ASSERT_TRUE(graph_->forget("acme", {{"agent", "m0"}}));
  learn(*graph_, "m1", {knows("eve")}, "rival");
  EXPECT_THAT(around(*graph_, "rival", "user:ana"), ElementsAre("knows user:eve"));
  const auto restarted = store();
  EXPECT_THAT(around(*restarted, "acme", "user:ana"), ElementsAre("knows user:ben"));
  EXPECT_THAT(around(*restarted, "nobody", "user:ana"), IsEmpty());
  EXPECT_EQ(graph_->retract("rival", only_fact("user:ben")).error().code, Errc::kNotFound)
      << "numbers of facts are a tenant's own";
}

TEST_P(GraphStoreContract, ALaterFactSupersedesAndBothMomentsStayVisible) {
  learn(*graph_, "m1", {lives("lisbon", hours(48))});
  const graph::Time before = clock_.now();
  clock_.advance(hours(1));
  learn(*graph_, "m2", {lives("porto", hours(2))});
  const auto restarted = store();
  for (GraphStore* const each : {graph_.get(), restarted.get()}) {
    EXPECT_THAT(around(*each, "acme", "user:ana"), ElementsAre("located_in place:porto"));
    EXPECT_THAT(around(*each, "acme", "user:ana", before), ElementsAre("located_in place:lisbon"))
        << "as was known then";
  }
}

TEST_P(GraphStoreContract, ForgettingAMemoryEndsWhatOnlyItSays) {
  learn(*graph_, "m1", {knows("ben"), knows("cleo")});
  learn(*graph_, "m2", {knows("ben")});
  EXPECT_EQ(graph_->forget("acme", {{"agent", "m1"}, {"agent", "unknown"}}).value(), 2U);
  EXPECT_THAT(around(*graph_, "acme", "user:ana"), ElementsAre("knows user:ben"));
  const auto restarted = store();
  EXPECT_EQ(all_of(*restarted, "acme"), all_of(*graph_, "acme"));
  EXPECT_EQ(restarted->forget_system("acme", "agent").value(), 1U);
  EXPECT_THAT(around(*store(), "acme", "user:ana"), IsEmpty());
  EXPECT_THAT(graph_->sources("acme", {}, 10).value(), IsEmpty());
}

TEST_P(GraphStoreContract, ForgettingWhatSupersededBringsBackWhatItEnded) {
  learn(*graph_, "m1", {lives("lisbon", hours(48))});
  learn(*graph_, "m2", {lives("porto", hours(2))});
  ASSERT_TRUE(graph_->forget("acme", {{"agent", "m2"}}));
  EXPECT_THAT(around(*store(), "acme", "user:ana"), ElementsAre("located_in place:lisbon"));
}

TEST_P(GraphStoreContract, FactsAreEditedRetractedAndContradicted) {
  learn(*graph_, "m1", {knows("ben")});
  const graph::FactId ben = only_fact("user:ben");
  clock_.advance(seconds(1));
  EXPECT_EQ(graph_->edit("acme", ben, {.weight = 3}).value().version.weight_micros, 3'000'000);
  learn(*graph_, "m2", {knows("cleo")});
  clock_.advance(seconds(1));
  const auto wrong = graph_->contradict("acme", ben, only_fact("user:cleo"));
  EXPECT_EQ(wrong.value().version.end, graph::End::kContradicted);
  EXPECT_THAT(around(*store(), "acme", "user:ana"), ElementsAre("knows user:cleo"));
  clock_.advance(seconds(1));
  ASSERT_TRUE(graph_->retract("acme", only_fact("user:cleo")));
  EXPECT_THAT(around(*store(), "acme", "user:ana"), ElementsAre("knows user:ben"))
      << "nothing contradicts it any more";
  EXPECT_EQ(graph_->edit("acme", ben, {.weight = -1}).error().field, "weight");
  EXPECT_EQ(graph_->retract("acme", 4711).error().code, Errc::kNotFound);
  const auto versions = store()->read("acme", [&](const graph::Graph& graph) {
    return Result<std::size_t>(graph.history(ben).size());
  });
  EXPECT_GE(versions.value(), 3U) << "what was believed before is kept";
}

TEST_P(GraphStoreContract, TwoProcessesMayWrite) {
  const auto other = store();
  learn(*graph_, "m1", {knows("ben")});
  learn(*other, "m2", {knows("cleo")});
  learn(*graph_, "m3", {knows("dan")});
  clock_.advance(seconds(3));
  EXPECT_EQ(around(*other, "acme", "user:ana").size(), 3U) << "what the other one wrote is seen";
  EXPECT_EQ(all_of(*other, "acme"), all_of(*graph_, "acme"));
}

TEST_P(GraphStoreContract, AFullGraphRefusesAMemoryAndTakesTheOthers) {
  const auto small = store({.limits = {.entities = 2, .edges = 5, .facts = 5}});
  std::vector<TenantStatement> list;
  for (const char* whom : {"ben", "cleo"}) {
    list.push_back({"acme", {.source = {"agent", whom}, .facts = {knows(whom)}}});
  }
  const auto learned = small->learn(list);
  ASSERT_TRUE(learned);
  EXPECT_EQ(learned->refused, 1U);
  EXPECT_NE(learned->refusal.find("GRAPH_MAX_ENTITIES"), std::string::npos);
  EXPECT_THAT(around(*small, "acme", "user:ana"), ElementsAre("knows user:ben"));
}

TEST_P(GraphStoreContract, WhatGoesWithItIsAllOrNothing) {
  const std::vector<TenantStatement> list{
      {"acme", {.source = {"agent", "m1"}, .facts = {knows("ben")}}}};
  EXPECT_FALSE(graph_->learn(
      list, {.statements = {{"INSERT INTO no_such_table VALUES (1)", {}}}, .condition = {}}));
  const sql::Statement nobody{"DELETE FROM memory_derived WHERE feed = 'nobody'", {}};
  EXPECT_EQ(graph_->learn(list, {.statements = {}, .condition = nobody}).error().code,
            Errc::kConflict);
  EXPECT_THAT(around(*graph_, "acme", "user:ana"), IsEmpty()) << "not in memory alone either";
  ASSERT_TRUE(graph_->learn(list));
  EXPECT_THAT(around(*graph_, "acme", "user:ana"), ElementsAre("knows user:ben"));
}

TEST_P(GraphStoreContract, FewTenantsStayInMemory) {
  const auto small = store({.most_loaded = 2});
  for (const char* tenant : {"a", "b", "c", "d"}) learn(*small, "m", {knows("ben")}, tenant);
  for (const char* tenant : {"a", "b", "c", "d"}) {
    EXPECT_THAT(around(*small, tenant, "user:ana"), ElementsAre("knows user:ben")) << tenant;
  }
  EXPECT_THAT(small->tenants("a", 2).value(), ElementsAre("b", "c"));
  EXPECT_EQ(small->size().value().facts, 4U);
}

TEST_P(GraphStoreContract, RowsAlwaysSayWhatTheGraphInMemorySays) {
  std::mt19937 random(7);
  const auto pick = [&](int most) {
    return static_cast<int>(random() % static_cast<unsigned>(most));
  };
  for (int step = 0; step < 150; ++step) {
    clock_.advance(seconds(pick(100)));
    const std::string memory = "m" + std::to_string(pick(8));
    switch (pick(6)) {
      case 0:
        ASSERT_TRUE(graph_->forget("acme", {{"agent", memory}}));
        break;
      case 1:
        std::ignore = graph_->edit("acme", static_cast<graph::FactId>(1 + pick(step + 1)),
                                   {.weight = 1.0 + pick(5)});
        break;
      case 2:
        std::ignore = graph_->contradict("acme", static_cast<graph::FactId>(1 + pick(step + 1)),
                                         static_cast<graph::FactId>(pick(step + 1)));
        break;
      case 3:
        std::ignore = graph_->supersede("acme", static_cast<graph::FactId>(1 + pick(step + 1)),
                                        static_cast<graph::FactId>(1 + pick(step + 1)));
        break;
      default: {
        std::vector<graph::StatedFact> facts;
        for (int i = pick(3); i >= 0; --i) {
          facts.push_back(lives("t" + std::to_string(pick(4)), hours(pick(50))));
          facts.push_back(knows("p" + std::to_string(pick(4))));
        }
        learn(*graph_, memory, std::move(facts));
      }
    }
    if (step % 10 == 9) {
      ASSERT_EQ(all_of(*store(), "acme"), all_of(*graph_, "acme")) << "after step " << step;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, GraphStoreContract,
                         ::testing::ValuesIn(sql::testing::all_engines()),
                         sql::testing::engine_name);

}  // namespace
}  // namespace asahi::memory::knowledge
