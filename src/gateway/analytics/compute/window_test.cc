#include "gateway/analytics/compute/window.h"

#include <gtest/gtest.h>

#include "gateway/analytics/testing/events.h"

namespace asahi::gateway::analytics {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;
using testing::at;

const Clock::Time kNow = at("2026-11-22T10:20:30.5Z");

std::string field_of(const WindowWish& wish) {
  const auto made = make_window(wish, kNow);
  EXPECT_FALSE(made);
  return made ? "" : made.error().field;
}

TEST(Window, EndsWithTheRunningUnitAndIsAsLongAsItsWord) {
  const Window hour = make_window({.period = "hour", .from = {}, .to = {}}, kNow).value();
  EXPECT_EQ(hour.from, at("2026-11-22T09:21:00Z"));
  EXPECT_EQ(hour.to, at("2026-11-22T10:21:00Z"));
  const Window day = make_window({.period = "24h", .from = {}, .to = {}}, kNow).value();
  EXPECT_EQ(day.length(), hours(24));
  EXPECT_EQ(day.unit, Unit::kMinute);
  const Window week = make_window({.period = "week", .from = {}, .to = {}}, kNow).value();
  EXPECT_EQ(week.to, at("2026-11-22T11:00:00Z"));
  EXPECT_EQ(week.length(), days(7));
  EXPECT_EQ(make_window({.period = "30d", .from = {}, .to = {}}, kNow)->length(), days(30));
  EXPECT_EQ(make_window({.period = "quarter", .from = {}, .to = {}}, kNow)->unit, Unit::kHour);
}

TEST(Window, TheTimeBeforeIsAsLongAndOfTheSameUnit) {
  const Window day = make_window({.period = "day", .from = {}, .to = {}}, kNow, 2).value();
  EXPECT_EQ(day.unit, Unit::kHour) << "minutes of the day before are partly gone";
  const Window earlier = before(day);
  EXPECT_EQ(earlier.to, day.from);
  EXPECT_EQ(earlier.length(), day.length());
  EXPECT_EQ(make_window({.period = "90d", .from = {}, .to = {}}, kNow, 2)->unit, Unit::kDay);
}

TEST(Window, OfFewUnitsIsRoundedOutwards) {
  const Window hour =
      make_window({.period = "hour", .from = {}, .to = {}}, kNow, 1, kPersonReach).value();
  EXPECT_EQ(hour.from, at("2026-11-22T09:00:00Z"));
  EXPECT_EQ(hour.to, at("2026-11-22T11:00:00Z"));
}

TEST(Window, ARangeOfItsOwnIsRoundedOutwards) {
  const Window recent =
      make_window(
          {.period = "day", .from = at("2026-11-22T08:00:10Z"), .to = at("2026-11-22T09:00:10Z")},
          kNow)
          .value();
  EXPECT_EQ(recent.from, at("2026-11-22T08:00:00Z"));
  EXPECT_EQ(recent.to, at("2026-11-22T09:01:00Z"));
  EXPECT_EQ(recent.period, "");
  const Window old =
      make_window(
          {.period = "day", .from = at("2025-11-22T08:00:10Z"), .to = at("2025-11-23T09:00:10Z")},
          kNow)
          .value();
  EXPECT_EQ(old.from, at("2025-11-22T00:00:00Z"));
  EXPECT_EQ(old.to, at("2025-11-24T00:00:00Z"));
}

TEST(Window, OneEndOfARangeSuffices) {
  const Window since =
      make_window({.period = "day", .from = at("2026-11-22T08:00:00Z"), .to = {}}, kNow).value();
  EXPECT_EQ(since.to, at("2026-11-22T10:21:00Z"));
  const Window until =
      make_window({.period = "hour", .from = {}, .to = at("2026-11-22T08:00:00Z")}, kNow).value();
  EXPECT_EQ(until.from, at("2026-11-22T07:00:00Z"));
}

TEST(Window, WrongWishesNameTheField) {
  EXPECT_EQ(field_of({.period = "year", .from = {}, .to = {}}), "period");
  EXPECT_EQ(field_of({.period = "day", .from = kNow, .to = kNow}), "from");
  EXPECT_EQ(field_of({.period = "day", .from = kNow, .to = kNow - hours(1)}), "from");
  EXPECT_EQ(field_of({.period = "day", .from = kNow - days(401), .to = {}}), "from");
  EXPECT_EQ(field_of({.period = "day", .from = at("1700-01-01T00:00:00Z"), .to = {}}), "from");
  EXPECT_EQ(field_of({.period = "day", .from = {}, .to = at("2250-01-01T00:00:00Z")}), "to");
}

TEST(Window, RoundsTimesBefore1970Too) {
  EXPECT_EQ(floor_to(at("1969-12-31T23:59:30Z"), minutes(1)), at("1969-12-31T23:59:00Z"));
  EXPECT_EQ(ceil_to(at("1969-12-31T23:59:30Z"), hours(1)), at("1970-01-01T00:00:00Z"));
}

}  // namespace
}  // namespace asahi::gateway::analytics
