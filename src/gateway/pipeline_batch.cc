#include <algorithm>

#include "gateway/pipeline_call.h"

// Stages 12 and 13: a call shared with others where that pays, else a call of its own.
namespace asahi::gateway {

std::optional<BatchItem> Pipeline::batch_item(const Call& call, const Plan& plan) const {
  if (parts_.batcher == nullptr) return std::nullopt;
  const ModelProfile& model = *plan.decision.model;
  int budget = call.options.latency_budget_ms.value_or(plan.decision.limits.max_latency_ms);
  if (budget <= 0) budget = parts_.config.routing.default_latency_budget_ms;
  const bool private_text = call.encrypt_stored || !call.store_allowed;
  return parts_.batcher->admit(
      {.chat = call.chat,
       .model = model,
       .task = call.task.task_type,
       .org = call.org,
       .owner = call.caller->key_prefix + "/" + call.options.user_id,
       .latency_budget = std::chrono::milliseconds(budget),
       .time_left = std::chrono::duration_cast<std::chrono::milliseconds>(
           call.deadline - parts_.clock.steady_now()),
       .input_tokens = llm::estimate_tokens(call.chat),
       .allowed = call.options.allow_batching,
       .own_key = !call.options.provider_api_key.empty(),
       .storable = !private_text || parts_.config.batching.backend == "memory",
       .capped = call.options.cost_budget.has_value()});
}

DispatchCall Pipeline::Call::dispatch(Plan plan, CancelSource& cancel) const {
  DispatchCall out{.request = chat, .plan = std::move(plan), .context = {}};
  out.context.deadline = deadline;
  out.context.cancel = &cancel;
  out.context.request_id = request_id;
  out.context.traceparent = traceparent;
  out.context.api_key = options.provider_api_key;
  out.own_keys = own_keys;
  out.trace = trace.get();
  return out;
}

Task<llm::ChatResponse> Pipeline::call_vendor(std::shared_ptr<Call> call,
                                              std::shared_ptr<const Plan> planned,
                                              CancelSource& cancel, DispatchReport& report) {
  DispatchSpan asking(call->trace);
  if (auto item = std::exchange(call->batch_item, std::nullopt)) {
    const auto started = std::chrono::steady_clock::now();
    ASAHI_CO_TRY(BatchReply reply, co_await parts_.batcher->join(*std::move(item), cancel));
    if (reply.size > 0) {
      report.shared = {.usage = reply.usage,
                       .cost = reply.cost,
                       .size = reply.size,
                       .answered = reply.answered,
                       .mixed_owners = reply.mixed_owners};
    }
    if (reply.answered) {
      report.model = planned->decision.model;
      report.vendor_ms = ms_since(started);
      asking.mark(Mark::kShared);
      llm::ChatResponse response;
      response.model = planned->decision.model->vendor_model;
      response.parts.emplace_back(
          llm::TextPart{.text = std::move(reply.text), .cache_control = {}});
      // As it would have been alone: what price() makes of unreported usage.
      response.usage.output = reply.usage.output;
      co_return response;
    }
  }
  auto answered = co_await parts_.dispatcher.chat(call->dispatch(*planned, cancel), report);
  if (!answered) asking.mark(Mark::kFailed);
  co_return answered;
}

Batcher::Caller shared_caller(Dispatcher& dispatcher, identity::OwnKeys* own_keys) {
  return [&dispatcher, own_keys](Batcher::SharedCall call) -> Task<llm::ChatResponse> {
    DispatchCall dispatch{.request = std::move(call.request), .plan = {}, .context = {}};
    dispatch.once = true;
    dispatch.plan.registry = std::move(call.registry);
    dispatch.plan.decision.model = call.model;
    dispatch.plan.attempts.push_back(
        {.model = call.model, .origin = Attempt::Origin::kChosen, .triggers = {}});
    dispatch.context.deadline = call.deadline;
    dispatch.context.request_id = call.request_id;
    dispatch.context.traceparent = call.traceparent;
    if (own_keys != nullptr) {
      ASAHI_CO_TRY(dispatch.own_keys, co_await own_keys->get(call.org));
    }
    DispatchReport report;
    co_return co_await dispatcher.chat(std::move(dispatch), report);
  };
}

}  // namespace asahi::gateway
