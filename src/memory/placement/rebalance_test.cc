#include "memory/placement/rebalance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "memory/placement/testing/nodes.h"
#include "memory/testing/on_loop.h"
#include "storage/columnar/private_folder.h"

namespace asahi::memory {
namespace {

using ::testing::HasSubstr;
using testing::keys_of;
using testing::placed;
using testing::placed_memories;
using Outcome = UpsertOutcome;

class RebalanceTest : public ::testing::Test {
 protected:
  /// Memories on the nodes of `names`.
  void fill(const std::vector<std::string>& names, const std::vector<Memory>& memories,
            UpsertOptions options = {.deduplicate = false}) {
    for (const std::string& name : names) nodes_.add(name);
    const auto tier = nodes_.tier(names);
    ASSERT_TRUE(
        on_.wait<std::vector<Outcome>>([&] { return tier->upsert_batch(memories, options); }));
  }
  Result<Rebalanced> rebalance(const std::vector<std::string>& names, std::size_t batch = 16) {
    Rebalance run(testing::Nodes::placement(names), nodes_.all(), {.batch = batch});
    return on_.wait<Rebalanced>([&] { return run.run(); });
  }
  std::uint64_t records(const std::string& name) {
    return on_.wait<TierStats>([&] { return nodes_[name].stats(""); }).value().records;
  }
  /// Every memory is found by those who look in their places only, and none twice.
  void expect_whole(const std::vector<std::string>& names, const std::vector<Memory>& memories) {
    const auto tier = nodes_.tier(names);
    const auto found =
        on_.wait<std::vector<std::optional<Memory>>>([&] { return tier->get(keys_of(memories)); })
            .value();
    for (std::size_t i = 0; i < memories.size(); ++i) EXPECT_EQ(found[i], memories[i]);
    std::uint64_t sum = 0;
    for (const std::string& name : names) sum += records(name);
    EXPECT_EQ(sum, memories.size());
  }

  testing::OnLoop on_;
  testing::Nodes nodes_;
};

TEST_F(RebalanceTest, ANodeThatJoinsGetsItsShardsAndAllElseStays) {
  const auto all = placed_memories(40, 5);
  fill({"a", "b"}, all);
  const std::uint64_t before = records("a") + records("b");
  nodes_.add("c");
  const auto done = rebalance({"a", "b", "c"});
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->moved, records("c"));
  EXPECT_GT(done->moved, 0U);
  EXPECT_EQ(done->errors + done->changed + done->known, 0U);
  EXPECT_EQ(before, all.size());
  expect_whole({"a", "b", "c"}, all);
  const auto again = rebalance({"a", "b", "c"}).value();
  EXPECT_EQ(again.moved, 0U);
  EXPECT_EQ(nodes_.record("c").note()->now.to_string(), "256;a,b,c");
  EXPECT_FALSE(nodes_.record("c").note()->before);
}

TEST_F(RebalanceTest, ANodeThatLeavesGivesAllItHas) {
  const auto all = placed_memories(40, 5);
  fill({"a", "b", "c"}, all);
  const auto done = rebalance({"a", "b"});
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(records("c"), 0U);
  EXPECT_EQ(nodes_.record("c").note(), nullptr);
  expect_whole({"a", "b"}, all);
}

TEST_F(RebalanceTest, DuplicatesStayDuplicates) {
  std::vector<Memory> all = placed_memories(30, 2);
  // Each system says one thing twice; the first and the last say the same as well.
  for (int system = 0; system < 30; ++system) {
    Memory twin = placed(fmt::format("system-{}", system), 0);
    twin.key.conversation_id += "-again";
    twin.timestamp += std::chrono::hours(5);
    twin.metadata = R"({"project":"twin"})";
    all.push_back(std::move(twin));
  }
  fill({"a", "b"}, all, {});
  const std::uint64_t counted = records("a") + records("b");
  EXPECT_EQ(counted, 60U);
  nodes_.add("c");
  ASSERT_TRUE(rebalance({"a", "b", "c"}, 3));
  const auto tier = nodes_.tier({"a", "b", "c"});
  const auto found =
      on_.wait<std::vector<std::optional<Memory>>>([&] { return tier->get(keys_of(all)); }).value();
  for (std::size_t i = 0; i < all.size(); ++i) {
    ASSERT_TRUE(found[i]) << all[i].key.conversation_id;
    EXPECT_EQ(found[i]->content, all[i].content);
    EXPECT_EQ(found[i]->timestamp, all[i].timestamp);
  }
  EXPECT_EQ(records("a") + records("b") + records("c"), counted);
}

// Killed after any call of any node: nothing is lost, nothing counts twice, the next run ends it.
TEST_F(RebalanceTest, BrokenOffAnywhereItLosesNothingAndIsEndedByTheNext) {
  const auto all = placed_memories(20, 3);
  fill({"a", "b"}, all);
  nodes_.add("c");
  int stops = 0;
  for (std::size_t calls = 0;; ++calls) {
    for (const char* victim : {"a", "b", "c"}) nodes_[victim].away = false;
    // Every third is another node's.
    testing::FlakyNode& victim = nodes_[std::vector<std::string>{"a", "b", "c"}[calls % 3]];
    victim.calls_left = static_cast<int>(1 + calls / 3);
    const auto done = rebalance({"a", "b", "c"}, 1);
    victim.calls_left = -1;
    victim.away = false;
    const auto tier = nodes_.tier({"a", "b", "c"}, {"a", "b"});
    StoreQuery query;
    query.tenant = "acme";
    query.limit = 1000;
    const auto page = on_.wait<StorePage>([&] { return tier->search(query); }).value();
    ASSERT_EQ(page.hits.size(), all.size()) << calls;
    if (done) break;
    ++stops;
    ASSERT_LT(calls, 200U);
  }
  EXPECT_GE(stops, 6);
  expect_whole({"a", "b", "c"}, all);
}

TEST_F(RebalanceTest, WhatWasWrittenAnewMeanwhileStands) {
  const auto all = placed_memories(20, 3);
  fill({"a", "b"}, all);
  nodes_.add("c");
  const auto moving = nodes_.tier({"a", "b", "c"}, {"a", "b"});
  std::vector<Memory> anew = all;
  for (Memory& memory : anew) {
    memory.timestamp += std::chrono::hours(10);
    memory.content += ", said anew";
    memory.content_hash = sha256(memory.content);
  }
  ASSERT_TRUE(on_.wait<std::vector<Outcome>>(
      [&] { return moving->upsert_batch(anew, {.deduplicate = false}); }));
  const auto done = rebalance({"a", "b", "c"});
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_GT(done->known, 0U);
  EXPECT_EQ(done->moved, 0U);
  expect_whole({"a", "b", "c"}, anew);
}

TEST_F(RebalanceTest, RefusesWhereANodeWithMemoriesHasNoAddress) {
  fill({"a", "b", "c"}, placed_memories(10, 1));
  ASSERT_TRUE(rebalance({"a", "b", "c"}));
  std::vector<RebalanceNode> some;
  for (const RebalanceNode& node : nodes_.all()) {
    if (node.name != "c") some.push_back(node);
  }
  Rebalance run(testing::Nodes::placement({"a", "b"}), std::move(some), {});
  const auto refused = on_.wait<Rebalanced>([&] { return run.run(); });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kConflict);
  EXPECT_THAT(refused.error().message, HasSubstr("memories may lie on c"));
}

