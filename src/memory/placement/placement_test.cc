#include "memory/placement/placement.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace asahi::memory {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<Node> nodes_named(int count) {
  std::vector<Node> nodes;
  for (int i = 0; i < count; ++i) nodes.push_back({fmt::format("hot-{}", i)});
  return nodes;
}

Placement of(int count, std::uint32_t shards = kShards) {
  return Placement::make(nodes_named(count), shards).value();
}

std::vector<std::size_t> shares(const Placement& placement) {
  std::vector<std::size_t> counts(placement.nodes().size());
  for (std::uint32_t shard = 0; shard < placement.shards(); ++shard)
    ++counts[placement.owner(shard)];
  return counts;
}

TEST(Shards, AreTheFirstFourBytesOfSha256BigEndianModuloTheirNumber) {
  // sha256("abc") = ba7816bf…; sha256("") = e3b0c442….
  EXPECT_EQ(shard_of("abc", 0xffffffff), 0xba7816bf);
  EXPECT_EQ(shard_of("abc"), 0xbf);
  EXPECT_EQ(shard_of("abc", 64), 0xbf % 64);
  EXPECT_EQ(shard_of(""), 0x42);
}

// Rows lie where this says: it must say the same in every version. The values come from another
// implementation, in Python.
TEST(Placement, StaysWhatItIs) {
  const Placement placement = of(4);
  std::vector<std::string> first;
  for (std::uint32_t shard = 0; shard < 8; ++shard) first.push_back(placement.owner_name(shard));
  EXPECT_THAT(first,
              ElementsAre("hot-2", "hot-3", "hot-3", "hot-3", "hot-1", "hot-0", "hot-0", "hot-3"));
  std::size_t sum = 0;
  for (std::uint32_t shard = 0; shard < kShards; ++shard)
    sum = sum * 31 % 1'000'003 + placement.owner(shard);
  EXPECT_EQ(sum, 134'088U);
}

TEST(Placement, DoesNotDependOnTheOrderOfTheList) {
  auto nodes = nodes_named(5);
  const auto one = Placement::make(nodes).value();
  std::ranges::reverse(nodes);
  const auto other = Placement::make(nodes).value();
  EXPECT_TRUE(moves_between(one, other).empty());
  EXPECT_EQ(one.to_string(), other.to_string());
}

TEST(Placement, SharesOutEvenly) {
  // A share is binomial: 64 of 256 with a standard deviation of 6.9; of 65,536 shards with 111.
  for (const std::size_t share : shares(of(4)))
    EXPECT_NEAR(static_cast<double>(share), 64, 3 * 6.9);
  for (const std::size_t share : shares(of(4, 65'536)))
    EXPECT_NEAR(static_cast<double>(share), 16'384, 4 * 111);
}

TEST(Placement, GivesANodeShardsInProportionToItsWeight) {
  const auto placement = Placement::make({{"a", 1}, {"b", 2}, {"c", 5}}, 65'536).value();
  const auto counts = shares(placement);
  EXPECT_NEAR(static_cast<double>(counts[0]), 65'536 * 1 / 8.0, 500);
  EXPECT_NEAR(static_cast<double>(counts[1]), 65'536 * 2 / 8.0, 500);
  EXPECT_NEAR(static_cast<double>(counts[2]), 65'536 * 5 / 8.0, 500);
}

TEST(Placement, MovesWhatTheNodeThatJoinsTakesAndNothingElse) {
  for (const int count : {1, 4, 16, 64}) {
    const Placement before = of(count), after = of(count + 1);
    const auto moves = moves_between(before, after);
    for (const ShardMove& move : moves) EXPECT_EQ(move.to, fmt::format("hot-{}", count));
    const auto newcomer =
        std::ranges::find(after.nodes(), fmt::format("hot-{}", count), &Node::name);
    const auto place = static_cast<std::size_t>(newcomer - after.nodes().begin());
    EXPECT_EQ(moves.size(), shares(after)[place]);
    const double expected = 256.0 / (count + 1);
    EXPECT_NEAR(static_cast<double>(moves.size()), expected, 4 * std::sqrt(expected) + 1);
    // And back: what it had goes where it came from.
    for (const ShardMove& move : moves_between(after, before))
      EXPECT_EQ(move.from, fmt::format("hot-{}", count));
  }
}

TEST(Placement, TakesNothingFromANodeWhoseWeightGrows) {
  const auto before = Placement::make({{"a", 1}, {"b", 1}, {"c", 1}}).value();
  const auto after = Placement::make({{"a", 2}, {"b", 1}, {"c", 1}}).value();
  const auto moves = moves_between(before, after);
  EXPECT_FALSE(moves.empty());
  for (const ShardMove& move : moves) EXPECT_EQ(move.to, "a");
}

TEST(Placement, IsReadBackFromItsText) {
  const auto placement = Placement::make({{"b", 0.5}, {"10.0.0.1:8002", 1}, {"a", 2}}).value();
  EXPECT_EQ(placement.to_string(), "256;10.0.0.1:8002,a*2,b*0.5");
  const auto again = Placement::parse(placement.to_string());
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_TRUE(moves_between(placement, *again).empty());
  EXPECT_EQ(again->nodes(), placement.nodes());
  for (const char* text : {"", "256", "x;a", "256;", "256;a*x", "256;a,a", "0;a", "256;a b"})
    EXPECT_FALSE(Placement::parse(text)) << text;
}

TEST(Placement, NamesWhatIsWrongWithAList) {
  const auto why = [](std::vector<Node> nodes) {
    return Placement::make(std::move(nodes)).error().message;
  };
  EXPECT_THAT(why({}), HasSubstr("1 to 1000"));
  EXPECT_THAT(why({{"a"}, {"b"}, {"a"}}), HasSubstr("a stands there twice"));
  EXPECT_THAT(why({{"a/b"}}), HasSubstr("'a/b' is no name"));
  EXPECT_THAT(why({{"a", 0}}), HasSubstr("the weight 0 of a"));
  EXPECT_THAT(why({{"a", std::nan("")}}), HasSubstr("weight"));
}

}  // namespace
}  // namespace asahi::memory
