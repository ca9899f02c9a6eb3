#include <fmt/format.h>

#include <bitset>
#include <charconv>

#include "jobs/queue.h"

namespace asahi::jobs {
namespace {

using std::chrono::days;
using std::chrono::floor;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::sys_days;
using std::chrono::weekday;
using std::chrono::year_month_day;

/// Eight years hold a 29 February wherever they begin, 2097 to 2103 included.
constexpr int kHorizonDays = 8 * 366;

struct FieldRule {
  const char* name;
  int least;
  int greatest;
  std::string_view names;  ///< three letters each, from `least` on; empty: numbers only
};

constexpr FieldRule kMinute{"minute", 0, 59, ""};
constexpr FieldRule kHour{"hour", 0, 23, ""};
constexpr FieldRule kDay{"day of month", 1, 31, ""};
constexpr FieldRule kMonth{"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"};
constexpr FieldRule kWeekday{"day of week", 0, 7, "sunmontuewedthufrisat"};

struct Field {
  std::bitset<64> values;
  bool restricted = false;  ///< does not begin with '*'
};

struct Schedule {
  Field minute, hour, day, month, weekday;

  bool names_day(sys_days date) const {
    const year_month_day calendar(date);
    if (!month.values[static_cast<unsigned>(calendar.month())]) return false;
    const bool by_day = day.values[static_cast<unsigned>(calendar.day())];
    const bool by_weekday = weekday.values[std::chrono::weekday(date).c_encoding()];
    return day.restricted && weekday.restricted ? by_day || by_weekday : by_day && by_weekday;
  }
};

std::unexpected<Error> refuse(const FieldRule& rule, std::string_view text, std::string_view why) {
  return fail_field(
      fmt::format("cron {}", rule.name),
      fmt::format("'{}' is no cron {}: {}; expected {} to {}, lists (1,2), ranges (1-5) or "
                  "steps (*/15)",
                  text, rule.name, why, rule.least, rule.greatest));
}

/// One number or name; -1 when it is neither.
int parse_value(const FieldRule& rule, std::string_view text) {
  int value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc{} && end == text.data() + text.size()) {
    return value >= rule.least && value <= rule.greatest ? value : -1;
  }
  if (text.size() != 3) return -1;
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  for (std::size_t at = 0; at + 3 <= rule.names.size(); at += 3) {
    if (rule.names.substr(at, 3) == lower) return rule.least + static_cast<int>(at / 3);
  }
  return -1;
}

Result<Field> parse_field(const FieldRule& rule, std::string_view text) {
  Field field;
  field.restricted = !text.starts_with('*');
  for (std::string_view rest = text;;) {
    const auto comma = rest.find(',');
    const std::string_view item = rest.substr(0, comma);
    const auto slash = item.find('/');
    const std::string_view range = item.substr(0, slash);
    int step = 1;
    if (slash != std::string_view::npos) {
      const auto digits = item.substr(slash + 1);
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), step);
      if (error != std::errc{} || end != digits.data() + digits.size() || step < 1) {
        return refuse(rule, text, "a step is a number above 0");
      }
    }
    int first = rule.least;
    int last = rule.greatest;
    if (range != "*") {
      const auto dash = range.find('-');
      first = parse_value(rule, range.substr(0, dash));
      last = dash == std::string_view::npos ? first : parse_value(rule, range.substr(dash + 1));
      if (first < 0 || last < 0) return refuse(rule, text, "a value is unknown or out of range");
      if (first > last) return refuse(rule, text, "a range runs backwards");
      if (slash != std::string_view::npos && dash == std::string_view::npos) {
        return refuse(rule, text, "a step needs * or a range in front of it");
      }
    }
    for (int value = first; value <= last; value += std::min(step, 64)) {
      field.values.set(static_cast<std::size_t>(value));
    }
    if (comma == std::string_view::npos) break;
    rest = rest.substr(comma + 1);
  }
  return field;
}

std::string_view expand_alias(std::string_view expression) {
  if (expression == "@hourly") return "0 * * * *";
  if (expression == "@daily" || expression == "@midnight") return "0 0 * * *";
  if (expression == "@weekly") return "0 0 * * 0";
  if (expression == "@monthly") return "0 0 1 * *";
  if (expression == "@yearly" || expression == "@annually") return "0 0 1 1 *";
  return expression;
}

Result<Schedule> parse_schedule(std::string_view expression) {
  std::vector<std::string_view> fields;
  const std::string_view text = expand_alias(expression);
  for (std::size_t at = 0; at < text.size();) {
    const auto from = text.find_first_not_of(" \t", at);
    if (from == std::string_view::npos) break;
    at = std::min(text.find_first_of(" \t", from), text.size());
    fields.push_back(text.substr(from, at - from));
  }
  if (fields.size() != 5) {
    return fail_field(
        "cron", fmt::format("'{}' has {} fields; expected five: minute hour day-of-month month "
                            "day-of-week, or @hourly, @daily, @weekly, @monthly, @yearly",
                            expression, fields.size()));
  }
  Schedule schedule;
  ASAHI_TRY(schedule.minute, parse_field(kMinute, fields[0]));
  ASAHI_TRY(schedule.hour, parse_field(kHour, fields[1]));
  ASAHI_TRY(schedule.day, parse_field(kDay, fields[2]));
  ASAHI_TRY(schedule.month, parse_field(kMonth, fields[3]));
  ASAHI_TRY(schedule.weekday, parse_field(kWeekday, fields[4]));
  if (schedule.weekday.values[7]) schedule.weekday.values.set(0);  // both are Sunday
  return schedule;
}

}  // namespace

Result<Clock::Time> next_cron(std::string_view expression, Clock::Time from) {
  ASAHI_TRY(const auto schedule, parse_schedule(expression));
  const auto start = std::chrono::ceil<minutes>(from);
  const auto first_day = floor<days>(start);
  for (int offset = 0; offset <= kHorizonDays; ++offset) {
    const sys_days date = first_day + days(offset);
    if (!schedule.names_day(date)) continue;
    const int begin = offset == 0 ? static_cast<int>((start - first_day).count()) : 0;
    for (int minute = begin; minute < 24 * 60; ++minute) {
      if (schedule.hour.values[static_cast<std::size_t>(minute / 60)] &&
          schedule.minute.values[static_cast<std::size_t>(minute % 60)]) {
        return Clock::Time(date + minutes(minute));
      }
    }
  }
  return fail_field("cron", fmt::format("'{}' names a day that does not exist", expression));
}

}  // namespace asahi::jobs
