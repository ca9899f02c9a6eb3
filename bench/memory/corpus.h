#pragma once
// Memories that look like memories, for benchmarks of tiers.

#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "memory/model/record.h"

namespace asahi::memory::bench {

/// Texts of some 300 bytes whose words are as unequally frequent as a language's, vectors around
/// 2,000 centres. Seed 42.
class Corpus {
 public:
  explicit Corpus(std::size_t dimensions) : dimensions_(dimensions) {
    for (std::size_t i = 0; i < kCentres * dimensions; ++i) centres_.push_back(normal_(random_));
  }

  /// The memory of this number; later ones have later times.
  Memory memory(std::uint64_t number, std::string system_id, std::string id) {
    Memory out;
    out.key = {"bench", std::move(system_id), std::move(id)};
    std::uniform_real_distribution<double> uniform(0, 1);
    while (out.content.size() < 290) {
      out.content +=
          "w" + std::to_string(static_cast<int>(std::exp(uniform(random_) * 10.3))) + " ";
    }
    out.content += std::to_string(number);
    out.embedding = vector();
    out.embedding_model = "bench";
    out.timestamp = Clock::Time{std::chrono::seconds{1'700'000'000 + number}};
    out.uploaded_at = out.timestamp;
    out.content_hash = sha256(out.content);
    return out;
  }
  /// Of length 1, near some centre.
  std::vector<float> vector() {
    const std::size_t centre = random_() % kCentres;
    std::vector<float> out(dimensions_);
    float squares = 0;
    for (std::size_t i = 0; i < dimensions_; ++i) {
      out[i] = centres_[centre * dimensions_ + i] + 0.7F * normal_(random_);
      squares += out[i] * out[i];
    }
    for (float& number : out) number /= std::sqrt(squares);
    return out;
  }
  std::mt19937_64& random() { return random_; }

 private:
  static constexpr std::size_t kCentres = 2000;
  std::size_t dimensions_;
  std::mt19937_64 random_{42};
  std::normal_distribution<float> normal_;
  std::vector<float> centres_;
};

}  // namespace asahi::memory::bench
