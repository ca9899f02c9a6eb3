#include "memory/model/query.h"

#include <fmt/format.h>

namespace asahi::memory {

std::string_view mode_name(SearchMode mode) {
  switch (mode) {
    case SearchMode::kSemantic:
      return "semantic";
    case SearchMode::kKeyword:
      return "keyword";
    case SearchMode::kHybrid:
      break;
  }
  return "hybrid";
}

std::optional<DateUnit> date_unit(std::string_view facet) {
  if (facet == "date" || facet == "date:day") return DateUnit::kDay;
  if (facet == "date:week") return DateUnit::kWeek;
  if (facet == "date:month") return DateUnit::kMonth;
  return std::nullopt;
}

std::string date_text(Clock::Time time, DateUnit unit) {
  using std::chrono::days;
  if (unit == DateUnit::kDay) return format_date(time);
  if (unit == DateUnit::kMonth) return format_date(time).substr(0, 7);
  const auto day = std::chrono::floor<days>(time);
  // A week belongs to the year that its Thursday is in.
  const auto thursday =
      day + days(4) - days(std::chrono::weekday(std::chrono::sys_days(day)).iso_encoding());
  const auto year = std::chrono::year_month_day(std::chrono::sys_days(thursday)).year();
  const auto into_year = thursday - std::chrono::sys_days(year / std::chrono::January / 1);
  return fmt::format("{:04}-W{:02}", static_cast<int>(year), into_year / days(7) + 1);
}

}  // namespace asahi::memory
