#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// Pairs of texts made by rules, with fixed seeds. Nothing of them is part of the product.
namespace asahi::savings {

/// SplitMix64 (https://prng.di.unimi.it/splitmix64.c).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  std::size_t below(std::size_t limit) { return static_cast<std::size_t>(next() % limit); }
  double unit() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

 private:
  std::uint64_t state_;
};

struct Pair {
  std::string cached, asked;
  bool same = false;
  std::string kind;
};

/// Sentences of 6 to 40 words from text files below `folders`, in order of path, without doubles.
std::vector<std::string> documentation_sentences(const std::vector<std::string>& folders,
                                                 std::size_t most);

/// The sentence said another way: words for words, clauses in another order, other openings. Its
/// tables are not those of the verifier. Empty when no rule changes at least a fifth of its words.
std::string paraphrase(std::string_view sentence, Random& random);

/// Questions that look alike and must not share an answer, of every kind that the verifier names.
std::vector<Pair> hard_negatives(std::size_t at_least, std::uint64_t seed);

/// A question of an endless supply of topics (`topic` of them differ), in one of several wordings.
std::string topic_question(std::size_t topic, std::size_t wording);

}  // namespace asahi::savings
