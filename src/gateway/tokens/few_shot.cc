#include "gateway/tokens/few_shot.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "gateway/tokens/relevance.h"
#include "gateway/tokens/words.h"

namespace asahi::gateway::tokens {
namespace {

using Counts = std::map<std::uint64_t, double>;

Counts counts_of(std::string_view text) {
  Counts counts;
  for (const std::uint64_t word : content_words(text)) ++counts[word];
  return counts;
}

double cosine(const Counts& a, const Counts& b) {
  double dot = 0, aa = 0, bb = 0;
  for (const auto& [word, count] : a) {
    aa += count * count;
    if (const auto found = b.find(word); found != b.end()) dot += count * found->second;
  }
  for (const auto& [word, count] : b) bb += count * count;
  return aa > 0 && bb > 0 ? dot / std::sqrt(aa * bb) : 0;
}

}  // namespace

std::vector<std::size_t> select_examples(std::span<const Example> pool, std::size_t most,
                                         double diversity,
                                         const std::vector<std::vector<double>>& similarities) {
  std::vector<std::size_t> chosen;
  if (pool.size() <= most || similarities.size() != pool.size() + 1) {
    for (std::size_t i = 0; i < std::min(pool.size(), most); ++i) chosen.push_back(i);
    return chosen;
  }
  // A label is an output of a few words that more than one example has.
  constexpr std::int64_t kLabelWords = 4;
  std::map<std::string, std::size_t> labels;
  for (const Example& example : pool) {
    if (count_words(example.output) <= kLabelWords) ++labels[lowered(example.output)];
  }
  std::erase_if(labels, [](const auto& label) { return label.second < 2; });

  std::vector<bool> taken(pool.size());
  std::vector<double> nearest(pool.size(), 0.0);  // to one chosen
  std::set<std::string> covered;
  const auto take = [&](std::size_t i) {
    taken[i] = true;
    chosen.push_back(i);
    covered.insert(lowered(pool[i].output));
    for (std::size_t k = 0; k < pool.size(); ++k)
      nearest[k] = std::max(nearest[k], similarities[i + 1][k]);
  };
  const auto best = [&](auto allowed) {
    std::size_t found = pool.size();
    double found_score = 0;
    for (std::size_t i = 0; i < pool.size(); ++i) {
      if (taken[i] || !allowed(i)) continue;
      const double score = similarities[0][i] - diversity * nearest[i];
      if (found == pool.size() || score > found_score) {
        found = i;
        found_score = score;
      }
    }
    return found;
  };
  while (chosen.size() < most) {
    const std::size_t next = best([](std::size_t) { return true; });
    if (next == pool.size()) break;
    take(next);
  }
  for (;;) {
    const std::size_t next = best([&](std::size_t i) {
      const std::string label = lowered(pool[i].output);
      return labels.contains(label) && !covered.contains(label);
    });
    if (next == pool.size()) break;
    take(next);
  }
  return chosen;
}

std::vector<std::vector<double>> word_similarities(std::string_view query,
                                                   std::span<const Example> pool) {
  std::vector<Counts> counts{counts_of(query)};
  for (const Example& example : pool) counts.push_back(counts_of(example.input));
  std::vector<std::vector<double>> rows;
  for (const Counts& row : counts) {
    rows.emplace_back();
    for (std::size_t i = 1; i < counts.size(); ++i) rows.back().push_back(cosine(row, counts[i]));
  }
  return rows;
}

std::vector<std::vector<double>> vector_similarities(const std::vector<std::vector<float>>& vectors,
                                                     std::size_t examples) {
  std::vector<std::vector<double>> rows;
  if (vectors.size() != examples + 1) return rows;
  for (const auto& row : vectors) {
    if (row.empty() || row.size() != vectors[0].size()) return {};
    rows.emplace_back();
    for (std::size_t i = 1; i < vectors.size(); ++i)
      rows.back().push_back(similarity(row, vectors[i]));
  }
  return rows;
}

}  // namespace asahi::gateway::tokens
