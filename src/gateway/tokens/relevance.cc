#include "gateway/tokens/relevance.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "gateway/tokens/words.h"

namespace asahi::gateway::tokens {

Query::Query(std::string_view text) : words_(content_words(text)) {
  std::ranges::sort(words_);
  const auto repeats = std::ranges::unique(words_);
  words_.erase(repeats.begin(), repeats.end());
}

double Query::keyword(std::span<const std::uint64_t> words) const {
  if (words_.empty()) return 0;
  std::size_t found = 0;
  // Sentences are short: looking through them is cheaper than sorting them.
  if (words.size() * words_.size() <= 4'096) {
    for (const std::uint64_t word : words_)
      found += static_cast<std::size_t>(std::ranges::find(words, word) != words.end());
  } else {
    std::vector<std::uint64_t> sorted(words.begin(), words.end());
    std::ranges::sort(sorted);
    for (const std::uint64_t word : words_)
      found += static_cast<std::size_t>(std::ranges::binary_search(sorted, word));
  }
  return static_cast<double>(found) / static_cast<double>(words_.size());
}

void Query::count_document(std::span<const std::uint64_t> words,
                           std::vector<std::uint32_t>& document_counts) const {
  document_counts.resize(words_.size());
  for (std::size_t i = 0; i < words_.size(); ++i)
    document_counts[i] +=
        static_cast<std::uint32_t>(std::ranges::find(words, words_[i]) != words.end());
}

double Query::tfidf(std::span<const std::uint64_t> words,
                    std::span<const std::uint32_t> document_counts) const {
  if (words_.empty() || words.empty()) return 0;
  double sum = 0;
  for (std::size_t i = 0; i < words_.size(); ++i) {
    const auto times = static_cast<double>(std::ranges::count(words, words_[i]));
    const double count = i < document_counts.size() ? document_counts[i] : 0;
    sum += times / static_cast<double>(words.size()) * std::log(1 + 1 / (1 + count));
  }
  return std::min(1.0, sum / (static_cast<double>(words_.size()) * std::numbers::ln2));
}

double similarity(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size() || a.empty()) return 0;
  double dot = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    dot += static_cast<double>(a[i]) * b[i];
    aa += static_cast<double>(a[i]) * a[i];
    bb += static_cast<double>(b[i]) * b[i];
  }
  return aa > 0 && bb > 0 ? std::max(0.0, dot / std::sqrt(aa * bb)) : 0;
}

}  // namespace asahi::gateway::tokens
