// Rows that move to another node of the hot tier.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "memory/hot/engine.h"
#include "memory/hot/testing/samples.h"
#include "memory/model/shards.h"

namespace asahi::memory::hot {
namespace {

using hot_testing::sample;
using hot_testing::upsert;
using hot_testing::wait_for;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;
using Outcome = UpsertOutcome;

ShardSet shards_of(std::initializer_list<std::string_view> systems) {
  ShardSet set(kShards, 0);
  for (const std::string_view system : systems) set[shard_of(system)] = 1;
  return set;
}
std::vector<ShardRow> scan(Engine& engine, ShardSet wanted, std::size_t limit = 100,
                           Marks marks = Marks::kKeep) {
  return wait_for<std::vector<ShardRow>>([&](auto done) {
           engine.scan_shards(std::move(wanted), limit, marks, std::move(done));
         })
      .value();
}
std::uint64_t erase_moved(Engine& engine, std::vector<std::pair<Key, Digest>> rows) {
  return wait_for<std::uint64_t>(
             [&](auto done) { engine.erase_moved(std::move(rows), std::move(done)); })
      .value();
}
std::vector<std::string> ids(const std::vector<ShardRow>& rows) {
  std::vector<std::string> out;
  for (const ShardRow& row : rows) out.push_back(row.memory.key.conversation_id);
  return out;
}
std::unique_ptr<Engine> engine_of_two_systems() {
  auto engine = Engine::open({}).value();
  EXPECT_TRUE(upsert(*engine, {sample("a1", "one", 1, "a"), sample("b1", "two", 2, "b"),
                               sample("a2", "three", 3, "a"), sample("a3", "two", 4, "a"),
                               sample("b2", "one", 5, "b")}));
  return engine;
}

TEST(HotMoves, GiveRowsOfTheWantedShardsOnceWithTheirDuplicates) {
  const auto engine = engine_of_two_systems();
  const auto rows = scan(*engine, shards_of({"a", "b"}));
  EXPECT_THAT(ids(rows), ElementsAre("a1", "b2", "b1", "a3", "a2"));
  EXPECT_TRUE(rows[1].duplicate);
  EXPECT_EQ(rows[1].memory.content, "one");
  EXPECT_EQ(rows[0].memory.metadata, "{}") << "as it was written: seen_in is another row's doing";
  EXPECT_THAT(scan(*engine, shards_of({"a", "b"})), IsEmpty()) << "they are on their way";
  EXPECT_THAT(scan(*engine, shards_of({"a"}), 100, Marks::kDrop), SizeIs(3))
      << "a run that begins takes over what a dead one marked";
  // Given back, they come again.
  EXPECT_EQ(erase_moved(*engine, {{rows[4].memory.key, Digest{}}}), 0U);
  EXPECT_THAT(ids(scan(*engine, shards_of({"a"}))), ElementsAre("a2"));
}

TEST(HotMoves, LeaveOtherShardsAlone) {
  const auto engine = engine_of_two_systems();
  EXPECT_THAT(ids(scan(*engine, shards_of({"a"}))), UnorderedElementsAre("a1", "a2", "a3"));
  EXPECT_THAT(ids(scan(*engine, shards_of({"b"}), 1)), SizeIs(1));
}

TEST(HotMoves, WhatSaidTheSameKeepsARow) {
  const auto engine = engine_of_two_systems();
  std::vector<std::pair<Key, Digest>> gone;
  for (const ShardRow& row : scan(*engine, shards_of({"a"})))
    gone.emplace_back(row.memory.key, row.checksum);
  EXPECT_EQ(erase_moved(*engine, gone), 3U);
  EXPECT_EQ(engine->stats("").records, 2U) << "b1, and b2 with a row of its own now";
  EXPECT_EQ(engine->get({{"acme", "b", "b2"}}).value()[0]->content, "one");
  EXPECT_FALSE(engine->get({{"acme", "a", "a3"}}).value()[0]);
}

TEST(HotMoves, WhatChangedMeanwhileStays) {
  const auto engine = engine_of_two_systems();
  const auto rows = scan(*engine, shards_of({"a"}));
  ASSERT_TRUE(upsert(*engine, {sample("a2", "changed", 9, "a")}));
  std::vector<std::pair<Key, Digest>> gone;
  for (const ShardRow& row : rows) gone.emplace_back(row.memory.key, row.checksum);
  EXPECT_EQ(erase_moved(*engine, gone), 2U);
  EXPECT_EQ(engine->get({{"acme", "a", "a2"}}).value()[0]->content, "changed");
}

TEST(HotMoves, CountRowsAndDuplicatesByShard) {
  const auto engine = engine_of_two_systems();
  const auto counts = engine->shard_counts();
  ASSERT_THAT(counts, SizeIs(kShards));
  EXPECT_EQ(counts[shard_of("a")], 3U);
  EXPECT_EQ(counts[shard_of("b")], 2U);
}

}  // namespace
}  // namespace asahi::memory::hot
