#include "memory/placement/sharded_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "memory/placement/testing/nodes.h"
#include "memory/testing/memory_store.h"
#include "memory/testing/on_loop.h"

namespace asahi::memory {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::keys_of;
using ::testing::Not;
using testing::placed;
using testing::placed_memories;
using ::testing::SizeIs;
using Outcome = UpsertOutcome;

constexpr int kSystems = 20, kEach = 5;

class ShardedStoreTest : public ::testing::Test {
 protected:
  ShardedStoreTest() {
    for (const char* name : {"a", "b", "c"}) nodes_.add(name);
    tier_ = nodes_.tier({"a", "b", "c"});
  }
  std::vector<Outcome> store(std::vector<Memory> memories) {
    return on_
        .wait<std::vector<Outcome>>(
            [&] { return tier_->upsert_batch(memories, {.deduplicate = false}); })
        .value();
  }
  Result<StorePage> search(StoreQuery query) {
    query.tenant = "acme";
    return on_.wait<StorePage>([&] { return tier_->search(query); });
  }
  std::uint64_t records(Store& store) {
    return on_.wait<TierStats>([&] { return store.stats(""); }).value().records;
  }
  std::vector<std::optional<Memory>> get(std::vector<Key> keys) {
    return on_.wait<std::vector<std::optional<Memory>>>([&] { return tier_->get(keys); }).value();
  }
  std::uint64_t erase(std::vector<Key> keys) {
    return on_.wait<std::uint64_t>([&] { return tier_->delete_batch(keys); }).value();
  }
  /// A system whose memories a node has, and another node had under `before`.
  std::string system_of(const std::string& node, const std::string& was = {},
                        const std::vector<std::string>& before = {}) {
    const auto now = testing::Nodes::placement({"a", "b", "c"});
    for (int i = 0;; ++i) {
      std::string system = fmt::format("probe-{}", i);
      if (now.owner_name(shard_of(system)) != node) continue;
      if (before.empty()) return system;
      if (testing::Nodes::placement(before).owner_name(shard_of(system)) == was) return system;
    }
  }

