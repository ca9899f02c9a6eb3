#include "gateway/routing/route.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

namespace asahi::gateway {
namespace {

constexpr std::array<std::string_view, 3> kModes{"autopilot", "guided", "explicit"};
constexpr std::array<std::string_view, 4> kQualities{"low", "medium", "high", "max"};
constexpr std::array<std::string_view, 4> kLatencies{"slow", "normal", "fast", "instant"};
constexpr std::array<std::string_view, 5> kTriggers{"rate_limit", "server_error", "timeout",
                                                    "cost_ceiling", "no_key"};

template <class Enum, std::size_t N>
Result<Enum> parse(std::string_view field, const std::array<std::string_view, N>& words,
                   std::string_view word) {
  for (std::size_t i = 0; i < N; ++i) {
    if (words[i] == word) return static_cast<Enum>(i);
  }
  return fail_field(std::string(field), fmt::format("{} '{}' is not allowed; use one of {}", field,
                                                    word.substr(0, 64), fmt::join(words, ", ")));
}

}  // namespace

std::string_view to_string(RoutingMode mode) { return kModes[static_cast<std::size_t>(mode)]; }
std::string_view to_string(QualityPreference preference) {
  return kQualities[static_cast<std::size_t>(preference)];
}
std::string_view to_string(LatencyPreference preference) {
  return kLatencies[static_cast<std::size_t>(preference)];
}

Result<RoutingMode> parse_routing_mode(std::string_view word) {
  return parse<RoutingMode>("routing_mode", kModes, word);
}
Result<QualityPreference> parse_quality_preference(std::string_view word) {
  return parse<QualityPreference>("quality_preference", kQualities, word);
}
Result<LatencyPreference> parse_latency_preference(std::string_view word) {
  return parse<LatencyPreference>("latency_preference", kLatencies, word);
}

Result<std::string_view> requested_model(std::string_view model, std::string_view model_override) {
  if (model.empty()) return model_override;
  if (!model_override.empty() && model != model_override) {
    return fail_field("model_override",
                      fmt::format("model '{}' and model_override '{}' differ; they mean the same, "
                                  "so send one of them",
                                  model.substr(0, 64), model_override.substr(0, 64)));
  }
  return model;
}

std::string_view to_string(Trigger trigger) { return kTriggers[static_cast<std::size_t>(trigger)]; }

std::optional<Trigger> parse_trigger(std::string_view word) {
  for (std::size_t i = 0; i < kTriggers.size(); ++i) {
    if (kTriggers[i] == word) return static_cast<Trigger>(i);
  }
  return std::nullopt;
}

std::optional<Trigger> trigger_of(const Error& error) {
  switch (error.code) {
    case Errc::kRateLimited:
      return Trigger::kRateLimit;
    case Errc::kTimeout:
      return Trigger::kTimeout;
    case Errc::kUnavailable:
    case Errc::kUpstream:
      return error.reason == "vendor_auth" ? Trigger::kNoKey : Trigger::kServerError;
    case Errc::kInvalidArgument:
    case Errc::kUnauthenticated:
    case Errc::kForbidden:
    case Errc::kNotFound:
    case Errc::kConflict:
    case Errc::kTooLarge:
    case Errc::kCancelled:
    case Errc::kCorrupt:
    case Errc::kInternal:
      return std::nullopt;
  }
  return std::nullopt;
}

std::string_view to_string(Attempt::Origin origin) {
  switch (origin) {
    case Attempt::Origin::kChosen:
      return "chosen";
    case Attempt::Origin::kChain:
      return "chain";
    case Attempt::Origin::kOtherVendor:
      return "other_vendor";
    case Attempt::Origin::kHighestQuality:
      return "highest_quality";
    case Attempt::Origin::kLastResort:
      return "last_resort";
  }
  return "chosen";
}

}  // namespace asahi::gateway
