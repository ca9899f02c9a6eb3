#include "gateway/routing/model_registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <tuple>

namespace asahi::gateway {
namespace {

constexpr std::array<std::string_view, kCapabilityCount> kCapabilityWords{
    "chat",  "embeddings", "tools",     "images",   "audio",
    "files", "structured", "streaming", "reasoning"};

// Ten dollars per 1,000 tokens is fifteen times the dearest model there is; it keeps sums of costs
// inside 64 bits.
constexpr std::int64_t kMaxPrice = 10'000'000'000;
constexpr std::int64_t kMaxTokens = 100'000'000;
constexpr int kMaxLatencyMs = 600'000;
constexpr std::size_t kMaxName = 128;

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kMaxName &&
         std::ranges::all_of(text, [](unsigned char c) { return c > 0x20 && c != 0x7f; });
}

bool contains(const std::vector<std::string>& list, std::string_view text) {
  return std::ranges::find(list, text) != list.end();
}

Result<void> check(const ModelProfile& m) {
  if (!is_name(m.name)) {
    return fail_field("name", fmt::format("must be 1 to {} characters without spaces", kMaxName));
  }
  if (!is_name(m.provider)) {
    return fail_field("provider", "must name a vendor such as openai, without spaces");
  }
  if (!is_name(m.vendor_model)) {
    return fail_field("vendor_model", "must be the vendor's model name, without spaces");
  }
  const std::pair<std::string_view, TokenPrice> prices[] = {
      {"cost_per_1k_input_tokens", m.input},
      {"cost_per_1k_output_tokens", m.output},
      {"cost_per_1k_cached_input_tokens", m.cached_input},
      {"cost_per_1k_cache_write_tokens", m.cache_write},
      {"cost_per_1k_cache_write_1h_tokens", m.cache_write_1h},
      {"cost_per_1k_audio_input_tokens", m.audio_input},
      {"cost_per_1k_audio_output_tokens", m.audio_output},
  };
  for (const auto& [field, price] : prices) {
    if (price.pico_per_token < 0 || price.pico_per_token > kMaxPrice) {
      return fail_field(std::string(field), "must be a number of dollars from 0 to 10");
    }
  }
  if (m.avg_latency_ms < 0 || m.avg_latency_ms > kMaxLatencyMs) {
    return fail_field("avg_latency_ms",
                      fmt::format("must be an integer from 0 to {}", kMaxLatencyMs));
  }
  if (!(m.quality >= 0 && m.quality <= 5)) {
    return fail_field("quality_score", "must be a number from 0 to 5");
  }
  if (m.max_input_tokens < 1 || m.max_input_tokens > kMaxTokens) {
    return fail_field("max_input_tokens",
                      fmt::format("must be an integer from 1 to {}", kMaxTokens));
  }
  const std::int64_t least_output = m.supports.has(Capability::kChat) ? 1 : 0;
  if (m.max_output_tokens < least_output || m.max_output_tokens > kMaxTokens) {
    return fail_field("max_output_tokens",
                      fmt::format("must be an integer from {} to {}", least_output, kMaxTokens));
  }
  if (!m.supports.has(Capability::kChat) && !m.supports.has(Capability::kEmbeddings)) {
    return fail_field("supports", "must hold chat or embeddings");
  }
  for (const auto& alias : m.aliases) {
    if (!is_name(alias)) {
      return fail_field(
          "aliases", fmt::format("must be names of 1 to {} characters without spaces", kMaxName));
    }
  }
  return {};
}

}  // namespace

std::string_view to_string(Capability capability) {
  return kCapabilityWords[static_cast<std::size_t>(capability)];
}

std::optional<Capability> parse_capability(std::string_view word) {
  const auto found = std::ranges::find(kCapabilityWords, word);
  if (found == kCapabilityWords.end()) return std::nullopt;
  return static_cast<Capability>(found - kCapabilityWords.begin());
}

std::string to_string(Capabilities capabilities) {
  std::string text;
  for (std::size_t i = 0; i < kCapabilityCount; ++i) {
    if (!capabilities.has(static_cast<Capability>(i))) continue;
    if (!text.empty()) text += ", ";
    text += kCapabilityWords[i];
  }
  return text;
}

std::string_view to_string(Availability availability) {
  switch (availability) {
    case Availability::kAvailable:
      return "available";
    case Availability::kDegraded:
      return "degraded";
    case Availability::kUnavailable:
      return "unavailable";
  }
  return "unavailable";
}

const ModelProfile* Registry::get(std::string_view name) const {
  const auto found = index_of(name);
  return found ? &models_[*found] : nullptr;
}

std::optional<std::size_t> Registry::index_of(std::string_view name) const {
  const auto found = index_.find(name);
  if (found == index_.end()) return std::nullopt;
  return found->second;
}

std::vector<const ModelProfile*> Registry::filter(double min_quality, int max_latency_ms) const {
  std::vector<const ModelProfile*> found;
  for (const std::uint32_t i : by_value_) {
    const ModelProfile& m = models_[i];
    if (m.supports.has(Capability::kChat) && m.availability != Availability::kUnavailable &&
        m.quality >= min_quality && m.avg_latency_ms <= max_latency_ms) {
      found.push_back(&m);
    }
  }
  return found;
}

