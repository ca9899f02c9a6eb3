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
enum class Grain { kMinute, kHour, kDay, kWeek };
inline constexpr std::array kGrains = {Grain::kMinute, Grain::kHour, Grain::kDay, Grain::kWeek};
/// Its width in minutes.
constexpr std::int64_t width(Grain grain) {
  constexpr std::array<std::int64_t, 4> kWidths = {1, 60, 1'440, 10'080};
  return kWidths[static_cast<std::size_t>(grain)];
}

inline constexpr std::array kDimensions = {
    Dimension::kNone,      Dimension::kModel, Dimension::kTaskType, Dimension::kUser,
    Dimension::kApiKey,    Dimension::kTier,  Dimension::kProvider, Dimension::kModelTask,
    Dimension::kErrorCode, Dimension::kMode};

struct Layout {
  Grain finest, widest;
  Latencies latencies;
  std::chrono::days hours_kept;
  /// Events are added to hours only; hours that are over are folded into days once a day, and days
  /// into weeks. An event of many users then costs one page, not three.
  bool folded;
};
/// Users and API keys may be many: they are told apart by hours at most, and hours for a week.
constexpr Layout layout(Dimension dimension) {
  using std::chrono::days;
  switch (dimension) {
    case Dimension::kUser:
    case Dimension::kApiKey:
      return {Grain::kHour, Grain::kWeek, Latencies::kLeftOut, days(8), true};
    case Dimension::kModelTask:
    case Dimension::kErrorCode:
      return {Grain::kMinute, Grain::kDay, Latencies::kLeftOut, days(100), false};
    default:
      return {Grain::kMinute, Grain::kDay, Latencies::kKept, days(100), false};
  }
}
/// What the table calls a dimension. Of those that are folded, days and weeks also hold the bare
/// costs of more keys a page: the dearest of 100,000 users are found by them.
constexpr std::int64_t number_of(Dimension dimension) {
  return static_cast<std::int64_t>(dimension);
}
constexpr std::int64_t kBareCosts = 100;
constexpr std::int64_t costs_of(Dimension dimension) { return number_of(dimension) + kBareCosts; }
/// Of a dimension by its number.
constexpr std::int64_t keys_per_page(std::int64_t dimension, Grain grain) {
  if (dimension >= kBareCosts) return 1'024;
  const Layout how = layout(static_cast<Dimension>(dimension));
  if (how.folded) return grain == Grain::kHour ? 256 : 16;
  return how.latencies == Latencies::kKept ? 1 : 32;
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
/// The first start at or after `time` of the finest grain that is kept there at `now`.
std::int64_t first_start(Dimension dimension, Clock::Time time, Clock::Time now);

/// The sums of one page by key number, ascending.
using Page = std::vector<std::pair<std::int64_t, Sums>>;
std::string encode_page(const Page& page, std::int64_t first_number, Latencies latencies);
/// The form of a stored page with `added` in it. What `added` does not name is taken over unread.
/// Errors: corrupt.
Result<std::string> merge_page(std::string_view stored, const Page& added,
                               std::int64_t first_number, Latencies latencies);
/// Only of the numbers for which `wanted` holds; null: of all. Errors: corrupt.
Result<Page> parse_page(std::string_view bytes, std::int64_t first_number,
                        const std::vector<bool>* wanted = nullptr);
/// Adds each key's cost to `costs[number]`, which grows as needed; true in `seen[number]` tells
/// that there were sums at all. Errors: corrupt.
Result<void> add_costs(std::string_view page, std::int64_t first_number,
                       std::vector<NanoUsd>& costs, std::vector<bool>& seen);

}  // namespace asahi::gateway::analytics
