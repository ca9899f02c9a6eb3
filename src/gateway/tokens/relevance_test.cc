#include "gateway/tokens/relevance.h"

#include <gtest/gtest.h>

#include <cmath>

#include "gateway/tokens/words.h"

namespace asahi::gateway::tokens {
namespace {

TEST(Relevance, KeywordIsTheShareOfTheQuerysWords) {
  const Query query("How do I extend the loan of a book?");  // extend, loan, book
  EXPECT_DOUBLE_EQ(query.keyword(content_words("A loan of a book.")), 2.0 / 3);
  EXPECT_DOUBLE_EQ(query.keyword(content_words("The weather is fine.")), 0);
  EXPECT_DOUBLE_EQ(query.keyword(content_words("Book! BOOK, extend; loan")), 1);
}

TEST(Relevance, AQueryWithoutWordsFindsNothingRelevant) {
  const Query query("What is it?");
  EXPECT_EQ(query.words(), 0U);
  EXPECT_DOUBLE_EQ(query.keyword(content_words("anything")), 0);
  EXPECT_DOUBLE_EQ(query.tfidf(content_words("anything"), {}), 0);
}

TEST(Relevance, KeywordIsTheSameForLongTexts) {
  std::string text;
  for (int i = 0; i < 5'000; ++i) text += "word" + std::to_string(i) + " ";
  EXPECT_DOUBLE_EQ(Query("word7 word4999 absent").keyword(content_words(text)), 2.0 / 3);
}

TEST(Relevance, TfidfPrefersRareWords) {
  const Query query("common rare");
  std::vector<std::uint32_t> counts;
  for (const char* text : {"common things", "common places", "common rare"})
    query.count_document(content_words(text), counts);
  const double common = query.tfidf(content_words("common thing"), counts);
  const double rare = query.tfidf(content_words("rare thing"), counts);
  EXPECT_GT(rare, common);
  // Σ tf · ln(1 + 1 / (1 + count)) / (n · ln 2): the rare word is in one text.
  EXPECT_NEAR(rare, 0.5 * std::log(1.5) / (2 * std::log(2.0)), 1e-12);
  EXPECT_LE(query.tfidf(content_words("rare rare rare"), {}), 1);
}

TEST(Relevance, SimilarityIsTheCosineAndNeverNegative) {
  const std::vector<float> a{1, 0}, b{0, 2}, c{-3, 0}, d{2, 2}, wide{1, 0, 0};
  EXPECT_DOUBLE_EQ(similarity(a, a), 1);
  EXPECT_DOUBLE_EQ(similarity(a, b), 0);
  EXPECT_DOUBLE_EQ(similarity(a, c), 0);
  EXPECT_NEAR(similarity(a, d), std::sqrt(0.5), 1e-6);
  EXPECT_DOUBLE_EQ(similarity(a, wide), 0);
  EXPECT_DOUBLE_EQ(similarity({}, {}), 0);
}

}  // namespace
}  // namespace asahi::gateway::tokens
