#pragma once

#include <cstddef>
#include <memory>
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

/// An index under test.
class Contestant {
 public:
  virtual ~Contestant() = default;
  virtual void build(const Matrix& data) = 0;
  /// The ten nearest, best first.
  virtual std::vector<std::size_t> search(std::span<const float> query, std::size_t effort) = 0;
};

/// hnswlib with floats, the yardstick; null where it is not installed.
std::unique_ptr<Contestant> make_hnswlib(std::size_t width, std::size_t count);

}  // namespace asahi::bench
