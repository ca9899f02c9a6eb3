#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace asahi::bench {

/// Vectors of length 1, one behind another.
struct Matrix {
  std::size_t width = 0;
  std::vector<float> numbers;
  std::size_t rows() const { return numbers.size() / width; }
  std::span<const float> row(std::size_t at) const { return {&numbers[at * width], width}; }
};

using Ids = std::vector<std::uint32_t>;

/// Clustered vectors, queries from the same distribution that are none of them, and the true ten
/// nearest of each query by comparing all as floats.
///
/// The distribution: 2,000 centres N(0, 1) in a space of 48 dimensions; a vector is a random centre
/// plus 0.7·N(0, 1), carried into `width` dimensions by a random matrix N(0, 1), plus 0.3·N(0, 1)
/// in each of them, at length 1. Seed 42.
struct Dataset {
  Matrix vectors, queries;
  std::vector<Ids> truth;
  /// The nearest of those whose number is a multiple of `modulus`, for the first `count` queries.
  std::vector<Ids> truth_of(std::uint32_t modulus, std::size_t count) const;
  /// For programs in other languages: vectors.f32, queries.f32, truth.u32 in `folder`. False: it
  /// could not be written.
  bool write(const std::string& folder) const;
};

inline constexpr std::size_t kNearest = 10;

Dataset make_dataset(std::size_t width, std::size_t count, std::size_t queries);

/// The share of the true ones that was found.
double recall(std::span<const Ids> truth, std::span<const Ids> found);

}  // namespace asahi::bench
