#include "gateway/alerts/rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace asahi::gateway::alerts {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

class AlertRules : public testing::Test {
 protected:
  /// One look after `pause`.
  std::vector<Finding> look(std::chrono::nanoseconds pause = seconds(5)) {
    clock_.advance(pause);
    return rules_.look(facts_, clock_.steady_now());
  }
  /// Looks every five seconds for as long, while so many requests of a look fail.
  std::vector<Finding> pass(std::chrono::nanoseconds time, std::uint64_t requests,
                            std::uint64_t failures) {
    std::vector<Finding> found;
    for (auto left = time; left > std::chrono::nanoseconds::zero(); left -= seconds(5)) {
      facts_.counts.requests += requests;
      facts_.counts.failures += failures;
      found = look();
    }
    return found;
  }
  static const Finding* find(const std::vector<Finding>& all, std::string_view kind) {
    const auto found = std::ranges::find(all, kind, &Finding::kind);
    return found == all.end() ? nullptr : &*found;
  }

  AlertsConfig config_;
  ManualClock clock_;
  Facts facts_;
  Rules rules_{config_};
};

TEST_F(AlertRules, KeepQuietWhenNothingHappens) {
  EXPECT_TRUE(look().empty());
  EXPECT_TRUE(pass(minutes(10), 100, 0).empty());
}

TEST_F(AlertRules, TellOfMoreThanTenErrorsAMinuteAndForgetThemAMinuteLater) {
  pass(minutes(2), 1'000, 0);
  facts_.counts.requests += 10;
  facts_.counts.failures += 10;
  EXPECT_EQ(find(look(), "error_spike"), nullptr) << "ten are not more than ten";
  ++facts_.counts.requests;
  ++facts_.counts.failures;
  const auto found = look();
  const Finding* spike = find(found, "error_spike");
  ASSERT_NE(spike, nullptr);
  EXPECT_EQ(spike->severity, Severity::kHigh);
  EXPECT_EQ(spike->current, 11);
  EXPECT_EQ(spike->expected, 10);
  EXPECT_EQ(find(pass(minutes(1), 100, 0), "error_spike"), nullptr);
}

TEST_F(AlertRules, CountTheErrorsOfAProcessThatHasJustStarted) {
  look();
  facts_.counts = {.requests = 20, .failures = 20};
  EXPECT_NE(find(look(), "error_spike"), nullptr);
}

TEST_F(AlertRules, CountTheErrorsFromBeforeTheFirstLook) {
  facts_.counts = {.requests = 20, .failures = 20};
  EXPECT_NE(find(look(), "error_spike"), nullptr);
  EXPECT_EQ(find(pass(minutes(2), 100, 0), "error_spike"), nullptr);
}

TEST_F(AlertRules, TellOfARateOnlyAfterFiveMinutesOfIt) {
  EXPECT_EQ(find(pass(minutes(4), 10, 1), "error_rate"), nullptr);
  const auto found = pass(minutes(2), 10, 1);
  const Finding* rate = find(found, "error_rate");
  ASSERT_NE(rate, nullptr);
  EXPECT_EQ(rate->severity, Severity::kHigh);
  EXPECT_NEAR(rate->current, 0.1, 0.01);
  EXPECT_EQ(find(pass(minutes(2), 10, 0), "error_rate"), nullptr);
}

TEST_F(AlertRules, DoNotCallOneBadMinuteARate) {
  pass(minutes(5), 10, 0);
  pass(minutes(1), 10, 10);
  EXPECT_EQ(find(pass(minutes(3), 10, 0), "error_rate"), nullptr);
}

TEST_F(AlertRules, DoNotMakeARateOfAHandfulOfRequests) {
  for (int i = 0; i < 10; ++i) {
    ++facts_.counts.requests;
    ++facts_.counts.failures;
    EXPECT_EQ(find(pass(minutes(1), 0, 0), "error_rate"), nullptr);
  }
}

TEST_F(AlertRules, TellOfOpenBreakersAndOfAllVendorsDown) {
  facts_.vendors = {{.name = "openai", .breaker_open = true, .away = true},
                    {.name = "anthropic", .breaker_open = false, .away = false}};
  auto found = look();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].kind, "breaker_open");
  EXPECT_EQ(found[0].subject, "openai");
  EXPECT_EQ(found[0].severity, Severity::kMedium);
  facts_.vendors[1].away = true;
  found = look();
  ASSERT_NE(find(found, "vendors_down"), nullptr);
  EXPECT_EQ(find(found, "vendors_down")->severity, Severity::kCritical);
  facts_.vendors.clear();
  EXPECT_TRUE(look().empty()) << "no vendor is configured: nothing is down";
}

