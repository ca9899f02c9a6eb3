#pragma once

#include <cstdint>
#include <vector>

#include "gateway/routing/route.h"

namespace asahi::gateway {

/// What stands between a request and a model, one bit each.
enum Obstacle : std::uint16_t {
  kLacksCapability = 1 << 0,
  kBlocked = 1 << 1,  ///< by the policy's lists
  kWrongRegion = 1 << 2,
  kUnavailable = 1 << 3,  ///< the registry says so
  kBreakerOpen = 1 << 4,
  kUnreachable = 1 << 5,
  kNoKey = 1 << 6,
  kContextTooSmall = 1 << 7,
  kLowQuality = 1 << 8,
  kTooSlow = 1 << 9,
  kTooExpensive = 1 << 10,
  kRuledOut = 1 << 11,  ///< by the organisation's routing rules
};
/// Nothing goes past these, not even a fallback.
inline constexpr unsigned kHardObstacles = kLacksCapability | kBlocked | kWrongRegion |
                                           kUnavailable | kBreakerOpen | kUnreachable | kNoKey |
                                           kRuledOut;
inline constexpr unsigned kDownObstacles = kUnavailable | kBreakerOpen | kUnreachable | kNoKey;

/// All models of a registry held against one request.
struct Survey {
  std::vector<std::uint16_t> obstacles;  // by position in Registry::all()

  bool fits(std::size_t model) const { return obstacles[model] == 0; }
  bool permitted(std::size_t model) const { return (obstacles[model] & kHardObstacles) == 0; }
  bool has(std::size_t model, Obstacle obstacle) const {
    return (obstacles[model] & obstacle) != 0;
  }
};

Survey survey_models(const Registry& registry, const RouteRequest& request,
                     const RouteLimits& limits, const HealthView& health);

/// Tokens by which prompt and answer overrun the model's context window or its longest answer; 0:
/// they fit.
std::int64_t context_shortfall(const ModelProfile& model, const RouteRequest& request);

}  // namespace asahi::gateway
