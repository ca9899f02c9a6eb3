#include "gateway/routing/rules.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <set>

#include "gateway/governance/json_reader.h"
#include "gateway/routing/survey.h"

namespace asahi::gateway {
namespace {

using Type = RoutingRule::Type;

constexpr std::array<std::string_view, 6> kTypes{"step_based",           "time_based",
                                                 "cost_ceiling_per_1k",  "model_allowlist",
                                                 "provider_restriction", "fallback_chain"};
constexpr std::size_t kMostRules = 50;
constexpr std::size_t kMostNames = 200;
constexpr std::size_t kLongestChain = 4;
constexpr int kLastStep = 1'000;
constexpr double kHighestCeiling = 10;

std::optional<Type> parse_type(std::string_view word) {
  const auto found = std::ranges::find(kTypes, word);
  if (found == kTypes.end()) return std::nullopt;
  return static_cast<Type>(found - kTypes.begin());
}

bool is_pattern(std::string_view entry) { return entry.ends_with('*'); }

/// A list entry names this model: by name, alias or prefix.
bool names(const Registry& registry, std::string_view entry, std::size_t model) {
  if (is_pattern(entry)) {
    return registry.all()[model].name.starts_with(entry.substr(0, entry.size() - 1));
  }
  return registry.index_of(entry) == model;
}

bool lets_pass(const Registry& registry, const RoutingRule& rule, std::size_t model) {
  const ModelProfile& profile = registry.all()[model];
  const auto named = [&](const std::string& entry) { return names(registry, entry, model); };
  switch (rule.type) {
    case Type::kCostCeiling:
      return profile.average_price_per_1k() <= rule.max_usd;
    case Type::kModelAllowlist:
      return std::ranges::any_of(rule.models, named);
    case Type::kProviderRestriction:
      return std::ranges::find(rule.providers, profile.provider) != rule.providers.end();
    case Type::kStepBased:
    case Type::kTimeBased:
    case Type::kFallbackChain:
      return true;
  }
  return true;
}

bool is_filter(Type type) {
  return type == Type::kCostCeiling || type == Type::kModelAllowlist ||
         type == Type::kProviderRestriction;
}

std::string label(const RoutingRule& rule) {
  return rule.name.empty() ? std::string(to_string(rule.type))
                           : fmt::format("{} '{}'", to_string(rule.type), rule.name);
}

/// Reads one rule; what is wrong goes to `faults`.
class RuleReader {
 public:
  RuleReader(const Registry* registry, std::vector<RuleFault>& faults)
      : registry_(registry), faults_(faults) {}

  void read(const json::value& value, const std::string& path, RoutingRules& rules) {
    path_ = path;
    JsonReader reader(value, path + ".");
    std::string type, name;
    reader.text("type", type, 40);
    reader.text("name", name, 100);
    if (auto read = reader.result(); !read) {
      fault(read.error());
      return;
    }
    const auto known = parse_type(type);
    if (!known) {
      fault("type",
            fmt::format("type is '{}'; it must be one of {}", type, fmt::join(kTypes, ", ")));
      return;
    }
    RoutingRule rule{.type = *known, .name = std::move(name)};
    reader.flag("enabled", rule.enabled);
    read_fields(reader, value, rule);
    if (auto read = reader.result(); !read) {
      fault(read.error());
      return;
    }
    check(rule);
    rules.rules.push_back(std::move(rule));
  }

 private:
  void fault(const Error& error) { faults_.push_back({error.field, error.message}); }
  void fault(std::string_view field, std::string message) {
    faults_.push_back({fmt::format("{}.{}", path_, field), std::move(message)});
  }

  void read_fields(JsonReader& reader, const json::value& value, RoutingRule& rule) {
    switch (rule.type) {
      case Type::kStepBased:
        reader.only({"type", "name", "enabled", "steps"});
        read_steps(value, rule);
        break;
      case Type::kTimeBased:
        reader.only({"type", "name", "enabled", "from_hour", "to_hour", "model"});
        rule.from_hour = rule.to_hour = -1;
        reader.integer("from_hour", rule.from_hour, 0, 23);
        reader.integer("to_hour", rule.to_hour, 0, 24);
        reader.text("model", rule.model, 128);
        break;
      case Type::kCostCeiling:
        reader.only({"type", "name", "enabled", "max_usd"});
        reader.number("max_usd", rule.max_usd, 0, kHighestCeiling);
        break;
      case Type::kModelAllowlist:
        reader.only({"type", "name", "enabled", "models"});
        reader.texts("models", rule.models, kMostNames, 128);
        break;
      case Type::kProviderRestriction:
        reader.only({"type", "name", "enabled", "providers"});
        reader.texts("providers", rule.providers, kMostNames, 64);
        break;
      case Type::kFallbackChain: {
        reader.only({"type", "name", "enabled", "models", "triggers"});
        reader.texts("models", rule.models, kMostNames, 128);
        std::vector<std::string> words;
        reader.texts("triggers", words, 5, 20);
        if (!words.empty()) rule.triggers = {};
        for (const std::string& word : words) {
          if (const auto trigger = parse_trigger(word)) {
            rule.triggers.add(*trigger);
          } else {
            fault("triggers", fmt::format("'{}' is no trigger; use rate_limit, server_error, "
                                          "timeout, cost_ceiling or no_key",
                                          word));
          }
        }
        break;
      }
    }
  }

