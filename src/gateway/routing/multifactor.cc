#include "gateway/routing/multifactor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "gateway/governance/json_reader.h"

namespace asahi::gateway {
namespace {

constexpr std::size_t kMostBytes = 16 * 1024;
constexpr double kHighestWeight = 10;

using Field = double ScoreWeights::*;
constexpr std::array<std::pair<std::string_view, Field>, 6> kFields{
    {{"quality", &ScoreWeights::quality},
     {"cost", &ScoreWeights::cost},
     {"complexity_match", &ScoreWeights::complexity_match},
     {"latency", &ScoreWeights::latency},
     {"health", &ScoreWeights::health},
     {"budget", &ScoreWeights::budget}}};

constexpr std::array<std::string_view, 20> kReasoningWords{
    "analyze",  "analyse",  "compare", "explain", "why",      "prove",    "derive",
    "evaluate", "reason",   "justify", "step",    "steps",    "strategy", "design",
    "optimize", "optimise", "infer",   "deduce",  "tradeoff", "calculate"};

constexpr std::array<std::string_view, 12> kCodeMarks{"```",     "def ",      "class ",  "#include",
                                                      "import ", "function ", "SELECT ", "();",
                                                      "=> ",     "return ",   "public ", "const "};

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (static_cast<unsigned char>(c) & 0x80);
}

bool is_reasoning(std::string_view word) {
  return std::ranges::any_of(kReasoningWords, [word](std::string_view known) {
    return word.size() == known.size() &&
           std::ranges::equal(word, known, {}, [](char c) { return static_cast<char>(c | 0x20); });
  });
}

}  // namespace

Result<ScoreWeights> read_weights(const json::value& body) {
  ScoreWeights weights;
  JsonReader reader(body);
  reader.only({"quality", "cost", "complexity_match", "latency", "health", "budget"});
  for (const auto& [name, field] : kFields) reader.number(name, weights.*field, 0, kHighestWeight);
  if (auto read = reader.result(); !read) return std::unexpected(std::move(read.error()));
  if (std::ranges::all_of(kFields, [&](const auto& f) { return weights.*f.second == 0; })) {
    return fail_field("quality", "all weights are 0; give at least one factor a weight");
  }
  return weights;
}

json::object weights_json(const ScoreWeights& weights) {
  json::object out;
  for (const auto& [name, field] : kFields) out[name] = weights.*field;
  return out;
}

double complexity_of(std::string_view prompt) {
  prompt = prompt.substr(0, kMostBytes);
  int words = 0, reasoning = 0, questions = 0;
  for (std::size_t i = 0; i < prompt.size();) {
    if (prompt[i] == '?') ++questions;
    if (!is_letter(prompt[i])) {
      // Numbers are words too: "2 + 2" has two.
      const bool digit = prompt[i] >= '0' && prompt[i] <= '9';
      const bool begins = i == 0 || prompt[i - 1] < '0' || prompt[i - 1] > '9';
      if (digit && begins) ++words;
      ++i;
      continue;
    }
    const std::size_t start = i;
    while (i < prompt.size() && is_letter(prompt[i])) ++i;
    ++words;
    if (reasoning < 4 && is_reasoning(prompt.substr(start, i - start))) ++reasoning;
  }
  const bool code = std::ranges::any_of(kCodeMarks, [prompt](std::string_view mark) {
    return prompt.find(mark) != std::string_view::npos;
  });
  const double length = words > 200 ? 0.3 : words > 20 ? 0.15 : 0;
  return std::min(1.0, length + 0.1 * reasoning + (code ? 0.2 : 0) + (questions > 2 ? 0.1 : 0));
}

double factor_score(const ModelProfile& model, VendorHealth health, const ScoreFacts& facts,
                    const ScoreWeights& weights, double shift) {
  constexpr ScoreWeights kUsual;
  const double quality = (model.quality - 3) / 2 + std::clamp(shift, -kMostShift, kMostShift);
  const double price =
      facts.max_input_price > 0 ? model.input.dollars_per_1k() / facts.max_input_price : 0;
  double score = quality * (facts.high_quality ? 0.4 : 0.2) * weights.quality / kUsual.quality;
  score += (1 - price) * 0.25 * weights.cost / kUsual.cost;
  double match = 0;
  // (4.8 − 3) / 2 is a little less than 0.9 in binary.
  constexpr double kTiny = 1e-9;
  if (facts.complexity > 0.4 && quality >= 0.9 - kTiny) match = 0.15;
  if (facts.complexity < 0.3 && quality < 0.85 - kTiny) match = 0.10;
  score += match * weights.complexity_match / kUsual.complexity_match;
  const double speed = std::max(0.0, (3000.0 - model.avg_latency_ms) / 3000);
  score += speed * (facts.low_latency ? 0.15 : 0.05) * weights.latency / kUsual.latency;
  double illness = 0;
  if (health == VendorHealth::kDegraded || model.availability == Availability::kDegraded)
    illness = 0.2;
  if (health == VendorHealth::kUnreachable || health == VendorHealth::kBreakerOpen) illness = 1;
  score -= illness * weights.health / kUsual.health;
  if (facts.budget_is_short) score -= 0.2 * price * weights.budget / kUsual.budget;
  // Not a matter of taste: an answer that may be cut off is no answer.
  if (static_cast<double>(facts.tokens) > 0.9 * static_cast<double>(model.max_input_tokens))
    score -= 1;
  return score;
}

double confidence_of(double best, std::optional<double> runner_up) {
  return runner_up ? std::min(1.0, 0.5 + (best - *runner_up)) : 1.0;
}

}  // namespace asahi::gateway
