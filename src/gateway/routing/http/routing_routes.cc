#include "gateway/routing/http/routing_routes.h"

#include <fmt/format.h>

#include "gateway/governance/json_reader.h"
#include "gateway/http/admin_routes.h"
#include "gateway/http/audit_note.h"
#include "gateway/http/errors.h"
#include "gateway/request.h"
#include "gateway/routing/pricing.h"
#include "identity/principal.h"
#include "llm/vendor.h"

namespace asahi::gateway {
namespace {

using Parts = std::shared_ptr<const RoutingParts>;
using Body = Task<http::Response> (*)(const RoutingParts& parts, http::Context& context);

constexpr std::size_t kMostPrompt = 400'000;

void add(http::Router& router, const Parts& parts, http::Method method, const std::string& pattern,
         std::string_view access, Body body) {
  add_both(router, method, pattern, access,
           [parts, body](http::Context& context) -> Aw<http::Response> {
             auto reply = co_await body(*parts, context);
             if (!reply) co_return native_error(reply.error(), context);
             co_return std::move(*reply);
           });
}

http::Response reply(int status, const json::object& body) {
  return http::Response::json(status, write_json(body));
}

const std::string& own_org(const http::Context& context) {
  return identity::principal_of(context).org_id;
}

Aw<void> note_routing(const RoutingParts& parts, const http::Context& context, std::string action,
                      json::object details) {
  const std::string& org = own_org(context);
  return note(parts.audit,
              audit_entry(context, org, std::move(action), "routing/" + org, std::move(details)));
}

json::array texts(const std::vector<std::string>& list) {
  json::array out;
  for (const std::string& text : list) out.emplace_back(text);
  return out;
}

json::array faults_json(const std::vector<RuleFault>& faults) {
  json::array out;
  for (const RuleFault& fault : faults)
    out.push_back({{"path", fault.path}, {"message", fault.message}});
  return out;
}

json::object routing_json(const std::string& org, const OrgRouting& routing,
                          const Registry& registry) {
  const bool never = routing.updated_by.empty();
  return {{"org_id", org},
          {"rules", rules_json(routing.rules)},
          {"conflicts", texts(conflicts_of(routing.rules, registry))},
          {"updated_at",
           never ? json::value(nullptr) : json::value(format_rfc3339(routing.updated_at))},
          {"updated_by", never ? json::value(nullptr) : json::value(routing.updated_by)}};
}

// ---- Rules

Task<http::Response> get_rules(const RoutingParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const auto routing, co_await parts.store.get(own_org(context)));
  co_return reply(200, routing_json(own_org(context), *routing, *parts.registry.get()));
}

Task<http::Response> save_rules(const RoutingParts& parts, http::Context& context,
                                RoutingRules rules) {
  ASAHI_CO_TRY(const auto saved,
               co_await parts.store.change(
                   own_org(context), actor_of(identity::principal_of(context)),
                   [rules = std::move(rules)](OrgRouting& routing) { routing.rules = rules; }));
  const json::array before = saved.before ? rules_json(saved.before->rules) : json::array();
  const json::array now = rules_json(saved.now.rules);
  if (before != now)
    co_await note_routing(parts, context, "routing_rules.update",
                          {{"before", before}, {"after", now}});
  co_return reply(200, routing_json(own_org(context), saved.now, *parts.registry.get()));
}

Task<http::Response> put_rules(const RoutingParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const json::value body, parse_json(context.request.body, 16));
  const std::shared_ptr<const Registry> registry = parts.registry.get();
  RulesReading reading = read_rules(body, registry.get());
  if (!reading.faults.empty()) {
    // All at once stand in the reply of /validate; here the first must do.
    co_return fail_field(
        reading.faults.front().path,
        reading.faults.size() == 1
            ? reading.faults.front().message
            : fmt::format("{} (and {} more; POST /routing/rules/validate lists all)",
                          reading.faults.front().message, reading.faults.size() - 1));
  }
  co_return co_await save_rules(parts, context, std::move(reading.rules));
}

Task<http::Response> delete_rules(const RoutingParts& parts, http::Context& context) {
  co_return co_await save_rules(parts, context, {});
}

Task<http::Response> validate_rules(const RoutingParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const json::value body, parse_json(context.request.body, 16));
  const std::shared_ptr<const Registry> registry = parts.registry.get();
  const RulesReading reading = read_rules(body, registry.get());
  const bool valid = reading.faults.empty();
  co_return reply(
      200, {{"valid", valid},
            {"faults", faults_json(reading.faults)},
            {"conflicts", valid ? texts(conflicts_of(reading.rules, *registry)) : json::array()}});
}

// ---- Dry run

