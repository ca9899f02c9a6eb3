#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/money.h"
#include "gateway/routing/route.h"

namespace asahi::gateway {

/// How much an organisation cares for each factor of the multi-factor strategy (gateway spec
/// §3.11). The defaults give the formula of the specification as it stands; another weight scales
/// its factor in proportion: `quality` 0.80 doubles what quality counts, 0 leaves it out.
struct ScoreWeights {
  double quality = 0.40;
  double cost = 0.25;
  double complexity_match = 0.15;
  double latency = 0.10;
  double health = 0.05;
  double budget = 0.05;
  bool operator==(const ScoreWeights&) const = default;
};
/// Reads weights as clients send them; a key that is absent keeps its default. Errors:
/// invalid_argument naming key and rule (0 to 10, an unknown key is a fault).
Result<ScoreWeights> read_weights(const json::value& body);
json::object weights_json(const ScoreWeights& weights);

/// How demanding a prompt is, 0 to 1: +0.15 over 20 words, +0.3 over 200 (instead), +0.1 per
/// reasoning keyword up to 0.4, +0.2 for code, +0.1 for more than two question marks.
/// One pass over at most the first 16 KiB.
double complexity_of(std::string_view prompt);

/// What a score depends on beside the model.
struct ScoreFacts {
  double complexity = 0;         ///< 0 to 1
  std::int64_t tokens = 0;       ///< prompt and longest answer together
  bool high_quality = false;     ///< quality preference high or max
  bool low_latency = false;      ///< latency preference fast or instant
  bool budget_is_short = false;  ///< less than $10 of the organisation's budget is left
  double max_input_price = 0;    ///< of the candidates, USD per 1,000 tokens
};

/// Less than this is left of a budget: cheap models are favoured.
inline constexpr NanoUsd kShortBudget{10'000'000'000};

/// How far an agent's record may move a model's quality, on the scale of 0 to 1.
inline constexpr double kMostShift = 0.2;

/// The multi-factor score. `shift`: what this agent's answers by this model were found to be better
/// or worse than its profile says, −0.2 to 0.2.
double factor_score(const ModelProfile& model, VendorHealth health, const ScoreFacts& facts,
                    const ScoreWeights& weights, double shift);

/// min(1, 0.5 + margin of the best to the runner-up); alone: 1.
double confidence_of(double best, std::optional<double> runner_up);

}  // namespace asahi::gateway
