#include "memory/graph/graph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <set>

#include "memory/graph/sight.h"

namespace asahi::memory::graph {
namespace {

Time day(int number) { return Time{std::chrono::days{19'000 + number}}; }

StatedFact lives(std::string who, std::string town, Time from, Time to = kForever) {
  return {.from = "user:" + who,
          .to = "concept:" + town,
          .type = "located_in",
          .exclusive = Exclusive::kOneTarget,
          .valid_from = from,
          .valid_to = to};
}

Statement says(std::string memory, std::vector<StatedFact> facts, std::string system = "a") {
  return {.source = {std::move(system), std::move(memory)}, .facts = std::move(facts)};
}

/// Where `who` lives, by what is believed at `recorded` of the time `valid`.
std::string town(const Graph& graph, const std::string& who, Time valid, Time recorded = kForever) {
  const auto found = Sight(graph, {.valid_at = valid, .recorded_at = recorded})
                         .neighbours("user:" + who, "located_in", 10);
  std::string out;
  for (const Neighbour& one : found.list) out += one.id.substr(one.id.find(':') + 1) + " ";
  return out;
}

FactId learn_one(Graph& graph, const Statement& statement, Time now) {
  return graph.learn(statement, now).value().facts.at(0);
}

TEST(Graph, TheSameMemoryTwiceChangesNothing) {
  Graph graph;
  const Statement statement = says("m1", {lives("ana", "paris", day(1))});
  const Learned first = graph.learn(statement, day(10)).value();
  EXPECT_EQ(first.added, 1U);
  EXPECT_EQ(graph.take_changes().size(), 1U);
  const Learned again = graph.learn(statement, day(11)).value();
  EXPECT_EQ(again.unchanged, 1U);
  EXPECT_EQ(again.facts, first.facts);
  EXPECT_TRUE(graph.take_changes().empty()) << "nothing for the log";
  EXPECT_EQ(graph.history(first.facts[0]).size(), 1U);
  EXPECT_EQ(graph.facts(), 1U);
}

TEST(Graph, ParallelEdgesMergeByWeight) {
  Graph graph;
  const auto fact = [](double weight) {
    return StatedFact{.from = "user:ana", .to = "project:x", .type = "worked_on", .weight = weight};
  };
  ASSERT_TRUE(graph.learn(says("m1", {fact(1)}), day(1)));
  ASSERT_TRUE(graph.learn(says("m2", {fact(0.5)}), day(2)));
  EXPECT_EQ(graph.edges(), 1U);
  EXPECT_EQ(graph.facts(), 2U);
  const auto near = Sight(graph, {.valid_at = day(3)}).neighbours("user:ana", "", 10);
  ASSERT_EQ(near.list.size(), 1U);
  EXPECT_DOUBLE_EQ(near.list[0].weight, 1.5);
  EXPECT_EQ(near.list[0].facts, 2U);
}

TEST(Graph, ALaterFactEndsTheEarlierOneWhicheverComesFirst) {
  for (const bool in_order : {true, false}) {
    Graph graph;
    const Statement paris = says("m1", {lives("ana", "paris", day(1))});
    const Statement rome = says("m2", {lives("ana", "rome", day(100))});
    ASSERT_TRUE(graph.learn(in_order ? paris : rome, day(200)));
    ASSERT_TRUE(graph.learn(in_order ? rome : paris, day(201)));
    EXPECT_EQ(town(graph, "ana", day(50)), "paris ");
    EXPECT_EQ(town(graph, "ana", day(99)), "paris ");
    EXPECT_EQ(town(graph, "ana", day(100)), "rome ");
    EXPECT_EQ(town(graph, "ana", day(500)), "rome ");
    EXPECT_EQ(town(graph, "ana", day(0)), "");
  }
}

TEST(Graph, WhatWasBelievedThenCanStillBeSeen) {
  Graph graph;
  const FactId paris = learn_one(graph, says("m1", {lives("ana", "paris", day(1))}), day(200));
  ASSERT_TRUE(graph.learn(says("m2", {lives("ana", "rome", day(100))}), day(210)));
  // On day 205 nobody knew of Rome.
  EXPECT_EQ(town(graph, "ana", day(150), day(205)), "paris ");
  EXPECT_EQ(town(graph, "ana", day(150), day(210)), "rome ");
  EXPECT_EQ(town(graph, "ana", day(150), day(199)), "");
  const auto history = graph.history(paris);
  ASSERT_EQ(history.size(), 2U);
  EXPECT_EQ(history[0].retracted_at, day(210));
  EXPECT_EQ(history[0].valid_to, kForever);
  EXPECT_EQ(history[1].valid_to, day(100));
  EXPECT_EQ(history[1].end, End::kSuperseded);
}

TEST(Graph, OfTwoFactsWithOneBeginningTheLaterRecordedIsBelieved) {
  Graph graph;
  const FactId paris = learn_one(graph, says("m1", {lives("ana", "paris", day(1))}), day(10));
  const FactId rome = learn_one(graph, says("m2", {lives("ana", "rome", day(1))}), day(11));
  EXPECT_EQ(town(graph, "ana", day(5)), "rome ");
  EXPECT_EQ(town(graph, "ana", day(5), day(10)), "paris ");
  EXPECT_EQ(graph.history(paris).back().end, End::kContradicted);
  EXPECT_EQ(graph.history(paris).back().ended_by, rome);
  graph.forget({"a", "m2"}, day(12));
  EXPECT_EQ(town(graph, "ana", day(5)), "paris ") << "what ended it is gone";
}

TEST(Graph, RestatingAFactDoesNotEndIt) {
  Graph graph;
  ASSERT_TRUE(graph.learn(says("m1", {lives("ana", "paris", day(1))}), day(10)));
  ASSERT_TRUE(graph.learn(says("m2", {lives("ana", "paris", day(20))}), day(30)));
  ASSERT_TRUE(graph.learn(says("m3", {lives("ana", "rome", day(40))}), day(41)));
  EXPECT_EQ(town(graph, "ana", day(30)), "paris ");
  EXPECT_EQ(town(graph, "ana", day(41)), "rome ");
}

TEST(Graph, AnExplicitSuccessorEndsAFactUntilItGoes) {
  Graph graph;
  const auto uses = [](std::string what, Time from) {
    return StatedFact{
        .from = "project:x", .to = "concept:" + what, .type = "uses", .valid_from = from};
  };
  const FactId redis = learn_one(graph, says("m1", {uses("redis", day(1))}), day(5));
  const FactId sqlite = learn_one(graph, says("m2", {uses("sqlite", day(50))}), day(51));
  ASSERT_TRUE(graph.supersede(redis, sqlite, day(52)));
  const auto names = [&](Time at) {
    std::set<std::string> out;
    for (const auto& one : Sight(graph, {.valid_at = at}).neighbours("project:x", "uses", 9).list)
      out.insert(one.id);
    return out;
  };
  EXPECT_EQ(names(day(40)), (std::set<std::string>{"concept:redis"}));
  EXPECT_EQ(names(day(60)), (std::set<std::string>{"concept:sqlite"}));
  graph.forget({"a", "m2"}, day(70));
  EXPECT_EQ(names(day(71)), (std::set<std::string>{"concept:redis"}));
  const auto back = graph.supersede(sqlite, redis, day(72));
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().code, Errc::kNotFound);
}

TEST(Graph, ASuccessorMustBeginLater) {
  Graph graph;
  const FactId a = learn_one(graph, says("m1", {lives("ana", "paris", day(5))}), day(6));
  const FactId b = learn_one(graph, says("m2", {lives("bob", "rome", day(5))}), day(6));
  const auto result = graph.supersede(a, b, day(7));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().field, "by");
  EXPECT_FALSE(graph.contradict(a, a, day(7)));
}

TEST(Graph, WhatIsContradictedNeverHeldAndDoesNotComeBackByItself) {
  Graph graph;
  const Statement statement = says("m1", {lives("ana", "paris", day(1))});
  const FactId paris = learn_one(graph, statement, day(10));
  ASSERT_TRUE(graph.contradict(paris, 0, day(20)));
  EXPECT_EQ(town(graph, "ana", day(5)), "");
  EXPECT_EQ(town(graph, "ana", day(5), day(15)), "paris ") << "it was believed";
  EXPECT_EQ(graph.learn(statement, day(30)).value().unchanged, 1U);
  EXPECT_EQ(town(graph, "ana", day(5)), "");
  const auto twice = graph.retract(paris, day(31));
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().code, Errc::kConflict);
}

TEST(Graph, EditsKeepThePastAndOutliveTheSameMemory) {
  Graph graph;
  const Statement statement = says("m1", {lives("ana", "paris", day(1))});
  const FactId paris = learn_one(graph, statement, day(10));
  ASSERT_TRUE(
      graph.edit(paris, {.weight = 2.5, .valid_to = day(90), .properties = R"({"a":1})"}, day(20)));
  EXPECT_EQ(town(graph, "ana", day(95)), "");
  EXPECT_EQ(town(graph, "ana", day(95), day(15)), "paris ");
  EXPECT_EQ(graph.learn(statement, day(21)).value().unchanged, 1U);
  EXPECT_EQ(town(graph, "ana", day(95)), "");
  const auto history = graph.history(paris);
  ASSERT_EQ(history.size(), 2U);
  EXPECT_EQ(history[0].end, End::kEdited);
  EXPECT_EQ(history[1].weight_micros, 2'500'000);
  EXPECT_EQ(history[1].properties, R"({"a":1})");
  EXPECT_FALSE(graph.edit(paris, {.valid_to = day(0)}, day(22)));
  EXPECT_FALSE(graph.edit(paris, {.weight = 0}, day(22)));
}

TEST(Graph, AMemoryWrittenAnewWithdrawsWhatItNoLongerSays) {
  Graph graph;
  ASSERT_TRUE(graph.learn(says("m1", {lives("ana", "paris", day(1))}), day(10)));
  const Learned out = graph.learn(says("m1", {lives("ana", "rome", day(1))}), day(20)).value();
  EXPECT_EQ(out.added, 1U);
  EXPECT_EQ(out.withdrawn, 1U);
  EXPECT_EQ(town(graph, "ana", day(5)), "rome ");
  EXPECT_EQ(town(graph, "ana", day(5), day(15)), "paris ");
  const Learned back = graph.learn(says("m1", {lives("ana", "paris", day(1))}), day(30)).value();
  EXPECT_EQ(back.changed, 1U);
  EXPECT_EQ(back.withdrawn, 1U);
  EXPECT_EQ(town(graph, "ana", day(5)), "paris ");
  EXPECT_EQ(town(graph, "ana", day(5), day(25)), "rome ");
}

TEST(Graph, ForgettingRemovesThePastToo) {
  Graph graph;
  ASSERT_TRUE(graph.learn(says("m1", {lives("ana", "paris", day(1))}), day(10)));
  ASSERT_TRUE(graph.learn(says("m2", {lives("bob", "paris", day(1))}, "b"), day(10)));
  EXPECT_EQ(graph.forget({"a", "m1"}, day(11)), 1U);
  EXPECT_EQ(town(graph, "ana", day(5), day(10)), "");
  EXPECT_EQ(graph.entities(), 2U) << "bob and paris";
  EXPECT_EQ(graph.forget({"a", "m1"}, day(12)), 0U);
  EXPECT_EQ(graph.forget_system("b", day(13)), 1U);
  EXPECT_EQ(graph.entities(), 0U);
  EXPECT_EQ(graph.edges(), 0U);
  EXPECT_EQ(graph.facts(), 0U);
}

TEST(Graph, LimitsAreErrorsThatSayWhatToDo) {
  Graph graph({.entities = 3, .edges = 2, .facts = 2});
  ASSERT_TRUE(graph.learn(says("m1", {lives("ana", "paris", day(1))}), day(1)));
  const auto entities = graph.learn(says("m2", {lives("bob", "rome", day(1))}), day(2));
  ASSERT_FALSE(entities);
  EXPECT_EQ(entities.error().code, Errc::kTooLarge);
  EXPECT_NE(entities.error().message.find("GRAPH_MAX_ENTITIES"), std::string::npos);
  ASSERT_TRUE(graph.learn(says("m3", {lives("bob", "paris", day(1))}), day(2)));
  EXPECT_FALSE(graph.learn(says("m4", {lives("bob", "paris", day(3))}), day(3))) << "facts";
  EXPECT_TRUE(graph.learn(says("m3", {lives("bob", "paris", day(1))}), day(4))) << "nothing new";
}

TEST(Graph, RefusesWhatIsNoFact) {
  Graph graph;
  const auto field = [&](StatedFact fact) {
    const auto result = graph.learn(says("m", {std::move(fact)}), day(1));
    return result ? std::string() : result.error().field;
  };
  StatedFact good = lives("ana", "paris", day(1));
  EXPECT_EQ(field(good), "");
  StatedFact bad = good;
  bad.to = bad.from;
  EXPECT_EQ(field(bad), "to");
  bad = good;
  bad.to = "../etc:x";
  EXPECT_EQ(field(bad), "entity_id");
  bad = good;
  bad.type = "Lives In";
  EXPECT_EQ(field(bad), "type");
  bad = good;
  bad.weight = std::nan("");
  EXPECT_EQ(field(bad), "weight");
  bad = good;
  bad.valid_to = bad.valid_from;
  EXPECT_EQ(field(bad), "valid_to");
  bad = good;
  bad.properties = "[1]";
  EXPECT_EQ(field(bad), "properties");
  EXPECT_FALSE(graph.learn({.source = {"no such system", "m"}}, day(1)));
}

TEST(Graph, AClockThatGoesBackIsHeld) {
  Graph graph;
  ASSERT_TRUE(graph.learn(says("m1", {lives("ana", "paris", day(1))}), day(20)));
  ASSERT_TRUE(graph.learn(says("m2", {lives("bob", "paris", day(1))}), day(10)));
  EXPECT_EQ(town(graph, "bob", day(5), day(19)), "");
  EXPECT_EQ(town(graph, "bob", day(5), day(20)), "paris ");
}

TEST(EntityIds, AreMadeOfAnyName) {
  EXPECT_EQ(entity_id("concept", "Bank of América", Case::kFold), "concept:bank-of-america");
  EXPECT_EQ(entity_id("user", "Ana@example.com", Case::kKeep), "user:Ana@example.com");
  EXPECT_EQ(entity_id("file", "src/../x.cc", Case::kKeep), "file:src-.-x.cc");
  for (const std::string_view name :
       {"東京", "", "...", "::", "a..b", ".env", "Москва", "x y", "--", "é"}) {
    const std::string id = entity_id("concept", name, Case::kFold);
    EXPECT_TRUE(check_entity_id(id)) << name << " " << id;
  }
  EXPECT_NE(entity_id("concept", "東京", Case::kFold), entity_id("concept", "京都", Case::kFold));
  EXPECT_TRUE(check_entity_id(entity_id("concept", std::string(5000, 'x'), Case::kFold)));
  for (const std::string_view bad : {"", "x", ":x", "x:", "a b:c", "../x:y", ".a:b", "ü:x"})
    EXPECT_FALSE(check_entity_id(bad)) << bad;
}

// What the rules say, computed anew from all that stands: the oracle of the property test.
struct Claim {
  Source source;
  StatedFact fact;
  FactId id;
};

std::set<std::string> believed(const std::vector<Claim>& claims, Time at) {
  std::set<std::string> out;
  for (const Claim& own : claims) {
    const StatedFact& fact = own.fact;
    Time to = fact.valid_to;
    bool contradicted = false;
    if (fact.exclusive == Exclusive::kOneTarget) {
      const auto wins = [&](const Claim& other) {
        // Nobody with the same beginning and another end was recorded later.
        for (const Claim& third : claims) {
          if (third.fact.from == other.fact.from && third.fact.type == other.fact.type &&
              third.fact.exclusive == other.fact.exclusive &&
              third.fact.valid_from == other.fact.valid_from && third.fact.to != other.fact.to &&
              third.id > other.id) {
            // … and itself the last of all with this beginning.
            bool last = true;
            for (const Claim& fourth : claims)
              last = last &&
                     !(fourth.fact.from == third.fact.from && fourth.fact.type == third.fact.type &&
                       fourth.fact.exclusive == third.fact.exclusive &&
                       fourth.fact.valid_from == third.fact.valid_from && fourth.id > third.id);
            if (last) return false;
          }
        }
        return true;
      };
      contradicted = !wins(own);
      for (const Claim& other : claims) {
        if (other.fact.from != fact.from || other.fact.type != fact.type ||
            other.fact.exclusive != fact.exclusive || other.fact.to == fact.to ||
            other.fact.valid_from <= fact.valid_from || !wins(other))
          continue;
        to = std::min(to, other.fact.valid_from);
      }
    }
    if (!contradicted && fact.valid_from <= at && at < to)
      out.insert(fact.from + " " + fact.type + " " + fact.to);
  }
  return out;
}

std::set<std::string> seen(const Graph& graph, Time at, Time recorded = kForever) {
  const Sight sight(graph, {.valid_at = at, .recorded_at = recorded});
  std::set<std::string> out;
  for (int user = 0; user < 4; ++user) {
    for (const auto& one : sight.neighbours("user:u" + std::to_string(user), "", 1000).list)
      if (one.outgoing)
        out.insert("user:u" + std::to_string(user) + " " + one.edge_type + " " + one.id);
  }
  return out;
}

std::vector<std::string> dump(const Graph& graph) {
  std::vector<std::string> out;
  graph.snapshot([&](const Change& change) {
    Change plain = change;
    // The order of a memory's entities is not part of the state.
    std::ranges::sort(plain.statement.entities, {}, &StatedEntity::id);
    out.push_back(encode(plain));
  });
  std::ranges::sort(out);
  return out;
}

TEST(Graph, FollowsItsRulesThroughAnyHistoryAndItsLogRebuildsIt) {
  std::mt19937 random(77);
  for (int round = 0; round < 60; ++round) {
    Graph graph;
    std::vector<Claim> claims;
    std::vector<std::string> log;
    Time now = day(1000);
    for (int step = 0; step < 60; ++step) {
      now += std::chrono::minutes{1 + random() % 3};
      const Source source{random() % 2 == 0 ? "a" : "b", "m" + std::to_string(random() % 8)};
      const auto pick = random() % 10;
      if (pick < 6) {
        Statement statement{.source = source};
        for (unsigned n = random() % 4; n > 0; --n) {
          StatedFact fact =
              lives("u" + std::to_string(random() % 4), "t" + std::to_string(random() % 4),
                    day(static_cast<int>(random() % 10)));
          if (random() % 3 == 0) {
            fact.exclusive = Exclusive::kNone;
            fact.type = "knows";
          }
          if (random() % 4 == 0)
            fact.valid_to = fact.valid_from + std::chrono::days{1 + random() % 5};
          statement.facts.push_back(fact);
        }
        for (unsigned n = random() % 3; n > 0; --n)
          statement.entities.push_back({.id = "concept:t" + std::to_string(random() % 5)});
        const Learned learned = graph.learn(statement, now).value();
        const std::set<FactId> ids(learned.facts.begin(), learned.facts.end());
        ASSERT_EQ(graph.learn(statement, now).value().unchanged, ids.size());
        // The oracle: what the memory stated goes, what it states comes; ids tell the order.
        std::erase_if(claims, [&](const Claim& claim) { return claim.source == source; });
        std::set<FactId> done;
        for (std::size_t i = 0; i < statement.facts.size(); ++i) {
          if (done.insert(learned.facts[i]).second)
            claims.push_back({source, statement.facts[i], learned.facts[i]});
        }
      } else if (pick < 8 && !claims.empty()) {
        graph.forget(source, now);
        std::erase_if(claims, [&](const Claim& claim) { return claim.source == source; });
      } else if (pick == 8) {
        graph.forget_system(source.system_id, now);
        std::erase_if(
            claims, [&](const Claim& claim) { return claim.source.system_id == source.system_id; });
      } else if (!claims.empty()) {
        // A retracted fact stays away while its memory says the same; so the oracle forgets it and
        // the memory is never written again with it: forget the memory, too, to keep both simple.
        const Claim gone = claims[random() % claims.size()];
        ASSERT_TRUE(graph.retract(gone.id, now));
        std::erase_if(claims, [&](const Claim& claim) { return claim.id == gone.id; });
        graph.forget(gone.source, now);
        std::erase_if(claims, [&](const Claim& claim) { return claim.source == gone.source; });
      }
      for (const Change& change : graph.take_changes()) log.push_back(encode(change));
      for (int at = 0; at < 12; ++at)
        ASSERT_EQ(seen(graph, day(at)), believed(claims, day(at))) << round << " " << step;
    }
    Graph again;
    for (const std::string& line : log) ASSERT_TRUE(again.apply(decode(line).value())) << line;
    EXPECT_EQ(dump(again), dump(graph));
    Graph restored;
    graph.snapshot([&](const Change& change) {
      const auto read = decode(encode(change));
      ASSERT_TRUE(read);
      ASSERT_EQ(*read, change);
      ASSERT_TRUE(restored.apply(*read)) << encode(change);
    });
    EXPECT_EQ(dump(restored), dump(graph));
    // Both go on alike.
    const Statement more = says("m1", {lives("u1", "t9", day(5)), lives("u2", "t9", day(3))});
    EXPECT_EQ(graph.learn(more, now).value().facts, restored.learn(more, now).value().facts);
    EXPECT_EQ(dump(restored), dump(graph));
    for (int at = 0; at < 12; ++at) EXPECT_EQ(seen(restored, day(at)), seen(graph, day(at)));
  }
}

TEST(Changes, EveryKindComesBackFromItsLine) {
  Graph graph;
  Statement statement = says("m\"1\n", {lives("ana", "paris", day(1), day(9))});
  statement.entities.push_back({.id = "user:ana", .properties = R"({"name":"Ána"})"});
  statement.facts[0].evidence = "Ana lived in \"Paris\".";
  statement.facts[0].weight = 0.123456;
  for (const Change& change : std::initializer_list<Change>{
           {.kind = Change::kLearn, .at = day(3), .statement = statement},
           {.kind = Change::kEdit,
            .at = day(3),
            .fact = 7,
            .edit = {.weight = 1.5, .valid_from = day(1), .properties = "{}"}},
           {.kind = Change::kSupersede, .at = day(3), .fact = 1, .by = 2},
           {.kind = Change::kForget, .at = day(3), .statement = {.source = {"a", "b"}}}}) {
    EXPECT_EQ(decode(encode(change)).value(), change) << encode(change);
  }
}

TEST(Changes, BrokenLinesAreCorrupt) {
  for (const std::string_view line :
       {"", "{}", "[]", R"({"kind":"dance"})", R"({"kind":"learn","at":"now"})",
        R"({"kind":"learn","facts":[1]})", R"({"kind":"learn","facts":[{"exclusive":9}]})",
        R"({"kind":"stored_fact","stored":{"versions":{}}})"}) {
    const auto result = decode(line);
    ASSERT_FALSE(result) << line;
    EXPECT_EQ(result.error().code, Errc::kCorrupt);
  }
  Graph graph;
  EXPECT_FALSE(graph.apply({.kind = Change::kRetract, .fact = 9}));
  EXPECT_FALSE(graph.apply({.kind = Change::kStoredFact}));
  EXPECT_FALSE(graph.apply({.kind = Change::kLearn}));
}

}  // namespace
}  // namespace asahi::memory::graph