TEST_F(RebalanceTest, OnlyCountsWhenAsked) {
  fill({"a"}, placed_memories(20, 3));
  nodes_.add("b");
  Rebalance run(testing::Nodes::placement({"a", "b"}), nodes_.all(), {});
  const auto would = on_.wait<Rebalanced>([&] { return run.look(); }).value();
  EXPECT_GT(would.moved, 0U);
  EXPECT_EQ(records("b"), 0U);
  EXPECT_EQ(rebalance({"a", "b"}).value().moved, would.moved);
}

// ---- The note ----

TEST(PlacementRecord, IsKeptAndChangedOnlyByWhoKnowsIt) {
  testing::OnLoop on;
  const columnar::PrivateFolder folder = columnar::PrivateFolder::make("").value();
  const PlacementNote note{.node = "a",
                           .now = testing::Nodes::placement({"a", "b"}),
                           .before = testing::Nodes::placement({"a"})};
  {
    const auto record = PlacementRecord::open(folder.path()).value();
    const auto replace = [&](std::string expected, std::string next) {
      return on.wait<std::string>([&] { return record->replace(expected, next); });
    };
    EXPECT_EQ(replace("x", note.to_string()).error().code, Errc::kConflict);
    EXPECT_EQ(replace("", "not a note").error().code, Errc::kCorrupt);
    EXPECT_EQ(replace("", note.to_string()).value(), note.to_string());
    EXPECT_EQ(replace("", note.to_string()).value(), note.to_string()) << "it is so already";
  }
  const auto record = PlacementRecord::open(folder.path()).value();
  ASSERT_NE(record->note(), nullptr);
  EXPECT_EQ(record->note()->to_string(), note.to_string());
  EXPECT_EQ(record->note()->node, "a");
}

TEST(PlacedStore, TakesNothingOfAShardThatAnotherNodeHas) {
  testing::OnLoop on;
  const auto record = PlacementRecord::open(":memory:").value();
  PlacedStore store(HotStore::open({}).value(), *record);
  const auto placement = testing::Nodes::placement({"a", "b"});
  std::string mine, theirs;
  for (int i = 0; mine.empty() || theirs.empty(); ++i) {
    const std::string system = fmt::format("s{}", i);
    (placement.owner_name(shard_of(system)) == "a" ? mine : theirs) = system;
  }
  const auto put = [&](const std::string& system) {
    return on.wait<std::vector<Outcome>>(
        [&] { return store.upsert_batch({placed(system, 1)}, {}); });
  };
  EXPECT_TRUE(put(theirs)) << "nobody has said anything of nodes yet";
  const PlacementNote note{.node = "a", .now = placement, .before = {}};
  ASSERT_TRUE(on.wait<std::string>([&] { return record->replace("", note.to_string()); }));
  EXPECT_TRUE(put(mine));
  const auto refused = put(theirs);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kUnavailable);
  EXPECT_THAT(refused.error().message, HasSubstr("belong to the hot store b, this is a"));
}

}  // namespace
}  // namespace asahi::memory
