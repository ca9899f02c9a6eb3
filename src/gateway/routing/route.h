#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/money.h"
#include "base/result.h"
#include "gateway/routing/model_registry.h"
#include "gateway/routing/task_detector.h"

namespace asahi::gateway {

enum class RoutingMode { kAutopilot, kGuided, kExplicit };
enum class QualityPreference { kLow, kMedium, kHigh, kMax };
enum class LatencyPreference { kSlow, kNormal, kFast, kInstant };
std::string_view to_string(RoutingMode mode);
std::string_view to_string(QualityPreference preference);
std::string_view to_string(LatencyPreference preference);

/// The words of a request. Errors: invalid_argument naming the field and listing the allowed words
/// (R16).
Result<RoutingMode> parse_routing_mode(std::string_view word);
Result<QualityPreference> parse_quality_preference(std::string_view word);
Result<LatencyPreference> parse_latency_preference(std::string_view word);
/// `model` and `model_override` are synonyms (R17); empty: none given. Errors: invalid_argument
/// when both are given and differ.
Result<std::string_view> requested_model(std::string_view model, std::string_view model_override);

/// What a vendor can do now, as breaker, health poll and keys say.
enum class VendorHealth {
  kHealthy,
  kDegraded,     ///< still used
  kBreakerOpen,  ///< left alone until its breaker lets a probe through
  kUnreachable,  ///< the health poll says so
  kNoKey,        ///< no platform key; a caller's own key makes up for it
};
using HealthView = std::function<VendorHealth(std::string_view provider)>;

/// What may start a fallback (gateway spec §3.11).
enum class Trigger : std::uint8_t { kRateLimit, kServerError, kTimeout, kCostCeiling, kNoKey };
std::string_view to_string(Trigger trigger);
std::optional<Trigger> parse_trigger(std::string_view word);
/// The trigger that a failed vendor call amounts to; empty: another model would not help (bad
/// request, cancelled).
std::optional<Trigger> trigger_of(const Error& error);

class Triggers {
 public:
  constexpr Triggers() = default;
  constexpr Triggers(std::initializer_list<Trigger> list) {
    for (const Trigger t : list) add(t);
  }
  constexpr void add(Trigger t) { bits_ |= 1U << static_cast<unsigned>(t); }
  constexpr bool has(Trigger t) const { return (bits_ >> static_cast<unsigned>(t) & 1U) != 0; }
  friend constexpr bool operator==(Triggers, Triggers) = default;

 private:
  std::uint32_t bits_ = 0;
};

/// Which models a request may use at all. Views must outlive the call of the router.
/// A listed model is a name, an alias or a prefix with a final "*" ("gpt-*").
struct RouteFilter {
  std::span<const std::string> allowed_models;  ///< empty: all
  std::span<const std::string>
      key_models;  ///< a second list that must name the model too: the API key's
  std::span<const std::string> blocked_models;  ///< wins over allowed
  std::string_view region;                      ///< residency requirement; empty: none
  Capabilities required{Capability::kChat};     ///< what the request needs: tools, images …
};

struct RoutingRules;
struct ScoreWeights;

/// How much better or worse an agent's answers by a model were than the model's profile says.
class AgentShifts {
 public:
  virtual ~AgentShifts() = default;
  /// −0.2 to 0.2 on the scale of 0 to 1; 0 when little is known.
  virtual double shift(std::string_view org, std::string_view agent,
                       std::string_view model) const = 0;
};

/// What the learned router says about a prompt.
struct LearnedChoice {
  std::string_view weak, strong;  ///< names of the models it was trained on
  double gain = 0;  ///< expected gain of the strong model: difference of the chances to be right
  double threshold = 0;  ///< from this gain on the strong model is worth its price
  std::string_view why;  ///< what spoke most for or against: "numbers", "length", "words" …
};

/// All that a routing decision depends on. Views must outlive the call of the router.
struct RouteRequest {
  RoutingMode mode = RoutingMode::kAutopilot;
  std::string_view model;  ///< explicit mode: name or alias
  TaskDetection task;
  std::int64_t input_tokens = 0;
  std::int64_t max_tokens = 1024;
  /// Limits as the caller sent them; empty: not sent.
  std::optional<double> quality_threshold;
  std::optional<int> latency_budget_ms;
  std::optional<NanoUsd> cost_budget;
  /// The organisation's, of tasks without a row of their own; empty: the configuration's.
  std::optional<double> default_quality_threshold;
  std::optional<int> default_latency_budget_ms;
  std::optional<QualityPreference> quality_preference;
  std::optional<LatencyPreference> latency_preference;
  RouteFilter filter;
  /// Explicit mode: another model may answer when the named one cannot.
  bool allow_fallback = false;
  /// Up to three models to try after the first, in this order; replaces configured chains.
  std::span<const std::string> fallback_models;
  /// The failures that start `fallback_models`; empty: all that a vendor can be blamed for.
  std::optional<Triggers> fallback_triggers;
  /// The caller brought a vendor key: a vendor without a platform key is fine.
  bool caller_has_key = false;
  /// Explicit mode: also list the other models with their cost. Off where nobody is shown them.
  bool list_alternatives = true;

