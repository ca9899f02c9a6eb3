#include "gateway/routing/learned/trees.h"

#include <algorithm>
#include <random>

namespace asahi::gateway::learned {
namespace {

constexpr std::size_t kBins = 32;
constexpr std::size_t kInnerNodes = 7;
constexpr double kRowShare = 0.6, kInputShare = 0.5;

/// Inputs cut into bins at their quantiles, so that a split is found in one pass over the rows.
class Binned {
 public:
  Binned(const std::vector<std::vector<float>>& inputs, const std::vector<std::size_t>& of)
      : width_(inputs.front().size()), cuts_(width_), bins_(inputs.size() * width_) {
    std::vector<float> values(of.size());
    for (std::size_t f = 0; f < width_; ++f) {
      for (std::size_t k = 0; k < of.size(); ++k) values[k] = inputs[of[k]][f];
      std::ranges::sort(values);
      for (std::size_t b = 1; b < kBins; ++b) {
        const float cut = values[values.size() * b / kBins];
        if (cuts_[f].empty() || cut > cuts_[f].back()) cuts_[f].push_back(cut);
      }
      for (const std::size_t i : of) {
        const auto above = std::ranges::lower_bound(cuts_[f], inputs[i][f]);
        bins_[i * width_ + f] = static_cast<std::uint8_t>(above - cuts_[f].begin());
      }
    }
  }
  std::size_t width() const { return width_; }
  std::uint8_t bin(std::size_t row, std::size_t input) const { return bins_[row * width_ + input]; }
  const std::vector<float>& cuts(std::size_t input) const { return cuts_[input]; }

 private:
  std::size_t width_;
  std::vector<std::vector<float>> cuts_;
  std::vector<std::uint8_t> bins_;
};

struct Split {
  std::size_t input = 0, bin = 0;
  double gain = 0;
};

Split best_split(const Binned& binned, const std::vector<double>& rest,
                 const std::vector<std::size_t>& rows, const std::vector<bool>& used,
                 const BoostOptions& options) {
  double sum = 0;
  for (const std::size_t i : rows) sum += rest[i];
  const double all = static_cast<double>(rows.size());
  Split best;
  for (std::size_t f = 0; f < binned.width(); ++f) {
    if (!used[f]) continue;
    std::array<double, kBins> sums{};
    std::array<std::size_t, kBins> counts{};
    for (const std::size_t i : rows) {
      sums[binned.bin(i, f)] += rest[i];
      ++counts[binned.bin(i, f)];
    }
    double left = 0;
    std::size_t left_count = 0;
    for (std::size_t b = 0; b < binned.cuts(f).size(); ++b) {
      left += sums[b];
      left_count += counts[b];
      if (left_count < options.least_rows || rows.size() - left_count < options.least_rows)
        continue;
      const double count = static_cast<double>(left_count);
      const double right = sum - left;
      const double gain = left * left / (count + options.calm) +
                          right * right / (all - count + options.calm) -
                          sum * sum / (all + options.calm);
      if (gain > best.gain + 1e-12) best = {f, b, gain};
    }
  }
  return best;
}

void grow(Tree& tree, std::size_t node, const Binned& binned, const std::vector<double>& rest,
          const std::vector<std::size_t>& rows, const std::vector<bool>& used,
          const BoostOptions& options) {
  double sum = 0;
  for (const std::size_t i : rows) sum += rest[i];
  tree.nodes[node].value =
      static_cast<float>(options.rate * sum / (static_cast<double>(rows.size()) + options.calm));
  if (node >= kInnerNodes || rows.size() < 2 * options.least_rows) return;
  const Split split = best_split(binned, rest, rows, used, options);
  if (split.gain <= 0) return;
  std::vector<std::size_t> left, right;
  for (const std::size_t i : rows)
    (binned.bin(i, split.input) <= split.bin ? left : right).push_back(i);
  tree.nodes[node].input = static_cast<std::int16_t>(split.input);
  tree.nodes[node].threshold = binned.cuts(split.input)[split.bin];
  grow(tree, 2 * node + 1, binned, rest, left, used, options);
  grow(tree, 2 * node + 2, binned, rest, right, used, options);
}

}  // namespace

double Trees::predict(std::span<const float> inputs, std::span<double> moved) const {
  float sum = base;
  for (const Tree& tree : trees) {
    std::size_t node = 0;
    while (tree.nodes[node].input >= 0) {
      const Tree::Node& asked = tree.nodes[node];
      const auto input = static_cast<std::size_t>(asked.input);
      node = 2 * node + (inputs[input] > asked.threshold ? 2 : 1);
      if (!moved.empty()) moved[input] += static_cast<double>(tree.nodes[node].value - asked.value);
    }
    sum += tree.nodes[node].value;
  }
  return static_cast<double>(sum);
}

Trees boost(const std::vector<std::vector<float>>& inputs, const std::vector<float>& target,
            const std::vector<std::size_t>& of, const BoostOptions& options) {
  Trees trees;
  double mean = 0;
  for (const std::size_t i : of) mean += static_cast<double>(target[i]);
  trees.base = static_cast<float>(mean / static_cast<double>(of.size()));
  const Binned binned(inputs, of);
  std::vector<double> rest(inputs.size());
  for (const std::size_t i : of) rest[i] = static_cast<double>(target[i] - trees.base);
  std::mt19937_64 random(options.seed);
  const auto draws = [&random](double share) {
    return static_cast<double>(random() >> 11) < share * 9007199254740992.0;  // 2^53
  };
  for (int round = 0; round < options.rounds; ++round) {
    std::vector<bool> used(binned.width());
    for (std::size_t f = 0; f < used.size(); ++f) used[f] = draws(kInputShare);
    std::vector<std::size_t> rows;
    for (const std::size_t i : of)
      if (draws(kRowShare)) rows.push_back(i);
    Trees one;
    grow(one.trees.emplace_back(), 0, binned, rest, rows, used, options);
    for (const std::size_t i : of) rest[i] -= one.predict(inputs[i]);
    trees.trees.push_back(one.trees.front());
  }
  return trees;
}

}  // namespace asahi::gateway::learned
