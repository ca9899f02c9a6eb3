// While the embedder is away the local one stands in, with vectors and an index of its own.
#include "gateway/cache/semantic_stand_in.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/cache/semantic/testing/node.h"

namespace asahi::gateway {
namespace {

using namespace std::chrono_literals;
using testing::Node;
using Mood = testing::WilfulEmbedder::Mood;
using State = SemanticCache::EmbedderState;
using ::testing::HasSubstr;

const std::string kCached = "How do I reset my password?";
const std::string kParaphrase = "How can I reset my password";
const std::string kOther = "Where is the log written to?";

class StandInTest : public ::testing::Test {
 protected:
  Node make(bool stand_in = true) {
    return Node(loops_, *database_, clock_,
                {.cache = testing::quick_cache(), .index = {}, .far = true, .stand_in = stand_in});
  }
  /// The entries that it has; they come in the background.
  bool stands_in(Node& node, std::size_t entries) {
    return loops_.until([&] { return node.stand_in().entries() == entries; });
  }
  /// So long that an embedder which failed is asked again.
  void rest() { clock_.advance(11s); }

  testing::TwoClocks clock_;
  testing::Loops loops_;
  testing::SemanticDatabase database_;
};

TEST_F(StandInTest, AnswersWhateverTheEmbeddersTrouble) {
  for (const Mood mood : {Mood::kDown, Mood::kSlow, Mood::kNarrow, Mood::kOtherModel}) {
    testing::SemanticDatabase database;
    Node node(loops_, *database, clock_,
              {.cache = testing::quick_cache(), .index = {}, .far = true, .stand_in = true});
    node.teach(Node::question(kCached), "x", 1);
    EXPECT_FALSE(node.stand_in().active());
    node.embedder().mood = mood;
    (void)node.find(kParaphrase);  // wakes it
    ASSERT_TRUE(stands_in(node, 1));
    const auto found = node.find(kParaphrase);
    EXPECT_TRUE(found->hit()) << found->decision.reason;
    EXPECT_EQ(found->warning, "");
    EXPECT_THAT(found->notice, HasSubstr("the local one stands in"));
    EXPECT_EQ(found->vector, nullptr) << "nothing of it may be kept for the embedder's own index";
    EXPECT_FALSE(node.find(kOther)->hit());
    EXPECT_EQ(node.find(Node::question(kParaphrase, "rival"))->hit(), false);
    EXPECT_FALSE(node.find(Node::question(kParaphrase, "acme", 2))->hit()) << "another context";
  }
}

TEST_F(StandInTest, VectorsOfTheTwoLieApart) {
  Node node = make();
  node.teach(Node::question(kCached), "x", 1);
  node.embedder().mood = Mood::kDown;
  (void)node.find(kParaphrase);
  ASSERT_TRUE(stands_in(node, 1));
  EXPECT_NE(node.stand_in().traits().tag, node.embedder().traits().tag);
  EXPECT_EQ(node.index().space().model, node.embedder().traits().tag);
  EXPECT_EQ(node.index().size("acme"), 1U);
}

TEST_F(StandInTest, AnEmbedderThatFailsIsLeftAloneAndAskedAgainLater) {
  Node node = make();
  node.teach(Node::question(kCached), "x", 1);
  EXPECT_EQ(node.cache().embedder_state(), State::kHealthy);
  node.embedder().mood = Mood::kDown;
  for (int i = 0; i < 3; ++i) (void)node.find(kParaphrase);
  EXPECT_EQ(node.cache().embedder_state(), State::kStandIn);
  const std::size_t asked = node.embedder().asked;
  for (int i = 0; i < 10; ++i) (void)node.find(kParaphrase);
  EXPECT_EQ(node.embedder().asked, asked);
  node.embedder().mood = Mood::kFine;
  rest();
  const auto found = node.find(kParaphrase);
  EXPECT_TRUE(found->hit());
  EXPECT_EQ(found->notice, "");
  EXPECT_NE(found->vector, nullptr);
  EXPECT_EQ(node.cache().embedder_state(), State::kHealthy);
}

TEST_F(StandInTest, WithoutOneQuestionsMiss) {
  Node node = make(false);
  node.teach(Node::question(kCached), "x", 1);
  node.embedder().mood = Mood::kDown;
  for (int i = 0; i < 4; ++i) {
    const auto found = node.find(kParaphrase);
    EXPECT_FALSE(found->hit());
    EXPECT_THAT(found->warning, HasSubstr("semantic cache skipped"));
  }
  EXPECT_EQ(node.cache().embedder_state(), State::kAway);
}

TEST_F(StandInTest, WhatIsAskedMeanwhileIsThereForBoth) {
  Node node = make();
  node.teach(Node::question(kCached), "x", 1);
  node.embedder().mood = Mood::kDown;
  (void)node.find(kParaphrase);
  ASSERT_TRUE(stands_in(node, 1));
  node.ask(Node::question(kOther), "stderr");
  ASSERT_TRUE(stands_in(node, 2));
  EXPECT_TRUE(node.find(kOther)->hit());
  EXPECT_EQ(node.index().size("acme"), 1U);
  node.embedder().mood = Mood::kFine;
  rest();
  EXPECT_TRUE(node.has(2)) << "embedded from its row";
  const auto found = node.find(kOther);
  EXPECT_TRUE(found->hit());
  EXPECT_EQ(found->notice, "");
}

TEST_F(StandInTest, HundredsAskedMeanwhileAreEmbeddedWhenTheEmbedderIsBack) {
  Node node = make();
  node.teach(Node::question(kCached), "x", 1);
  node.embedder().mood = Mood::kDown;
  (void)node.find(kParaphrase);
  ASSERT_TRUE(stands_in(node, 1));
  constexpr std::size_t kMany = 450;  // more than are read again each time
  for (std::size_t i = 0; i < kMany; ++i)
    node.ask(Node::question("What is the price of article " + std::to_string(i) + "?"), "x");
  ASSERT_TRUE(stands_in(node, kMany + 1));
  node.embedder().mood = Mood::kFine;
  rest();
  EXPECT_TRUE(node.has(kMany + 1));
}

TEST_F(StandInTest, GoesWhenItIsNeededNoMore) {
  Node node = make();
  node.teach(Node::question(kCached), "x", 1);
  node.embedder().mood = Mood::kDown;
  (void)node.find(kParaphrase);
  ASSERT_TRUE(stands_in(node, 1));
  EXPECT_GT(node.stand_in().bytes(), 0U);
  EXPECT_GE(node.stand_in().lookups(), 1U);
  node.embedder().mood = Mood::kFine;
  clock_.advance(6min);
  EXPECT_TRUE(loops_.until([&] { return !node.stand_in().active(); }));
  EXPECT_EQ(node.stand_in().bytes(), 0U);
  node.embedder().mood = Mood::kDown;
  (void)node.find(kParaphrase);
  EXPECT_TRUE(stands_in(node, 1)) << "and comes again";
}

TEST_F(StandInTest, WhatIsDeletedIsDeletedHereToo) {
  Node node = make();
  node.teach(Node::question(kCached), "x", 1);
  node.teach(Node::question(kOther), "stderr", 2);
  node.embedder().mood = Mood::kDown;
  (void)node.find(kParaphrase);
  ASSERT_TRUE(stands_in(node, 2));
  const std::string id = node.find(kParaphrase)->entry_id;
  ASSERT_FALSE(id.empty());
  (void)node.call([&id](auto& cache) { return cache.erase("acme", {id}); });
  EXPECT_FALSE(node.find(kParaphrase)->hit());
  EXPECT_TRUE(stands_in(node, 1));
  (void)node.call([](auto& cache) { return cache.clear("acme"); });
  EXPECT_EQ(node.stand_in().entries(), 0U);
  EXPECT_FALSE(node.find(kOther)->hit());
}

}  // namespace
}  // namespace asahi::gateway
