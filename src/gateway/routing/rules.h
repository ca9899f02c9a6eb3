#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "gateway/routing/route.h"

namespace asahi::gateway {

struct Survey;

/// One guided rule (gateway spec §3.11). Which fields mean something depends on the type.
struct RoutingRule {
  /// In the order of their precedence.
  enum class Type : std::uint8_t {
    kStepBased,            ///< the step of a session names the model
    kTimeBased,            ///< the hour names the model
    kCostCeiling,          ///< dearer models are left out
    kModelAllowlist,       ///< other models are left out
    kProviderRestriction,  ///< other vendors are left out
    kFallbackChain,        ///< what is tried, in order
  };
  Type type = Type::kStepBased;
  std::string name;     ///< for people; may be empty
  bool enabled = true;  ///< false: kept, but not applied

  std::map<int, std::string> steps;  ///< step (1, 2, …) to model
  std::string default_model;         ///< of steps without a row; empty: the rule is silent there
  int from_hour = 0,
      to_hour = 0;     ///< UTC, 0 to 23; `to_hour` is the first hour that is out; may wrap
  std::string model;   ///< of the time range
  double max_usd = 0;  ///< per 1,000 tokens, mean of input and output price
  std::vector<std::string> models;  ///< allowlist (names, aliases, "gpt-*") or chain (names)
  std::vector<std::string> providers;
  Triggers triggers{Trigger::kRateLimit, Trigger::kServerError, Trigger::kTimeout};

  bool covers(int hour) const {
    return from_hour < to_hour ? hour >= from_hour && hour < to_hour
                               : hour >= from_hour || hour < to_hour;
  }
  bool operator==(const RoutingRule&) const = default;
};
std::string_view to_string(RoutingRule::Type type);

/// The guided rules of an organisation.
struct RoutingRules {
  std::vector<RoutingRule> rules;
  bool empty() const { return rules.empty(); }
  bool operator==(const RoutingRules&) const = default;
};

/// Something that keeps rules from being used.
struct RuleFault {
  std::string path;  ///< "rules[2].max_usd"
  std::string message;
};
struct RulesReading {
  RoutingRules rules;
  std::vector<RuleFault> faults;  ///< empty: `rules` may be used
};
/// Reads `{"rules": […]}` and checks it: known models and vendors, no overlapping hours, chains of
/// 2 to 4 models without repeats, positive ceilings, at most 50 rules. All faults at once.
/// `registry` null: names are not looked up (stored rules outlive models).
RulesReading read_rules(const json::value& body, const Registry* registry);
/// As GET shows it; `read_rules` gives the same rules back.
json::array rules_json(const RoutingRules& rules);

/// Where enabled rules contradict each other, one sentence each: a model that a step or an hour
/// names and a filter leaves out, filters that leave nothing, rules of which only the first counts.
std::vector<std::string> conflicts_of(const RoutingRules& rules, const Registry& registry);

/// What rules say about one request.
struct RuleVerdict {
  std::optional<std::size_t> chosen;  ///< named directly: by a step, an hour or a lone chain
  std::vector<std::string> chain;     ///< what is tried after a failure, in order; empty: no chain
  Triggers triggers;                  ///< of the chain
  std::vector<std::string> applied;   ///< "step_based (step 2)", in order of precedence
  std::vector<std::string>
      conflicts;  ///< "time_based names gpt-4o, which model_allowlist leaves out"
};
/// Applies the enabled rules. Models that a filter leaves out are marked `kRuledOut` in `survey`; a
/// rule that names a model which cannot answer now is passed over and told among the conflicts.
/// `step`: of the session, from 1 on. Pure.
RuleVerdict apply_rules(const RoutingRules& rules, const Registry& registry, Survey& survey,
                        int step, Clock::Time now);

}  // namespace asahi::gateway