TEST_F(AlertRules, KeepALossInViewForTenMinutes) {
  look();
  facts_.counts.events_lost = 3;
  facts_.counts.audit_lost = 1;
  auto found = look();
  ASSERT_NE(find(found, "event_loss"), nullptr);
  EXPECT_EQ(find(found, "event_loss")->severity, Severity::kCritical);
  EXPECT_EQ(find(found, "event_loss")->current, 3);
  ASSERT_NE(find(found, "audit_loss"), nullptr);
  facts_.counts.events_lost = 5;
  found = look(minutes(9));
  EXPECT_EQ(find(found, "event_loss")->current, 5);
  EXPECT_EQ(find(look(minutes(1)), "audit_loss"), nullptr);
  EXPECT_EQ(find(look(minutes(9)), "event_loss"), nullptr);
  facts_.events_written = false;
  EXPECT_EQ(find(look(), "event_writes")->severity, Severity::kCritical);
}

TEST_F(AlertRules, TellWhenTheCacheAnswersHalfOfWhatItUsedTo) {
  for (int i = 0; i < 20 * 60; ++i) {
    facts_.counts.lookups += 10;
    facts_.counts.hits += 5;
    ASSERT_EQ(find(look(minutes(1)), "cache_regression"), nullptr);
  }
  std::vector<Finding> found;
  for (int i = 0; i < 60; ++i) {
    facts_.counts.lookups += 10;
    facts_.counts.hits += 2;
    found = look(minutes(1));
  }
  ASSERT_NE(find(found, "cache_regression"), nullptr);
  EXPECT_NEAR(find(found, "cache_regression")->current, 0.2, 0.01);
  EXPECT_NEAR(find(found, "cache_regression")->expected, 0.5, 0.01);
}

TEST_F(AlertRules, TellOfADayThatCostsTwiceTheUsual) {
  facts_.costs = {{.org_id = "acme", .today = 20.1, .average = 10, .days = 7},
                  {.org_id = "steady", .today = 20, .average = 10, .days = 7},
                  {.org_id = "new", .today = 500, .average = 1, .days = 2},
                  {.org_id = "small", .today = 0.9, .average = 0.01, .days = 7}};
  const auto found = look();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].kind, "cost_spike");
  EXPECT_EQ(found[0].org_id, "acme");
  EXPECT_FALSE(found[0].local) << "every process sees the same table";
  EXPECT_EQ(found[0].severity, Severity::kHigh);
}

TEST_F(AlertRules, LeaveTokenDriftToTheDigest) {
  facts_.token_ratios = {{"fine", 1.1}, {"off", 1.3}};
  const auto found = look();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].subject, "off");
  EXPECT_EQ(found[0].severity, Severity::kLow);
}

TEST(AlertFailures, AreFaultsOfOursAndOfVendorsOnly) {
  InferenceEvent event;
  EXPECT_FALSE(is_failure(event));
  for (const char* code : {"validation_error", "budget_exceeded", "cancelled", "rate_limited"}) {
    event.error_code = code;
    EXPECT_FALSE(is_failure(event)) << code;
  }
  for (const char* code : {"service_unavailable", "timeout", "upstream_error", "stream_cut"}) {
    event.error_code = code;
    EXPECT_TRUE(is_failure(event)) << code;
  }
}

}  // namespace
}  // namespace asahi::gateway::alerts
