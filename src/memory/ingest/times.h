#pragma once

#include <chrono>
#include <string_view>

#include "base/clock.h"

namespace asahi::memory {

/// How far another machine's clock may run ahead of this one's.
inline constexpr std::chrono::minutes kClockSkew{5};

/// An ISO 8601 time as exporters write it: RFC 3339; without an offset it is UTC; with a blank for
/// the 'T'; without seconds; a date alone is its midnight. Errors: invalid_argument.
Result<Clock::Time> parse_iso_time(std::string_view text);

}  // namespace asahi::memory
