#include "gateway/analytics/search_pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/analytics/search_words.h"

namespace asahi::gateway::analytics {
namespace {

using ::testing::ElementsAre;

/// Terms as a block has them: some in all events, some in few, many in one.
Terms some_terms() {
  Terms terms;
  for (int i = 0; i < kBlockEvents; ++i) {
    const auto position = static_cast<std::uint16_t>(i);
    terms["wopenai"].push_back(position);
    if (i % 2 == 0) terms["wgpt"].push_back(position);
    if (i % 1'000 == 7) terms["wrare"].push_back(position);
    terms["wuser" + std::to_string(i)].push_back(position);
  }
  return terms;
}

std::size_t found(const std::vector<TermPage>& pages, std::string_view from, std::string_view to) {
  Events events;
  for (const TermPage& page : pages) EXPECT_TRUE(find_terms(page.bytes, from, to, events));
  return events.count();
}

TEST(SearchPages, FindTermsAndTheirBeginnings) {
  const auto pages = encode_terms(some_terms());
  EXPECT_EQ(found(pages, "wopenai", std::string_view("wopenai\0", 8)), 8'192U);
  EXPECT_EQ(found(pages, "wgpt", std::string_view("wgpt\0", 5)), 4'096U);
  EXPECT_EQ(found(pages, "wrare", std::string_view("wrare\0", 6)), 9U);
  EXPECT_EQ(found(pages, "wuser81", "wuser81\xff"), 1U + 10U + 92U);
  EXPECT_EQ(found(pages, "wnone", "wnone\xff"), 0U);
}

TEST(SearchPages, AreSmallAndFoundByTheirFirstTerm) {
  const auto pages = encode_terms(some_terms());
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < pages.size(); ++i) {
    bytes += pages[i].bytes.size();
    EXPECT_LT(pages[i].bytes.size(), 3'000U);
    if (i > 0) {
      EXPECT_LT(pages[i - 1].first, pages[i].first);
    }
  }
  EXPECT_LT(bytes, 80'000U);
  EXPECT_LT(pages.size(), 80U);
  Terms again;
  for (const TermPage& page : pages) ASSERT_TRUE(parse_terms(page.bytes, again));
  EXPECT_EQ(again, some_terms());
}

TEST(SearchPages, RefuseWhatTheyDidNotWrite) {
  const auto pages = encode_terms(some_terms());
  Events events;
  EXPECT_FALSE(find_terms(std::string_view(pages[0].bytes).substr(1), "a", "z", events));
  EXPECT_FALSE(find_terms(std::string_view(pages[0].bytes).substr(0, 5), "a", "z", events));
  EXPECT_TRUE(encode_terms(Terms{}).empty());
  EXPECT_FALSE(parse_times("\x80"));
}

TEST(SearchPages, KeepTimesInAnyOrder) {
  const Times times{{0, 1'795'003'200'000}, {1, 1'795'003'200'001}, {7, 12}, {8'191, -5}};
  const std::string bytes = encode_times(times);
  EXPECT_EQ(*parse_times(bytes), times);
}

TEST(SearchWords, AreRunsOfLettersInSmall) {
  const auto words = [](std::string_view text) {
    std::vector<std::string> out;
    append_words(out, text);
    return out;
  };
  EXPECT_THAT(words("GPT-4o mini"), ElementsAre("gpt", "4o", "mini"));
  EXPECT_THAT(words("Ёлка ИВАНОВА"), ElementsAre("ёлка", "иванова"));
  EXPECT_THAT(words("Günstig; ΆΛΦΑ Łódź"), ElementsAre("günstig", "άλφα", "łódź"));
  EXPECT_THAT(words("東京 要約"), ElementsAre("東京", "要約"));
  EXPECT_THAT(words("a\xff"
                    "b"),
              ElementsAre("a", "b"));
  EXPECT_TRUE(words(" \"'-_.").empty());
}

}  // namespace
}  // namespace asahi::gateway::analytics
