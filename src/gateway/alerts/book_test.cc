#include "gateway/alerts/book.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace asahi::gateway::alerts {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using testing::SizeIs;

Finding spike(Severity severity = Severity::kHigh) {
  return {.kind = "error_spike",
          .subject = "",
          .org_id = "",
          .severity = severity,
          .title = "t",
          .message = "m",
          .metric = "x",
          .current = 11,
          .expected = 10};
}

class AlertBook : public testing::Test {
 protected:
  Book::Changes update(std::vector<Finding> findings, std::chrono::nanoseconds pause = seconds(5)) {
    clock_.advance(pause);
    return book_.update(findings, clock_.now(), clock_.steady_now());
  }
  AlertsConfig config_;  // cool-down 300 s, gone after 60 s
  ManualClock clock_;
  Book book_{config_, "node_1"};
};

TEST_F(AlertBook, TellsOnceOfTheBeginningAndOnceOfTheEnd) {
  auto first = update({spike()});
  ASSERT_THAT(first.fresh, SizeIs(1));
  ASSERT_THAT(first.notices, SizeIs(1));
  EXPECT_EQ(first.notices[0].what, Notice::What::kTriggered);
  EXPECT_TRUE(first.fresh[0].id.starts_with("alt_"));
  EXPECT_TRUE(first.fresh[0].told);
  for (int i = 0; i < 200; ++i) EXPECT_THAT(update({spike()}).notices, SizeIs(0));
  EXPECT_THAT(update({}, seconds(30)).notices, SizeIs(0)) << "it may come back at once";
  const auto last = update({}, seconds(31));
  ASSERT_THAT(last.notices, SizeIs(1));
  EXPECT_EQ(last.notices[0].what, Notice::What::kResolved);
  EXPECT_EQ(last.notices[0].alert.id, first.fresh[0].id);
  EXPECT_TRUE(last.changed[0].resolved_at);
}

TEST_F(AlertBook, WhatComesBackWithinTheCoolDownIsTheSameAlertAndToldWhenItIsOver) {
  const auto first = update({spike()});
  EXPECT_THAT(update({}, minutes(2)).notices, SizeIs(1));
  const auto again = update({spike()}, minutes(1));
  EXPECT_THAT(again.fresh, SizeIs(0));
  ASSERT_THAT(again.changed, SizeIs(1));
  EXPECT_EQ(again.changed[0].id, first.fresh[0].id);
  EXPECT_EQ(again.changed[0].occurrences, 2);
  EXPECT_FALSE(again.changed[0].resolved_at);
  EXPECT_THAT(again.notices, SizeIs(0));
  EXPECT_THAT(update({spike()}, minutes(1)).notices, SizeIs(0));
  EXPECT_THAT(update({spike()}, minutes(1)).notices, SizeIs(1)) << "still there after five minutes";
}

TEST_F(AlertBook, DoesNotTellOfTheEndOfWhatNobodyHeardOf) {
  (void)update({spike()});
  (void)update({}, minutes(2));
  (void)update({spike()}, seconds(5));
  EXPECT_THAT(update({}, minutes(2)).notices, SizeIs(0));
}

TEST_F(AlertBook, ANewAlertBeginsAfterTheCoolDown) {
  const auto first = update({spike()});
  (void)update({}, minutes(6));
  const auto later = update({spike()}, minutes(1));
  ASSERT_THAT(later.fresh, SizeIs(1));
  EXPECT_NE(later.fresh[0].id, first.fresh[0].id);
  EXPECT_THAT(later.notices, SizeIs(1));
}

TEST_F(AlertBook, LowSeveritiesAreListedAndNotTold) {
  const auto changes = update({spike(Severity::kLow)});
  EXPECT_THAT(changes.fresh, SizeIs(1));
  EXPECT_THAT(changes.notices, SizeIs(0));
  EXPECT_THAT(update({}, minutes(2)).notices, SizeIs(0));
}

TEST_F(AlertBook, TriesAgainWhenNobodyCouldBeTold) {
  const auto first = update({spike()});
  book_.untold(first.fresh[0].key());
  EXPECT_THAT(update({spike()}, minutes(4)).notices, SizeIs(0));
  EXPECT_THAT(update({spike()}, minutes(1)).notices, SizeIs(1));
}

TEST_F(AlertBook, GoesOnWithAnAlertOfBeforeARestart) {
  Alert old;
  static_cast<Finding&>(old) = spike();
  old.id = "alt_old";
  old.node = "node_1";
  old.told = true;
  book_.restore(old, clock_.steady_now());
  EXPECT_THAT(update({spike()}).fresh, SizeIs(0));
  const auto end = update({}, minutes(2));
  ASSERT_THAT(end.notices, SizeIs(1));
  EXPECT_EQ(end.notices[0].alert.id, "alt_old");
}

TEST_F(AlertBook, LeavesToOthersWhatTheyTell) {
  const auto first = update({spike()});
  book_.leave_to_others(first.fresh[0].key());
  EXPECT_THAT(update({spike()}, minutes(10)).changed, SizeIs(0));
  const auto end = update({}, minutes(2));
  EXPECT_THAT(end.notices, SizeIs(0));
  EXPECT_THAT(end.changed, SizeIs(0));
}

TEST_F(AlertBook, IsBounded) {
  std::vector<Finding> many;
  for (int i = 0; i < 5'000; ++i) {
    many.push_back(spike());
    many.back().subject = std::to_string(i);
  }
  EXPECT_THAT(update(many).fresh, SizeIs(1'000));
}

}  // namespace
}  // namespace asahi::gateway::alerts
