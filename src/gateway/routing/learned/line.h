#pragma once

#include <cstddef>
#include <vector>

namespace asahi::gateway::learned {

/// A weighted sum.
struct Line {
  float base = 0;
  std::vector<float> weights;

  double predict(const std::vector<float>& inputs) const;
};

/// Fits a line to `target` on the rows `of` by ridge regression on standardised inputs. `calm`: the
/// weights are drawn to 0 as by that many rows of 0; with few rows and many inputs a high one keeps
/// what most inputs agree on. Inputs that are not `used` get the weight 0. Equal input gives an
/// equal line.
Line fit_line(const std::vector<std::vector<float>>& inputs, const std::vector<float>& target,
              const std::vector<std::size_t>& of, const std::vector<bool>& used, double calm);

}  // namespace asahi::gateway::learned
