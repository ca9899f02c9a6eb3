#include "memory/rank/keywords.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace asahi::memory::rank {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Placement placed(std::string_view id) {
  Placement out;
  out.scope = "s";
  out.session = "1";
  out.id = id;
  return out;
}

TEST(Keywords, ChangesBothHalvesTogether) {
  Keywords keywords;
  ASSERT_TRUE(keywords.put(0, "Which instrument do you play?", placed("1")));
  ASSERT_TRUE(keywords.put(1, "The oboe.", placed("2")));
  const Question question = read_question("instrument", {});
  ASSERT_EQ(keywords.search(question, {}, 10).size(), 2U);
  EXPECT_TRUE(keywords.erase(0));
  EXPECT_FALSE(keywords.erase(0));
  EXPECT_THAT(keywords.search(question, {}, 10), IsEmpty());
  EXPECT_EQ(keywords.conversations().facts(0).group, Conversations::Facts::kNone);
}

TEST(Keywords, ARefusedDocumentHasNoPlace) {
  Keywords keywords({.max_documents = 1});
  EXPECT_FALSE(keywords.put(1, "x", placed("1")));
  EXPECT_EQ(keywords.conversations().facts(1).group, Conversations::Facts::kNone);
}

TEST(Keywords, TellsWhichTermsMatched) {
  Keywords keywords;
  ASSERT_TRUE(keywords.put(0, "Which instrument do you play?", placed("1")));
  ASSERT_TRUE(keywords.put(1, "The oboe, an instrument.", placed("2")));
  const Question question = read_question("instruments played", {});
  const auto ranked = keywords.search(question, {}, 10);
  ASSERT_EQ(ranked.size(), 2U);
  EXPECT_EQ(ranked.front().document, 1U);
  EXPECT_THAT(matched_terms(question, ranked.front(), Which::kOwn), ElementsAre("instrument"));
  EXPECT_THAT(matched_terms(question, ranked.front(), Which::kNearby), ElementsAre("play"));
}

TEST(Keywords, SurviveASnapshot) {
  Keywords keywords;
  ASSERT_TRUE(keywords.put(0, "Which instrument do you play?", placed("1")));
  ASSERT_TRUE(keywords.put(1, "The oboe.", placed("2")));
  const std::string bytes = keywords.snapshot();
  const auto copy = Keywords::restore(bytes);
  ASSERT_TRUE(copy) << copy.error().message;
  EXPECT_EQ(copy->search(read_question("instrument", {}), {}, 10).size(), 2U);
  for (std::size_t length = 0; length < bytes.size(); ++length)
    EXPECT_FALSE(Keywords::restore(std::string_view(bytes).substr(0, length)));
}

}  // namespace
}  // namespace asahi::memory::rank
