#include "memory/model/query.h"

#include <gtest/gtest.h>

namespace asahi::memory {
namespace {

std::string week(const char* date) {
  return date_text(parse_rfc3339(std::string(date) + "T12:00:00Z").value(), DateUnit::kWeek);
}

TEST(DateFacets, CountByDayWeekOrMonth) {
  EXPECT_EQ(date_unit("date"), DateUnit::kDay);
  EXPECT_EQ(date_unit("date:day"), DateUnit::kDay);
  EXPECT_EQ(date_unit("date:week"), DateUnit::kWeek);
  EXPECT_EQ(date_unit("date:month"), DateUnit::kMonth);
  EXPECT_FALSE(date_unit("date:year"));
  EXPECT_FALSE(date_unit("tags"));
  const Clock::Time time = parse_rfc3339("2026-03-01T23:59:59Z").value();
  EXPECT_EQ(date_text(time, DateUnit::kDay), "2026-03-01");
  EXPECT_EQ(date_text(time, DateUnit::kMonth), "2026-03");
}

TEST(DateFacets, WeeksAreThoseOfIso8601) {
  // Sunday ends a week, Monday begins the next one.
  EXPECT_EQ(week("2026-03-01"), "2026-W09");
  EXPECT_EQ(week("2026-03-02"), "2026-W10");
  // Days at the turn of a year belong to the year of their Thursday.
  EXPECT_EQ(week("2027-01-01"), "2026-W53");
  EXPECT_EQ(week("2024-12-30"), "2025-W01");
  EXPECT_EQ(week("2021-01-03"), "2020-W53");
}

}  // namespace
}  // namespace asahi::memory
