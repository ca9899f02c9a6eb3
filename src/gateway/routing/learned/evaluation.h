#pragma once

#include <string>
#include <vector>

#include "gateway/routing/learned/model.h"

namespace asahi::gateway::learned {

/// One labelled prompt: which of two models answered it well.
struct Row {
  std::string prompt;
  bool weak_correct = false;
  bool strong_correct = false;
};

/// The share of the strong model's accuracy that is to be kept.
inline constexpr double kKept = 0.95;

/// How well a router does on rows that it has not seen, against one that picks at random.
struct Evaluation {
  std::size_t rows = 0;
  double weak_accuracy = 0, strong_accuracy = 0;
  double random_share =
      0;             ///< strong calls that a random router needs for 95 % of the strong accuracy
  double share = 0;  ///< strong calls that this one needs, its scores sorted
  /// Each fold with a threshold chosen on the others: what really comes out.
  double held_share = 0, held_accuracy = 0;
  double recovered = 0;  ///< mean share of the gap that is closed, over all shares of strong calls

  /// Strong calls saved against the random router, 0 to 1.
  double saved() const { return random_share > 0 ? 1 - share / random_share : 0; }
  /// The same for `held_share`, against a random router of the accuracy that was reached.
  double held_saved() const;
};

/// All but the held threshold, of rows whose gains come from routers that had not seen them.
Evaluation evaluate(const std::vector<Row>& rows, const std::vector<double>& gain);

/// The fewest strong calls, as a share, that keep `kept` of the strong model's accuracy when rows
/// are asked by falling gain; and what a router that picks at random needs.
double share_needed(const std::vector<Row>& rows, const std::vector<double>& gain, double kept);
double random_share_needed(const std::vector<Row>& rows, double kept);

/// Row numbers by falling gain.
std::vector<std::size_t> by_falling_gain(const std::vector<std::size_t>& of,
                                         const std::vector<double>& gain);

/// Where to cut the rows `of` so that the fewest strong calls keep `kept` of the accuracy.
struct Cut {
  double share = 1, threshold = 0;
};
Cut cut_for(const std::vector<Row>& rows, const std::vector<std::size_t>& of,
            const std::vector<double>& gain, double kept);

/// What each share of strong calls brings, in steps of 1 %.
std::vector<CurvePoint> curve_of(const std::vector<Row>& rows, const std::vector<double>& gain);

}  // namespace asahi::gateway::learned