/// A request that is only asked about.
struct DryRun {
  RequestOptions options;
  std::string prompt;
  int step = 1;
  int max_tokens = 1'024;
  std::optional<Clock::Time> at;
  std::optional<RoutingRules> rules;
  std::optional<ScoreWeights> weights;
};

Result<DryRun> read_dry_run(const json::value& body, const Registry& registry) {
  DryRun run;
  JsonReader reader(body);
  reader.only({"prompt", "task_type", "routing_mode", "model", "quality_preference",
               "latency_preference", "quality_threshold", "latency_budget_ms", "cost_budget",
               "agent_id", "fallback_models", "allow_fallback", "max_tokens", "step", "at", "rules",
               "weights"});
  std::string model;
  reader.text("prompt", run.prompt, kMostPrompt);
  reader.text("model", model, 128);
  reader.integer("step", run.step, 1, 1'000);
  reader.integer("max_tokens", run.max_tokens, 1, 128'000);
  reader.time("at", run.at);
  if (auto read = reader.result(); !read) return std::unexpected(std::move(read.error()));
  const json::object& object = body.get_object();
  ASAHI_TRY(run.options, read_options(object, RoutingMode::kGuided));
  if (run.options.mode == RoutingMode::kExplicit && model.empty())
    return fail_field("model", "routing_mode explicit needs model; see GET /models");
  run.options.model = std::move(model);
  if (object.contains("rules")) {
    RulesReading reading = read_rules(body, &registry);
    if (!reading.faults.empty())
      return fail_field(reading.faults.front().path, reading.faults.front().message);
    run.rules = std::move(reading.rules);
  }
  if (const json::value* weights = object.if_contains("weights");
      weights != nullptr && !weights->is_null()) {
    ASAHI_TRY(run.weights, read_weights(*weights));
  }
  return run;
}

json::object plan_json(const Plan& plan) {
  const Decision& decision = plan.decision;
  json::array attempts;
  for (const Attempt& attempt : plan.attempts) {
    json::array triggers;
    for (const Trigger trigger : {Trigger::kRateLimit, Trigger::kServerError, Trigger::kTimeout,
                                  Trigger::kCostCeiling, Trigger::kNoKey}) {
      if (attempt.triggers.has(trigger)) triggers.emplace_back(to_string(trigger));
    }
    attempts.push_back({{"model", attempt.model->name},
                        {"provider", attempt.model->provider},
                        {"origin", to_string(attempt.origin)},
                        {"triggers", std::move(triggers)}});
  }
  return {{"model", decision.model->name},
          {"provider", decision.model->provider},
          {"routing_mode", to_string(decision.mode)},
          {"routing_reason", decision.reason},
          {"task_type_detected", decision.task_type_detected},
          {"score", decision.score},
          {"confidence",
           decision.confidence > 0 ? json::value(decision.confidence) : json::value(nullptr)},
          {"candidates_evaluated", decision.candidates_evaluated},
          {"fallback_used", decision.fallback_used},
          {"rules_applied", texts(decision.rules_applied)},
          {"conflicts", texts(decision.rule_conflicts)},
          {"estimated_cost", shown_dollars(decision.estimated_cost)},
          {"attempts", std::move(attempts)}};
}

Task<http::Response> dry_run(const RoutingParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const json::value body, parse_json(context.request.body, 16));
  const std::shared_ptr<const Registry> registry = parts.registry.get();
  ASAHI_CO_TRY(const DryRun run, read_dry_run(body, *registry));
  ASAHI_CO_TRY(const Terms terms,
               co_await parts.governor.terms(identity::shared_principal_of(context)));
  ASAHI_CO_TRY(const auto stored, co_await parts.store.get(own_org(context)));
  OrgRouting routing = *stored;
  if (run.rules) routing.rules = *run.rules;
  if (run.weights) routing.weights = run.weights;
  RouteAdvice advice;
  advice.routing = std::make_shared<const OrgRouting>(std::move(routing));
  const auto left = parts.governor.budget_left(terms);
  advice.budget_is_short = left && *left < kShortBudget;
  RouteRequest request;
  request.mode = run.options.mode;
  request.model = run.options.model;
  request.task = run.options.task_type.empty() ? detect_task(run.prompt)
                                               : hinted_task(run.options.task_type, run.prompt);
  request.input_tokens = llm::estimate_tokens(run.prompt);
  request.max_tokens = run.max_tokens;
  request.quality_threshold = run.options.quality_threshold;
  request.latency_budget_ms = run.options.latency_budget_ms;
  request.cost_budget = run.options.cost_budget;
  request.quality_preference = run.options.quality_preference;
  request.latency_preference = run.options.latency_preference;
  if (terms.rules->has_policy) {
    request.filter.allowed_models = terms.rules->policy.allowed_models;
    request.filter.blocked_models = terms.rules->policy.blocked_models;
  }
  request.filter.key_models = terms.caller->allowed_models;
  request.filter.region = terms.rules->residency;
  request.allow_fallback = run.options.allow_fallback;
  request.fallback_models = run.options.fallback_models;
  request.list_alternatives = false;
  request.step = run.step;
  request.now = run.at.value_or(parts.clock.now());
  parts.advisor.advise(request, advice, own_org(context), run.options.agent_id, run.prompt);
  ASAHI_CO_TRY(const Plan plan, parts.router.plan(registry, request, parts.health));
  co_return reply(200, plan_json(plan));
}

// ---- Weights

Task<http::Response> get_weights(const RoutingParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const auto routing, co_await parts.store.get(own_org(context)));
  co_return reply(200, {{"org_id", own_org(context)},
                        {"weights", weights_json(routing->weights.value_or(ScoreWeights()))},
                        {"is_default", !routing->weights.has_value()}});
}

