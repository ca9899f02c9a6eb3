#include <algorithm>
#include <array>
#include <charconv>

#include "memory/graph/extract.h"

namespace asahi::memory::graph {
namespace {

using std::chrono::year_month_day;

constexpr auto kMonths =
    std::to_array<std::string_view>({"january", "february", "march", "april", "may", "june", "july",
                                     "august", "september", "october", "november", "december"});

std::string lower(std::string_view word) {
  std::string out(word);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return out;
}

/// 1 to 12; 0: no month. Three letters or more, or the whole name.
unsigned month_of(std::string_view word) {
  const std::string name = lower(word);
  if (name.size() < 3) return 0;
  for (unsigned i = 0; i < kMonths.size(); ++i) {
    if (kMonths[i] == name || (name.size() <= 4 && kMonths[i].starts_with(name))) return i + 1;
  }
  return 0;
}

std::optional<int> number_of(std::string_view word, std::size_t digits_least,
                             std::size_t digits_most) {
  std::size_t digits = 0;
  while (digits < word.size() && word[digits] >= '0' && word[digits] <= '9') ++digits;
  const std::string_view tail = word.substr(digits);
  const bool ordinal = tail == "st" || tail == "nd" || tail == "rd" || tail == "th";
  if (digits < digits_least || digits > digits_most || (!tail.empty() && !ordinal))
    return std::nullopt;
  int out = 0;
  std::from_chars(word.data(), word.data() + digits, out);
  return out;
}

std::optional<int> day_of(std::string_view word) {
  const auto day = number_of(word, 1, 2);
  return day && *day >= 1 && *day <= 31 ? day : std::nullopt;
}
std::optional<int> year_of(std::string_view word) {
  const auto year = number_of(word, 4, 4);
  return year && *year >= 1900 && *year <= 2200 && word.size() == 4 ? year : std::nullopt;
}

std::optional<Time> midnight(int year, unsigned month, unsigned day) {
  const year_month_day date{std::chrono::year{year}, std::chrono::month{month},
                            std::chrono::day{day}};
  // What nanoseconds in 64 bits reach.
  if (!date.ok() || year < 1678 || year > 2261) return std::nullopt;
  return Time{std::chrono::sys_days{date}};
}

std::optional<Time> iso(std::string_view word) {
  if (word.size() < 10 || word[4] != '-' || word[7] != '-') return std::nullopt;
  const auto year = year_of(word.substr(0, 4));
  const auto month = number_of(word.substr(5, 2), 2, 2), day = number_of(word.substr(8, 2), 2, 2);
  if (!year || !month || !day) return std::nullopt;
  if (word.size() > 10 && word[10] != 'T') return std::nullopt;
  return midnight(*year, static_cast<unsigned>(*month), static_cast<unsigned>(*day));
}

/// The year in which day and month last came, up to a month ahead of `said`.
std::optional<Time> last_such_day(unsigned month, unsigned day, Time said) {
  const year_month_day now{std::chrono::floor<std::chrono::days>(said)};
  const int year = static_cast<int>(now.year());
  auto out = midnight(year, month, day);
  if (!out || *out - std::chrono::days{31} > said) out = midnight(year - 1, month, day);
  return out;
}

}  // namespace

std::optional<Time> find_date(std::string_view text, Time said) {
  std::vector<std::string_view> words;
  constexpr std::string_view kAround = " \t\n\r,.;:!?()[]\"'";
  for (std::size_t at = 0; at < text.size() && words.size() < 200;) {
    const std::size_t begin = text.find_first_not_of(kAround, at);
    if (begin == std::string_view::npos) break;
    at = std::min(text.find_first_of(kAround, begin), text.size());
    words.push_back(text.substr(begin, at - begin));
  }
  const auto word = [&](std::size_t i) { return i < words.size() ? words[i] : std::string_view(); };
  const Time today = std::chrono::floor<std::chrono::days>(said);
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (const auto date = iso(words[i])) return date;
    const std::string name = lower(words[i]);
    if (name == "today") return today;
    if (name == "yesterday") return today - std::chrono::days{1};
    if (const unsigned month = month_of(words[i]); month != 0) {
      if (const auto day = day_of(word(i + 1))) {
        if (const auto year = year_of(word(i + 2)))
          return midnight(*year, month, static_cast<unsigned>(*day));
        return last_such_day(month, static_cast<unsigned>(*day), said);
      }
      if (const auto year = year_of(word(i + 1))) return midnight(*year, month, 1);
      continue;
    }
    if (const auto day = day_of(words[i])) {
      const std::size_t next = word(i + 1) == "of" ? i + 2 : i + 1;
      if (const unsigned month = month_of(word(next)); month != 0) {
        if (const auto year = year_of(word(next + 1)))
          return midnight(*year, month, static_cast<unsigned>(*day));
        return last_such_day(month, static_cast<unsigned>(*day), said);
      }
    }
    if (i > 0 && (lower(words[i - 1]) == "in" || lower(words[i - 1]) == "since")) {
      if (const auto year = year_of(words[i])) return midnight(*year, 1, 1);
    }
  }
  return std::nullopt;
}

}  // namespace asahi::memory::graph
