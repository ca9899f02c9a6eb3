#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "gateway/batching/item.h"
#include "gateway/config.h"
#include "gateway/routing/model_profile.h"
#include "llm/message.h"

namespace asahi::gateway {

/// A request that might share its vendor call. Views outlive the call of `consider`.
struct BatchCandidate {
  const llm::ChatRequest& chat;
  const ModelProfile& model;  ///< that routing chose
  std::string_view task;
  std::string_view org;
  std::string_view owner;  ///< key and user
  std::chrono::milliseconds latency_budget{0};
  std::chrono::milliseconds time_left{0};  ///< until the request's own deadline
  std::int64_t input_tokens = 0;
  bool allowed = true;   ///< the request's allow_batching
  bool own_key = false;  ///< it brought a vendor key of its own
  bool storable = true;  ///< its text may be written to Redis
  bool capped = false;   ///< it has a cost_budget: a call paid twice might break it
};

/// Why a request goes alone, or the item that waits for others.
struct Eligibility {
  std::string_view refusal;  ///< empty: it may wait
  BatchItem item;            ///< without id and origin
};

/// The rules of gateway spec §3.12, and those that keep a shared call from giving another answer
/// than a call of its own: one plain question under plain instructions, nothing a vendor would have
/// to do for one item only. Pure.
Eligibility consider(const BatchingConfig& config, const BatchCandidate& candidate);

/// True for texts that talk about neighbours ("all other questions", "item 2"): whatever the model
/// makes of them, they do not belong beside other people's texts.
bool speaks_of_others(std::string_view text);

/// What a call that `size` requests with the same instructions share is estimated to save, in
/// pico-dollars: the instructions go out once instead of `size` times, the batch's own rules and
/// marks come on top. Negative: dearer.
std::int64_t batch_saving(const ModelProfile& model, std::string_view system, std::size_t size);

}  // namespace asahi::gateway
