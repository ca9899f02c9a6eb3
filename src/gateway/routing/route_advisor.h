#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/task.h"
#include "gateway/config.h"
#include "gateway/routing/agent_record.h"
#include "gateway/routing/learned/learned_router.h"
#include "gateway/routing/route.h"
#include "gateway/routing/routing_store.h"
#include "telemetry/metrics.h"

namespace asahi::gateway {

/// What holds for the routing of one call beside its own fields.
struct RouteAdvice {
  std::shared_ptr<const OrgRouting> routing;  ///< null: nothing that matters for this call
  bool budget_is_short = false;
  std::string warning;  ///< for the reply: rules could not be read
};

/// An answer that feedback may come for.
struct Answered {
  std::string_view org, request_id, agent, prompt;
  const Decision& decision;
  std::string_view model;       ///< who answered
  double expected = 0;          ///< quality of its profile, 0 to 5
  std::optional<double> found;  ///< quality that the screen found; empty: not looked at
};

/// Brings to the router what it must not look up itself (an organisation's rules and weights, what
/// was learned of prompts and agents), and takes what answers and feedback teach. Thread-safe.
class RouteAdvisor {
 public:
  /// `store` and `metrics` outlive the advisor. `learned` null: the strategy is another one, or
  /// nobody trained it.
  RouteAdvisor(const RoutingConfig& config, RoutingStore& store, telemetry::Registry& metrics,
               std::unique_ptr<learned::LearnedRouter> learned);
  ~RouteAdvisor();

  /// From memory; empty: the database must be asked, use `read`.
  std::optional<RouteAdvice> try_read(std::string_view org, RoutingMode mode) const;
  /// Never fails: without a database nothing but a warning is known.
  Aw<RouteAdvice> read(std::string org) const;
  /// Puts advice and prompt into a request; all must outlive the call of the router.
  void advise(RouteRequest& request, const RouteAdvice& advice, std::string_view org,
              std::string_view agent, std::string_view prompt) const;
  /// The multi-factor strategy asks whether little budget is left; others need not find out.
  bool weighs_budget() const { return multifactor_; }

  void answered(const Answered& answer);
  struct Learnt {
    bool router = false;  ///< the learned router took a step
    bool agent = false;   ///< the agent's record grew
  };
  /// `value`: 0 (useless) to 1. Only for answers of this process that it still remembers, some
  /// thousand; feedback for others is merely stored.
  Learnt learn(std::string_view org, std::string_view request_id, double value);
  /// The model that answered, while the request is remembered.
  std::optional<FeedbackSubject> recent(std::string_view org, std::string_view request_id) const;

  const learned::LearnedRouter* learned() const { return learned_.get(); }

 private:
  struct Recent {
    std::string agent, model, task_type;
    double expected = 0;
    std::optional<learned::LearnedRouter::Remembered> prompt;
    std::list<std::string>::iterator age;
  };
  static std::string key_of(std::string_view org, std::string_view request_id);

  static constexpr std::size_t kRemembered = 4'096;

  RoutingStore& store_;
  const bool multifactor_;
  const std::unique_ptr<learned::LearnedRouter> learned_;
  AgentRecord agents_;
  telemetry::Counter& to_weak_;
  telemetry::Counter& to_strong_;
  telemetry::Counter& feedback_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Recent> recent_;
  std::list<std::string> ages_;  ///< most recent first
};

/// Reads the trained router where the strategy wants one. Without it a warning is logged that says
/// how to train one, and the ratio strategy decides.
std::unique_ptr<learned::LearnedRouter> load_learned(const RoutingConfig& config,
                                                     const Registry& registry);

}  // namespace asahi::gateway