  void read_steps(const json::value& value, RoutingRule& rule) {
    const json::value* steps = value.get_object().if_contains("steps");
    if (steps == nullptr || !steps->is_object()) {
      fault("steps", "steps must be an object from step (1, 2, …) or \"default\" to a model");
      return;
    }
    const std::size_t faults_before = faults_.size();
    for (const auto& member : steps->get_object()) {
      const std::string_view key = member.key();
      if (!member.value().is_string()) {
        fault("steps", fmt::format("steps.{} must be the name of a model", key.substr(0, 20)));
        continue;
      }
      std::string model(member.value().get_string());
      if (key == "default") {
        rule.default_model = std::move(model);
        continue;
      }
      int step = 0;
      const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), step);
      if (error != std::errc() || end != key.data() + key.size() || step < 1 || step > kLastStep) {
        fault("steps", fmt::format("'{}' is no step; steps are numbers from 1 to {}, or default",
                                   key.substr(0, 20), kLastStep));
        continue;
      }
      rule.steps[step] = std::move(model);
    }
    if (rule.steps.empty() && rule.default_model.empty() && faults_.size() == faults_before)
      fault("steps", "steps names no model");
  }

  void check_model(std::string_view field, const std::string& name) {
    if (name.empty()) {
      fault(field, fmt::format("{} is missing; name a model of GET /models", field));
    } else if (registry_ != nullptr && registry_->get(name) == nullptr) {
      fault(field, fmt::format("no model named '{}'; see GET /models", name));
    }
  }

  void check(const RoutingRule& rule) {
    switch (rule.type) {
      case Type::kStepBased:
        for (const auto& [step, model] : rule.steps) check_model("steps", model);
        if (!rule.default_model.empty()) check_model("steps", rule.default_model);
        break;
      case Type::kTimeBased:
        if (rule.from_hour < 0 || rule.to_hour < 0) {
          fault("from_hour", "from_hour (0 to 23) and to_hour (0 to 24) must be given, UTC");
        } else if (rule.from_hour == rule.to_hour) {
          fault("to_hour", "from_hour and to_hour are equal; for the whole day give 0 and 24");
        }
        check_model("model", rule.model);
        break;
      case Type::kCostCeiling:
        if (rule.max_usd <= 0) {
          fault("max_usd", "max_usd must be more than 0, in USD per 1,000 tokens");
        }
        break;
      case Type::kModelAllowlist:
        if (rule.models.empty()) fault("models", "models must name at least one model");
        for (const std::string& entry : rule.models) check_entry(entry);
        break;
      case Type::kProviderRestriction:
        if (rule.providers.empty()) fault("providers", "providers must name at least one vendor");
        for (const std::string& name : rule.providers) {
          if (registry_ != nullptr &&
              std::ranges::find(registry_->providers(), name) == registry_->providers().end()) {
            fault("providers", fmt::format("no model is of vendor '{}'; vendors are {}", name,
                                           fmt::join(registry_->providers(), ", ")));
          }
        }
        break;
      case Type::kFallbackChain: {
        if (rule.models.size() < 2 || rule.models.size() > kLongestChain) {
          fault("models", fmt::format("a chain has 2 to {} models, not {}", kLongestChain,
                                      rule.models.size()));
        }
        std::set<std::string> seen;
        for (const std::string& name : rule.models) {
          check_model("models", name);
          // An alias of a model that stands there already is a repeat too.
          const ModelProfile* profile = registry_ != nullptr ? registry_->get(name) : nullptr;
          if (!seen.insert(profile != nullptr ? profile->name : name).second) {
            fault("models", fmt::format("'{}' stands twice in the chain", name));
          }
        }
        break;
      }
    }
  }

  void check_entry(const std::string& entry) {
    if (!is_pattern(entry)) {
      check_model("models", entry);
    } else if (registry_ != nullptr) {
      const auto prefix = std::string_view(entry).substr(0, entry.size() - 1);
      if (std::ranges::none_of(registry_->all(), [prefix](const ModelProfile& model) {
            return model.name.starts_with(prefix);
          })) {
        fault("models", fmt::format("no model begins with '{}'; see GET /models", prefix));
      }
    }
  }

  const Registry* registry_;
  std::vector<RuleFault>& faults_;
  std::string path_;
};

