#include "memory/access/hit_counter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace asahi::memory {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

Key key(const std::string& id, const std::string& tenant = "org") { return {tenant, "agent", id}; }

std::map<std::string, std::uint64_t> by_id(const HitCounter::Taken& taken) {
  std::map<std::string, std::uint64_t> out;
  for (const auto& [one, hits] : taken.hits) out[one.tenant + "/" + one.conversation_id] = hits;
  return out;
}

TEST(HitCounter, CountsWhatSearchesGiveBackAlsoOutOfACache) {
  HitCounter counter;
  counter.returned("first", {key("a"), key("b")});
  counter.returned("second", {key("a"), key("a", "other")});
  counter.returned_again("first");
  counter.returned_again("unknown");
  EXPECT_THAT(by_id(counter.take()),
              ElementsAre(Pair("org/a", 3U), Pair("org/b", 2U), Pair("other/a", 1U)));
  EXPECT_TRUE(counter.take().hits.empty()) << "each hit is taken once";
  counter.returned_again("second");
  EXPECT_EQ(counter.take().hits.size(), 2U) << "answers outlive that";
}

TEST(HitCounter, IsBoundedAndSaysWhatItDidNotCount) {
  HitCounter counter({.memories = 2, .answers = 1});
  counter.returned("first", {key("a"), key("b"), key("c")});
  counter.returned("second", {key("a")});
  counter.returned_again("first");
  auto taken = counter.take();
  EXPECT_THAT(by_id(taken), ElementsAre(Pair("org/a", 2U), Pair("org/b", 1U)));
  EXPECT_EQ(taken.lost, 1U);
  counter.put_back(std::move(taken));
  counter.returned_again("second");
  EXPECT_THAT(by_id(counter.take()), ElementsAre(Pair("org/a", 3U), Pair("org/b", 1U)));
}

}  // namespace
}  // namespace asahi::memory
