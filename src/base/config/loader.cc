#include "base/config/loader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <deque>
#include <limits>
#include <set>

#include "base/config/scalars.h"
#include "base/config/yaml_tree.h"
#include "base/utf8.h"

namespace asahi::config {
namespace {

constexpr std::string_view kMask = "***";
constexpr std::size_t kShownBytes = 200;

std::string variable_of(std::string_view path) {
  std::string name = "ASAHI_";
  for (const char c : path) {
    if (c >= 'a' && c <= 'z') {
      name += static_cast<char>(c - 'a' + 'A');
    } else {
      name += (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ? c : '_';
    }
  }
  return name;
}

/// Hides the password of scheme://user:password@host, also where nobody declared the key a secret.
std::string without_password(std::string text) {
  const std::size_t scheme = text.find("://");
  if (scheme == std::string::npos) return text;
  const std::size_t from = scheme + 3;
  const std::size_t host_end = std::min(text.find_first_of("/?#", from), text.size());
  const std::size_t at = text.rfind('@', host_end);
  const std::size_t colon = text.find(':', from);
  if (at == std::string::npos || at < from || at >= host_end || colon >= at) return text;
  return text.replace(colon + 1, at - colon - 1, kMask);
}

std::string shown(const std::string& text) {
  std::string out = mended_utf8(without_password(text), kShownBytes);
  return text.size() > kShownBytes ? out + "..." : out;
}

std::string mask_unless_empty(bool empty) { return empty ? "" : std::string(kMask); }

std::string range_text(std::string_view what, const std::optional<std::string>& low,
                       const std::optional<std::string>& high) {
  if (low && high) return fmt::format("must be {} from {} to {}", what, *low, *high);
  if (low) return fmt::format("must be {} of at least {}", what, *low);
  if (high) return fmt::format("must be {} of at most {}", what, *high);
  return fmt::format("must be {}", what);
}

/// A value where the highest layer that has one gave it.
struct Given {
  std::string path;    // the variable, or the key's path
  std::string origin;  // as Fault::origin
  std::string effective_origin;
  const YamlNode* node = nullptr;  // empty: `text` came from an environment
  std::string text;
};

template <class T>
using Read = std::expected<T, std::string>;  // the error is the rule

std::string quoting_hint(const Given& given) {
  return given.node != nullptr && given.node->kind == YamlNode::Kind::kQuoted ? ", without quotes"
                                                                              : "";
}

bool is_plain(const Given& given) {
  return given.node == nullptr || given.node->kind == YamlNode::Kind::kPlain;
}

Read<bool> read_as(const Given& given, const Rules&, std::type_identity<bool>) {
  if (given.node == nullptr) {
    if (const auto value = read_loose_bool(given.text)) return *value;
    return std::unexpected("must be 1, true, yes or on, or 0, false, no or off");
  }
  if (is_plain(given)) {
    if (const auto value = read_core_bool(given.text)) return *value;
  }
  return std::unexpected("must be true or false" + quoting_hint(given));
}

template <class T>
  requires std::is_integral_v<T>
Read<T> read_as(const Given& given, const Rules& rules, std::type_identity<T>) {
  // size_t beyond int64 is no setting anybody needs.
  constexpr std::int64_t kLowest =
      std::is_signed_v<T> ? std::int64_t{std::numeric_limits<T>::min()} : 0;
  constexpr std::int64_t kHighest = sizeof(T) < 8 ? std::int64_t(std::numeric_limits<T>::max())
                                                  : std::numeric_limits<std::int64_t>::max();
  const auto bound = [](std::optional<double> limit, std::int64_t otherwise,
                        double (*round)(double)) {
    if (!limit || std::abs(*limit) >= 9.2e18) return otherwise;
    return static_cast<std::int64_t>(round(*limit));
  };
  const std::int64_t low =
      std::max(kLowest, bound(rules.min, kLowest, [](double x) { return std::ceil(x); }));
  const std::int64_t high =
      std::min(kHighest, bound(rules.max, kHighest, [](double x) { return std::floor(x); }));
  const IntegerText read =
      is_plain(given) ? read_integer(given.text) : IntegerText{IntegerText::Kind::kNotAnInteger};
  const bool is_integer = read.kind == IntegerText::Kind::kInteger;
  if (is_integer && read.value >= low && read.value <= high) return static_cast<T>(read.value);
  // The type's own limits are worth a word only to somebody who ran into them.
  const bool beyond_type = read.kind == IntegerText::Kind::kTooLarge ||
                           (is_integer && (read.value < kLowest || read.value > kHighest));
  const bool name_low = rules.min || std::is_unsigned_v<T> || beyond_type;
  const bool name_high = rules.max || sizeof(T) < 4 || beyond_type;
  return std::unexpected(
      range_text("an integer", name_low ? std::optional(std::to_string(low)) : std::nullopt,
                 name_high ? std::optional(std::to_string(high)) : std::nullopt) +
      quoting_hint(given));
}

Read<double> read_as(const Given& given, const Rules& rules, std::type_identity<double>) {
  if (is_plain(given)) {
    const auto value = read_number(given.text);
    if (value && (!rules.min || *value >= *rules.min) && (!rules.max || *value <= *rules.max))
      return *value;
  }
  const auto text = [](double limit) { return fmt::format("{}", limit); };
  return std::unexpected(
      range_text("a number", rules.min.transform(text), rules.max.transform(text)) +
      quoting_hint(given));
}

/// The rule that `text` breaks; empty: none.
std::string broken_text_rule(const std::string& text, const Rules& rules) {
  if (!is_utf8(text) || text.find('\0') != std::string::npos)
    return "must be UTF-8 text without zero bytes";
  if (rules.one_of.empty() || std::ranges::find(rules.one_of, text) != rules.one_of.end())
    return {};
  const std::string meant = nearest(text, rules.one_of);
  return fmt::format(
      "must be one of {}{}", fmt::join(rules.one_of, ", "),
      meant.empty() || rules.secret ? "" : fmt::format("; did you mean '{}'?", meant));
}

bool in_range(std::size_t size, const Rules& rules) {
  const auto count = static_cast<double>(size);
  return (!rules.min || count >= *rules.min) && (!rules.max || count <= *rules.max);
}

std::string count_rule(std::string_view what, const Rules& rules) {
  const auto text = [](double limit) { return fmt::format("{:.0f}", limit); };
  return range_text(what, rules.min.transform(text), rules.max.transform(text));
}

Read<std::string> read_as(const Given& given, const Rules& rules, std::type_identity<std::string>) {
  if (given.node != nullptr && !given.node->is_scalar()) return std::unexpected("must be one text");
  if (std::string rule = broken_text_rule(given.text, rules); !rule.empty())
    return std::unexpected(std::move(rule));
  if (!in_range(given.text.size(), rules))
    return std::unexpected(count_rule("a text with a length in bytes", rules));
  return given.text;
}

Read<Secret> read_as(const Given& given, const Rules& rules, std::type_identity<Secret>) {
  if (given.node != nullptr) {
    return std::unexpected(fmt::format(
        "must not stand in the YAML file, which gets copied and committed: set {} instead",
        rules.env.empty() ? variable_of(given.path) : rules.env.front()));
  }
  auto text = read_as(given, rules, std::type_identity<std::string>{});
  if (!text) return std::unexpected(std::move(text.error()));
  return Secret(*std::move(text));
}

Read<std::vector<std::string>> read_as(const Given& given, const Rules& rules,
                                       std::type_identity<std::vector<std::string>>) {
  std::vector<std::string> list;
  if (given.node == nullptr) {
    list = split_list(given.text);
  } else {
    if (given.node->kind != YamlNode::Kind::kList)
      return std::unexpected("must be a list: [a, b], or one '- item' a line");
    for (const YamlNode& item : given.node->items) {
      if (!item.is_scalar()) return std::unexpected("must be a list of texts");
      list.push_back(item.text);
    }
  }
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (const std::string rule = broken_text_rule(list[i], rules); !rule.empty()) {
      return std::unexpected(fmt::format("item {} {}", i + 1, rule));
    }
  }
  if (!in_range(list.size(), rules))
    return std::unexpected(count_rule("a list with a number of items", rules));
  return list;
}

std::string effective_text(bool value) { return value ? "true" : "false"; }
template <class T>
  requires std::is_arithmetic_v<T>
std::string effective_text(T value) {
  return fmt::format("{}", value);
}
std::string effective_text(const std::string& value) { return without_password(value); }
std::string effective_text(const std::vector<std::string>& value) {
  std::vector<std::string> items;
  for (const std::string& item : value) items.push_back(without_password(item));
  return fmt::format("{}", fmt::join(items, ","));
}

std::string given_text(const Given& given) {
  if (given.node == nullptr || given.node->is_scalar()) return shown(given.text);
  if (given.node->kind == YamlNode::Kind::kMap) return "(a section)";
  std::vector<std::string> items;
  for (const YamlNode& item : given.node->items)
    items.push_back(item.is_scalar() ? without_password(item.text) : "(...)");
  return shown(fmt::format("[{}]", fmt::join(items, ", ")));
}

bool in_force(const std::map<std::string, std::string, std::less<>>& variables,
              std::string_view name) {
  const auto found = variables.find(name);
  return found != variables.end() && !found->second.empty();
}

}  // namespace

/// One section: where it stands in the file (twice when both spellings are used), and what was
/// bound below it.
struct Binder::Scope {
  std::string path;
  Scope* parent = nullptr;
  std::vector<const YamlNode*> nodes;
  std::map<std::string, Scope*, std::less<>> sections;
  std::set<std::string, std::less<>> keys;  // bound or opened, aliases included

