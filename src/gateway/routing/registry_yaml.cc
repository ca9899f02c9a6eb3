// models.yaml in and out. The form is documented in config/models.yaml itself.
#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <charconv>
#include <cmath>
#include <fstream>
#include <limits>
#include <set>

#include "gateway/routing/default_models.h"
#include "gateway/routing/model_registry.h"

namespace asahi::gateway {
namespace {

constexpr std::size_t kMaxFileBytes = 1024 * 1024;
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
    YAML::Node root;
    try {
      root = YAML::Load(yaml);
      read_root(root);
    } catch (const YAML::Exception& e) {
      fault(e.mark, "", "", e.msg.empty() ? "is not valid YAML" : "is not valid YAML: " + e.msg);
    }
    if (faults_.empty()) load_.registry = builder_.build();
    load_.faults = std::move(faults_);
    return std::move(load_);
  }

 private:
  void fault(const YAML::Mark& mark, std::string path, std::string value, std::string rule) {
    faults_.push_back({.path = std::move(path),
                       .value = std::move(value),
                       .rule = std::move(rule),
                       .origin = where(mark)});
  }
  std::string where(const YAML::Mark& mark) const {
    return mark.is_null() ? origin_ : fmt::format("{}:{}", origin_, mark.line + 1);
  }
  static std::string text_of(const YAML::Node& node) {
    if (node.IsScalar()) return node.Scalar().substr(0, 200);
    return node.IsSequence() ? "[…]" : node.IsMap() ? "{…}" : "";
  }

  void read_root(const YAML::Node& root) {
    if (!root.IsMap()) {
      fault(root.Mark(), "", text_of(root), "must be a mapping with the keys providers and models");
      return;
    }
    known_keys(root, "", {"providers", "models"});
    if (const auto node = root["providers"]; node && !node.IsNull()) read_providers(node);
    const auto models = root["models"];
    if (!models || !models.IsSequence() || models.size() == 0 || models.size() > kMaxModels) {
      fault(models ? models.Mark() : root.Mark(), "models", models ? text_of(models) : "",
            fmt::format("must be a list of 1 to {} models", kMaxModels));
      return;
    }
    for (std::size_t i = 0; i < models.size(); ++i) {
      read_model(models[i], fmt::format("models[{}]", i));
    }
  }

  void read_providers(const YAML::Node& node) {
    if (!node.IsMap()) {
      fault(node.Mark(), "providers", text_of(node), "must be a mapping of vendor names");
      return;
    }
    for (const auto& item : node) {
      const std::string name = text_of(item.first);
      const std::string path = "providers." + name;
      if (!item.second.IsMap()) {
        fault(item.first.Mark(), path, text_of(item.second), "must be a mapping");
        continue;
      }
      known_keys(item.second, path,
                 {"api_key_env", "region", "cached_input_ratio", "cache_write_ratio",
                  "cache_write_1h_ratio"});
      VendorDefaults& v = vendors_[name];
      string(item.second, path, "api_key_env", v.api_key_env);
      string(item.second, path, "region", v.region);
      number(item.second, path, "cached_input_ratio", 0, 1, v.cached_input_ratio);
      number(item.second, path, "cache_write_ratio", 0, 10, v.cache_write_ratio);
      number(item.second, path, "cache_write_1h_ratio", 0, 10, v.cache_write_1h_ratio);
    }
  }

  void read_model(const YAML::Node& node, const std::string& path) {
    if (!node.IsMap()) {
      fault(node.Mark(), path, text_of(node), "must be a mapping with name, provider and prices");
      return;
    }
    const std::size_t faults_before = faults_.size();
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
    if (faults_.size() != faults_before) return;

    const std::string name = m.name;
    auto added = builder_.add(std::move(m));
    if (!added) {
      const auto at = node[added.error().field];
      fault(at ? at.Mark() : node.Mark(), path + "." + added.error().field, at ? text_of(at) : "",
            added.error().message);
    } else if (*added == RegistryBuilder::Added::kReplaced) {
      load_.warnings.push_back(
          fmt::format("{}: '{}' is defined again; this definition overwrites the earlier one",
                      where(node.Mark()), name));
    }
  }

  void known_keys(const YAML::Node& node, const std::string& path,
                  std::initializer_list<std::string_view> known) {
    std::set<std::string> seen;
    for (const auto& item : node) {
      const std::string key = text_of(item.first);
      const std::string key_path = path.empty() ? key : path + "." + key;
      if (std::ranges::find(known, key) == known.end()) {
        fault(item.first.Mark(), key_path, text_of(item.second),
              fmt::format("is not a known key; known: {}", fmt::join(known, ", ")));
      } else if (!seen.insert(key).second) {
        fault(item.first.Mark(), key_path, text_of(item.second), "is given twice");
      }
    }
  }

