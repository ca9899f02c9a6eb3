#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace asahi::memory::rank {

/// A time that a question names: a day, month or year, wholly or in part ("in March" of any year),
/// or a stretch before now ("last week", "three days ago").
struct NamedTime {
  std::optional<int> year;
  std::optional<unsigned> month;        ///< 1 to 12
  std::optional<unsigned> day;          ///< 1 to 31
  std::optional<Clock::Time> from, to;  ///< [from, to)

  bool holds(Clock::Time time) const;
  bool operator==(const NamedTime&) const = default;
};

/// The first such time in `words` (text::plain_words of a question; English). "may" counts as a
/// month only beside a number or behind "in", "since", "last", "of", "until", "during".
std::optional<NamedTime> named_time(std::span<const std::string> words, Clock::Time now);

/// "yesterday", "monday", "june", "week": words by which a memory tells when something happened.
bool tells_time(std::string_view word);

}  // namespace asahi::memory::rank
