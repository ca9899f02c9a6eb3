#include "memory/graph/sight.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <random>

namespace asahi::memory::graph {
namespace {

const Time kNow{std::chrono::days{20'000}};

Statement says(std::string system, std::string memory, std::vector<StatedFact> facts) {
  return {.source = {std::move(system), std::move(memory)}, .facts = std::move(facts)};
}
StatedFact link(int from, int to, std::string type = "related_to") {
  return {.from = "n:" + std::to_string(from),
          .to = "n:" + std::to_string(to),
          .type = std::move(type)};
}

TEST(Sight, NeighboursStandBothWaysHeaviestFirst) {
  Graph graph;
  StatedFact heavy = link(2, 0);
  heavy.weight = 3;
  ASSERT_TRUE(
      graph.learn(says("a", "m", {link(0, 1), heavy, link(0, 3, "uses"), link(1, 3)}), kNow));
  const Sight sight(graph, {.valid_at = kNow});
  const Neighbours all = sight.neighbours("n:0", "", 2);
  EXPECT_EQ(all.total, 3U);
  ASSERT_EQ(all.list.size(), 2U);
  EXPECT_EQ(all.list[0].id, "n:2");
  EXPECT_FALSE(all.list[0].outgoing);
  EXPECT_EQ(all.list[1].id, "n:1");
  const Neighbours uses = sight.neighbours("n:0", "uses", 10);
  ASSERT_EQ(uses.list.size(), 1U);
  EXPECT_EQ(uses.list[0].id, "n:3");
  EXPECT_EQ(sight.neighbours("n:0", "unheard_of", 10).total, 0U);
  EXPECT_EQ(sight.neighbours("n:99", "", 10).total, 0U);
}

TEST(Sight, ShowsOnlyWhatAllowedSystemsSay) {
  Graph graph;
  Statement secret = says("secret", "m", {link(0, 1), link(5, 6)});
  secret.entities.push_back({.id = "n:0", .properties = R"({"name":"S"})"});
  ASSERT_TRUE(graph.learn(secret, kNow));
  ASSERT_TRUE(graph.learn(says("open", "m", {link(0, 2), link(0, 1)}), kNow));
  const Sight sight(graph, {.valid_at = kNow, .systems = std::vector<std::string>{"open", "none"}});
  const Neighbours found = sight.neighbours("n:0", "", 10);
  EXPECT_EQ(found.total, 2U);
  for (const auto& one : found.list) EXPECT_EQ(one.facts, 1U) << "the weight of the open one alone";
  EXPECT_FALSE(sight.entity("n:5"));
  EXPECT_EQ(sight.entity("n:0").value().properties, "{}");
  EXPECT_EQ(sight.entity("n:0").value().systems, std::vector<std::string>{});
  EXPECT_FALSE(sight.path("n:5", "n:6", 3));
  EXPECT_EQ(sight.statistics().edges, 2U);
  EXPECT_EQ(sight.network().size(), 3U);
  EXPECT_EQ(sight.facts("n:0", 10).size(), 2U);
  const Sight all(graph, {.valid_at = kNow});
  EXPECT_EQ(all.entity("n:0").value().properties, R"({"name":"S"})");
  EXPECT_EQ(all.statistics().facts, 4U);
  EXPECT_EQ(
      Sight(graph, {.valid_at = kNow, .systems = std::vector<std::string>{}}).network().size(), 0U);
}

TEST(Sight, EntitiesAreFoundByPartOfTheirKeyOrName) {
  Graph graph;
  Statement statement =
      says("a", "m", {link(1, 2), link(1, 3), {.from = "n:1", .to = "person:ana-ruiz"}});
  statement.facts.back().type = "knows";
  statement.entities = {{.id = "person:ana-ruiz", .properties = R"({"name":"Ana Ruiz"})"},
                        {.id = "person:juana"},
                        {.id = "person:ab12", .properties = R"({"name":"山田太郎"})"}};
  ASSERT_TRUE(graph.learn(statement, kNow));
  const Sight sight(graph, {.valid_at = kNow});
  const auto ids = [](const FoundEntities& found) {
    std::vector<std::string> out;
    for (const auto& [entity, edges] : found.list) out.push_back(entity.id);
    return out;
  };
  using Ids = std::vector<std::string>;
  EXPECT_EQ(ids(sight.find_entities("ANA", 10)), (Ids{"person:ana-ruiz", "person:juana"}))
      << "what begins with it stands first";
  EXPECT_EQ(ids(sight.find_entities("ana ruiz", 10)), Ids{"person:ana-ruiz"});
  EXPECT_EQ(ids(sight.find_entities("太郎", 10)), Ids{"person:ab12"}) << "by a name in any script";
  EXPECT_EQ(sight.name("person:ab12"), "山田太郎");
  EXPECT_EQ(sight.name("person:juana"), std::nullopt);
  EXPECT_EQ(ids(sight.find_entities("name", 10)), Ids{}) << "what a property is called is no name";
  const FoundEntities all = sight.find_entities("", 2);
  EXPECT_EQ(all.total, 6U);
  EXPECT_EQ(ids(all), (Ids{"n:1", "n:2"})) << "those with the most edges";
  EXPECT_EQ(all.list[0].edges, 3U);
  const Sight other(graph, {.valid_at = kNow, .systems = std::vector<std::string>{"b"}});
  EXPECT_EQ(other.find_entities("", 10).total, 0U);
}

TEST(Sight, FactsThatHoldNoMoreAreListedWhenAskedFor) {
  Graph graph;
  const auto lives = [](const char* town, Time since) {
    return StatedFact{.from = "user:ana",
                      .to = town,
                      .type = "located_in",
                      .exclusive = Exclusive::kOneTarget,
                      .valid_from = since};
  };
  const auto day = std::chrono::days{1};
  ASSERT_TRUE(graph.learn(says("a", "m1", {lives("place:lisbon", kNow - 30 * day)}), kNow));
  ASSERT_TRUE(graph.learn(says("a", "m2", {lives("place:porto", kNow - 2 * day)}), kNow + day));
  ASSERT_TRUE(graph.learn(says("a", "m3", {lives("place:faro", kNow + 9 * day)}), kNow + day));
  const Sight sight(graph, {.valid_at = kNow + 2 * day});
  ASSERT_EQ(sight.facts("user:ana", 10).size(), 1U);
  const auto ever = sight.facts("user:ana", 10, Which::kEver);
  ASSERT_EQ(ever.size(), 3U);
  EXPECT_EQ(ever[0].to, "place:faro");
  EXPECT_FALSE(sight.holds(ever[0].version)) << "not yet";
  EXPECT_EQ(ever[1].to, "place:porto");
  EXPECT_TRUE(sight.holds(ever[1].version));
  EXPECT_EQ(ever[2].to, "place:lisbon");
  EXPECT_EQ(ever[2].version.end, End::kSuperseded);
  EXPECT_EQ(ever[2].version.ended_by, ever[1].id);
  EXPECT_FALSE(sight.holds(ever[2].version));
  ASSERT_TRUE(graph.retract(ever[1].id, kNow + 3 * day));
  const auto after = Sight(graph, {.valid_at = kNow + 2 * day}).facts("user:ana", 10, Which::kEver);
  EXPECT_EQ(after.at(1).version.end, End::kRetracted) << "taken back, and still told of";
  const Sight then(graph, {.valid_at = kNow, .recorded_at = kNow});
  const auto known = then.facts("user:ana", 10, Which::kEver);
  ASSERT_EQ(known.size(), 1U) << "what was recorded later was not known";
  EXPECT_EQ(known[0].version.valid_to, kForever);
  const Sight other(graph, {.valid_at = kNow, .systems = std::vector<std::string>{"b"}});
  EXPECT_TRUE(other.facts("user:ana", 10, Which::kEver).empty());
}

TEST(Sight, StatisticsCountByType) {
  Graph graph;
  Statement statement = says("a", "m", {link(0, 1), link(0, 2, "uses"), link(1, 2, "uses")});
  statement.entities.push_back({.id = "user:ana"});
  ASSERT_TRUE(graph.learn(statement, kNow));
  const Statistics found = Sight(graph, {.valid_at = kNow}).statistics();
  EXPECT_EQ(found.entities, 4U);
  EXPECT_EQ(found.edges, 3U);
  EXPECT_EQ(found.entities_by_type.at("n"), 3U);
  EXPECT_EQ(found.entities_by_type.at("user"), 1U);
  EXPECT_EQ(found.edges_by_type.at("uses"), 2U);
}

TEST(Sight, PathsOfKnownGraphs) {
  Graph graph;
  ASSERT_TRUE(graph.learn(
      says("a", "m", {link(0, 1), link(2, 1), link(2, 3), link(3, 4), link(8, 9)}), kNow));
  const Sight sight(graph, {.valid_at = kNow});
  const auto path = sight.path("n:0", "n:4", 4);
  ASSERT_TRUE(path);
  EXPECT_EQ(path->hops(), 4U) << "edges, not nodes";
  EXPECT_EQ(path->entities, (std::vector<std::string>{"n:0", "n:1", "n:2", "n:3", "n:4"}));
  EXPECT_FALSE(sight.path("n:0", "n:4", 3)) << "too far";
  EXPECT_FALSE(sight.path("n:0", "n:9", 10)) << "no way";
  EXPECT_FALSE(sight.path("n:0", "n:77", 10)) << "unknown end";
  EXPECT_EQ(sight.path("n:0", "n:0", 3).value().hops(), 0U);
}

TEST(Sight, PathsAreTrulyShortest) {
  std::mt19937 random(13);
  for (int round = 0; round < 60; ++round) {
    Graph graph;
    const int nodes = 5 + static_cast<int>(random() % 40);
    std::map<int, std::vector<int>> near;
    for (int i = 0; i < nodes * 2; ++i) {
      const int a = static_cast<int>(random()) % nodes, b = static_cast<int>(random()) % nodes;
      if (a == b || a < 0 || b < 0) continue;
      StatedFact fact = link(a, b, random() % 2 == 0 ? "uses" : "knows");
      const bool open = random() % 4 != 0;
      if (!open && random() % 2 == 0) fact.valid_to = kNow;  // over by now
      const bool over = fact.valid_to == kNow;
      ASSERT_TRUE(graph.learn(
          says(open || over ? "open" : "secret", "m" + std::to_string(i), {fact}), kNow));
      if (!open) continue;
      near[a].push_back(b);
      near[b].push_back(a);
    }
    const Sight sight(graph, {.valid_at = kNow, .systems = std::vector<std::string>{"open"}});
    for (int from = 0; from < nodes; ++from) {
      std::map<int, std::size_t> distance{{from, 0}};
      std::deque<int> waiting{from};
      while (!waiting.empty()) {
        const int node = waiting.front();
        waiting.pop_front();
        for (const int other : near[node])
          if (distance.emplace(other, distance[node] + 1).second) waiting.push_back(other);
      }
      for (int to = 0; to < nodes; ++to) {
        if (near[from].empty() || near[to].empty()) continue;
        const std::size_t most = 1 + random() % 8;
        const auto path = sight.path("n:" + std::to_string(from), "n:" + std::to_string(to), most);
        const bool expected = distance.contains(to) && distance[to] <= most;
        ASSERT_EQ(path.has_value(), expected) << from << " " << to << " " << most;
        if (!path) continue;
        ASSERT_EQ(path->hops(), distance[to]);
        ASSERT_EQ(path->entities.size(), path->hops() + 1);
        for (std::size_t i = 0; i + 1 < path->entities.size(); ++i) {
          const int a = std::stoi(path->entities[i].substr(2)),
                    b = std::stoi(path->entities[i + 1].substr(2));
          ASSERT_TRUE(std::ranges::find(near[a], b) != near[a].end());
        }
      }
    }
  }
}

}  // namespace
}  // namespace asahi::memory::graph
