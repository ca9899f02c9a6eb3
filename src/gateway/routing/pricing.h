#pragma once

#include <cstdint>
#include <optional>

#include "base/money.h"
#include "gateway/routing/model_profile.h"
#include "llm/message.h"

namespace asahi::gateway {

/// What the same tokens would have cost on the baseline model (`tracking.baseline_*`).
struct BaselineRates {
  TokenPrice input;
  TokenPrice output;
};

/// Money of one call. Exact to the nano-dollar; round only where it is shown.
struct CallCost {
  NanoUsd cost;                ///< 0 when the model is unknown
  NanoUsd baseline;            ///< input and output tokens at the baseline rates
  NanoUsd savings;             ///< baseline − cost; negative for models dearer than the baseline
  double savings_percent = 0;  ///< of the baseline, one decimal; 0 when the baseline costs nothing
};

/// What `usage` costs on `model`. The details of a usage are parts of its totals, so each token is
/// paid once, at the price of its kind; what exceeds a total, and negative counts, are cut off.
/// (in·p_in + out·p_out)/1000 of gateway spec §3.2, with the vendor's prices for cached,
/// cache-written and audio tokens.
NanoUsd cost_of(const llm::Usage& usage, const ModelProfile& model);
NanoUsd baseline_cost(std::int64_t input_tokens, std::int64_t output_tokens, BaselineRates rates);
/// `model` null: unknown model, cost 0; the caller warns.
CallCost price_call(const llm::Usage& usage, const ModelProfile* model, BaselineRates rates);

/// max(20, ⌊0.6 × input⌋): the answer's tokens before a call is made (gateway spec §3.2).
std::int64_t estimate_output_tokens(std::int64_t input_tokens);
/// The cost of a call of `input_tokens` before it is made, without any vendor cache discount.
NanoUsd estimate_cost(const ModelProfile& model, std::int64_t input_tokens);

/// The most that a call may cost: its answer as long as it may get, and twice the tokens that its
/// input was estimated at. `max_tokens` empty: whatever the model can write.
NanoUsd most_cost(const ModelProfile& model, std::int64_t input_tokens,
                  std::optional<std::int64_t> max_tokens);

/// How much less `now` is than `before`, in percent of `before`, rounded to one decimal; 0 when
/// `before` is 0.
double percent_saved(NanoUsd before, NanoUsd now);

}  // namespace asahi::gateway