Result<RegistryBuilder::Added> RegistryBuilder::add(ModelProfile profile) {
  if (profile.vendor_model.empty()) profile.vendor_model = profile.name;
  if (auto ok = check(profile); !ok) return std::unexpected(ok.error());
  const auto conflict = [](std::string field, std::string message) {
    auto failure = fail_field(std::move(field), std::move(message));
    failure.error().code = Errc::kConflict;
    return failure;
  };
  for (const auto& other : models_) {
    if (other.name == profile.name) continue;
    if (contains(other.aliases, profile.name)) {
      return conflict("name", fmt::format("'{}' is already an alias of '{}'; choose another name",
                                          profile.name, other.name));
    }
    for (const auto& alias : profile.aliases) {
      if (alias == other.name || contains(other.aliases, alias)) {
        return conflict(
            "aliases",
            fmt::format("'{}' already stands for '{}'; remove one of the two", alias, other.name));
      }
    }
  }
  // A name among its own aliases, or an alias given twice, says nothing new.
  std::erase(profile.aliases, profile.name);
  std::ranges::sort(profile.aliases);
  profile.aliases.erase(std::unique(profile.aliases.begin(), profile.aliases.end()),
                        profile.aliases.end());
  const auto same = std::ranges::find(models_, profile.name, &ModelProfile::name);
  if (same != models_.end()) {
    *same = std::move(profile);
    return Added::kReplaced;
  }
  models_.push_back(std::move(profile));
  return Added::kNew;
}

bool RegistryBuilder::remove(std::string_view name) {
  return std::erase_if(models_, [&](const ModelProfile& m) { return m.name == name; }) > 0;
}

const ModelProfile* RegistryBuilder::get(std::string_view name) const {
  const auto found = std::ranges::find(models_, name, &ModelProfile::name);
  return found == models_.end() ? nullptr : &*found;
}

std::shared_ptr<const Registry> RegistryBuilder::build() const {
  std::shared_ptr<Registry> registry(new Registry);
  registry->models_ = models_;
  const auto& models = registry->models_;
  for (std::uint32_t i = 0; i < models.size(); ++i) {
    registry->index_.emplace(models[i].name, i);
    for (const auto& alias : models[i].aliases) registry->index_.emplace(alias, i);
    auto& providers = registry->providers_;
    const auto known = std::ranges::find(providers, models[i].provider);
    registry->provider_of_.push_back(static_cast<std::uint32_t>(known - providers.begin()));
    if (known == providers.end()) providers.push_back(models[i].provider);
  }
  const auto quality_order = [&](std::uint32_t i) {
    return std::tuple(-models[i].quality, models[i].avg_latency_ms,
                      std::string_view(models[i].name));
  };
  const auto value_order = [&](std::uint32_t i) {
    const double value = models[i].is_free() ? 0.0 : models[i].value_score();
    return std::tuple_cat(std::tuple(!models[i].is_free(), -value), quality_order(i));
  };
  registry->by_quality_.resize(models.size());
  std::iota(registry->by_quality_.begin(), registry->by_quality_.end(), 0U);
  registry->by_value_ = registry->by_quality_;
  std::ranges::sort(registry->by_quality_, {}, quality_order);
  std::ranges::sort(registry->by_value_, {}, value_order);
  return registry;
}

RegistryHolder::RegistryHolder(std::shared_ptr<const Registry> initial)
    : initial_(initial), current_(std::move(initial)) {}

RegistryHolder::RegistryHolder(std::shared_ptr<const Registry> initial, std::string path)
    : initial_(initial), path_(std::move(path)), current_(std::move(initial)) {
  std::error_code failed;
  const auto time = std::filesystem::last_write_time(path_, failed);
  if (!failed) read_at_ = time;
}

std::shared_ptr<const Registry> RegistryHolder::get() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

Result<void> RegistryHolder::edit(const std::function<Result<void>(RegistryBuilder&)>& change) {
  const std::lock_guard one_at_a_time(changing_);
  RegistryBuilder builder(*get());
  if (auto ok = change(builder); !ok) return ok;
  auto next = builder.build();
  const std::lock_guard lock(mutex_);
  current_ = std::move(next);
  return {};
}

RegistryLoad RegistryHolder::reload() {
  const std::lock_guard one_at_a_time(changing_);
  // Taken before reading: a write that comes in between is seen as a change again.
  std::error_code failed;
  std::optional<std::filesystem::file_time_type> time;
  if (!path_.empty()) {
    time = std::filesystem::last_write_time(path_, failed);
    if (failed) time.reset();
  }
  RegistryLoad load;
  if (path_.empty()) {
    load.registry = initial_;
  } else {
    load = load_registry(path_);
  }
  const std::lock_guard lock(mutex_);
  // Also after faults: a broken file is reported once, not at every poll.
  read_at_ = time;
  if (load.registry) current_ = load.registry;
  return load;
}

bool RegistryHolder::file_changed() const {
  if (path_.empty()) return false;
  std::error_code failed;
  const auto time = std::filesystem::last_write_time(path_, failed);
  if (failed) return false;
  const std::lock_guard lock(mutex_);
  return !read_at_ || *read_at_ != time;
}

}  // namespace asahi::gateway