  testing::OnLoop on_;
  testing::Nodes nodes_;
  std::unique_ptr<ShardedStore> tier_;
};

TEST_F(ShardedStoreTest, EachMemoryLiesOnTheNodeOfItsSystem) {
  const auto all = placed_memories(kSystems, kEach);
  EXPECT_THAT(store(all), AllOf(SizeIs(all.size()), Each(Outcome::kStored)));
  EXPECT_THAT(store(all), Each(Outcome::kUnchanged)) << "in the order of the batch";
  EXPECT_EQ(records(*tier_), all.size());
  for (const char* name : {"a", "b", "c"}) EXPECT_GT(records(nodes_[name]), 0U) << name;
  std::vector<Key> keys = keys_of(all);
  keys.insert(keys.begin() + 3, Key{"acme", "system-0", "unknown"});
  const auto found = get(keys);
  EXPECT_FALSE(found[3]);
  EXPECT_EQ(found[0], all[0]);
  EXPECT_EQ(found.back(), all.back());
  EXPECT_EQ(erase({all[0].key, all.back().key, keys[3]}), 2U);
  EXPECT_EQ(
      on_.wait<std::uint64_t>([&] { return tier_->delete_system("acme", "system-4"); }).value(),
      5U);
  EXPECT_EQ(records(*tier_), all.size() - 7);
}

TEST_F(ShardedStoreTest, AnswersAsOneStoreWould) {
  testing::MemoryStore whole;
  const auto all = placed_memories(kSystems, kEach);
  store(all);
  ASSERT_TRUE(on_.wait<std::vector<Outcome>>(
      [&] { return whole.upsert_batch(all, {.deduplicate = false}); }));
  StoreQuery query;
  query.mode = SearchMode::kSemantic;
  query.embedding = all[3].embedding;
  query.embedding_model = "m";
  query.limit = 7;
  query.facets = {"project"};
  const auto mine = search(query).value();
  query.tenant = "acme";
  const auto theirs = on_.wait<StorePage>([&] { return whole.search(query); }).value();
  EXPECT_EQ(mine.facets, theirs.facets);
  EXPECT_EQ(mine.total, theirs.total);
  ASSERT_THAT(mine.hits, SizeIs(7));
  for (std::size_t i = 0; i < mine.hits.size(); ++i) {
    EXPECT_NEAR(*mine.hits[i].similarity, *theirs.hits[i].similarity, 1e-5) << i;
    EXPECT_EQ(mine.hits[i].explanation.vector_rank, static_cast<int>(i) + 1);
  }
  StoreQuery newest;
  newest.limit = 20;
  const auto latest = search(newest).value();
  EXPECT_TRUE(std::ranges::is_sorted(latest.hits, std::greater<>(), &StoreHit::timestamp));
  EXPECT_EQ(latest.hits.front().timestamp, placed("x", kEach - 1).timestamp);
}

TEST_F(ShardedStoreTest, WeavesWordsAndVectorsOfAllNodesTogether) {
  store(placed_memories(kSystems, kEach));
  Memory wanted = placed("system-7", 99);
  wanted.content = "a zebra crosses the road";
  wanted.content_hash = sha256(wanted.content);
  wanted.embedding = {-0.6F, 0.8F, 0.0F};
  store({wanted});
  StoreQuery query;
  query.text = "zebra topic";
  query.embedding = wanted.embedding;
  query.embedding_model = "m";
  query.limit = 5;
  const auto page = search(query).value();
  ASSERT_THAT(page.hits, SizeIs(5));
  EXPECT_EQ(page.hits[0].key, wanted.key);
  EXPECT_EQ(page.hits[0].explanation.keyword_rank, 1);
  EXPECT_EQ(page.hits[0].explanation.vector_rank, 1);
}

TEST_F(ShardedStoreTest, ASearchOfOneSystemAsksItsNodeOnly) {
  store(placed_memories(kSystems, kEach));
  StoreQuery query;
  query.filter.system_ids = {"system-3"};
  EXPECT_THAT(search(query).value().hits, SizeIs(kEach));
  EXPECT_EQ(nodes_["a"].searches + nodes_["b"].searches + nodes_["c"].searches, 1U);
  query.filter = {};
  query.filter.systems_allowed = std::vector<std::string>{"system-3"};
  EXPECT_THAT(search(query).value().hits, SizeIs(kEach));
  EXPECT_EQ(nodes_["a"].searches + nodes_["b"].searches + nodes_["c"].searches, 2U);
  // Who may see nothing asks nobody.
  query.filter.systems_allowed = std::vector<std::string>{};
  const auto nothing = search(query).value();
  EXPECT_THAT(nothing.hits, IsEmpty());
  EXPECT_FALSE(nothing.partial);
}

TEST_F(ShardedStoreTest, NodesThatAreAwayOrLateAreNamed) {
  const auto all = placed_memories(kSystems, kEach);
  store(all);
  const std::uint64_t with_c = records(nodes_["c"]);
  StoreQuery query;
  query.limit = 1000;
  nodes_["a"].away = true;
  nodes_["b"].late = true;
  const auto page = search(query).value();
  EXPECT_TRUE(page.partial);
  EXPECT_THAT(page.missing, ElementsAre("a", "b"));
  EXPECT_THAT(page.unread, Contains(HasSubstr("b: it did not answer in time")));
  EXPECT_EQ(page.hits.size(), with_c);
  EXPECT_EQ(page.total, with_c);

  nodes_["a"].away = false;
  nodes_["b"].late = false;
  // The late search ends though nobody waits for it any more.
  ASSERT_TRUE(on_.wait<void>([&]() -> Task<void> {
    while (nodes_["b"].searched == 0)
      co_await net::Loop::current()->sleep_for(std::chrono::milliseconds(1));
    co_return Result<void>{};
  }));
  const auto whole = search(query).value();
  EXPECT_FALSE(whole.partial);
  EXPECT_EQ(whole.hits.size(), all.size());

  for (const char* name : {"a", "b", "c"}) nodes_[name].away = true;
  const auto none = search(query);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Errc::kUnavailable);
  EXPECT_THAT(none.error().message, HasSubstr("none of 3 hot stores answered"));
}

TEST_F(ShardedStoreTest, WritesGoOnWhereTheNodeIsThere) {
  nodes_["a"].away = true;
  const Memory here = placed(system_of("b"), 1), there = placed(system_of("a"), 1);
  EXPECT_THAT(store({here}), ElementsAre(Outcome::kStored));
  const auto refused = on_.wait<std::vector<Outcome>>(
      [&] { return tier_->upsert_batch({here, there}, {.deduplicate = false}); });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kUnavailable);
  nodes_["a"].away = false;
  EXPECT_THAT(store({here, there}), ElementsAre(Outcome::kUnchanged, Outcome::kStored));
}

