#include "gateway/batching/cost_split.h"

#include <algorithm>
#include <numeric>

#include "gateway/routing/pricing.h"

namespace asahi::gateway {

std::vector<std::int64_t> split_exactly(std::int64_t total, std::span<const std::int64_t> weights) {
  std::vector<std::int64_t> parts(weights.size(), 0);
  if (weights.empty()) return parts;
  const std::int64_t sum = std::accumulate(weights.begin(), weights.end(), std::int64_t{0});
  const auto weight = [&](std::size_t i) { return sum > 0 ? weights[i] : std::int64_t{1}; };
  const __int128 whole = sum > 0 ? sum : static_cast<std::int64_t>(weights.size());
  std::vector<std::pair<std::int64_t, std::size_t>>
      remainders;  // negative, so that sorting is stable
  std::int64_t left = total;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const __int128 exact = static_cast<__int128>(total) * weight(i);
    parts[i] = static_cast<std::int64_t>(exact / whole);
    left -= parts[i];
    remainders.emplace_back(-static_cast<std::int64_t>(exact % whole), i);
  }
  std::ranges::sort(remainders);
  for (std::size_t i = 0; left > 0; ++i, --left) ++parts[remainders[i].second];
  return parts;
}

std::vector<CallShare> split_call(const llm::Usage& usage, const ModelProfile& model,
                                  std::span<const std::int64_t> texts,
                                  std::span<const std::int64_t> answers) {
  const auto count = static_cast<std::int64_t>(texts.size());
  const std::int64_t own = std::accumulate(texts.begin(), texts.end(), std::int64_t{0});
  const std::int64_t common = std::max<std::int64_t>(0, usage.input - own);
  std::vector<std::int64_t> input_weights;
  for (const std::int64_t text : texts) input_weights.push_back(count * text + common);
  const auto input = split_exactly(usage.input, input_weights);
  const auto output = split_exactly(usage.output, answers);
  // Details follow their totals, so that none exceeds its part.
  const auto cached = split_exactly(usage.cached_input, input);
  const auto written = split_exactly(usage.cache_write_input, input);
  const auto written_1h = split_exactly(usage.cache_write_1h_input, input);
  const auto reasoning = split_exactly(usage.reasoning_output, output);
  std::vector<CallShare> shares(texts.size());
  std::vector<std::int64_t> prices;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    shares[i].usage = {.input = input[i],
                       .cached_input = cached[i],
                       .cache_write_input = written[i],
                       .cache_write_1h_input = written_1h[i],
                       .output = output[i],
                       .reasoning_output = reasoning[i],
                       .reported = usage.reported};
    prices.push_back(cost_of(shares[i].usage, model).nanos);
  }
  const auto costs = split_exactly(cost_of(usage, model).nanos, prices);
  for (std::size_t i = 0; i < shares.size(); ++i) shares[i].cost = {costs[i]};
  return shares;
}

}  // namespace asahi::gateway
