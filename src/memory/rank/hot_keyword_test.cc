#include "memory/rank/hot_keyword.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace asahi::memory::rank {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::uint32_t> found(const hot::KeywordIndex& index, std::string_view query,
                                 const std::vector<std::uint8_t>& allowed = {}) {
  std::vector<hot::KeywordIndex::Hit> hits;
  index.search(query, 10, allowed.empty() ? nullptr : allowed.data(), allowed.size(), hits);
  std::vector<std::uint32_t> out;
  for (const auto& hit : hits) out.push_back(hit.document);
  return out;
}

TEST(HotKeyword, ReadsSessionsAndSpeakersFromMetadata) {
  const ManualClock clock;
  const auto index = make_keyword_index(clock);
  const Clock::Time now = clock.now();
  index->add(0, "Which instrument do you play?",
             {"s", "a", R"({"session":1,"speaker":"Jo"})", now});
  index->add(1, "Oboe, since school.", {"s", "b", R"({"session":1,"speaker":"Mel"})", now});
  index->add(2, "Rain again.", {"s", "c", R"({"session":2,"speaker":"Mel"})", now});
  EXPECT_THAT(found(*index, "What instrument does Mel play?"), ElementsAre(1, 0));
}

TEST(HotKeyword, KeepsToRowsThatAreAllowed) {
  const ManualClock clock;
  const auto index = make_keyword_index(clock);
  for (std::uint32_t i = 0; i < 4; ++i) index->add(i, "same words", {"s", "a", "{}", clock.now()});
  EXPECT_THAT(found(*index, "words", {0, 1, 0}), ElementsAre(1));
  std::vector<hot::KeywordIndex::Hit> hits;
  EXPECT_EQ(index->search("words", 2, nullptr, 0, hits), 4U) << "how many match";
  EXPECT_EQ(hits.size(), 2U);
}

TEST(HotKeyword, ForgetsWhatWasRemoved) {
  const ManualClock clock;
  const auto index = make_keyword_index(clock);
  index->add(0, "first words", {"s", "a", "{}", clock.now()});
  index->remove(0);
  index->remove(7);
  EXPECT_THAT(found(*index, "words"), IsEmpty());
  index->add(0, "second thing", {"s", "a", "not json", clock.now()});
  EXPECT_THAT(found(*index, "things"), ElementsAre(0));
  EXPECT_GT(index->bytes(), 0U);
}

TEST(HotKeyword, StaysSmallOverManyReplacements) {
  const ManualClock clock;
  const auto index = make_keyword_index(clock);
  std::size_t early = 0;
  for (std::uint32_t i = 0; i < 30'000; ++i) {
    index->add(i % 100, "row " + std::to_string(i % 777) + " of a table that is written anew",
               {"s", "a", "{}", clock.now()});
    index->remove(i % 100);
    if (i == 10'000) early = index->bytes();
  }
  EXPECT_LT(index->bytes(), 2 * early);
}

TEST(HotKeyword, NamesTheQuestionsWordsThatAMemoryHolds) {
  const ManualClock clock;
  const auto index = make_keyword_index(clock);
  EXPECT_THAT(index->matched_terms("When was she painting sunrises in src/a_b.cc?",
                                   "I painted a sunrise; see a_b.cc"),
              ElementsAre("painting", "sunrises", "b", "cc"));
}

}  // namespace
}  // namespace asahi::memory::rank
