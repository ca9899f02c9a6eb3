#include "gateway/routing/learned/evaluation.h"

#include <algorithm>
#include <numeric>

namespace asahi::gateway::learned {
namespace {

constexpr std::size_t kCurvePoints = 101;
constexpr double kNever = 2, kAlways = -2;  // thresholds that no gain reaches, or every one

std::vector<std::size_t> numbers_of(const std::vector<Row>& rows) {
  std::vector<std::size_t> all(rows.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  return all;
}

}  // namespace

double Evaluation::held_saved() const {
  const double gap = strong_accuracy - weak_accuracy;
  const double random = gap > 0 ? (held_accuracy - weak_accuracy) / gap : 0;
  return random > 0 ? 1 - held_share / random : 0;
}

std::vector<std::size_t> by_falling_gain(const std::vector<std::size_t>& of,
                                         const std::vector<double>& gain) {
  std::vector<std::size_t> order = of;
  std::ranges::sort(order, [&](std::size_t a, std::size_t b) {
    return gain[a] != gain[b] ? gain[a] > gain[b] : a < b;
  });
  return order;
}

Cut cut_for(const std::vector<Row>& rows, const std::vector<std::size_t>& of,
            const std::vector<double>& gain, double kept) {
  const std::vector<std::size_t> order = by_falling_gain(of, gain);
  double right = 0, strong = 0;
  for (const std::size_t i : of) {
    right += rows[i].weak_correct ? 1 : 0;
    strong += rows[i].strong_correct ? 1 : 0;
  }
  for (std::size_t k = 0; k < order.size(); ++k) {
    if (right >= kept * strong) {
      return {static_cast<double>(k) / static_cast<double>(order.size()),
              k == 0 ? kNever : (gain[order[k - 1]] + gain[order[k]]) / 2};
    }
    const Row& row = rows[order[k]];
    right += (row.strong_correct ? 1 : 0) - (row.weak_correct ? 1 : 0);
  }
  return {1, kAlways};
}

std::vector<CurvePoint> curve_of(const std::vector<Row>& rows, const std::vector<double>& gain) {
  const std::vector<std::size_t> order = by_falling_gain(numbers_of(rows), gain);
  double right = 0;
  for (const Row& row : rows) right += row.weak_correct ? 1 : 0;
  std::vector<CurvePoint> curve;
  std::size_t taken = 0;
  for (std::size_t point = 0; point < kCurvePoints; ++point) {
    const std::size_t upto = order.size() * point / (kCurvePoints - 1);
    for (; taken < upto; ++taken) {
      const Row& row = rows[order[taken]];
      right += (row.strong_correct ? 1 : 0) - (row.weak_correct ? 1 : 0);
    }
    const double count = static_cast<double>(order.size());
    curve.push_back({.strong_share = static_cast<double>(upto) / count,
                     .threshold = upto == 0              ? kNever
                                  : upto == order.size() ? kAlways
                                                         : gain[order[upto - 1]],
                     .accuracy = right / count});
  }
  return curve;
}

double share_needed(const std::vector<Row>& rows, const std::vector<double>& gain, double kept) {
  return cut_for(rows, numbers_of(rows), gain, kept).share;
}

double random_share_needed(const std::vector<Row>& rows, double kept) {
  double weak = 0, strong = 0;
  for (const Row& row : rows) {
    weak += row.weak_correct ? 1 : 0;
    strong += row.strong_correct ? 1 : 0;
  }
  return strong > weak ? std::max(0.0, (kept * strong - weak) / (strong - weak)) : 0;
}

Evaluation evaluate(const std::vector<Row>& rows, const std::vector<double>& gain) {
  Evaluation e;
  const double count = static_cast<double>(rows.size());
  e.rows = rows.size();
  for (const Row& row : rows) {
    e.weak_accuracy += row.weak_correct ? 1 / count : 0;
    e.strong_accuracy += row.strong_correct ? 1 / count : 0;
  }
  e.random_share = random_share_needed(rows, kKept);
  e.share = share_needed(rows, gain, kKept);
  const std::vector<CurvePoint> curve = curve_of(rows, gain);
  double area = 0;
  for (const CurvePoint& point : curve) area += point.accuracy / static_cast<double>(curve.size());
  const double gap = e.strong_accuracy - e.weak_accuracy;
  e.recovered = gap > 0 ? (area - e.weak_accuracy) / gap : 0;
  return e;
}

}  // namespace asahi::gateway::learned
