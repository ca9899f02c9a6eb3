#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace asahi::gateway::learned {

/// One regression tree of at most three questions, kept as a whole binary tree of 15 nodes.
struct Tree {
  static constexpr std::size_t kNodes = 15;
  struct Node {
    std::int16_t input = -1;  ///< what is asked; −1: nothing more, `value` is the answer
    float threshold = 0;      ///< greater goes right
    float value = 0;          ///< mean of the rows that came here
  };
  std::array<Node, kNodes> nodes{};
};

/// A sum of small trees (gradient boosting with squared loss).
struct Trees {
  float base = 0;
  std::vector<Tree> trees;

  bool empty() const { return trees.empty(); }
  /// The prediction for one row. `moved`, if any: what each input moved it by is added there.
  double predict(std::span<const float> inputs, std::span<double> moved = {}) const;
};

struct BoostOptions {
  int rounds = 60;
  double rate = 0.05;
  std::size_t least_rows = 30;  ///< of a leaf
  double calm = 20;             ///< leaf means are drawn to 0 as by that many rows of 0
  std::uint64_t seed = 1;
};
/// Fits trees to `target` on the rows `of`; every row of `inputs` has the same length. Equal input
/// gives equal trees.
Trees boost(const std::vector<std::vector<float>>& inputs, const std::vector<float>& target,
            const std::vector<std::size_t>& of, const BoostOptions& options);

}  // namespace asahi::gateway::learned