void check_hours(const RoutingRules& rules, std::vector<RuleFault>& faults) {
  std::array<const RoutingRule*, 24> taken{};
  for (std::size_t i = 0; i < rules.rules.size(); ++i) {
    const RoutingRule& rule = rules.rules[i];
    if (rule.type != Type::kTimeBased || !rule.enabled || rule.from_hour < 0 || rule.to_hour < 0)
      continue;
    bool told = false;
    for (int hour = 0; hour < 24; ++hour) {
      if (!rule.covers(hour)) continue;
      const RoutingRule*& owner = taken[static_cast<std::size_t>(hour)];
      if (owner == nullptr) {
        owner = &rule;
      } else if (!told) {
        told = true;
        faults.push_back(
            {fmt::format("rules[{}].from_hour", i),
             fmt::format("the hours {} to {} overlap those of another rule ({} to {}) "
                         "at {}:00 UTC",
                         rule.from_hour, rule.to_hour, owner->from_hour, owner->to_hour, hour)});
      }
    }
  }
}

int hour_of(Clock::Time now) {
  const auto since = now - std::chrono::floor<std::chrono::days>(now);
  return static_cast<int>(std::chrono::duration_cast<std::chrono::hours>(since).count());
}

/// The model that a rule names for this step and hour; null: none.
const std::string* named_by(const RoutingRule& rule, int step, int hour) {
  if (rule.type == Type::kTimeBased) return rule.covers(hour) ? &rule.model : nullptr;
  if (rule.type != Type::kStepBased) return nullptr;
  const auto found = rule.steps.find(step);
  if (found != rule.steps.end()) return &found->second;
  return rule.default_model.empty() ? nullptr : &rule.default_model;
}

}  // namespace

std::string_view to_string(Type type) { return kTypes[static_cast<std::size_t>(type)]; }

RulesReading read_rules(const json::value& body, const Registry* registry) {
  RulesReading reading;
  const json::object* object = body.if_object();
  const json::value* list = object != nullptr ? object->if_contains("rules") : nullptr;
  if (list == nullptr || !list->is_array()) {
    reading.faults.push_back({"rules", "rules must be an array of rules"});
    return reading;
  }
  if (list->get_array().size() > kMostRules) {
    reading.faults.push_back({"rules", fmt::format("there are {} rules; at most {} are allowed",
                                                   list->get_array().size(), kMostRules)});
    return reading;
  }
  RuleReader reader(registry, reading.faults);
  std::size_t i = 0;
  for (const json::value& rule : list->get_array()) {
    reader.read(rule, fmt::format("rules[{}]", i++), reading.rules);
  }
  if (reading.faults.empty()) check_hours(reading.rules, reading.faults);
  return reading;
}

json::array rules_json(const RoutingRules& rules) {
  json::array out;
  const auto texts = [](const std::vector<std::string>& list) {
    json::array names;
    for (const std::string& name : list) names.emplace_back(name);
    return names;
  };
  for (const RoutingRule& rule : rules.rules) {
    json::object shown{{"type", to_string(rule.type)}};
    if (!rule.name.empty()) shown["name"] = rule.name;
    shown["enabled"] = rule.enabled;
    switch (rule.type) {
      case Type::kStepBased: {
        json::object steps;
        for (const auto& [step, model] : rule.steps) steps[std::to_string(step)] = model;
        if (!rule.default_model.empty()) steps["default"] = rule.default_model;
        shown["steps"] = std::move(steps);
        break;
      }
      case Type::kTimeBased:
        shown["from_hour"] = rule.from_hour;
        shown["to_hour"] = rule.to_hour;
        shown["model"] = rule.model;
        break;
      case Type::kCostCeiling:
        shown["max_usd"] = rule.max_usd;
        break;
      case Type::kModelAllowlist:
        shown["models"] = texts(rule.models);
        break;
      case Type::kProviderRestriction:
        shown["providers"] = texts(rule.providers);
        break;
      case Type::kFallbackChain: {
        shown["models"] = texts(rule.models);
        json::array triggers;
        for (const Trigger trigger : {Trigger::kRateLimit, Trigger::kServerError, Trigger::kTimeout,
                                      Trigger::kCostCeiling, Trigger::kNoKey}) {
          if (rule.triggers.has(trigger)) triggers.emplace_back(to_string(trigger));
        }
        shown["triggers"] = std::move(triggers);
        break;
      }
    }
    out.push_back(std::move(shown));
  }
  return out;
}

