#include "gateway/routing/learned/line.h"

#include <cmath>

namespace asahi::gateway::learned {
namespace {

/// Solves A·x = b for a symmetric, positive definite A of size n × n by Cholesky's decomposition;
/// only the lower triangle is read, and overwritten.
std::vector<double> solve(std::vector<double>& a, std::vector<double> b) {
  const std::size_t n = b.size();
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      double sum = a[i * n + j];
      for (std::size_t k = 0; k < j; ++k) sum -= a[i * n + k] * a[j * n + k];
      a[i * n + j] = i == j ? std::sqrt(sum) : sum / a[j * n + j];
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t k = 0; k < i; ++k) b[i] -= a[i * n + k] * b[k];
    b[i] /= a[i * n + i];
  }
  for (std::size_t i = n; i-- > 0;) {
    for (std::size_t k = i + 1; k < n; ++k) b[i] -= a[k * n + i] * b[k];
    b[i] /= a[i * n + i];
  }
  return b;
}

}  // namespace

double Line::predict(const std::vector<float>& inputs) const {
  float sum = base;
  for (std::size_t f = 0; f < weights.size(); ++f) sum += weights[f] * inputs[f];
  return static_cast<double>(sum);
}

Line fit_line(const std::vector<std::vector<float>>& inputs, const std::vector<float>& target,
              const std::vector<std::size_t>& of, const std::vector<bool>& used, double calm) {
  const std::size_t width = inputs.front().size();
  const double count = static_cast<double>(of.size());
  std::vector<double> mean(width), squares(width);
  double target_mean = 0;
  for (const std::size_t i : of) {
    for (std::size_t f = 0; f < width; ++f) mean[f] += static_cast<double>(inputs[i][f]) / count;
    target_mean += static_cast<double>(target[i]) / count;
  }
  for (const std::size_t i : of) {
    for (std::size_t f = 0; f < width; ++f) {
      const double off = static_cast<double>(inputs[i][f]) - mean[f];
      squares[f] += off * off / count;
    }
  }
  std::vector<std::size_t> kept;  // those that vary
  for (std::size_t f = 0; f < width; ++f)
    if (used[f] && squares[f] > 1e-12) kept.push_back(f);
  const std::size_t n = kept.size();
  std::vector<double> a(n * n), b(n), row(n);
  for (const std::size_t i : of) {
    const double wanted = static_cast<double>(target[i]) - target_mean;
    for (std::size_t k = 0; k < n; ++k) {
      const std::size_t f = kept[k];
      row[k] = (static_cast<double>(inputs[i][f]) - mean[f]) / std::sqrt(squares[f]);
    }
    for (std::size_t k = 0; k < n; ++k) {
      const double value = row[k];
      double* const out = &a[k * n];
      for (std::size_t j = 0; j <= k; ++j) out[j] += value * row[j];
      b[k] += value * wanted;
    }
  }
  for (std::size_t k = 0; k < n; ++k) a[k * n + k] += calm;
  const std::vector<double> weights = solve(a, std::move(b));
  Line line{.base = 0, .weights = std::vector<float>(width)};
  double base = target_mean;
  for (std::size_t k = 0; k < n; ++k) {
    const double weight = weights[k] / std::sqrt(squares[kept[k]]);
    line.weights[kept[k]] = static_cast<float>(weight);
    base -= weight * mean[kept[k]];
  }
  line.base = static_cast<float>(base);
  return line;
}

}  // namespace asahi::gateway::learned