  std::string path_of(std::string_view key) const {
    return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
  }
};

struct Binder::Impl {
  explicit Impl(Sources from) : sources(std::move(from)) {
    load_yaml();
    root = &scopes.emplace_back();
    if (!yaml.members.empty()) root->nodes.push_back(&yaml);
  }

  void load_yaml() {
    if (!sources.yaml_text) {
      if (sources.yaml_path.empty()) return;
      auto text = read_config_file(sources.yaml_path);
      if (!text) {
        if (text.error().code != Errc::kNotFound) {
          faults.push_back(
              {.path = "", .value = "", .rule = text.error().message, .origin = sources.yaml_path});
        }
        return;
      }
      sources.yaml_text = *std::move(text);
    }
    Place place;
    auto tree = parse_yaml_tree(*sources.yaml_text, sources.yaml_path, &place);
    sources.yaml_text.reset();
    if (!tree) {
      faults.push_back(
          {.path = "", .value = "", .rule = tree.error().message, .origin = origin_of(place)});
      return;
    }
    yaml = *std::move(tree);
    if (yaml.kind != YamlNode::Kind::kNull && yaml.kind != YamlNode::Kind::kMap) {
      faults.push_back({.path = "",
                        .value = "",
                        .rule = "must be sections with keys, such as 'api:'",
                        .origin = origin_of(yaml.place)});
    }
  }

