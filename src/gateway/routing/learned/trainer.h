#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "gateway/routing/learned/model.h"

namespace asahi::gateway::learned {

/// One labelled prompt: which of two models answered it well.
struct Row {
  std::string prompt;
  bool weak_correct = false;
  bool strong_correct = false;
};

/// Reads JSON lines of {prompt, weak_correct, strong_correct}; blank lines are skipped. Errors:
/// not_found, invalid_argument with the line.
Result<std::vector<Row>> read_rows(const std::string& path);

struct TrainOptions {
  int folds = 5;        ///< 2 to 20
  int epochs = 5;       ///< passes over the rows
  double rate = 0.1;    ///< of AdaGrad
  double decay = 1e-4;  ///< L2
  std::uint64_t seed = 1;
};

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

struct Trained {
  Model model;
  Evaluation evaluation;
};
/// Trains on all rows and evaluates by cross-validation; the model's curve comes from the
/// predictions on held-out folds. Equal rows and options give an equal model. Errors:
/// invalid_argument: fewer than 200 rows, or no difference between the models.
Result<Trained> train(const std::vector<Row>& rows, const TrainOptions& options);

}  // namespace asahi::gateway::learned