  /// Guided mode: the organisation's rules, the step of the session (from 1 on) and the time.
  const RoutingRules* rules = nullptr;
  int step = 1;
  Clock::Time now{};
  /// Multi-factor strategy: the prompt, the organisation's weights (null: the usual ones), whether
  /// little of its budget is left, and what is known of the agent that asks.
  std::string_view prompt;
  const ScoreWeights* weights = nullptr;
  bool budget_is_short = false;
  const AgentShifts* shifts = nullptr;
  std::string_view org, agent;
  /// Learned strategy; empty: nothing was learned, the ratio strategy decides.
  std::optional<LearnedChoice> learned;
};

/// What base selection holds candidates to.
struct RouteLimits {
  double min_quality = 0;
  int max_latency_ms = 0;
  std::optional<NanoUsd> max_cost;
};

/// Explicit mode: what another model would have cost.
struct Alternative {
  const ModelProfile* model = nullptr;
  NanoUsd estimated_cost;
  double savings_percent = 0;  ///< against the named model, one decimal; negative: dearer
};

/// Why a model was chosen.
struct Decision {
  const ModelProfile* model = nullptr;
  RoutingMode mode = RoutingMode::kAutopilot;
  /// Quality per dollar, 4 decimals; 0 after a fallback and in explicit mode. A free model has no
  /// such ratio: its quality stands here.
  double score = 0;
  /// Multi-factor strategy: 0.5 plus the margin to the runner-up, 1 at most; elsewhere 0.
  double confidence = 0;
  std::string reason;  ///< one sentence for people
  /// Guided rules that decided, and where they contradict each other or cannot be followed now.
  std::vector<std::string> rules_applied, rule_conflicts;
  int candidates_evaluated =
      0;  ///< models that met every limit; after a fallback, the permitted ones compared
  bool fallback_used = false;
  std::string task_type_detected;
  /// Learned strategy: the prompt's gain decided; the model may learn from what comes of it.
  bool learned = false;
  bool treated_as_general = false;  ///< autopilot did not trust the detected task; worth a log line
  RouteLimits limits;
  NanoUsd estimated_cost;
  std::vector<Alternative> alternatives;  ///< explicit mode: best saving first
};

/// One model to try.
struct Attempt {
  enum class Origin {
    kChosen,
    kChain,           ///< a slot of the request's or a configured fallback chain
    kOtherVendor,     ///< the next best candidate of a vendor not tried yet
    kHighestQuality,  ///< the best model left, whatever it costs
    kLastResort,      ///< routing.fallback_model
  };
  const ModelProfile* model = nullptr;
  Origin origin = Origin::kChosen;
  Triggers triggers;  ///< the failures of the attempt before that lead here; empty for the first
};
std::string_view to_string(Attempt::Origin origin);

/// A decision and, in order, what to try when calls fail. Profiles stay valid as long as the plan
/// lives.
struct Plan {
  std::shared_ptr<const Registry> registry;
  Decision decision;
  std::vector<Attempt> attempts;  ///< at least one; the first is `decision.model`
};

}  // namespace asahi::gateway
