#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace asahi::gateway::tokens {

struct Example {
  std::string_view input, output;
};

/// Chooses from a pool of examples (spec §3.10): all when there are at most `most`; otherwise one
/// after the other by similarity(query, input) − `diversity` × the greatest similarity to one
/// chosen already. Besides, no kind of answer goes missing: of every short output that repeats (a
/// label) one example stays, even beyond `most`. Returns positions in order of choice.
/// `similarities`: of the inputs to the query and to each other; row 0 is the query's.
std::vector<std::size_t> select_examples(std::span<const Example> pool, std::size_t most,
                                         double diversity,
                                         const std::vector<std::vector<double>>& similarities);

/// Cosines of word counts: what there is without an embedder.
std::vector<std::vector<double>> word_similarities(std::string_view query,
                                                   std::span<const Example> pool);
/// Cosines of vectors, the query's first. Empty when a vector is missing or has another width.
std::vector<std::vector<double>> vector_similarities(const std::vector<std::vector<float>>& vectors,
                                                     std::size_t examples);

}  // namespace asahi::gateway::tokens
