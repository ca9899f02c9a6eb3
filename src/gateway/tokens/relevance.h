#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace asahi::gateway::tokens {

/// How a text's relevance to the query is measured (spec §3.10).
enum class Scoring { kKeyword, kTfidf, kEmbedding };

/// The query's words, ready to be looked for in many texts.
class Query {
 public:
  explicit Query(std::string_view text);
  /// |query words ∩ words| / |query words|; 0 for a query without words.
  double keyword(std::span<const std::uint64_t> words) const;
  /// Σ over query words of tf · ln(1 + 1 / (1 + count)) / (n · ln 2), capped at 1: tf is the word's
  /// share of the text's words, count how many of the texts (`document_counts`, one number a query
  /// word) have it, n the number of query words.
  double tfidf(std::span<const std::uint64_t> words,
               std::span<const std::uint32_t> document_counts) const;
  /// Adds 1 for every query word that the text has.
  void count_document(std::span<const std::uint64_t> words,
                      std::vector<std::uint32_t>& document_counts) const;
  std::size_t words() const { return words_.size(); }

 private:
  std::vector<std::uint64_t> words_;  // sorted, unique
};

/// max(0, cosine); 0 for vectors of different length.
double similarity(std::span<const float> a, std::span<const float> b);

}  // namespace asahi::gateway::tokens
