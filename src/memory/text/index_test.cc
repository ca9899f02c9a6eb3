#include "memory/text/index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <unordered_map>

namespace asahi::memory::text {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::uint32_t> found(const Index& index, std::string_view question,
                                 const SearchOptions& options = {}) {
  std::vector<std::uint32_t> out;
  for (const Hits::Hit& hit : index.search(question, options).hits) out.push_back(hit.document);
  return out;
}

/// BM25 as the books have it, over every document, dead ones counting as the index says they do.
class Oracle {
 public:
  void put(std::uint32_t document, std::string_view text) {
    erase(document);
    Tokens tokens;
    tokenise(text, Side::kDocument, tokens);
    Row row{document, true, tokens.words, {}};
    for (const Token& token : tokens.tokens) ++row.terms[std::string(tokens.of(token))];
    rows_.push_back(std::move(row));
  }
  void erase(std::uint32_t document) {
    for (Row& row : rows_) {
      if (row.document == document) row.alive = false;
    }
  }
  void forget_dead() {
    std::erase_if(rows_, [](const Row& row) { return !row.alive; });
  }
  std::map<std::uint32_t, double> scores(std::span<const QueryTerm> query) const {
    double length = 0;
    for (const Row& row : rows_) length += row.words;
    const auto n = static_cast<double>(rows_.size());
    std::map<std::uint32_t, double> out;
    for (const QueryTerm& term : query) {
      double with = 0;
      for (const Row& row : rows_) with += row.terms.contains(term.text) ? 1 : 0;
      const double idf = std::log(1 + (n - with + 0.5) / (with + 0.5));
      for (const Row& row : rows_) {
        const auto at = row.terms.find(term.text);
        if (!row.alive || at == row.terms.end()) continue;
        const double f = std::min(at->second, 255);
        out[row.document] +=
            term.weight * idf * f * 2.2 / (f + 1.2 * (0.25 + 0.75 * row.words / (length / n)));
      }
    }
    return out;
  }

