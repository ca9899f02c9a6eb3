#include "gateway/routing/route_advisor.h"

#include <fmt/format.h>

#include "base/log.h"

namespace asahi::gateway {

RouteAdvisor::RouteAdvisor(const RoutingConfig& config, RoutingStore& store,
                           telemetry::Registry& metrics,
                           std::unique_ptr<learned::LearnedRouter> learned)
    : store_(store),
      multifactor_(config.strategy == "multifactor"),
      learned_(std::move(learned)),
      to_weak_(metrics.counter("asahi_learned_router_choices_total",
                               "Calls that the learned router decided", {{"choice", "weak"}})),
      to_strong_(metrics.counter("asahi_learned_router_choices_total",
                                 "Calls that the learned router decided", {{"choice", "strong"}})),
      feedback_(metrics.counter("asahi_routing_feedback_total", "Feedback on answers")) {}

RouteAdvisor::~RouteAdvisor() = default;

std::optional<RouteAdvice> RouteAdvisor::try_read(std::string_view org, RoutingMode mode) const {
  // Rules hold for guided calls, weights for the multi-factor strategy: other calls don't look.
  if (mode == RoutingMode::kExplicit || (mode != RoutingMode::kGuided && !multifactor_))
    return RouteAdvice();
  auto routing = store_.try_get(org);
  if (routing == nullptr) return std::nullopt;
  RouteAdvice advice;
  if (!routing->is_empty()) advice.routing = std::move(routing);
  return advice;
}

Aw<RouteAdvice> RouteAdvisor::read(std::string org) const {
  RouteAdvice advice;
  auto routing = co_await store_.get(org);
  if (routing) {
    if (!(*routing)->is_empty()) advice.routing = *std::move(routing);
    co_return advice;
  }
  static const Logger logger("routing");
  logger.error("an organisation's routing rules cannot be read",
               {{"org_id", org}, {"error", routing.error().message}});
  advice.warning = "the organisation's routing rules cannot be read now and were not applied";
  co_return advice;
}

void RouteAdvisor::advise(RouteRequest& request, const RouteAdvice& advice, std::string_view org,
                          std::string_view agent, std::string_view prompt) const {
  request.prompt = prompt;
  request.org = org;
  request.agent = agent;
  request.shifts = &agents_;
  request.budget_is_short = advice.budget_is_short;
  if (advice.routing != nullptr) {
    request.rules = &advice.routing->rules;
    if (advice.routing->weights) request.weights = &*advice.routing->weights;
  }
  if (learned_ != nullptr && request.mode != RoutingMode::kExplicit)
    request.learned = learned_->judge(prompt);
}

std::string RouteAdvisor::key_of(std::string_view org, std::string_view request_id) {
  std::string key;
  key.reserve(org.size() + request_id.size() + 1);
  key.append(org).append(1, '\x1f').append(request_id);
  return key;
}

void RouteAdvisor::answered(const Answered& answer) {
  if (answer.found)
    agents_.observe(answer.org, answer.agent, answer.model, *answer.found, answer.expected);
  const bool strong =
      answer.decision.learned && learned_ != nullptr && answer.model == learned_->strong();
  const bool weak =
      answer.decision.learned && learned_ != nullptr && answer.model == learned_->weak();
  if (strong) to_strong_.add();
  if (weak) to_weak_.add();
  // Nothing could be learned from what others say about it.
  if (!strong && !weak && answer.agent.empty()) return;
  Recent recent{.agent = std::string(answer.agent),
                .model = std::string(answer.model),
                .task_type = answer.decision.task_type_detected,
                .expected = answer.expected,
                .prompt = std::nullopt,
                .age = {}};
  if (strong || weak) recent.prompt = learned_->remember(answer.prompt, strong);
  std::string key = key_of(answer.org, answer.request_id);
  const std::scoped_lock lock(mutex_);
  if (const auto known = recent_.find(key); known != recent_.end()) {
    ages_.erase(known->second.age);
    recent_.erase(known);
  } else if (recent_.size() >= kRemembered) {
    recent_.erase(ages_.back());
    ages_.pop_back();
  }
  ages_.push_front(key);
  recent.age = ages_.begin();
  recent_.emplace(std::move(key), std::move(recent));
}

RouteAdvisor::Learnt RouteAdvisor::learn(std::string_view org, std::string_view request_id,
                                         double value) {
  feedback_.add();
  Recent recent;
  {
    const std::string key = key_of(org, request_id);
    const std::scoped_lock lock(mutex_);
    const auto found = recent_.find(key);
    if (found == recent_.end()) return {};
    recent = found->second;
  }
  Learnt learnt;
  if (!recent.agent.empty()) {
    agents_.observe(org, recent.agent, recent.model, value * 5, recent.expected);
    learnt.agent = true;
  }
  if (recent.prompt && learned_ != nullptr) learnt.router = learned_->learn(*recent.prompt, value);
  return learnt;
}

std::optional<FeedbackSubject> RouteAdvisor::recent(std::string_view org,
                                                    std::string_view request_id) const {
  const std::string key = key_of(org, request_id);
  const std::scoped_lock lock(mutex_);
  const auto found = recent_.find(key);
  if (found == recent_.end()) return std::nullopt;
  return FeedbackSubject{.model = found->second.model, .task_type = found->second.task_type};
}

std::unique_ptr<learned::LearnedRouter> load_learned(const RoutingConfig& config,
                                                     const Registry& registry) {
  if (config.strategy != "learned") return nullptr;
  static const Logger logger("routing");
  auto learned = learned::LearnedRouter::load(config.learned);
  if (!learned) {
    logger.warning(
        "routing.strategy is learned, but there is no trained router: quality per dollar decides "
        "(strategy ratio). Train one with: asahi train-router --data ROWS.jsonl --weak MODEL "
        "--strong MODEL",
        {{"file", config.learned.file}, {"error", learned.error().message}});
    return nullptr;
  }
  for (const std::string* name : {&(*learned)->weak(), &(*learned)->strong()}) {
    if (registry.get(*name) == nullptr) {
      logger.warning(
          "the trained router names a model that the registry lacks; calls go to the "
          "other one",
          {{"model", *name}, {"file", config.learned.file}});
    }
  }
  return std::move(*learned);
}

}  // namespace asahi::gateway