  void required(const YAML::Node& node, const std::string& path,
                std::initializer_list<const char*> keys) {
    for (const char* key : keys) {
      if (!node[key]) fault(node.Mark(), path + "." + key, "", "is missing");
    }
  }

  /// The scalar below `key`, or an undefined node; anything else than a scalar is a fault.
  YAML::Node scalar(const YAML::Node& node, const std::string& path, const char* key,
                    const char* rule) {
    const auto value = node[key];
    if (!value || value.IsScalar()) return value;
    fault(value.Mark(), path + "." + key, text_of(value), rule);
    return YAML::Node(YAML::NodeType::Undefined);
  }

  void string(const YAML::Node& node, const std::string& path, const char* key, std::string& out) {
    if (const auto value = scalar(node, path, key, "must be a text")) out = value.Scalar();
  }

  void number(const YAML::Node& node, const std::string& path, const char* key, double min,
              double max, double& out) {
    const std::string rule = fmt::format("must be a number from {} to {}", min, max);
    const auto value = scalar(node, path, key, rule.c_str());
    if (!value) return;
    const std::string& text = value.Scalar();
    double parsed = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), parsed);
    if (failed != std::errc{} || end != text.data() + text.size() ||
        !(parsed >= min && parsed <= max)) {
      fault(value.Mark(), path + "." + key, text_of(value), rule);
      return;
    }
    out = parsed;
  }

  void integer(const YAML::Node& node, const std::string& path, const char* key, std::int64_t min,
               std::int64_t max, std::int64_t& out) {
    const std::string rule = fmt::format("must be an integer from {} to {}", min, max);
    const auto value = scalar(node, path, key, rule.c_str());
    if (!value) return;
    const std::string& text = value.Scalar();
    std::int64_t parsed = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), parsed);
    if (failed != std::errc{} || end != text.data() + text.size() || parsed < min || parsed > max) {
      fault(value.Mark(), path + "." + key, text_of(value), rule);
      return;
    }
    out = parsed;
  }

  void price(const YAML::Node& node, const std::string& path, const char* key, TokenPrice& out) {
    double dollars = -1;
    number(node, path, key, 0, 10, dollars);
    if (dollars >= 0) out = TokenPrice::per_1k(dollars);
  }

  static TokenPrice scaled(TokenPrice price, double ratio) {
    return {std::llround(static_cast<double>(price.pico_per_token) * ratio)};
  }

  void strings(const YAML::Node& node, const std::string& path, const char* key,
               std::vector<std::string>& out) {
    const auto list = node[key];
    if (!list || list.IsNull()) return;
    bool good = list.IsSequence() && list.size() <= kMaxListItems;
    for (std::size_t i = 0; good && i < list.size(); ++i) {
      good = list[i].IsScalar();
      if (good) out.push_back(list[i].Scalar());
    }
    if (!good) {
      fault(list.Mark(), path + "." + key, text_of(list),
            fmt::format("must be a list of at most {} texts", kMaxListItems));
    }
  }

  void supports(const YAML::Node& node, const std::string& path, ModelProfile& m) {
    if (!node["supports"]) return;
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
      fault(node["supports"].Mark(), path + ".supports", word,
            fmt::format("must hold only {}", fmt::join(known, ", ")));
    }
  }

  void availability(const YAML::Node& node, const std::string& path, Availability& out) {
    static constexpr const char* kRule = "must be available, degraded or unavailable";
    const auto value = scalar(node, path, "availability", kRule);
    if (!value) return;
    for (const auto candidate :
         {Availability::kAvailable, Availability::kDegraded, Availability::kUnavailable}) {
      if (value.Scalar() == to_string(candidate)) {
        out = candidate;
        return;
      }
    }
    fault(value.Mark(), path + ".availability", text_of(value), kRule);
  }

  std::string origin_;
  std::map<std::string, VendorDefaults, std::less<>> vendors_;
  RegistryBuilder builder_;
  RegistryLoad load_;
  std::vector<config::Fault> faults_;
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
  const auto unreadable = [&](std::string rule) {
    RegistryLoad load;
    load.faults.push_back({.path = "", .value = "", .rule = std::move(rule), .origin = path});
    return load;
  };
  std::ifstream file(path, std::ios::binary);
  if (!file) return unreadable("cannot be opened; check the path and its permissions");
  std::string yaml(kMaxFileBytes + 1, '\0');
  file.read(yaml.data(), static_cast<std::streamsize>(yaml.size()));
  if (file.bad()) return unreadable("cannot be read; is it a folder?");
  yaml.resize(static_cast<std::size_t>(file.gcount()));
  if (yaml.size() > kMaxFileBytes) return unreadable("must be at most 1 MiB");
  return parse_registry(yaml, path);
}

std::shared_ptr<const Registry> default_registry() {
  auto load = parse_registry(std::string(kDefaultModelsYaml), "built-in models.yaml");
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
