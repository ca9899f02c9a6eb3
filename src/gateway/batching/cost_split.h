#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/money.h"
#include "gateway/routing/model_profile.h"
#include "llm/message.h"

namespace asahi::gateway {

/// `total` in parts in proportion to `weights`, whole numbers that add up to it exactly (largest
/// remainders first; equal ones in order). All weights zero: equal parts. No weight is negative.
std::vector<std::int64_t> split_exactly(std::int64_t total, std::span<const std::int64_t> weights);

/// One request's part of a shared call.
struct CallShare {
  llm::Usage usage;
  NanoUsd cost;
};

/// A shared call's tokens and money over its requests: each pays its own text and answer, and an
/// equal part of what all have in common. Tokens and nano-dollars add up to the call's exactly.
/// `texts`, `answers`: estimated tokens of each request's own text and answer; the same size, not
/// empty.
std::vector<CallShare> split_call(const llm::Usage& usage, const ModelProfile& model,
                                  std::span<const std::int64_t> texts,
                                  std::span<const std::int64_t> answers);

}  // namespace asahi::gateway
