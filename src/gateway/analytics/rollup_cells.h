#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "gateway/analytics/store.h"
#include "gateway/analytics/sums.h"

namespace asahi::gateway::analytics {

/// How `analytics_rollups` is laid out: a row per organisation, dimension, grain, start and page. A
/// page holds the sums of some keys with neighbouring numbers (`analytics_keys`): one key where
/// latencies are kept, several of the many small ones, so that neither a busy minute nor 100,000
/// users make many rows.
enum class Grain { kMinute, kHour, kDay };
inline constexpr std::array kGrains = {Grain::kMinute, Grain::kHour, Grain::kDay};
/// Its width in minutes.
constexpr std::int64_t width(Grain grain) {
  return grain == Grain::kMinute ? 1 : grain == Grain::kHour ? 60 : 1'440;
}

inline constexpr std::array kDimensions = {
    Dimension::kNone,      Dimension::kModel, Dimension::kTaskType, Dimension::kUser,
    Dimension::kApiKey,    Dimension::kTier,  Dimension::kProvider, Dimension::kModelTask,
    Dimension::kErrorCode, Dimension::kMode};

struct Layout {
  Grain finest;
  Latencies latencies;
  std::int64_t keys_per_page;
  std::chrono::days hours_kept;
};
/// Users and API keys may be many: they are told apart by hours at most, and hours for a week.
constexpr Layout layout(Dimension dimension) {
  using std::chrono::days;
  switch (dimension) {
    case Dimension::kUser:
    case Dimension::kApiKey:
      return {Grain::kHour, Latencies::kLeftOut, 32, days(8)};
    case Dimension::kModelTask:
    case Dimension::kErrorCode:
      return {Grain::kMinute, Latencies::kLeftOut, 32, days(100)};
    default:
      return {Grain::kMinute, Latencies::kKept, 1, days(100)};
  }
}
inline constexpr std::chrono::days kMinutesKept{2};

/// What an event counts under; "" where it has none.
std::string key_of(Dimension dimension, const InferenceEvent& event);

/// Minutes since 1970, rounded down to `grain`.
constexpr std::int64_t rounded(std::int64_t minutes, Grain grain) {
  const std::int64_t rest = minutes % width(grain);
  return minutes - (rest < 0 ? rest + width(grain) : rest);
}
std::int64_t start_of(Clock::Time time, Grain grain);
/// The first start of a grain that is kept at `now`; whole hours for minutes, whole days for hours.
std::int64_t kept_from(Dimension dimension, Grain grain, Clock::Time now);

/// The sums of one page by key number, ascending.
using Page = std::vector<std::pair<std::int64_t, Sums>>;
std::string encode_page(const Page& page, std::int64_t first_number, Latencies latencies);
/// Errors: corrupt.
Result<Page> parse_page(std::string_view bytes, std::int64_t first_number);

}  // namespace asahi::gateway::analytics
