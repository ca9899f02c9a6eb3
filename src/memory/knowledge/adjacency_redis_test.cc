// Neighbours in processes that share a Redis: what one has read the others need not, and nobody is
// told what is not so any more, or not theirs.
#include "memory/knowledge/adjacency.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>

#include "memory/knowledge/graph_questions.h"
#include "memory/testing/knowledge_fixture.h"
#include "memory/testing/on_loop.h"
#include "storage/cache/open_store.h"
#include "storage/cache/testing/redis_server.h"

namespace asahi::memory::knowledge {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// The database, and how many statements it was asked.
class CountedDatabase final : public sql::Database {
 public:
  explicit CountedDatabase(sql::Database& database) : database_(database) {}
  sql::Dialect dialect() const override { return database_.dialect(); }
  Task<sql::Rows> query(sql::Statement statement) override {
    ++asked;
    return database_.query(std::move(statement));
  }
  Task<std::vector<sql::Rows>> batch(std::vector<sql::Statement> statements) override {
    asked += statements.size();
    return database_.batch(std::move(statements));
  }
  Task<void> transaction(std::function<Result<void>(sql::Session&)> body) override {
    return database_.transaction(counted(std::move(body)));
  }
  Result<sql::Rows> query_blocking(sql::Statement statement) override {
    ++asked;
    return database_.query_blocking(std::move(statement));
  }
  Result<void> transaction_blocking(std::function<Result<void>(sql::Session&)> body) override {
    return database_.transaction_blocking(counted(std::move(body)));
  }
  Task<void> ping() override { return database_.ping(); }

  std::atomic<std::size_t> asked{0};

 private:
  class Counted final : public sql::Session {
   public:
    Counted(sql::Session& session, std::atomic<std::size_t>& asked)
        : session_(session), asked_(asked) {}
    sql::Dialect dialect() const override { return session_.dialect(); }
    Result<sql::Rows> query(const sql::Statement& statement) override {
      ++asked_;
      return session_.query(statement);
    }
    Result<void> script(std::string_view sql) override { return session_.script(sql); }

   private:
    sql::Session& session_;
    std::atomic<std::size_t>& asked_;
  };
  std::function<Result<void>(sql::Session&)> counted(
      std::function<Result<void>(sql::Session&)> body) {
    return [this, body = std::move(body)](sql::Session& session) {
      Counted wrapped(session, asked);
      return body(wrapped);
    };
  }
  sql::Database& database_;
};

class AdjacencyOverRedis : public testing::KnowledgeContract {
 protected:
  /// A process of the query role: its own connections, metrics, and graphs in memory.
  struct Process {
    Process(AdjacencyOverRedis& test, std::size_t most_around)
        : database(*test.db_), adjacency(*test.cache_, test.loop_.loop(), metrics, quick()) {
      GraphStore::Options graph;
      graph.most_around = most_around;
      graph.forgotten = [this](const std::string& tenant) { adjacency.forget(tenant); };
      knowledge = std::make_unique<Knowledge>(database, test.clock_, metrics, graph,
                                              Knowledge::Options{.adjacency = &adjacency});
    }
    ~Process() {
      knowledge.reset();
      adjacency.stop();
    }
    static Adjacency::Options quick() { return {.erase_after = milliseconds(1)}; }
    double counted(const char* outcome) {
      return metrics.counter("akosha_graph_adjacency_total", "", {{"outcome", outcome}}).value();
    }

    CountedDatabase database;
    telemetry::Registry metrics;
    Adjacency adjacency;
    std::unique_ptr<Knowledge> knowledge;
  };

  void SetUp() override {
    if (!cache_testing::redis_available()) GTEST_SKIP() << cache_testing::kNoRedis;
    if (server_ == nullptr) server_ = std::make_unique<cache_testing::RedisServer>();
    server_->command({"FLUSHALL"});
    KnowledgeContract::SetUp();
    if (db_ == nullptr) return;
    cache::StoreOptions options;
    options.url = server_->url();
    options.redis.timeout = seconds(10);  // a busy machine is not what is tested here
    cache_ = cache::open_store(options, loop_.loops(), clock_).value();
  }
  void TearDown() override {
    KnowledgeContract::TearDown();
    cache_.reset();
  }
  static void TearDownTestSuite() { server_.reset(); }

