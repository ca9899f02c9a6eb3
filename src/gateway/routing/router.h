#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/config.h"
#include "gateway/routing/route.h"

namespace asahi::gateway {

struct Survey;

/// Chooses the model for a request and what to try when it fails (gateway spec §3.11). Pure:
/// everything a decision depends on comes in with the call. Immutable, so thread-safe.
class Router {
 public:
  /// Both settings must have passed `bind`.
  Router(RoutingConfig config, TaskTable tasks);

  /// Errors, with the reasons of gateway spec §2.11:
  /// invalid_argument — model_not_found, cost_budget_unsatisfiable, or no reason (no model has the
  /// capabilities); forbidden — model_blocked, compliance_violation (residency); unavailable —
  /// no_models_available, circuit_open.
  Result<Plan> plan(std::shared_ptr<const Registry> registry, const RouteRequest& request,
                    const HealthView& health) const;

  /// The model to ask once more when an answer was found wanting: of those that are permitted, can
  /// take the prompt and are better than `than`, the least good. One attempt, no fallback. Empty:
  /// there is none.
  std::optional<Plan> next_better(std::shared_ptr<const Registry> registry,
                                  const RouteRequest& request, const HealthView& health,
                                  const ModelProfile& than) const;

  /// Task defaults merged with the caller's limits (R20). `trusted` false: the row of "general".
  RouteLimits autopilot_limits(const RouteRequest& request, bool trusted = true) const;
  /// Preferences, then the caller's own limits, then the task's floor.
  RouteLimits guided_limits(const RouteRequest& request) const;

  /// The row of a task type; of "general" when it has none.
  const TaskSettings& task(std::string_view task_type) const;
  /// `task_type` if given, or a `task_id` that equals a known type (R37); empty: detect.
  std::string_view task_hint(std::string_view task_type, std::string_view task_id) const;

 private:
  struct Slot {
    std::string model;
    int max_latency_ms = 0;
    double max_cost_per_1k = 0;
  };
  struct Chain {
    std::vector<std::string> for_models;
    Triggers triggers;
    std::vector<Slot> slots;
  };

  Result<Plan> plan_explicit(std::shared_ptr<const Registry> registry, const RouteRequest& request,
                             const HealthView& health) const;
  /// Guided rules first, then the strategy, then base selection. A chain of the rules is kept in
  /// `chain` and set in `request`, for the attempts.
  Result<std::size_t> choose(const Registry& registry, Survey& survey, RouteRequest& request,
                             std::vector<std::string>& chain, const HealthView& health,
                             Decision& decision) const;
  std::optional<std::size_t> by_rules(const Registry& registry, Survey& survey,
                                      RouteRequest& request, std::vector<std::string>& chain,
                                      Decision& decision) const;
  /// Empty: nobody fits, or the strategy has nothing to say.
  std::optional<std::size_t> by_factors(const Registry& registry, const Survey& survey,
                                        const RouteRequest& request, const HealthView& health,
                                        Decision& decision) const;
  static std::optional<std::size_t> by_learning(const Registry& registry, const Survey& survey,
                                                const RouteRequest& request, Decision& decision);
  /// Base selection: the best value that fits, or the fallback.
  Result<std::size_t> select(const Registry& registry, const Survey& survey,
                             const RouteRequest& request, Decision& decision) const;
  /// Some(empty) when a chain applies but none of its models can serve.
  std::optional<Chain> chain_for(const Registry& registry, const RouteRequest& request,
                                 std::string_view model) const;
  std::vector<std::size_t> usable_slots(const Chain& chain, const Registry& registry,
                                        const Survey& survey, const RouteRequest& request,
                                        std::size_t except) const;
  std::vector<Attempt> attempts(const Registry& registry, const Survey& survey,
                                const RouteRequest& request, std::size_t chosen) const;
  bool over_strict_budget(const Survey& survey, std::size_t model) const;

  enum class Strategy { kRatio, kMultifactor, kLearned };

  RoutingConfig config_;
  Strategy strategy_ = Strategy::kRatio;
  TaskTable tasks_;
  std::vector<Chain> chains_;
};

/// The models that settings name but the registry lacks: the fallback model, fallback chains.
/// Empty: good.
std::vector<config::Fault> check_models(const RoutingConfig& config, const Registry& registry);

}  // namespace asahi::gateway
