#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace asahi::vector_testing {

/// Vectors that lie as embeddings do: around centres in a space of few dimensions, with noise in
/// all. The same for the same seed.
class Clusters {
 public:
  Clusters(std::size_t dimensions, std::size_t centres, std::uint64_t seed)
      : dimensions_(dimensions),
        random_(seed),
        basis_(kLatent * dimensions),
        centres_(centres * kLatent) {
    for (float& each : basis_) each = normal_(random_);
    for (float& each : centres_) each = normal_(random_);
  }

  std::vector<float> next() {
    const std::size_t centre = random_() % (centres_.size() / kLatent);
    float latent[kLatent];
    for (std::size_t i = 0; i < kLatent; ++i) {
      latent[i] = centres_[centre * kLatent + i] + 0.7F * normal_(random_);
    }
    std::vector<float> out(dimensions_);
    for (std::size_t i = 0; i < kLatent; ++i) {
      for (std::size_t k = 0; k < dimensions_; ++k) {
        out[k] += latent[i] * basis_[i * dimensions_ + k];
      }
    }
    double sum = 0;
    for (float& each : out) {
      each += 0.3F * normal_(random_);
      sum += static_cast<double>(each) * each;
    }
    const auto scale = static_cast<float>(1 / std::sqrt(sum));
    for (float& each : out) each *= scale;
    return out;
  }

 private:
  static constexpr std::size_t kLatent = 48;
  std::size_t dimensions_;
  std::mt19937_64 random_;
  std::normal_distribution<float> normal_;
  std::vector<float> basis_, centres_;
};

inline double cosine(const std::vector<float>& a, const std::vector<float>& b) {
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += static_cast<double>(a[i]) * b[i];
    aa += static_cast<double>(a[i]) * a[i];
    bb += static_cast<double>(b[i]) * b[i];
  }
  return ab / std::sqrt(aa * bb);
}

}  // namespace asahi::vector_testing