  std::string origin_of(Place place) const {
    return fmt::format("{}:{}", sources.yaml_path, place.line);
  }

  Scope& open(Scope& parent, std::string_view name) {
    if (const auto found = parent.sections.find(name); found != parent.sections.end())
      return *found->second;
    Scope& scope = scopes.emplace_back();
    scope.path = parent.path_of(name);
    scope.parent = &parent;
    parent.sections.emplace(name, &scope);
    adopt(scope, name);
    return scope;
  }

  /// Takes what the parent's nodes hold under `name` as nodes of `scope`.
  void adopt(Scope& scope, std::string_view name) {
    scope.parent->keys.emplace(name);
    for (const YamlNode* node : scope.parent->nodes) {
      const YamlNode::Member* member = node->find(name);
      if (member == nullptr || member->value.kind == YamlNode::Kind::kNull) continue;
      if (member->value.kind == YamlNode::Kind::kMap) {
        scope.nodes.push_back(&member->value);
      } else {
        // What stands here may be a secret that lost its key.
        faults.push_back({.path = scope.path,
                          .value = std::string(kMask),
                          .rule = "must be a section with keys",
                          .origin = origin_of(member->place)});
      }
    }
  }

  std::optional<Given> from_variables(const std::vector<std::string>& names) {
    const auto look = [&](const auto& variables, const char* origin) -> std::optional<Given> {
      for (const std::string& name : names) {
        if (!in_force(variables, name)) continue;
        return Given{.path = name,
                     .origin = origin,
                     .effective_origin = fmt::format("{} {}", origin, name),
                     .text = variables.find(name)->second};
      }
      return std::nullopt;
    };
    if (auto given = look(sources.vault, "Vault")) return given;
    if (auto given = look(sources.environment, "environment")) return given;
    return look(sources.dotenv, ".env");
  }