TEST_F(ShardedStoreTest, AgeingTakesRowsOfAllNodesAndGoesOnWithoutOne) {
  const auto all = placed_memories(kSystems, kEach);
  store(all);
  const auto scan = [&](std::size_t limit) {
    return on_.wait<std::vector<Eligible>>([&] { return tier_->scan_eligible({.limit = limit}); });
  };
  const auto some = scan(30).value();
  EXPECT_THAT(some, SizeIs(30));
  EXPECT_TRUE(
      std::ranges::is_sorted(some, {}, [](const Eligible& row) { return row.memory.timestamp; }));
  nodes_["b"].away = true;
  const auto more = scan(1000).value();
  EXPECT_THAT(more, Not(IsEmpty()));
  const auto away = scan(1000);
  ASSERT_FALSE(away) << "all that is left is where nobody answers";
  nodes_["b"].away = false;
  const auto rest = scan(1000).value();
  EXPECT_EQ(some.size() + more.size() + rest.size(), all.size());
  std::vector<std::pair<Key, Digest>> ends;
  for (const Eligible& row : some) ends.emplace_back(row.memory.key, row.checksum);
  EXPECT_EQ(on_.wait<std::uint64_t>([&] { return tier_->delete_migrated(ends); }).value(), 30U);
  EXPECT_EQ(records(*tier_), all.size() - 30);
}

// ---- While a move from {a, b} to {a, b, c} is under way ----

TEST_F(ShardedStoreTest, WhileRowsMoveBothPlacesAreLookedAt) {
  const std::string system = system_of("c", "a", {"a", "b"});
  const Memory old = placed(system, 1);
  ASSERT_TRUE(on_.wait<std::vector<Outcome>>([&] { return nodes_["a"].upsert_batch({old}, {}); }));
  EXPECT_FALSE(get({old.key})[0]) << "its node has nothing";
  tier_ = nodes_.tier({"a", "b", "c"}, {"a", "b"});
  EXPECT_EQ(get({old.key})[0], old);
  StoreQuery query;
  query.filter.system_ids = {system};
  EXPECT_THAT(search(query).value().hits, SizeIs(1));

  // A newer version goes to the new node, and is the one that counts.
  Memory newer = placed(system, 1, 100);
  newer.content = "said anew";
  newer.content_hash = sha256(newer.content);
  EXPECT_THAT(store({newer}), ElementsAre(Outcome::kStored));
  EXPECT_EQ(get({old.key})[0]->content, "said anew");
  const auto page = search(query).value();
  ASSERT_THAT(page.hits, SizeIs(1));
  EXPECT_EQ(page.hits[0].text, "said anew");
  EXPECT_EQ(page.total, 1U);
  // Words of the old version find nothing any more.
  query.text = "topic";
  query.mode = SearchMode::kKeyword;
  EXPECT_THAT(search(query).value().hits, IsEmpty());

  EXPECT_EQ(erase({old.key}), 1U);
  EXPECT_FALSE(get({old.key})[0]);
  EXPECT_EQ(records(*tier_), 0U) << "on both nodes";
}

TEST(ShardedStore, NeedsAStoreForEachNode) {
  const auto made = ShardedStore::make(testing::Nodes::placement({"a", "b"}), std::nullopt, {}, {});
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().message, HasSubstr("no store for a"));
}

TEST_F(ShardedStoreTest, CopiesFirstWhereMemoriesComeFrom) {
  nodes_.add("d");
  std::string order;
  for (const char* name : {"a", "b", "c", "d"}) {
    nodes_[name].copied = [&order, name](bool begins) {
      order += begins ? std::string("(") + name : std::string(name) + ")";
    };
  }
  tier_ = nodes_.tier({"b", "c", "d"}, {"a", "b", "c"});
  const auto left_out = on_.wait<std::vector<HeldFile>>([&] { return tier_->snapshot("x", {}); });
  ASSERT_TRUE(left_out);
  EXPECT_TRUE(order.starts_with("(aa)")) << order << ": it leaves, and gives to all others";
  EXPECT_TRUE(order.ends_with("(dd)")) << order << ": it joins, and gets from all others";
  std::set<std::string> paths;
  for (const HeldFile& file : *left_out) paths.insert(file.path);
  EXPECT_EQ(paths, (std::set<std::string>{"a/log", "b/log", "c/log", "d/log"}));
}

}  // namespace
}  // namespace asahi::memory
