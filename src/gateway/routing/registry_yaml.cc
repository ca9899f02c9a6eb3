// models.yaml in and out. The form is documented in config/models.yaml itself.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <stdexcept>

#include "base/config/scalars.h"
#include "base/config/yaml_tree.h"
#include "base/utf8.h"
#include "gateway/embedded_files.h"
#include "gateway/routing/model_registry.h"

namespace asahi::gateway {
namespace {

using config::YamlNode;

constexpr std::size_t kMaxModels = 1000;
constexpr std::size_t kMaxListItems = 64;

/// The `providers:` section: what a vendor's models share unless they say otherwise.
struct VendorDefaults {
  std::string api_key_env;
  std::string region;
  double cached_input_ratio = 1;
  double cache_write_ratio = 1;
  double cache_write_1h_ratio = 1;
};

class Reader {
 public:
  explicit Reader(std::string origin) : origin_(std::move(origin)) {}

  RegistryLoad read(const std::string& yaml) {
    config::Place place;
    if (const auto root = config::parse_yaml_tree(yaml, origin_, &place)) {
      read_root(*root);
    } else {
      fault(place, "", "", root.error().message);
    }
    if (load_.faults.empty()) load_.registry = builder_.build();
    return std::move(load_);
  }

 private:
  using Kind = YamlNode::Kind;

  void fault(config::Place place, std::string path, std::string value, std::string rule) {
    load_.faults.push_back({.path = std::move(path),
                            .value = std::move(value),
                            .rule = std::move(rule),
                            .origin = where(place)});
  }
  std::string where(config::Place place) const { return fmt::format("{}:{}", origin_, place.line); }
  static std::string shown(const YamlNode& node) {
    if (node.is_scalar()) return mended_utf8(node.text, 200);
    return node.kind == Kind::kList ? "(a list)" : node.kind == Kind::kMap ? "(a section)" : "";
  }

  void read_root(const YamlNode& root) {
    if (root.kind != Kind::kMap) {
      fault(root.place, "", shown(root), "must be a mapping with the keys providers and models");
      return;
    }
    known_keys(root, "", {"providers", "models"});
    if (const auto* providers = present(root, "providers")) read_providers(*providers);
    const auto* models = present(root, "models");
    if (models == nullptr || models->kind != Kind::kList || models->items.empty() ||
        models->items.size() > kMaxModels) {
      fault(models ? models->place : root.place, "models", models ? shown(*models) : "",
            fmt::format("must be a list of 1 to {} models", kMaxModels));
      return;
    }
    for (std::size_t i = 0; i < models->items.size(); ++i) {
      read_model(models->items[i], fmt::format("models[{}]", i));
    }
  }

  void read_providers(const YamlNode& node) {
    if (node.kind != Kind::kMap) {
      fault(node.place, "providers", shown(node), "must be a mapping of vendor names");
      return;
    }
    for (const auto& [name, place, vendor] : node.members) {
      const std::string path = "providers." + name;
      if (vendor.kind != Kind::kMap) {
        fault(place, path, shown(vendor), "must be a mapping");
        continue;
      }
      known_keys(vendor, path,
                 {"api_key_env", "region", "cached_input_ratio", "cache_write_ratio",
                  "cache_write_1h_ratio"});
      VendorDefaults& v = vendors_[name];
      string(vendor, path, "api_key_env", v.api_key_env);
      string(vendor, path, "region", v.region);
      number(vendor, path, "cached_input_ratio", 0, 1, v.cached_input_ratio);
      number(vendor, path, "cache_write_ratio", 0, 10, v.cache_write_ratio);
      number(vendor, path, "cache_write_1h_ratio", 0, 10, v.cache_write_1h_ratio);
    }
  }