  std::optional<Given> find(Scope& scope, std::string_view key, const Rules& rules) {
    scope.keys.emplace(key);
    const std::string path = scope.path_of(key);
    std::vector<std::string> names = rules.env;
    names.push_back(variable_of(path));
    variables.insert(names.begin(), names.end());
    if (auto given = from_variables(names)) return given;
    for (const YamlNode* node : scope.nodes) {
      const YamlNode::Member* member = node->find(key);
      if (member == nullptr || member->value.kind == YamlNode::Kind::kNull) continue;
      const std::string origin = origin_of(member->place);
      return Given{.path = path,
                   .origin = origin,
                   .effective_origin = origin,
                   .node = &member->value,
                   .text = member->value.text};
    }
    return std::nullopt;
  }

  template <class T>
  void bind(Scope& scope, std::string_view key, T& field, const Rules& rules) {
    constexpr bool kSecretType = std::is_same_v<T, Secret>;
    std::string origin = "default";
    if (const auto given = find(scope, key, rules)) {
      auto value = read_as(*given, rules, std::type_identity<T>{});
      if (value) {
        field = *std::move(value);
        origin = given->effective_origin;
      } else {
        const bool hidden = kSecretType || rules.secret;
        faults.push_back({.path = given->path,
                          .value = hidden ? std::string(kMask) : given_text(*given),
                          .rule = std::move(value.error()),
                          .origin = given->origin});
      }
    }
    std::string text;
    if constexpr (kSecretType) {
      text = mask_unless_empty(field.empty());
    } else {
      text = effective_text(field);
      if (rules.secret) text = mask_unless_empty(text.empty());
    }
    const std::string path = scope.path_of(key);
    effective[path] = {
        .path = path, .value = std::move(text), .origin = std::move(origin), .help = rules.help};
  }

  /// The bound key that an unknown one was probably meant to be, as a full path; empty: no idea.
  std::string meant_by(const Scope& scope, const std::string& key) const {
    const std::string sibling = nearest(key, {scope.keys.begin(), scope.keys.end()});
    if (!sibling.empty()) return scope.path_of(sibling);
    // Right key, wrong section.
    for (const Scope& other : scopes) {
      if (other.keys.contains(key)) return other.path_of(key);
    }
    return {};
  }

  std::vector<Fault> unknown_keys() const {
    std::vector<Fault> found;
    for (const Scope& scope : scopes) {
      for (const YamlNode* node : scope.nodes) {
        for (const YamlNode::Member& member : node->members) {
          if (scope.keys.contains(member.key)) continue;
          const std::string key = mended_utf8(member.key, kShownBytes);
          const std::string meant = meant_by(scope, member.key);
          // The value is not shown: a misspelt key may hold a secret.
          found.push_back(
              {.path = scope.path_of(key),
               .value = std::string(kMask),
               .rule = meant.empty() ? "is not a known key"
                                     : fmt::format("is not a known key; did you mean '{}'?", meant),
               .origin = origin_of(member.place)});
        }
      }
    }
    return found;
  }