Task<http::Response> put_weights(const RoutingParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const json::value body, parse_json(context.request.body, 16));
  ASAHI_CO_TRY(const ScoreWeights weights, read_weights(body));
  ASAHI_CO_TRY(
      const auto saved,
      co_await parts.store.change(own_org(context), actor_of(identity::principal_of(context)),
                                  [weights](OrgRouting& routing) { routing.weights = weights; }));
  const auto before = saved.before ? saved.before->weights : std::nullopt;
  if (before != weights) {
    co_await note_routing(
        parts, context, "routing_weights.update",
        {{"before", before ? json::value(weights_json(*before)) : json::value(nullptr)},
         {"after", weights_json(weights)}});
  }
  co_return reply(
      200,
      {{"org_id", own_org(context)}, {"weights", weights_json(weights)}, {"is_default", false}});
}

// ---- Feedback

Task<http::Response> give_feedback(const RoutingParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const json::value body, parse_json(context.request.body, 16));
  Feedback feedback;
  feedback.org_id = own_org(context);
  bool correct = false;
  std::optional<std::int64_t> rating;
  JsonReader reader(body);
  reader.only({"request_id", "correct", "rating"});
  reader.text("request_id", feedback.request_id, 24);
  reader.flag("correct", correct);
  reader.integer("rating", rating, 1, 5);
  if (auto read = reader.result(); !read) co_return std::unexpected(std::move(read.error()));
  const json::value* given = body.get_object().if_contains("correct");
  if (given != nullptr && !given->is_null()) feedback.correct = correct;
  if (rating) feedback.rating = static_cast<int>(*rating);
  if (feedback.request_id.empty())
    co_return fail_field("request_id", "request_id is missing; give that of the answer");
  if (feedback.correct.has_value() == feedback.rating.has_value())
    co_return fail_field("correct", "give either correct (true or false) or rating (1 to 5)");
  // Just answered, its event may still be on its way to the database.
  auto subject = parts.advisor.recent(feedback.org_id, feedback.request_id);
  if (!subject) {
    ASAHI_CO_TRY(subject, co_await parts.store.subject(feedback.org_id, feedback.request_id));
  }
  if (!subject) {
    co_return fail(Errc::kNotFound,
                   fmt::format("no answered request '{}'; the latest may take some seconds to be "
                               "known",
                               feedback.request_id));
  }
  feedback.model = subject->model;
  feedback.task_type = subject->task_type;
  if (auto kept = co_await parts.store.keep(feedback); !kept)
    co_return std::unexpected(std::move(kept.error()));
  const auto learnt = parts.advisor.learn(feedback.org_id, feedback.request_id, feedback.value());
  co_return reply(201, {{"request_id", feedback.request_id},
                        {"model", feedback.model},
                        {"task_type", feedback.task_type},
                        {"router_learned", learnt.router},
                        {"agent_learned", learnt.agent}});
}

}  // namespace

void add_routing_routes(http::Router& router, RoutingParts given) {
  const auto parts = std::make_shared<const RoutingParts>(std::move(given));
  using enum http::Method;
  add(router, parts, kGet, "/routing/rules", "manage_policy", get_rules);
  add(router, parts, kPut, "/routing/rules", "manage_policy", put_rules);
  add(router, parts, kDelete, "/routing/rules", "manage_policy", delete_rules);
  add(router, parts, kPost, "/routing/rules/validate", "manage_policy", validate_rules);
  add(router, parts, kPost, "/routing/rules/dry-run", "manage_policy", dry_run);
  add(router, parts, kGet, "/routing/weights", "manage_policy", get_weights);
  add(router, parts, kPut, "/routing/weights", "manage_policy", put_weights);
  add(router, parts, kPost, "/routing/feedback", "infer", give_feedback);
}

}  // namespace asahi::gateway
