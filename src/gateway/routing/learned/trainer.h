#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "gateway/routing/learned/evaluation.h"
#include "gateway/routing/learned/model.h"

namespace asahi::gateway::learned {

/// Reads JSON lines of {prompt, weak_correct, strong_correct}; blank lines are skipped. Errors:
/// not_found, invalid_argument with the line.
Result<std::vector<Row>> read_rows(const std::string& path);

struct TrainOptions {
  int folds = 5;        ///< 2 to 20
  int epochs = 5;       ///< passes over the rows
  double rate = 0.1;    ///< of AdaGrad
  double decay = 1e-4;  ///< L2
  int rounds = 60;      ///< trees
  std::uint64_t seed = 1;
};

struct Trained {
  Model model;
  Evaluation evaluation;
  std::vector<double> held_gain;  ///< of each row, by a router that had not seen it
};
/// Trains on all rows and evaluates by cross-validation; the model's curve comes from the
/// predictions on held-out folds. Equal rows and options give an equal model. Errors:
/// invalid_argument: fewer than 200 rows, or no difference between the models.
Result<Trained> train(const std::vector<Row>& rows, const TrainOptions& options);

}  // namespace asahi::gateway::learned
