#include "gateway/routing/pricing.h"

#include <algorithm>
#include <cmath>

namespace asahi::gateway {
namespace {

// Vendors' numbers are not trusted: with prices up to $10 per 1,000 (the registry's rule) all sums
// stay in 64 bits.
constexpr std::int64_t kMaxTokens = 100'000'000;

std::int64_t clamp_tokens(std::int64_t tokens) {
  return std::clamp<std::int64_t>(tokens, 0, kMaxTokens);
}

/// Takes up to `wanted` tokens out of `rest`.
std::int64_t take(std::int64_t wanted, std::int64_t& rest) {
  const std::int64_t taken = std::clamp<std::int64_t>(wanted, 0, rest);
  rest -= taken;
  return taken;
}

}  // namespace

NanoUsd cost_of(const llm::Usage& usage, const ModelProfile& model) {
  CostSum sum;
  std::int64_t input = clamp_tokens(usage.input);
  sum.add(take(usage.cached_input, input), model.cached_input);
  sum.add(take(usage.cache_write_input, input), model.cache_write);
  sum.add(take(usage.cache_write_1h_input, input), model.cache_write_1h);
  sum.add(take(usage.audio_input, input), model.audio_input);
  sum.add(input, model.input);
  std::int64_t output = clamp_tokens(usage.output);
  sum.add(take(usage.audio_output, output), model.audio_output);
  sum.add(output, model.output);  // reasoning is billed as any other output
  return sum.total();
}

NanoUsd baseline_cost(std::int64_t input_tokens, std::int64_t output_tokens, BaselineRates rates) {
  CostSum sum;
  sum.add(clamp_tokens(input_tokens), rates.input);
  sum.add(clamp_tokens(output_tokens), rates.output);
  return sum.total();
}

CallCost price_call(const llm::Usage& usage, const ModelProfile* model, BaselineRates rates) {
  CallCost result;
  if (model != nullptr) result.cost = cost_of(usage, *model);
  result.baseline = baseline_cost(usage.input, usage.output, rates);
  result.savings = result.baseline - result.cost;
  result.savings_percent = percent_saved(result.baseline, result.cost);
  return result;
}

std::int64_t estimate_output_tokens(std::int64_t input_tokens) {
  return std::max<std::int64_t>(20, clamp_tokens(input_tokens) * 6 / 10);
}

NanoUsd estimate_cost(const ModelProfile& model, std::int64_t input_tokens) {
  CostSum sum;
  sum.add(clamp_tokens(input_tokens), model.input);
  sum.add(estimate_output_tokens(input_tokens), model.output);
  return sum.total();
}

NanoUsd most_cost(const ModelProfile& model, std::int64_t input_tokens,
                  std::optional<std::int64_t> max_tokens) {
  CostSum sum;
  sum.add(2 * input_tokens, std::max(model.input, model.cache_write));
  sum.add(std::min(max_tokens.value_or(model.max_output_tokens), model.max_output_tokens),
          model.output);
  return sum.total();
}

double percent_saved(NanoUsd before, NanoUsd now) {
  if (before.nanos <= 0) return 0;
  const double part =
      static_cast<double>(before.nanos - now.nanos) / static_cast<double>(before.nanos);
  return std::round(part * 1000) / 10;
}

}  // namespace asahi::gateway
