#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "base/ids.h"
#include "gateway/pipeline_call.h"
#include "gateway/quality/agreement.h"
#include "llm/vendor.h"
#include "net/loop.h"

// Is the answer good enough? The screen, one more try on a better model, and the comparison of some
// answers with the baseline model's (spec §3.14).
namespace asahi::gateway {
namespace {

/// What a call is taken to have used where its vendor does not say.
llm::Usage usage_of(const llm::ChatRequest& request, const llm::ChatResponse& response) {
  llm::Usage usage = response.usage;
  if (usage.reported) return usage;
  usage.input = llm::estimate_tokens(request);
  usage.output = std::max(usage.output, llm::estimate_tokens(response.text()));
  return usage;
}

/// True for about `rate` of all calls.
bool sampled(double rate) {
  if (rate <= 0) return false;
  std::uint32_t drawn = 0;
  random_bytes(&drawn, sizeof drawn);
  return static_cast<double>(drawn) < rate * 4294967296.0;
}

}  // namespace

AnswerScreening Pipeline::screen(const Call& call, const llm::ChatResponse& response) const {
  if (!parts_.config.quality.screen) return {};
  AnswerScreening screening = screen_answer(call.chat, response);
  if (parts_.quality != nullptr) parts_.quality->screened(screening);
  return screening;
}

std::optional<Plan> Pipeline::escalation(const Call& call, std::shared_ptr<const Registry> registry,
                                         const ModelProfile& than) const {
  // Who names a model wants that model's answer.
  if (call.options.mode == RoutingMode::kExplicit && !call.options.allow_fallback)
    return std::nullopt;
  const RouteRequest request = route_request(call);
  auto next = parts_.router.next_better(std::move(registry), request, health(call, true), than);
  if (!next) return std::nullopt;
  if (request.caller_has_key && next->decision.model->provider != than.provider)
    return std::nullopt;
  // The request's budget is for both calls.
  const NanoUsd both = estimate_cost(than, request.input_tokens) + next->decision.estimated_cost;
  if (request.cost_budget && both > *request.cost_budget) return std::nullopt;
  return next;
}

Aw<void> Pipeline::escalate(std::shared_ptr<Call> call, std::shared_ptr<const Registry> registry,
                            CancelSource& cancel, llm::ChatResponse& response,
                            DispatchReport& report, AnswerScreening& screening,
                            std::vector<std::string>& warnings) {
  const ModelProfile& first = *report.model;
  auto next = escalation(*call, std::move(registry), first);
  if (!next) co_return;
  const ModelProfile& better = *next->decision.model;
  const std::int64_t input_tokens = llm::estimate_tokens(call->chat);
  // Held until the second call is made; what both cost is settled with the first reservation.
  auto held = co_await parts_.governor.reserve(call->terms, &better, next->decision.estimated_cost,
                                               input_tokens);
  if (!held) {
    warnings.push_back(fmt::format("{} was not asked: {}", better.name,
                                   error_of(std::move(held.error())).message));
    co_return;
  }
  DispatchCall dispatch = call->dispatch(std::move(*next), cancel);
  dispatch.request.stream = false;
  const DispatchSpan asking(call->trace);
  DispatchReport again;
  auto second = co_await parts_.dispatcher.chat(std::move(dispatch), again);
  report.vendor_ms += again.vendor_ms;
  report.retries += 1 + again.retries;
  report.wasted.insert(report.wasted.end(), again.wasted.begin(), again.wasted.end());
  if (!second) {
    warnings.push_back(
        fmt::format("{} was asked too and failed: {}", better.name, second.error().message));
    co_return;
  }
  if (parts_.quality != nullptr) parts_.quality->escalated(first.name, better.name);
  AnswerScreening found = screen(*call, *second);
  if (found.quality_left * better.quality > screening.quality_left * first.quality) {
    warnings.push_back(fmt::format("{} was asked because {} of {}", better.name,
                                   screening.warning().substr(0, screening.warning().find(';')),
                                   first.name));
    // A shared call's part is in the report already.
    if (report.shared && report.shared->answered) {
      report.shared->answered = false;
    } else {
      report.wasted.emplace_back(&first, usage_of(call->chat, response));
    }
    report.model = &better;
    response = std::move(*second);
    screening = std::move(found);
  } else {
    warnings.push_back(fmt::format("{} was asked too; its answer was no better", better.name));
    report.wasted.emplace_back(&better, usage_of(call->chat, *second));
  }
}

void Pipeline::tell(const Call& call, const AnswerScreening& screening, const Plan& plan,
                    Outcome& outcome) const {
  if (parts_.config.quality.screen) {
    outcome.measured_quality = outcome.answer->quality * screening.quality_left;
    outcome.hallucination = screening.has(AnswerFlag::kHallucination);
  }
  if (screening.flagged()) outcome.warnings.push_back(screening.warning());
  for (const std::string& conflict : plan.decision.rule_conflicts)
    outcome.warnings.push_back("routing rules: " + conflict);
  if (parts_.advisor == nullptr) return;
  parts_.advisor->answered({.org = call.org,
                            .request_id = call.request_id,
                            .agent = call.options.agent_id,
                            .prompt = call.query,
                            .decision = plan.decision,
                            .model = outcome.answer->model,
                            .expected = outcome.answer->quality,
                            .found = outcome.measured_quality});
}

void Pipeline::maybe_compare(const std::shared_ptr<Call>& call, const Outcome& outcome) {
  if (!sampled(parts_.config.quality.shadow_rate) || !call->options.provider_api_key.empty() ||
      outcome.answer->response.text().empty())
    return;
  net::Loop::current()->spawn("comparison with the baseline model", compare(call, outcome.answer));
}

Aw<void> Pipeline::compare(std::shared_ptr<Call> call, std::shared_ptr<const Answer> answer) {
  const std::shared_ptr<const Registry> registry = parts_.registry.get();
  const ModelProfile* baseline = registry->get(parts_.config.tracking.baseline_model);
  if (baseline == nullptr || baseline->name == answer->model ||
      !Governor::allows(call->terms, *baseline) ||
      health(*call, true)(baseline->provider) != VendorHealth::kHealthy)
    co_return;
  const std::int64_t input_tokens = llm::estimate_tokens(call->chat);
  const NanoUsd estimate = estimate_cost(*baseline, input_tokens);
  auto held = co_await parts_.governor.reserve(call->terms, baseline, estimate, input_tokens);
  if (!held) co_return;
  Plan plan{.registry = registry, .decision = {}, .attempts = {}};
  plan.decision.model = baseline;
  plan.attempts.push_back({baseline, Attempt::Origin::kChosen, {}});
  CancelSource cancel;
  DispatchCall dispatch{.request = call->chat, .plan = std::move(plan), .context = {}};
  dispatch.request.stream = false;
  dispatch.context.deadline = parts_.clock.steady_now() + std::chrono::seconds(60);
  dispatch.context.cancel = &cancel;
  dispatch.context.request_id = call->request_id;
  dispatch.own_keys = call->own_keys;
  DispatchReport report;
  const auto started = std::chrono::steady_clock::now();
  auto response = co_await parts_.dispatcher.chat(std::move(dispatch), report);
  if (!response) co_return;
  if (parts_.quality != nullptr)
    parts_.quality->compared(agreement(answer->response.text(), response->text()));
  const llm::Usage usage = usage_of(call->chat, *response);
  InferenceEvent event;
  event.timestamp = parts_.clock.now();
  event.event_id = make_ulid(event.timestamp);
  event.event_type = "shadow";
  event.request_id = call->request_id;
  event.org_id = call->org;
  event.user_id = call->options.user_id;
  event.api_key_prefix = call->caller->key_prefix;
  event.task_type = call->task.task_type;
  event.model_selected = baseline->name;
  event.provider = baseline->provider;
  event.routing_mode = to_string(RoutingMode::kExplicit);
  event.routing_reason = "compared with the baseline model";
  event.input_tokens = usage.input;
  event.output_tokens = usage.output;
  event.latency_ms = event.vendor_ms = ms_since(started);
  event.cost = event.baseline_cost = cost_of(usage, *baseline);
  event.route = call->route;
  held->settle(event.cost, usage.total());
  parts_.events.record(std::move(event));
}

}  // namespace asahi::gateway