  std::unique_ptr<Process> process(std::size_t most_around = 5'000) {
    return std::make_unique<Process>(*this, most_around);
  }
  void learn(Process& by, std::string system, std::string memory, std::string whom,
             std::string tenant = "acme") {
    graph::Statement statement{.source = {std::move(system), std::move(memory)}};
    statement.facts.push_back({.from = "user:ana",
                               .to = "user:" + whom,
                               .type = "knows",
                               .valid_from = clock_.now() - hours(1),
                               .evidence = "Ana knows " + whom + "."});
    statement.entities.push_back({.id = "user:ana", .properties = R"({"name":"Ana Ruiz"})"});
    const std::vector<TenantStatement> list{{std::move(tenant), std::move(statement)}};
    const auto learned = by.knowledge->graph().learn(list);
    ASSERT_TRUE(learned) << learned.error().message;
  }
  /// The answer as text: names of neighbours stand in it.
  std::string ask(Process& of, const Reach& reach, json::object arguments) {
    const auto answer = loop_.wait<json::object>(
        [&] { return of.knowledge->ask("graph/query", neighbours, reach, std::move(arguments)); });
    return answer ? json::serialize(*answer) : "error: " + answer.error().message;
  }
  std::string ana(Process& of, const Reach& reach = Reach::whole("acme")) {
    return ask(of, reach, {{"entity_id", "user:ana"}, {"facts", 10}});
  }
  std::size_t keys() { return static_cast<std::size_t>(server_->command({"DBSIZE"}).integer); }