  void read_model(const YamlNode& node, const std::string& path) {
    if (node.kind != Kind::kMap) {
      fault(node.place, path, shown(node), "must be a mapping with name, provider and prices");
      return;
    }
    const std::size_t faults_before = load_.faults.size();
    known_keys(node, path,
               {"name",
                "provider",
                "vendor_model",
                "api_key_env",
                "cost_per_1k_input_tokens",
                "cost_per_1k_output_tokens",
                "cost_per_1k_cached_input_tokens",
                "cost_per_1k_cache_write_tokens",
                "cost_per_1k_cache_write_1h_tokens",
                "cost_per_1k_audio_input_tokens",
                "cost_per_1k_audio_output_tokens",
                "avg_latency_ms",
                "quality_score",
                "max_input_tokens",
                "max_output_tokens",
                "description",
                "availability",
                "region",
                "supports",
                "aliases"});
    ModelProfile m;
    required(node, path, {"name", "provider", "cost_per_1k_input_tokens", "max_input_tokens"});
    string(node, path, "name", m.name);
    string(node, path, "provider", m.provider);
    m.vendor_model = m.name;
    string(node, path, "vendor_model", m.vendor_model);
    const auto found = vendors_.find(m.provider);
    const VendorDefaults vendor = found == vendors_.end() ? VendorDefaults{} : found->second;
    m.api_key_env = vendor.api_key_env;
    m.region = vendor.region;
    string(node, path, "api_key_env", m.api_key_env);
    string(node, path, "region", m.region);
    string(node, path, "description", m.description);
    supports(node, path, m);
    if (m.supports.has(Capability::kChat)) {
      required(
          node, path,
          {"cost_per_1k_output_tokens", "avg_latency_ms", "quality_score", "max_output_tokens"});
    }
    price(node, path, "cost_per_1k_input_tokens", m.input);
    price(node, path, "cost_per_1k_output_tokens", m.output);
    m.cached_input = scaled(m.input, vendor.cached_input_ratio);
    m.cache_write = scaled(m.input, vendor.cache_write_ratio);
    m.cache_write_1h = scaled(m.input, vendor.cache_write_1h_ratio);
    m.audio_input = m.input;
    m.audio_output = m.output;
    price(node, path, "cost_per_1k_cached_input_tokens", m.cached_input);
    price(node, path, "cost_per_1k_cache_write_tokens", m.cache_write);
    price(node, path, "cost_per_1k_cache_write_1h_tokens", m.cache_write_1h);
    price(node, path, "cost_per_1k_audio_input_tokens", m.audio_input);
    price(node, path, "cost_per_1k_audio_output_tokens", m.audio_output);
    std::int64_t latency = 0;
    integer(node, path, "avg_latency_ms", 0, 600'000, latency);
    m.avg_latency_ms = static_cast<int>(latency);
    number(node, path, "quality_score", 0, 5, m.quality);
    integer(node, path, "max_input_tokens", 1, 100'000'000, m.max_input_tokens);
    integer(node, path, "max_output_tokens", 0, 100'000'000, m.max_output_tokens);
    availability(node, path, m.availability);
    strings(node, path, "aliases", m.aliases);
    if (load_.faults.size() != faults_before) return;

    const std::string name = m.name;
    auto added = builder_.add(std::move(m));
    if (!added) {
      const auto* at = node.find(added.error().field);
      fault(at ? at->place : node.place, path + "." + added.error().field,
            at ? shown(at->value) : "", added.error().message);
    } else if (*added == RegistryBuilder::Added::kReplaced) {
      load_.warnings.push_back(
          fmt::format("{}: '{}' is defined again; this definition overwrites the earlier one",
                      where(node.place), name));
    }
  }

  void known_keys(const YamlNode& node, const std::string& path,
                  const std::vector<std::string>& known) {
    for (const auto& [key, place, value] : node.members) {
      if (std::ranges::find(known, key) != known.end()) continue;
      const std::string meant = config::nearest(key, known);
      fault(place, path.empty() ? key : path + "." + key, shown(value),
            meant.empty() ? fmt::format("is not a known key; known: {}", fmt::join(known, ", "))
                          : fmt::format("is not a known key; did you mean '{}'?", meant));
    }
  }

  void required(const YamlNode& node, const std::string& path,
                std::initializer_list<std::string_view> keys) {
    for (const auto key : keys) {
      if (present(node, key) == nullptr) {
        fault(node.place, fmt::format("{}.{}", path, key), "", "is missing");
      }
    }
  }

  /// The value of `key`; null when the key is absent or has none.
  static const YamlNode* present(const YamlNode& node, std::string_view key) {
    const auto* member = node.find(key);
    return member == nullptr || member->value.kind == Kind::kNull ? nullptr : &member->value;
  }

  void string(const YamlNode& node, const std::string& path, std::string_view key,
              std::string& out) {
    const YamlNode* value = present(node, key);
    if (value == nullptr) return;
    if (value->is_scalar()) {
      out = value->text;
    } else {
      fault(value->place, fmt::format("{}.{}", path, key), shown(*value), "must be a text");
    }
  }

  void number(const YamlNode& node, const std::string& path, std::string_view key, double min,
              double max, double& out) {
    const YamlNode* value = present(node, key);
    if (value == nullptr) return;
    const auto read =
        value->kind == Kind::kPlain ? config::read_number(value->text) : std::optional<double>{};
    if (read && *read >= min && *read <= max) {
      out = *read;
    } else {
      fault(value->place, fmt::format("{}.{}", path, key), shown(*value),
            fmt::format("must be a number from {} to {}", min, max));
    }
  }

  void integer(const YamlNode& node, const std::string& path, std::string_view key,
               std::int64_t min, std::int64_t max, std::int64_t& out) {
    const YamlNode* value = present(node, key);
    if (value == nullptr) return;
    const auto read = config::read_integer(value->text);
    if (value->kind == Kind::kPlain && read.kind == config::IntegerText::Kind::kInteger &&
        read.value >= min && read.value <= max) {
      out = read.value;
    } else {
      fault(value->place, fmt::format("{}.{}", path, key), shown(*value),
            fmt::format("must be an integer from {} to {}", min, max));
    }
  }

  void price(const YamlNode& node, const std::string& path, std::string_view key, TokenPrice& out) {
    double dollars = -1;
    number(node, path, key, 0, 10, dollars);
    if (dollars >= 0) out = TokenPrice::per_1k(dollars);
  }

  static TokenPrice scaled(TokenPrice price, double ratio) {
    return {std::llround(static_cast<double>(price.pico_per_token) * ratio)};
  }

  void strings(const YamlNode& node, const std::string& path, std::string_view key,
               std::vector<std::string>& out) {
    const YamlNode* list = present(node, key);
    if (list == nullptr) return;
    if (list->kind != Kind::kList || list->items.size() > kMaxListItems ||
        !std::ranges::all_of(list->items, &YamlNode::is_scalar)) {
      fault(list->place, fmt::format("{}.{}", path, key), shown(*list),
            fmt::format("must be a list of at most {} texts", kMaxListItems));
      return;
    }
    for (const YamlNode& item : list->items) out.push_back(item.text);
  }

  void supports(const YamlNode& node, const std::string& path, ModelProfile& m) {
    const YamlNode* list = present(node, "supports");
    if (list == nullptr) return;
    std::vector<std::string> words;
    strings(node, path, "supports", words);
    m.supports = {};
    for (const auto& word : words) {
      if (const auto capability = parse_capability(word)) {
        m.supports.add(*capability);
        continue;
      }
      std::vector<std::string_view> known;
      for (std::size_t i = 0; i < kCapabilityCount; ++i) {
        known.push_back(to_string(static_cast<Capability>(i)));
      }
      fault(list->place, path + ".supports", word,
            fmt::format("must hold only {}", fmt::join(known, ", ")));
    }
  }

  void availability(const YamlNode& node, const std::string& path, Availability& out) {
    const YamlNode* value = present(node, "availability");
    if (value == nullptr) return;
    for (const auto candidate :
         {Availability::kAvailable, Availability::kDegraded, Availability::kUnavailable}) {
      if (value->is_scalar() && value->text == to_string(candidate)) {
        out = candidate;
        return;
      }
    }
    fault(value->place, path + ".availability", shown(*value),
          "must be available, degraded or unavailable");
  }

  std::string origin_;
  std::map<std::string, VendorDefaults, std::less<>> vendors_;
  RegistryBuilder builder_;
  RegistryLoad load_;
};

/// A price as the exact decimal of dollars per 1,000 tokens: a billionth of a dollar is one pico
/// per token.
std::string decimal_per_1k(TokenPrice price) {
  std::string text = to_decimal(NanoUsd{price.pico_per_token});
  while (text.ends_with('0') && !text.ends_with(".0")) text.pop_back();
  return text;
}

std::string yaml_text(std::string_view text) {
  std::string out;
  append_json_string(out, text);  // a JSON string is a YAML double-quoted scalar
  return out;
}

std::string yaml_list(const std::vector<std::string>& list) {
  std::string out = "[";
  for (const auto& item : list) out += (out.size() > 1 ? ", " : "") + yaml_text(item);
  return out + "]";
}

}  // namespace

RegistryLoad parse_registry(const std::string& yaml, const std::string& origin) {
  return Reader(origin).read(yaml);
}

RegistryLoad load_registry(const std::string& path) {
  const auto yaml = config::read_config_file(path);
  if (yaml) return parse_registry(*yaml, path);
  RegistryLoad load;
  load.faults.push_back({.path = "", .value = "", .rule = yaml.error().message, .origin = path});
  return load;
}

std::shared_ptr<const Registry> default_registry() {
  auto load = parse_registry(std::string(embedded_file("config/models.yaml")->bytes),
                             "built-in models.yaml");
  if (!load.registry) {
    const auto& first = load.faults.front();
    throw std::logic_error(fmt::format("{}: {} {}", first.origin, first.path, first.rule));
  }
  return load.registry;
}

std::string to_yaml(const Registry& registry) {
  std::string out = "models:\n";
  for (const auto& m : registry.all()) {
    fmt::format_to(std::back_inserter(out), "  - name: {}\n", yaml_text(m.name));
    const auto line = [&](std::string_view key, std::string_view value) {
      fmt::format_to(std::back_inserter(out), "    {}: {}\n", key, value);
    };
    line("provider", yaml_text(m.provider));
    line("vendor_model", yaml_text(m.vendor_model));
    line("api_key_env", yaml_text(m.api_key_env));
    line("cost_per_1k_input_tokens", decimal_per_1k(m.input));
    line("cost_per_1k_output_tokens", decimal_per_1k(m.output));
    line("cost_per_1k_cached_input_tokens", decimal_per_1k(m.cached_input));
    line("cost_per_1k_cache_write_tokens", decimal_per_1k(m.cache_write));
    line("cost_per_1k_cache_write_1h_tokens", decimal_per_1k(m.cache_write_1h));
    line("cost_per_1k_audio_input_tokens", decimal_per_1k(m.audio_input));
    line("cost_per_1k_audio_output_tokens", decimal_per_1k(m.audio_output));
    line("avg_latency_ms", fmt::format("{}", m.avg_latency_ms));
    line("quality_score", fmt::format("{}", m.quality));
    line("max_input_tokens", fmt::format("{}", m.max_input_tokens));
    line("max_output_tokens", fmt::format("{}", m.max_output_tokens));
    line("description", yaml_text(m.description));
    line("availability", to_string(m.availability));
    line("region", yaml_text(m.region));
    line("supports", "[" + to_string(m.supports) + "]");
    line("aliases", yaml_list(m.aliases));
  }
  return out;
}

}  // namespace asahi::gateway
