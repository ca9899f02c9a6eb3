#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "jobs/queue.h"

namespace asahi::jobs {
namespace {

using ::testing::HasSubstr;

std::string next(std::string_view expression, std::string_view from) {
  auto time = next_cron(expression, parse_rfc3339(from).value());
  return time ? format_rfc3339(*time).substr(0, 16) : "error: " + time.error().message;
}

// 2026-11-21 is a Saturday.
constexpr std::string_view kSaturday = "2026-11-21T10:00:00Z";

TEST(NextCron, IsTheFirstMinuteAtOrAfter) {
  EXPECT_EQ(next("* * * * *", kSaturday), "2026-11-21T10:00");
  EXPECT_EQ(next("* * * * *", "2026-11-21T10:00:00.001Z"), "2026-11-21T10:01");
  EXPECT_EQ(next("0 3 * * *", kSaturday), "2026-11-22T03:00");
  EXPECT_EQ(next("0 10 * * *", kSaturday), "2026-11-21T10:00");
}

TEST(NextCron, TakesListsRangesAndSteps) {
  EXPECT_EQ(next("*/15 * * * *", "2026-11-21T10:16:00Z"), "2026-11-21T10:30");
  EXPECT_EQ(next("5,50 9-11 * * *", "2026-11-21T10:06:00Z"), "2026-11-21T10:50");
  EXPECT_EQ(next("10-30/10 12 * * *", kSaturday), "2026-11-21T12:10");
  EXPECT_EQ(next("0 0-6/3,22 * * *", kSaturday), "2026-11-21T22:00");
}

TEST(NextCron, TakesNamesInAnyCase) {
  EXPECT_EQ(next("0 8 * * mon", kSaturday), "2026-11-23T08:00");
  EXPECT_EQ(next("0 8 * * TUE-Thu", kSaturday), "2026-11-24T08:00");
  EXPECT_EQ(next("0 0 1 Jan *", kSaturday), "2027-01-01T00:00");
}

TEST(NextCron, SundayIsZeroAndSeven) {
  EXPECT_EQ(next("0 0 * * 0", kSaturday), "2026-11-22T00:00");
  EXPECT_EQ(next("0 0 * * 7", kSaturday), "2026-11-22T00:00");
  EXPECT_EQ(next("0 0 * * 5-7", "2026-11-22T00:00:01Z"), "2026-11-27T00:00");
}

TEST(NextCron, EitherDaySufficesWhenBothAreRestricted) {
  EXPECT_EQ(next("0 0 1 * mon", kSaturday), "2026-11-23T00:00");
  EXPECT_EQ(next("0 0 25 * sun", "2026-11-23T00:00:00Z"), "2026-11-25T00:00");
  EXPECT_EQ(next("0 0 */2 * mon", kSaturday), "2026-11-23T00:00")
      << "a leading * restricts nothing";
}

TEST(NextCron, CrossesMonthsYearsAndLeapDays) {
  EXPECT_EQ(next("30 23 31 * *", kSaturday), "2026-12-31T23:30");
  EXPECT_EQ(next("0 0 29 2 *", kSaturday), "2028-02-29T00:00");
  EXPECT_EQ(next("0 0 29 2 *", "2096-03-01T00:00:00Z"), "2104-02-29T00:00");
  EXPECT_EQ(next("59 23 31 12 *", "2026-12-31T23:59:00Z"), "2026-12-31T23:59");
}

TEST(NextCron, KnowsTheShortForms) {
  EXPECT_EQ(next("@hourly", "2026-11-21T10:00:01Z"), "2026-11-21T11:00");
  EXPECT_EQ(next("@daily", kSaturday), "2026-11-22T00:00");
  EXPECT_EQ(next("@midnight", kSaturday), "2026-11-22T00:00");
  EXPECT_EQ(next("@weekly", kSaturday), "2026-11-22T00:00");
  EXPECT_EQ(next("@monthly", kSaturday), "2026-12-01T00:00");
  EXPECT_EQ(next("@yearly", kSaturday), "2027-01-01T00:00");
}

TEST(NextCron, NamesTheFieldThatIsWrong) {
  const std::pair<const char*, const char*> wrong[] = {
      {"60 * * * *", "minute"},      {"* 24 * * *", "hour"},
      {"* * 0 * *", "day of month"}, {"* * 32 * *", "day of month"},
      {"* * * 13 *", "month"},       {"* * * foo *", "month"},
      {"* * * * 8", "day of week"},  {"* * * * monday", "day of week"},
      {"5-1 * * * *", "minute"},     {"*/0 * * * *", "minute"},
      {"5/15 * * * *", "minute"},    {"1,,2 * * * *", "minute"},
      {"* mon * * *", "hour"},       {"-1 * * * *", "minute"},
      {"*/x * * * *", "minute"},
  };
  for (const auto& [expression, field] : wrong) {
    auto refused = next_cron(expression, Clock::Time{});
    ASSERT_FALSE(refused) << expression;
    EXPECT_EQ(refused.error().code, Errc::kInvalidArgument);
    EXPECT_EQ(refused.error().field, std::string("cron ") + field) << expression;
    EXPECT_THAT(refused.error().message, HasSubstr(field));
  }
}

TEST(NextCron, RefusesOtherNumbersOfFieldsAndUnknownShortForms) {
  for (const char* expression : {"", "* * * *", "* * * * * *", "@never", "@Hourly"}) {
    EXPECT_FALSE(next_cron(expression, Clock::Time{})) << expression;
  }
}

TEST(NextCron, RefusesDaysThatDoNotExist) {
  for (const char* expression : {"0 0 30 2 *", "0 0 31 apr,jun,sep,nov *"}) {
    auto refused = next_cron(expression, Clock::Time{});
    ASSERT_FALSE(refused) << expression;
    EXPECT_THAT(refused.error().message, HasSubstr("does not exist"));
  }
}

}  // namespace
}  // namespace asahi::jobs