std::vector<std::string> conflicts_of(const RoutingRules& rules, const Registry& registry) {
  std::vector<std::string> conflicts;
  std::vector<const RoutingRule*> filters;
  std::array<int, kTypes.size()> count{};
  for (const RoutingRule& rule : rules.rules) {
    if (!rule.enabled) continue;
    ++count[static_cast<std::size_t>(rule.type)];
    if (is_filter(rule.type)) filters.push_back(&rule);
  }
  const auto several = [&](Type type) { return count[static_cast<std::size_t>(type)] > 1; };
  for (const Type type : {Type::kStepBased, Type::kFallbackChain}) {
    if (several(type)) {
      conflicts.push_back(fmt::format("there are {} {} rules; only the first that applies counts",
                                      count[static_cast<std::size_t>(type)], to_string(type)));
    }
  }
  const auto hold_against = [&](const RoutingRule& rule, const std::string& model) {
    const auto index = registry.index_of(model);
    if (!index) return;
    for (const RoutingRule* filter : filters) {
      if (lets_pass(registry, *filter, *index)) continue;
      conflicts.push_back(
          fmt::format("{} names {}, which {} leaves out", label(rule), model, label(*filter)));
    }
  };
  for (const RoutingRule& rule : rules.rules) {
    if (!rule.enabled) continue;
    for (const auto& [step, model] : rule.steps) hold_against(rule, model);
    if (!rule.default_model.empty()) hold_against(rule, rule.default_model);
    if (rule.type == Type::kTimeBased) hold_against(rule, rule.model);
    if (rule.type == Type::kFallbackChain) {
      for (const std::string& model : rule.models) hold_against(rule, model);
    }
  }
  if (!filters.empty()) {
    bool some = false;
    for (std::size_t i = 0; i < registry.size(); ++i) {
      some = some || std::ranges::all_of(filters, [&](const RoutingRule* filter) {
               return lets_pass(registry, *filter, i);
             });
    }
    if (!some) {
      std::vector<std::string> labels;
      for (const RoutingRule* filter : filters) labels.push_back(label(*filter));
      conflicts.push_back(fmt::format("{} together leave no model", fmt::join(labels, " and ")));
    }
  }
  return conflicts;
}

RuleVerdict apply_rules(const RoutingRules& rules, const Registry& registry, Survey& survey,
                        int step, Clock::Time now) {
  RuleVerdict verdict;
  const int hour = hour_of(now);
  const RoutingRule* chain = nullptr;
  const RoutingRule* direct = nullptr;
  for (const Type type : {Type::kStepBased, Type::kTimeBased}) {
    for (const RoutingRule& rule : rules.rules) {
      if (!rule.enabled || rule.type != type) continue;
      const std::string* model = named_by(rule, step, hour);
      if (model == nullptr) continue;
      const std::string when =
          type == Type::kStepBased ? fmt::format("step {}", step) : fmt::format("{}:00 UTC", hour);
      const auto index = registry.index_of(*model);
      if (!index || !survey.permitted(*index) || survey.has(*index, kContextTooSmall)) {
        verdict.conflicts.push_back(
            fmt::format("{} names {}, which cannot answer now", label(rule), *model));
        continue;
      }
      if (verdict.chosen) {
        if (verdict.chosen != index) {
          verdict.conflicts.push_back(
              fmt::format("{} names {}, but {} comes first", label(rule), *model, label(*direct)));
        }
        continue;
      }
      verdict.chosen = index;
      direct = &rule;
      verdict.applied.push_back(fmt::format("{} ({})", label(rule), when));
    }
  }
  for (const Type type : {Type::kCostCeiling, Type::kModelAllowlist, Type::kProviderRestriction}) {
    for (const RoutingRule& rule : rules.rules) {
      if (!rule.enabled || rule.type != type) continue;
      for (std::size_t i = 0; i < registry.size(); ++i) {
        if (lets_pass(registry, rule, i)) continue;
        if (verdict.chosen == i) {
          verdict.conflicts.push_back(fmt::format("{} names {}, which {} leaves out",
                                                  label(*direct), registry.all()[i].name,
                                                  label(rule)));
        } else {
          survey.obstacles[i] |= kRuledOut;
        }
      }
      verdict.applied.push_back(label(rule));
    }
  }
  for (const RoutingRule& rule : rules.rules) {
    if (rule.enabled && rule.type == Type::kFallbackChain && chain == nullptr) chain = &rule;
  }
  if (chain == nullptr) return verdict;
  verdict.triggers = chain->triggers;
  const bool lone = verdict.applied.empty();
  for (const std::string& name : chain->models) {
    const auto index = registry.index_of(name);
    if (!index || verdict.chosen == index) continue;
    const bool usable = survey.permitted(*index) && !survey.has(*index, kContextTooSmall);
    if (lone && !verdict.chosen && usable) {
      verdict.chosen = index;
      continue;
    }
    if (usable) {
      verdict.chain.push_back(name);
    } else {
      verdict.conflicts.push_back(
          fmt::format("{} names {}, which cannot answer now", label(*chain), name));
    }
  }
  verdict.applied.push_back(label(*chain));
  return verdict;
}

}  // namespace asahi::gateway
