#include "gateway/analytics/compute/window.h"

#include <fmt/format.h>

#include <utility>

namespace asahi::gateway::analytics {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::seconds;

constexpr seconds kLongest = days(400), kFurthest = days(3'660);

}  // namespace

seconds length(Unit unit) {
  switch (unit) {
    case Unit::kMinute:
      return std::chrono::minutes(1);
    case Unit::kHour:
      return hours(1);
    case Unit::kDay:
      break;
  }
  return days(1);
}

Unit unit_for(Clock::Time earliest, Clock::Time now, Reach reach) {
  const auto back = now - earliest;
  return back <= reach.minutes ? Unit::kMinute : back <= reach.hours ? Unit::kHour : Unit::kDay;
}

Clock::Time floor_to(Clock::Time time, seconds step) {
  const auto since = std::chrono::floor<seconds>(time.time_since_epoch());
  auto rest = since % step;
  if (rest < seconds(0)) rest += step;
  return Clock::Time(since - rest);
}

Clock::Time ceil_to(Clock::Time time, seconds step) {
  const Clock::Time floor = floor_to(time, step);
  return floor == time ? floor : floor + step;
}

std::optional<seconds> period_length(std::string_view word) {
  if (word == "hour" || word == "1h") return hours(1);
  if (word == "day" || word == "24h") return hours(24);
  if (word == "week" || word == "7d") return days(7);
  if (word == "month" || word == "30d") return days(30);
  if (word == "quarter" || word == "90d") return days(90);
  return std::nullopt;
}

Result<Window> make_window(const WindowWish& wish, Clock::Time now, int times_back, Reach reach) {
  const auto period = period_length(wish.period);
  if (!period) {
    return fail_field("period",
                      fmt::format("period is '{}'; it must be hour, day, week, month or quarter "
                                  "(or 1h, 24h, 7d, 30d, 90d)",
                                  wish.period.substr(0, 40)));
  }
  if (!wish.from && !wish.to) {
    Window window{.period = wish.period, .from = {}, .to = {}};
    window.unit = unit_for(now - *period * times_back, now, reach);
    const seconds unit = length(window.unit);
    window.to = floor_to(now, unit) + unit;
    window.from = window.to - *period;
    // Of few units the running one would be too large a part.
    constexpr int kFew = 24;
    if (*period < unit * kFew) window.from = floor_to(now - *period, unit);
    return window;
  }
  for (const auto& [name, time] : {std::pair("from", wish.from), std::pair("to", wish.to)}) {
    if (time && (*time < now - kFurthest || *time > now + kFurthest)) {
      return fail_field(name, fmt::format("{} is {}; it must be at most ten years from now", name,
                                          format_rfc3339(*time)));
    }
  }
  const Clock::Time to = wish.to.value_or(now);
  const Clock::Time from = wish.from.value_or(to - *period);
  if (from >= to) {
    return fail_field("from", fmt::format("from is {}; it must be before to, which is {}",
                                          format_rfc3339(from), format_rfc3339(to)));
  }
  if (to - from > kLongest) {
    return fail_field("from",
                      fmt::format("from is {}; it must be at most 400 days before to, which is {}",
                                  format_rfc3339(from), format_rfc3339(to)));
  }
  Window window;
  window.unit = unit_for(from - (to - from) * (times_back - 1), now, reach);
  window.from = floor_to(from, length(window.unit));
  window.to = ceil_to(to, length(window.unit));
  return window;
}

Window before(const Window& window) {
  Window earlier = window;
  earlier.to = window.from;
  earlier.from = window.from - window.length();
  return earlier;
}

}  // namespace asahi::gateway::analytics
