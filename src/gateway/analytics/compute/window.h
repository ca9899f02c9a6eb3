#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace asahi::gateway::analytics {

/// What the bounds of a window are whole units of.
enum class Unit { kMinute, kHour, kDay };
std::chrono::seconds length(Unit unit);

/// How far back rollups of each width are kept (store.h), less a margin, so that no window begins
/// where they are just being thrown away.
struct Reach {
  std::chrono::seconds minutes, hours;
};
inline constexpr Reach kReach{std::chrono::hours(47), std::chrono::days(99)};
/// Of users and API keys.
inline constexpr Reach kPersonReach{std::chrono::seconds(0), std::chrono::hours(7 * 24 + 12)};

/// The smallest unit whose rollups reach from `now` back to `earliest`.
Unit unit_for(Clock::Time earliest, Clock::Time now, Reach reach = kReach);

Clock::Time floor_to(Clock::Time time, std::chrono::seconds step);
Clock::Time ceil_to(Clock::Time time, std::chrono::seconds step);

/// What figures are about: [from, to), whole units, UTC.
struct Window {
  std::string period;  ///< as asked for; empty: a range of its own
  Clock::Time from, to;
  Unit unit = Unit::kMinute;

  std::chrono::seconds length() const {
    return std::chrono::duration_cast<std::chrono::seconds>(to - from);
  }
};

/// hour 1 h, day 24 h, week 7 d, month 30 d, quarter 90 d (spec §8), and "1h", "24h", "7d", "30d",
/// "90d".
std::optional<std::chrono::seconds> period_length(std::string_view word);

struct WindowWish {
  std::string period;                   ///< a word of `period_length`
  std::optional<Clock::Time> from, to;  ///< in place of it
};

/// The window that ends with the running minute (hour, day), or the range asked for, rounded
/// outwards. `times_back`: so many windows of that length are looked at, this one and those before
/// it; the unit is made for all. Errors: invalid_argument naming the field.
Result<Window> make_window(const WindowWish& wish, Clock::Time now, int times_back = 1,
                           Reach reach = kReach);
/// The window of the same length that ends where this one begins.
Window before(const Window& window);

}  // namespace asahi::gateway::analytics