  std::vector<std::string> unknown_variables() const {
    std::vector<std::string> found;
    const std::vector<std::string> known(variables.begin(), variables.end());
    const auto look = [&](const auto& given, std::string_view origin) {
      for (const auto& [name, value] : given) {
        if (!name.starts_with("ASAHI_") || variables.contains(name)) continue;
        const std::string meant = nearest(name, known);
        found.push_back(fmt::format("{} ({}) is not a setting and has no effect{}",
                                    mended_utf8(name, kShownBytes), origin,
                                    meant.empty() ? "" : fmt::format("; did you mean {}?", meant)));
      }
    };
    look(sources.vault, "Vault");
    look(sources.environment, "environment");
    look(sources.dotenv, ".env");
    return found;
  }

  Sources sources;
  YamlNode yaml;
  std::deque<Scope> scopes;  // stable addresses
  Scope* root = nullptr;
  std::set<std::string, std::less<>> variables;  // every variable that has a meaning
  std::vector<Fault> faults;
  std::vector<std::string> warnings;
  std::map<std::string, Effective> effective;
};

Binder::Binder(Sources sources) : impl_(std::make_unique<Impl>(std::move(sources))) {}
Binder::~Binder() = default;

Binder::Section Binder::section(std::string_view name) {
  return Section(*this, *impl_->root).section(name);
}

Binder::Section Binder::Section::section(std::string_view name) {
  Scope* scope = scope_;
  while (true) {
    const std::size_t dot = name.find('.');
    scope = &binder_->impl_->open(*scope, name.substr(0, dot));
    if (dot == std::string_view::npos) return Section(*binder_, *scope);
    name.remove_prefix(dot + 1);
  }
}

void Binder::Section::value(std::string_view key, bool& field, Rules rules) {
  binder_->impl_->bind(*scope_, key, field, rules);
}
void Binder::Section::value(std::string_view key, int& field, Rules rules) {
  binder_->impl_->bind(*scope_, key, field, rules);
}
void Binder::Section::value(std::string_view key, std::int64_t& field, Rules rules) {
  binder_->impl_->bind(*scope_, key, field, rules);
}
void Binder::Section::value(std::string_view key, std::size_t& field, Rules rules) {
  binder_->impl_->bind(*scope_, key, field, rules);
}
void Binder::Section::value(std::string_view key, std::uint16_t& field, Rules rules) {
  binder_->impl_->bind(*scope_, key, field, rules);
}
void Binder::Section::value(std::string_view key, double& field, Rules rules) {
  binder_->impl_->bind(*scope_, key, field, rules);
}
void Binder::Section::value(std::string_view key, std::string& field, Rules rules) {
  binder_->impl_->bind(*scope_, key, field, rules);
}
void Binder::Section::value(std::string_view key, Secret& field, Rules rules) {
  binder_->impl_->bind(*scope_, key, field, rules);
}
void Binder::Section::value(std::string_view key, std::vector<std::string>& field, Rules rules) {
  binder_->impl_->bind(*scope_, key, field, rules);
}

void Binder::Section::each(std::function<void(const std::string& key, Section)> bind) {
  std::set<std::string> keys;
  for (const YamlNode* node : scope_->nodes) {
    for (const YamlNode::Member& member : node->members) keys.insert(member.key);
  }
  for (const std::string& key : keys)
    bind(key, Section(*binder_, binder_->impl_->open(*scope_, key)));
}

void Binder::Section::alias(std::string_view name) {
  if (scope_->parent != nullptr) binder_->impl_->adopt(*scope_, name);
}

std::optional<std::string> Binder::environment(std::string_view name) {
  impl_->variables.emplace(name);
  auto given = impl_->from_variables({std::string(name)});
  if (!given) return std::nullopt;
  return std::move(given->text);
}

void Binder::fault(Fault fault) { impl_->faults.push_back(std::move(fault)); }

std::vector<Fault> Binder::finish() {
  impl_->warnings = impl_->unknown_variables();
  std::vector<Fault> all = impl_->faults;
  std::ranges::move(impl_->unknown_keys(), std::back_inserter(all));
  return all;
}

const std::vector<std::string>& Binder::warnings() const { return impl_->warnings; }

std::vector<Binder::Effective> Binder::effective() const {
  std::vector<Effective> all;
  for (const auto& [path, entry] : impl_->effective) all.push_back(entry);
  return all;
}

}  // namespace asahi::config
