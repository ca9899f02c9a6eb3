#include "memory/rank/named_time.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

namespace asahi::memory::rank {
namespace {

using std::chrono::days;

constexpr std::array<std::string_view, 12> kMonths = {
    "january", "february", "march",     "april",   "may",      "june",
    "july",    "august",   "september", "october", "november", "december"};

constexpr auto kNumbers = std::to_array<std::string_view>(
    {"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"});

constexpr auto kTimeWords = std::to_array<std::string_view>(
    {"afternoon", "ago",       "april",    "august",  "autumn",   "day",       "days",
     "decade",    "december",  "evening",  "fall",    "february", "friday",    "january",
     "july",      "june",      "last",     "march",   "may",      "monday",    "month",
     "months",    "morning",   "next",     "night",   "november", "october",   "recently",
     "saturday",  "september", "since",    "soon",    "spring",   "summer",    "sunday",
     "thursday",  "today",     "tomorrow", "tonight", "tuesday",  "wednesday", "week",
     "weekend",   "weeks",     "winter",   "year",    "years",    "yesterday"});
static_assert(std::ranges::is_sorted(kTimeWords));

std::optional<unsigned> month_of(std::string_view word) {
  if (word == "sept") return 9;
  for (unsigned i = 0; i < kMonths.size(); ++i) {
    if (word == kMonths[i] || (word.size() == 3 && kMonths[i].starts_with(word))) return i + 1;
  }
  return {};
}

/// "13", "13th"; at most `most`.
std::optional<unsigned> number_of(std::string_view word, unsigned most) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || value > most) return {};
  const std::string_view rest(end, static_cast<std::size_t>(word.data() + word.size() - end));
  if (!rest.empty() && rest != "st" && rest != "nd" && rest != "rd" && rest != "th") return {};
  return value;
}

std::optional<int> year_of(std::string_view word) {
  const auto value = word.size() == 4 ? number_of(word, 2199) : std::nullopt;
  return value && *value >= 1900 ? std::optional<int>(static_cast<int>(*value)) : std::nullopt;
}

std::optional<unsigned> count_of(std::string_view word) {
  if (word == "a" || word == "an") return 1;
  const auto at = std::ranges::find(kNumbers, word);
  if (at != kNumbers.end()) return static_cast<unsigned>(at - kNumbers.begin());
  return number_of(word, 1000);
}

/// Days of "day", "weeks", …; 0: no such unit.
int days_of(std::string_view unit) {
  if (unit.ends_with('s')) unit.remove_suffix(1);
  if (unit == "day") return 1;
  if (unit == "week") return 7;
  if (unit == "month") return 30;
  if (unit == "year") return 365;
  return 0;
}

NamedTime between(Clock::Time from, Clock::Time to) {
  NamedTime out;
  out.from = from;
  out.to = to;
  return out;
}

std::optional<NamedTime> calendar(std::span<const std::string> words, std::size_t i) {
  const auto word = [&](std::size_t at) {
    return at < words.size() ? std::string_view(words[at]) : std::string_view();
  };
  NamedTime out;
  if ((out.month = month_of(word(i)))) {
    const bool day_before = i > 0 && number_of(word(i - 1), 31).value_or(0) > 0;
    std::size_t next = i + 1;
    if (day_before)
      out.day = number_of(word(i - 1), 31);
    else if (word(i - (i > 0 ? 1 : 0)) == "of" && i > 1 && number_of(word(i - 2), 31))
      out.day = number_of(word(i - 2), 31);
    else if (number_of(word(next), 31).value_or(0) > 0)
      out.day = number_of(word(next++), 31);
    out.year = year_of(word(next));
    const bool sure = out.day || out.year;
    constexpr auto kBefore =
        std::to_array<std::string_view>({"in", "since", "last", "of", "until", "during", "by"});
    const std::string_view before = i > 0 ? word(i - 1) : std::string_view();
    if (word(i) == "may" || word(i) == "mar" || word(i) == "march") {
      if (!sure && std::ranges::find(kBefore, before) == kBefore.end()) return {};
    }
    return out;
  }
  out = {};
  if ((out.year = year_of(word(i)))) {
    // "2023 05 08" is what an ISO date becomes.
    const auto month = number_of(word(i + 1), 12), day = number_of(word(i + 2), 31);
    if (month.value_or(0) > 0 && day.value_or(0) > 0 && word(i + 1).size() == 2 &&
        word(i + 2).size() == 2) {
      out.month = month;
      out.day = day;
    }
    return out;
  }
  return {};
}

std::optional<NamedTime> relative(std::span<const std::string> words, std::size_t i,
                                  Clock::Time now) {
  const auto word = [&](std::size_t at) {
    return at < words.size() ? std::string_view(words[at]) : std::string_view();
  };
  const Clock::Time today = std::chrono::floor<days>(now);
  if (word(i) == "today" || word(i) == "tonight") return between(today, today + days(1));
  if (word(i) == "yesterday") return between(today - days(1), today);
  const int unit = days_of(word(i + 1));
  if (word(i) == "last" && unit > 0) {
    // "last week" is said of the one before and of the seven days that end now.
    return between(today - days(unit == 1 ? 1 : 2 * unit), now);
  }
  if (word(i) == "last" && days_of(word(i + 2)) > 0) {
    if (const auto count = count_of(word(i + 1)))
      return between(today - days(static_cast<int>(*count) * days_of(word(i + 2))), now);
  }
  if (word(i) == "this" && unit > 1) return between(today - days(unit), today + days(unit));
  if (unit > 0 && word(i + 2) == "ago") {
    if (const auto count = count_of(word(i))) {
      const Clock::Time middle = today - days(static_cast<int>(*count) * unit);
      const days slack(unit == 1 ? 0 : unit / 2);
      return between(middle - slack, middle + days(1) + slack);
    }
  }
  return {};
}

}  // namespace

bool NamedTime::holds(Clock::Time time) const {
  if (from && (time < *from || time >= *to)) return false;
  const std::chrono::year_month_day date(std::chrono::floor<days>(time));
  if (year && static_cast<int>(date.year()) != *year) return false;
  if (month && static_cast<unsigned>(date.month()) != *month) return false;
  return !day || static_cast<unsigned>(date.day()) == *day;
}

std::optional<NamedTime> named_time(std::span<const std::string> words, Clock::Time now) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (auto found = calendar(words, i)) return found;
    if (auto found = relative(words, i, now)) return found;
  }
  return {};
}

bool tells_time(std::string_view word) {
  if (std::ranges::binary_search(kTimeWords, word)) return true;
  return year_of(word).has_value();
}

}  // namespace asahi::memory::rank
