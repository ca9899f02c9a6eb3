#include "memory/rank/fusion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace asahi::memory::rank {
namespace {

using testing::ElementsAre;

constexpr std::array<std::string_view, 6> kIds = {"a", "b", "c", "d", "e", "f"};

/// Document n is n seconds old, but 4 and 5 of one second.
Tie tie_of(std::uint32_t document) {
  return {Clock::Time(std::chrono::seconds(100 - std::min(document, 4U))), kIds[document]};
}

std::vector<std::uint32_t> order(const std::vector<Fused>& fused) {
  std::vector<std::uint32_t> out;
  for (const Fused& one : fused) out.push_back(one.document);
  return out;
}

TEST(Fuse, SumsReciprocalRanks) {
  const std::vector<std::uint32_t> keyword = {0, 1, 2}, vector = {2, 0, 3};
  const RankedList lists[] = {{"keyword", 1, keyword}, {"vector", 1, vector}};
  const auto fused = fuse(lists, 10, tie_of);
  EXPECT_THAT(order(fused), ElementsAre(0, 2, 1, 3));
  EXPECT_DOUBLE_EQ(fused[0].score, 1.0 / 61 + 1.0 / 62);
  ASSERT_EQ(fused[0].parts.size(), 2U);
  EXPECT_EQ(fused[0].parts[1].list, "vector");
  EXPECT_EQ(fused[0].parts[1].rank, 2);
  EXPECT_DOUBLE_EQ(fused[0].parts[1].score, 1.0 / 62);
}

TEST(Fuse, WeighsLists) {
  const std::vector<std::uint32_t> keyword = {0}, vector = {1};
  const RankedList lists[] = {{"keyword", 0.5, keyword}, {"vector", 1, vector}};
  EXPECT_THAT(order(fuse(lists, 10, tie_of)), ElementsAre(1, 0));
}

TEST(Fuse, CountsARepeatedDocumentOncePerListAtItsBestRank) {
  const std::vector<std::uint32_t> keyword = {1, 1, 0, 1};
  const RankedList lists[] = {{"keyword", 1, keyword}};
  const auto fused = fuse(lists, 10, tie_of);
  EXPECT_THAT(order(fused), ElementsAre(1, 0));
  EXPECT_DOUBLE_EQ(fused[0].score, 1.0 / 61);
}

TEST(Fuse, BreaksTiesByTimeThenId) {
  const std::vector<std::uint32_t> one = {5}, two = {4}, three = {3};
  const RankedList lists[] = {{"one", 1, one}, {"two", 1, two}, {"three", 1, three}};
  EXPECT_THAT(order(fuse(lists, 10, tie_of)), ElementsAre(3, 4, 5));
  EXPECT_THAT(order(fuse(lists, 2, tie_of)), ElementsAre(3, 4));
}

TEST(Fuse, TakesNothing) { EXPECT_TRUE(fuse({}, 10, tie_of).empty()); }

}  // namespace
}  // namespace asahi::memory::rank
