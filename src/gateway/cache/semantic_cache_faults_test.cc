// What goes wrong around tier 2 is a miss and a warning, never a wrong or foreign answer.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/cache/semantic/testing/node.h"

namespace asahi::gateway {
namespace {

using namespace std::chrono_literals;
using testing::Node;
using testing::NodeOptions;
using Mood = testing::WilfulEmbedder::Mood;
using ::testing::HasSubstr;

const std::string kCached = "How do I reset my password?";
const std::string kParaphrase = "How can I reset my password";

class SemanticFaults : public ::testing::Test {
 protected:
  Node make(NodeOptions options = {.cache = testing::quick_cache(), .index = {}}) {
    return Node(loops_, *database_, clock_, std::move(options));
  }
  static NodeOptions remote() {
    return {.cache = testing::quick_cache(), .index = {}, .remote = true};
  }

  testing::TwoClocks clock_;
  testing::Loops loops_;
  testing::SemanticDatabase database_;
};

TEST_F(SemanticFaults, AnEmbedderInTroubleIsAMiss) {
  Node node = make();
  node.teach(Node::question(kCached), "x", 1);
  for (const Mood mood : {Mood::kDown, Mood::kSlow, Mood::kNarrow, Mood::kOtherModel}) {
    node.embedder().mood = mood;
    const auto found = node.find(kParaphrase);
    ASSERT_NE(found, nullptr);
    EXPECT_FALSE(found->hit());
    EXPECT_THAT(found->warning, HasSubstr("semantic cache skipped"));
    EXPECT_EQ(found->vector, nullptr) << "nothing of it may be kept";
  }
  node.embedder().mood = Mood::kFine;
  EXPECT_TRUE(node.find(kParaphrase)->hit());
}

TEST_F(SemanticFaults, WhatWasAskedWithoutAnEmbedderIsKeptWhenItIsBack) {
  Node node = make();
  node.teach(Node::question("Where is the log written to?"), "stderr", 1);
  node.embedder().mood = Mood::kOtherModel;
  const auto lookup = node.find(kCached);
  node.cache().keep(lookup, Node::answer("x"), 1h);
  // It stands in SQL, and what cannot be embedded is tried with each look at the newest rows.
  EXPECT_TRUE(loops_.until([&] {
    return (*database_).query_blocking({"SELECT * FROM semantic_entries", {}})->size() == 2;
  }));
  EXPECT_EQ(node.cache().stats("acme").entries, 1U);
  node.embedder().mood = Mood::kFine;
  EXPECT_TRUE(node.has(2));
  EXPECT_TRUE(node.find(kParaphrase)->hit());
}

TEST_F(SemanticFaults, AVectorDatabaseThatIsAwayIsAMiss) {
  Node node = make(remote());
  node.teach(Node::question(kCached), "x", 1);
  EXPECT_TRUE(node.find(kParaphrase)->hit());
  node.remote().away = true;
  const auto found = node.find(kParaphrase);
  EXPECT_FALSE(found->hit());
  EXPECT_THAT(found->warning, HasSubstr("the vector index does not answer"));
  // What could not be put there is put when it is back.
  node.cache().keep(node.find("Where is the log written to?"), Node::answer("stderr"), 1h);
  EXPECT_TRUE(loops_.until([&] {
    return (*database_).query_blocking({"SELECT * FROM semantic_entries", {}})->size() == 2;
  }));
  node.remote().away = false;
  EXPECT_TRUE(node.has(2));
  EXPECT_TRUE(node.find("Where is the log written to?")->hit());
}

TEST_F(SemanticFaults, AVectorDatabaseThatMixesTenantsUpShowsNothing) {
  Node node = make(remote());
  node.teach(Node::question(kCached, "acme", 1), "acme's secret", 1);
  node.teach(Node::question("Where is the log written to?", "rival"), "stderr", 1);
  node.remote().answers_for = "acme";
  EXPECT_FALSE(node.find(Node::question(kCached, "rival", 1))->hit());
  EXPECT_FALSE(node.find(Node::question(kCached, "acme", 2))->hit()) << "nor another context";
}

TEST_F(SemanticFaults, ADatabaseThatIsAwayIsAMiss) {
  Node node = make();
  node.teach(Node::question(kCached), "x", 1);
  node.database().away = true;
  const auto found = node.find(kParaphrase);
  EXPECT_FALSE(found->hit());
  EXPECT_THAT(found->warning, HasSubstr("the database does not answer"));
  node.cache().keep(node.find("Where is the log written to?"), Node::answer("stderr"), 1h);
  EXPECT_FALSE(node.call([](auto& cache) { return cache.clear("acme"); }));
  EXPECT_FALSE(node.call([](auto& cache) { return cache.report("acme", "x"); }));
  EXPECT_TRUE(node.has(1)) << "nothing is forgotten that is still in SQL";
  node.database().away = false;
  EXPECT_TRUE(node.find(kParaphrase)->hit());
}

TEST_F(SemanticFaults, ADatabaseThatIsAwayAtTheStartIsReadLater) {
  {
    Node before = make();
    before.teach(Node::question(kCached), "x", 1);
  }
  Node node = make();
  node.database().away = true;
  static_cast<void>(node.find(kParaphrase));
  node.database().away = false;
  EXPECT_TRUE(node.has(1));
  EXPECT_TRUE(node.find(kParaphrase)->hit());
}

TEST_F(SemanticFaults, AnAnswerThatCannotBeReadIsAMiss) {
  Node node = make();
  node.teach(Node::question(kCached), "x", 1);
  ASSERT_TRUE((*database_).query_blocking({"UPDATE semantic_entries SET answer = 'junk'", {}}));
  const auto found = node.find(kParaphrase);
  EXPECT_FALSE(found->hit());
  EXPECT_EQ(found->answer, nullptr);
  EXPECT_THAT(found->warning, HasSubstr("cannot be read"));
}

TEST_F(SemanticFaults, TooManyAtOnceAreNotKept) {
  NodeOptions options{.cache = testing::quick_cache(), .index = {}};
  options.cache.max_queued = 3;
  Node node = make(std::move(options));
  std::vector<std::shared_ptr<SemanticCache::Lookup>> lookups;
  for (int i = 0; i < 50; ++i) lookups.push_back(node.find(fmt::format("Question number {}?", i)));
  loops_.on([&] {  // the writer's loop: it takes none meanwhile
    for (const auto& lookup : lookups) node.cache().keep(lookup, Node::answer("x"), 1h);
  });
  EXPECT_EQ(node.cache().stats("acme").dropped, 47U);
}

TEST_F(SemanticFaults, WhatAuditsFoundIsNotDropped) {
  NodeOptions options{.cache = testing::quick_cache(), .index = {}};
  options.cache.max_queued = 1;
  Node node = make(std::move(options));
  node.teach(Node::question(kCached), "x", 1);
  const auto audit = node.find(kParaphrase, 0);
  ASSERT_TRUE(audit->decision.trusted);
  const auto other = node.find("Where is the log written to?");
  loops_.on([&] {
    node.cache().keep(other, Node::answer("stderr"), 1h);
    node.cache().keep(audit, Node::answer("wrong"), 1h);
  });
  EXPECT_TRUE(loops_.until([&] { return node.cache().stats("acme").estimated_wrong > 0; }));
}

TEST_F(SemanticFaults, AClockThatGoesBackLengthensNoLife) {
  Node node = make();
  node.teach(Node::question(kCached), "x", 1, 1h);
  clock_.advance(50min);
  clock_.jump(-30min);
  EXPECT_TRUE(node.find(kParaphrase)->hit());
  clock_.advance(10min);  // an hour by the clock that nobody sets
  EXPECT_FALSE(node.find(kParaphrase)->hit());
}

TEST_F(SemanticFaults, WhatWasMadeInTheFutureIsNotServed) {
  Node node = make();
  node.teach(Node::question(kCached), "x", 1, 1h);
  clock_.jump(-24h);
  const auto found = node.find(kParaphrase);
  EXPECT_FALSE(found->hit());
  EXPECT_THAT(found->warning, HasSubstr("the clock went back"));
  clock_.jump(24h);
  EXPECT_TRUE(node.find(kParaphrase)->hit());
}

TEST_F(SemanticFaults, AClockThatLeapsForwardOnlyMisses) {
  Node node = make();
  node.teach(Node::question(kCached), "x", 1, 1h);
  clock_.jump(24h * 365);
  EXPECT_FALSE(node.find(kParaphrase)->hit());
  clock_.jump(-24h * 365);
  EXPECT_TRUE(node.find(kParaphrase)->hit());
}

// Two questions under one id, as if somebody had found two texts with one digest.
TEST_F(SemanticFaults, IdsThatCollideGiveNoForeignAnswer) {
  Node node = make();
  node.teach(Node::question(kCached), "x", 1);
  const std::string id = node.find(kCached)->entry_id;
  {
    Node other = make();
    ASSERT_TRUE(other.has(1));
    ASSERT_TRUE((*database_)
                    .query_blocking(
                        {"UPDATE semantic_entries SET entry_id = 'old' WHERE entry_id = ?", {id}}));
    ASSERT_TRUE(
        (*database_)
            .query_blocking(
                {"INSERT INTO semantic_entries (org_id, entry_id, embedder, query, task_type, "
                 "context_digest, answer, answer_digest, created_at, expires_at) "
                 "SELECT 'rival', ?, embedder, 'Who pays?', task_type, 1, answer, 5, created_at, "
                 "expires_at FROM semantic_entries",
                 {id}}));
    ASSERT_TRUE(other.has(1, "rival"));
    EXPECT_FALSE(other.find(Node::question(kCached, "rival"))->hit())
        << "one id in two organisations is two entries";
  }
  EXPECT_FALSE(node.find(kCached)->hit()) << "its own row is gone";
}

TEST_F(SemanticFaults, WhatTheIndexPushesOutIsForgotten) {
  NodeOptions options{.cache = testing::quick_cache(), .index = {}};
  options.index.max_entries = 10;
  Node node = make(std::move(options));
  for (int i = 0; i < 40; ++i)
    node.ask(Node::question(fmt::format("What is the price of article {}?", i)), "x");
  EXPECT_TRUE(node.has(10));
  EXPECT_TRUE(loops_.until([&] {
    return (*database_).query_blocking({"SELECT * FROM semantic_entries", {}})->size() == 40;
  }));
}

TEST_F(SemanticFaults, DamagedKnowledgeIsReplaced) {
  {
    Node before = make();
    before.teach(Node::question(kCached), "x", 1);
  }
  ASSERT_TRUE((*database_).query_blocking({"UPDATE semantic_knowledge SET content = '{'", {}}));
  Node node = make();
  ASSERT_TRUE(node.has(1));
  EXPECT_TRUE(node.find(kParaphrase)->hit());
  EXPECT_TRUE(loops_.until([&] {
    const auto rows = (*database_).query_blocking({"SELECT content FROM semantic_knowledge", {}});
    return !rows->empty() && semantic::Evidence().restore(rows->text(0, "content")).has_value();
  }));
}

}  // namespace
}  // namespace asahi::gateway