  testing::OnLoop loop_;
  std::unique_ptr<cache::Store> cache_;
  static inline std::unique_ptr<cache_testing::RedisServer> server_;
};

TEST_P(AdjacencyOverRedis, WhatOneProcessHasReadTheOthersDoNotReadOfTheRows) {
  const auto writer = process();
  for (const char* whom : {"ben", "cleo", "dan"}) learn(*writer, "agent", whom, whom);
  const auto first = process(), second = process();
  const std::string answer = ana(*first);
  EXPECT_TRUE(answer.contains("user:dan")) << answer;
  const std::size_t read = first->database.asked;
  EXPECT_LE(read, 8U) << "the graph's state, and what stands around Ana";
  EXPECT_EQ(ana(*second), answer);
  EXPECT_EQ(second->database.asked, 1U) << "the graph's state alone";
  for (int i = 0; i < 50; ++i) EXPECT_EQ(ana(*second), answer);
  EXPECT_EQ(second->database.asked, 1U) << "known for two seconds";
  clock_.advance(seconds(3));
  ana(*second);
  EXPECT_EQ(second->database.asked, 2U);
  EXPECT_EQ(second->counted("hit"), 52);
  EXPECT_EQ(first->counted("kept"), 1);
  EXPECT_EQ(second->counted("whole") + first->counted("whole"), 0) << "no graph was loaded";
}

TEST_P(AdjacencyOverRedis, WhatIsWrittenOrErasedIsSeenAndNothingOfItIsLeft) {
  const auto writer = process(), reader = process();
  learn(*writer, "agent", "m1", "ben");
  EXPECT_TRUE(ana(*reader).contains("user:ben"));
  learn(*writer, "agent", "m2", "cleo");
  EXPECT_TRUE(ana(*writer).contains("user:cleo")) << "here at once";
  clock_.advance(seconds(3));
  EXPECT_TRUE(ana(*reader).contains("user:cleo")) << "elsewhere within check_every";
  ASSERT_EQ(keys(), 2U) << "of the state before, and of this one";
  ASSERT_TRUE(writer->knowledge->graph().forget("acme", {{"agent", "m1"}}));
  clock_.advance(seconds(3));
  EXPECT_FALSE(ana(*writer).contains("user:ben"));
  writer->adjacency.stop();
  EXPECT_EQ(writer->counted("erased"), 1);
  const std::string after = ana(*reader);
  EXPECT_FALSE(after.contains("user:ben")) << after;
  EXPECT_TRUE(after.contains("user:cleo")) << after;
  EXPECT_LE(keys(), 1U) << "what was kept of the tenant is gone, but what was asked since";
}

TEST_P(AdjacencyOverRedis, NothingCrossesTenantsOrGoesBeyondTheCallersSystems) {
  const auto writer = process();
  learn(*writer, "alpha", "m1", "ben");
  learn(*writer, "beta", "m2", "cleo");
  learn(*writer, "alpha", "m1", "eve", "acme:1");
  const auto reader = process();
  const std::string all = ana(*reader);
  EXPECT_TRUE(all.contains("user:ben") && all.contains("user:cleo")) << all;
  const std::string alphas = ana(*reader, Reach("acme", std::vector<std::string>{"alpha"}));
  EXPECT_TRUE(alphas.contains("user:ben")) << alphas;
  EXPECT_FALSE(alphas.contains("cleo") || alphas.contains("beta")) << alphas;
  const std::string others = ana(*reader, Reach::whole("acme:1"));
  EXPECT_TRUE(others.contains("user:eve")) << others;
  EXPECT_FALSE(others.contains("user:ben")) << others;
  EXPECT_FALSE(ana(*reader, Reach::whole("nobody")).contains("user:ben"));
  EXPECT_NE(Adjacency::prefix("acme"),
            Adjacency::prefix("acme:1").substr(0, Adjacency::prefix("acme").size()));
}

TEST_P(AdjacencyOverRedis, AnswersAreThoseOfTheWholeGraph) {
  const auto writer = process(), reader = process();
  Knowledge whole(*db_, clock_, writer->metrics, {}, {});
  std::mt19937 random(11);
  const auto pick = [&](int most) {
    return static_cast<int>(random() % static_cast<unsigned>(most));
  };
  const std::vector<std::string> people{"user:ana", "user:p0", "user:p1", "user:p2", "user:p3"};
  for (int step = 0; step < 120; ++step) {
    clock_.advance(seconds(3 + pick(100)));
    const std::string system = pick(2) == 0 ? "alpha" : "beta";
    const std::string memory = fmt::format("m{}", pick(6));
    if (pick(5) == 0) {
      ASSERT_TRUE(writer->knowledge->graph().forget("acme", {{system, memory}}));
    } else if (pick(6) == 0) {
      std::ignore = writer->knowledge->graph().retract(
          "acme", static_cast<graph::FactId>(1 + pick(step + 1)));
    } else {
      learn(*writer, system, memory, fmt::format("p{}", pick(4)));
    }
    json::object asked{{"entity_id", people[static_cast<std::size_t>(pick(5))]}, {"facts", 20}};
    if (pick(4) == 0) asked["known_at"] = format_rfc3339(clock_.now() - seconds(pick(2'000)));
    if (pick(4) == 0) asked["as_of"] = format_rfc3339(clock_.now() - seconds(pick(9'000)));
    const Reach reach =
        pick(2) == 0 ? Reach::whole("acme") : Reach("acme", std::vector<std::string>{"beta"});
    const auto right = neighbours(whole, reach, asked);
    ASSERT_TRUE(right) << right.error().message;
    for (int again = 0; again < 2; ++again)
      ASSERT_EQ(ask(*reader, reach, asked), json::serialize(*right)) << "step " << step;
  }
  EXPECT_GT(reader->counted("hit"), 30);
}

TEST_P(AdjacencyOverRedis, WithoutRedisTheRowsAnswer) {
  const auto writer = process(), reader = process();
  learn(*writer, "agent", "m1", "ben");
  server_->stop();
  EXPECT_TRUE(ana(*reader).contains("user:ben"));
  EXPECT_GE(reader->counted("error"), 1);
  EXPECT_EQ(reader->counted("hit"), 0);
  server_->start();
}

TEST_P(AdjacencyOverRedis, WhatIsNoGraphIsReadAnew) {
  const auto writer = process(), first = process(), second = process();
  learn(*writer, "agent", "m1", "ben");
  const std::string right = ana(*first);
  std::vector<std::string> found;
  ASSERT_TRUE(loop_.wait<void>([&] {
    return cache_->scan("memory:around:", [&](std::vector<cache::Entry> entries) {
      for (const cache::Entry& entry : entries) found.push_back(entry.key);
      return true;
    });
  }));
  ASSERT_EQ(found.size(), 1U);
  server_->command({"SET", found[0], "{\"kind\":\"dance\"}\n"});
  EXPECT_EQ(ana(*second), right);
  EXPECT_EQ(second->counted("error"), 1);
  EXPECT_EQ(second->counted("kept"), 1) << "and the right one is kept";
}

TEST_P(AdjacencyOverRedis, AnEntityWithVeryManyFactsIsAskedOfTheWholeGraph) {
  const auto writer = process();
  for (const char* whom : {"ben", "cleo", "dan"}) learn(*writer, "agent", whom, whom);
  const auto small = process(2);
  EXPECT_TRUE(ana(*small).contains("user:dan"));
  EXPECT_EQ(small->counted("whole"), 1);
  EXPECT_EQ(keys(), 0U);
  EXPECT_TRUE(ask(*small, Reach::whole("acme"), {{"entity_id", "user:nobody"}})
                  .contains("\"known\":false"));
  EXPECT_TRUE(ask(*small, Reach::whole("acme"), {{"entity_id", 7}}).starts_with("error"));
  EXPECT_EQ(keys(), 0U) << "who asks for what there is not fills no cache";
}

INSTANTIATE_TEST_SUITE_P(Engines, AdjacencyOverRedis,
                         ::testing::Values(sql::testing::Engine::kSqliteFile,
                                           sql::testing::Engine::kPostgres),
                         sql::testing::engine_name);

}  // namespace
}  // namespace asahi::memory::knowledge
