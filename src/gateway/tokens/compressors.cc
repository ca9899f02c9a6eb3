#include "gateway/tokens/compressors.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <vector>

#include "gateway/tokens/relevance.h"
#include "gateway/tokens/trimmed_text.h"
#include "gateway/tokens/words.h"

namespace asahi::gateway::tokens {
namespace {

std::int64_t tokens_of(std::int64_t words) { return words * 13 / 10; }

/// Drops spare sentences, the lowest score first, until the extent is reached.
void reduce(TrimmedText& text, const std::vector<double>& scores, const Extent& extent) {
  std::vector<std::size_t> order;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const TrimmedText::Sentence& sentence = text.sentences()[i];
    if (sentence.unit.kind != Unit::Kind::kVerbatim && sentence.kept) ++kept;
    if (sentence.spare && sentence.kept) order.push_back(i);
  }
  // Later ones first among equals: what leans on a sentence goes before it.
  std::ranges::sort(order, [&](std::size_t a, std::size_t b) {
    return scores[a] != scores[b] ? scores[a] < scores[b] : a > b;
  });
  const auto want = static_cast<std::size_t>(std::ceil(static_cast<double>(kept) * extent.ratio));
  std::int64_t size = text.size();
  for (int round = 0; round < 2; ++round) {
    for (const std::size_t i : order) {
      if (extent.tokens ? tokens_of(size) <= *extent.tokens : kept <= want) return;
      if (!text.may_drop(i)) continue;
      size -= text.sentences()[i].size;
      --kept;
      text.drop(i);
    }
  }
}

std::vector<double> frequency_scores(const TrimmedText& text) {
  std::unordered_map<std::uint64_t, int> counts;
  for (const auto& sentence : text.sentences()) {
    for (const std::uint64_t word : sentence.words) ++counts[word];
  }
  std::vector<double> scores;
  for (const auto& sentence : text.sentences()) {
    double sum = 0;
    for (const std::uint64_t word : sentence.words) sum += counts[word];
    scores.push_back(sentence.size > 0 ? sum / static_cast<double>(sentence.size) : 0);
  }
  return scores;
}

}  // namespace

std::string compress_extractive(std::string_view text, Extent extent,
                                const SentenceSplitter& splitter) {
  TrimmedText trimmed(text, splitter);
  reduce(trimmed, frequency_scores(trimmed), extent);
  return trimmed.render();
}

std::string compress_document(std::string_view text, std::string_view query, Extent extent,
                              const SentenceSplitter& splitter) {
  TrimmedText trimmed(text, splitter);
  const Query wanted(query);
  std::vector<double> scores;
  const auto n = static_cast<double>(trimmed.sentences().size());
  for (const auto& sentence : trimmed.sentences()) {
    const auto i = static_cast<double>(scores.size());
    scores.push_back(wanted.keyword(sentence.words) + 1 - 0.3 * i / n);
  }
  reduce(trimmed, scores, extent);
  return trimmed.render();
}

std::string compress_template(std::string_view text, const SentenceSplitter& splitter) {
  TrimmedText trimmed(text, splitter);
  trimmed.drop_filler();
  trimmed.shorten();
  trimmed.drop_repeats();
  return trimmed.render();
}

std::string compress_abstractive(std::string_view text, const SentenceSplitter& splitter) {
  TrimmedText trimmed(text, splitter);
  trimmed.drop_filler();
  trimmed.shorten();
  trimmed.drop_repeats();
  reduce(trimmed, frequency_scores(trimmed), {.ratio = 0.3, .tokens = {}});
  return trimmed.render();
}

std::string compress_turn(std::string_view text, const SentenceSplitter& splitter) {
  constexpr std::int64_t kLong = 50, kShort = 30;
  TrimmedText trimmed(text, splitter);
  if (tokens_of(trimmed.original_size()) <= kLong) return std::string(text);
  trimmed.drop_filler();
  trimmed.shorten();
  trimmed.drop_repeats();
  reduce(trimmed, frequency_scores(trimmed), {.ratio = 0.5, .tokens = kShort});
  return trimmed.render();
}

}  // namespace asahi::gateway::tokens