 private:
  struct Row {
    std::uint32_t document;
    bool alive;
    std::uint32_t words;
    std::unordered_map<std::string, int> terms;
  };
  std::vector<Row> rows_;
};

void expect_same(const Index& index, const Oracle& oracle, std::string_view question,
                 std::size_t limit) {
  const auto query = query_terms(question);
  const auto wanted = oracle.scores(query);
  const Hits hits = index.search(query, {.limit = limit, .allowed = {}, .admits = {}});
  ASSERT_EQ(hits.hits.size(), std::min(limit, wanted.size()));
  std::vector<double> best;
  for (const auto& [document, score] : wanted) best.push_back(score);
  std::ranges::sort(best, std::greater());
  for (std::size_t i = 0; i < hits.hits.size(); ++i) {
    const auto at = wanted.find(hits.hits[i].document);
    ASSERT_NE(at, wanted.end());
    EXPECT_NEAR(hits.hits[i].score, at->second, 1e-4);
    EXPECT_NEAR(hits.hits[i].score, best[i], 1e-4) << "a better one was left out";
  }
}

/// Words by Zipf's law: a few everywhere, most of them rare.
std::string some_text(std::mt19937& random, std::size_t most) {
  std::string text;
  for (std::size_t i = 1 + random() % most; i > 0; --i) {
    const double u = std::uniform_real_distribution<>(0, 1)(random);
    text += "w" + std::to_string(static_cast<int>(std::pow(2000.0, u))) + "x ";
  }
  return text;
}

TEST(Index, FindsWhatItWasGivenAtOnce) {
  Index index;
  ASSERT_TRUE(index.put(3, "Melanie painted a sunrise"));
  ASSERT_TRUE(index.put(1, "The support group was powerful"));
  EXPECT_THAT(found(index, "paintings of sunrises"), ElementsAre(3));
  EXPECT_THAT(found(index, "group"), ElementsAre(1));
  EXPECT_THAT(found(index, "nothing here"), IsEmpty());
  EXPECT_THAT(found(index, ""), IsEmpty());
}

TEST(Index, RanksRareWordsAboveCommonOnes) {
  Index index;
  for (std::uint32_t i = 0; i < 50; ++i) ASSERT_TRUE(index.put(i, "common words only"));
  ASSERT_TRUE(index.put(50, "a rare word"));
  ASSERT_TRUE(index.put(51, "a common thing"));
  EXPECT_EQ(found(index, "common rare").front(), 50U);
}

TEST(Index, GrammarWordsWeighLittleButAreFound) {
  Index index;
  ASSERT_TRUE(index.put(0, "to be or not to be"));
  ASSERT_TRUE(index.put(1, "the whale"));
  EXPECT_THAT(found(index, "to be or not"), ElementsAre(0));
  EXPECT_EQ(found(index, "what is the whale to be").front(), 1U);
}

TEST(Index, EqualScoresKeepTheOrderOfAdding) {
  Index index;
  for (const std::uint32_t document : {7U, 2U, 9U, 4U}) ASSERT_TRUE(index.put(document, "same"));
  EXPECT_THAT(found(index, "same", {.limit = 3, .allowed = {}, .admits = {}}),
              ElementsAre(7, 2, 9));
}

TEST(Index, ReplacesAndErases) {
  Index index;
  ASSERT_TRUE(index.put(0, "old words"));
  ASSERT_TRUE(index.put(0, "new words"));
  EXPECT_THAT(found(index, "old"), IsEmpty());
  EXPECT_THAT(found(index, "new"), ElementsAre(0));
  EXPECT_EQ(index.size(), 1U);
  EXPECT_TRUE(index.erase(0));
  EXPECT_FALSE(index.erase(0));
  EXPECT_FALSE(index.erase(12345));
  EXPECT_THAT(found(index, "new words"), IsEmpty());
  EXPECT_EQ(index.length(0), 0U);
}

TEST(Index, TellsHowOftenEachTermOccurs) {
  Index index;
  ASSERT_TRUE(index.put(0, "rain rain go away"));
  const Hits hits = index.search("snow rain away", {});
  ASSERT_EQ(hits.hits.size(), 1U);
  EXPECT_THAT(hits.row(0), ElementsAre(0, 2, 1));
  EXPECT_THAT(hits.documents_with, ElementsAre(0, 1, 1));
  EXPECT_EQ(hits.average_length, 4);
}

TEST(Index, KeepsToTheDocumentsAllowed) {
  Index index;
  for (std::uint32_t i = 0; i < 200; ++i) ASSERT_TRUE(index.put(i, "same word"));
  const std::uint64_t bits[] = {0, 1ULL << 5 | 1ULL << 63};
  SearchOptions options;
  options.allowed = bits;
  EXPECT_THAT(found(index, "word", options), ElementsAre(69, 127));
  options.admits = [](std::uint32_t document) { return document % 2 == 1; };
  options.allowed = {};
  options.limit = 2;
  EXPECT_THAT(found(index, "word", options), ElementsAre(1, 3));
}

TEST(Index, RefusesNumbersAndSizesBeyondItsBounds) {
  Index index({.max_bytes = 100'000, .max_documents = 10});
  EXPECT_EQ(index.put(10, "x").error().code, Errc::kInvalidArgument);
  std::string text;
  for (int i = 0; i < 5000; ++i) text += "word" + std::to_string(i) + " ";
  EXPECT_EQ(index.put(1, text).error().code, Errc::kTooLarge);
  EXPECT_EQ(index.size(), 0U);
  EXPECT_TRUE(index.put(1, "small"));
}

TEST(Index, AnswersLikeBm25OverAllDocuments) {
  std::mt19937 random(11);
  for (int round = 0; round < 3; ++round) {
    Index index;
    Oracle oracle;
    const std::uint32_t documents = round == 0 ? 20 : 1500;
    for (std::uint32_t i = 0; i < documents; ++i) {
      const std::string text = some_text(random, 40);
      ASSERT_TRUE(index.put(i, text));
      oracle.put(i, text);
    }
    for (int change = 0; change < 150; ++change) {
      const auto document = static_cast<std::uint32_t>(random() % documents);
      if (random() % 2 == 0) {
        index.erase(document);
        oracle.erase(document);
      } else {
        const std::string text = some_text(random, 40);
        ASSERT_TRUE(index.put(document, text));
        oracle.put(document, text);
      }
    }
    for (int query = 0; query < 12; ++query)
      expect_same(index, oracle, some_text(random, 12), 1 + random() % 30);
    while (!index.vacuum(500)) {
    }
    oracle.forget_dead();
    for (int query = 0; query < 12; ++query)
      expect_same(index, oracle, some_text(random, 12), 1 + random() % 30);
    const auto copy = Index::restore(index.snapshot());
    ASSERT_TRUE(copy) << copy.error().message;
    EXPECT_EQ(copy->size(), index.size());
    for (int query = 0; query < 12; ++query)
      expect_same(*copy, oracle, some_text(random, 12), 1 + random() % 30);
  }
}

TEST(Index, VacuumGivesMemoryBack) {
  std::mt19937 random(3);
  Index index;
  for (std::uint32_t i = 0; i < 4000; ++i) ASSERT_TRUE(index.put(i, some_text(random, 60)));
  const std::size_t full = index.bytes();
  for (std::uint32_t i = 0; i < 3900; ++i) index.erase(i);
  EXPECT_TRUE(index.wants_vacuum());
  int calls = 1;
  while (!index.vacuum(1000)) ++calls;
  EXPECT_GT(calls, 10) << "work is cut into pieces";
  EXPECT_FALSE(index.wants_vacuum());
  EXPECT_LT(index.bytes(), full);
  EXPECT_EQ(index.search("w1x", {}).documents, 100U);
}

TEST(Index, SearchesTheSameInTheMiddleOfAVacuum) {
  std::mt19937 random(5);
  Index index;
  for (std::uint32_t i = 0; i < 600; ++i) ASSERT_TRUE(index.put(i, some_text(random, 60)));
  for (std::uint32_t i = 0; i < 300; ++i) index.erase(i);
  index.vacuum(2000);
  for (std::uint32_t i = 300; i < 310; ++i) index.erase(i);
  for (const Hits::Hit& hit :
       index.search("w1x w2x w3x", {.limit = 600, .allowed = {}, .admits = {}}).hits)
    EXPECT_GE(hit.document, 310U);
}

TEST(IndexSnapshot, RefusesWhatIsCutOrChanged) {
  Index index;
  ASSERT_TRUE(index.put(0, "some words to keep"));
  ASSERT_TRUE(index.put(5, "and other words"));
  const std::string whole = index.snapshot();
  ASSERT_TRUE(Index::restore(whole));
  for (std::size_t length = 0; length < whole.size(); ++length)
    EXPECT_EQ(Index::restore(std::string_view(whole).substr(0, length)).error().code,
              Errc::kCorrupt);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    std::string changed = whole;
    changed[i] = static_cast<char>(changed[i] ^ 4);
    EXPECT_EQ(Index::restore(changed).error().code, Errc::kCorrupt);
  }
  EXPECT_EQ(Index::restore(whole, {.max_documents = 1}).error().code, Errc::kTooLarge);
}

TEST(IndexSnapshot, GoesOnWhereTheIndexStopped) {
  Index index;
  ASSERT_TRUE(index.put(0, "first text"));
  auto copy = Index::restore(index.snapshot());
  ASSERT_TRUE(copy);
  ASSERT_TRUE(copy->put(1, "second text"));
  copy->erase(0);
  EXPECT_THAT(found(*copy, "text"), ElementsAre(1));
  EXPECT_TRUE(Index::restore(Index().snapshot()));
}

TEST(QueryTerms, KeepsContentWhenThereAreTooMany) {
  std::string question = "what is the of and to in for ";
  for (int i = 0; i < 100; ++i) question += "word" + std::to_string(i) + "z ";
  const auto terms = query_terms(question);
  ASSERT_EQ(terms.size(), kMostQueryTerms);
  for (const QueryTerm& term : terms) EXPECT_EQ(term.weight, 1);
}

}  // namespace
}  // namespace asahi::memory::text
