#include "memory/series/alerts.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/json.h"

namespace asahi::memory::series {
namespace {

const Clock::Time kNow{std::chrono::days{20'000}};

Observation latency(double ms, std::string system = "a") {
  return {
      .type = AlertType::kHighLatency, .value = ms, .about = {{"system_id", std::move(system)}}};
}

TEST(Alerts, BeginBeyondTheThreshold) {
  AlertRules rules;
  EXPECT_FALSE(rules.decide(latency(1000), kNow));
  EXPECT_TRUE(rules.decide(latency(1001), kNow));
  EXPECT_FALSE(rules.decide({.type = AlertType::kLowHitRate, .value = 0.5}, kNow));
  EXPECT_TRUE(rules.decide({.type = AlertType::kLowHitRate, .value = 0.49}, kNow));
  EXPECT_FALSE(rules.decide({.type = AlertType::kSpikeInErrors, .value = 10}, kNow));
  EXPECT_TRUE(rules.decide({.type = AlertType::kSpikeInErrors, .value = 11}, kNow));
  EXPECT_FALSE(rules.decide({.type = AlertType::kAnomalyDetected, .value = 2}, kNow));
  EXPECT_TRUE(rules.decide({.type = AlertType::kAnomalyDetected, .value = 2.1}, kNow));
  EXPECT_FALSE(rules.decide({.type = AlertType::kUnusualTraffic, .value = 1e9}, kNow))
      << "no threshold is set";
  EXPECT_TRUE(rules.decide({.type = AlertType::kNewEntityDetected}, kNow)) << "an event";
  EXPECT_FALSE(rules.decide(latency(std::numeric_limits<double>::quiet_NaN()), kNow));
}

TEST(Alerts, AreTheGraverTheFurther) {
  AlertRules rules;
  EXPECT_EQ(rules.decide(latency(1500), kNow)->severity, Severity::kWarning);
  EXPECT_EQ(rules.decide(latency(2000), kNow)->severity, Severity::kError);
  EXPECT_EQ(rules.decide(latency(5000), kNow)->severity, Severity::kCritical);
  EXPECT_EQ(rules.decide({.type = AlertType::kLowHitRate, .value = 0.25}, kNow)->severity,
            Severity::kError);
  EXPECT_EQ(rules.decide({.type = AlertType::kLowHitRate, .value = 0}, kNow)->severity,
            Severity::kCritical);
  EXPECT_EQ(rules.decide({.type = AlertType::kRelationshipChange}, kNow)->severity,
            Severity::kInfo);
}

TEST(Alerts, DoNotRepeatWithinTheWindow) {
  AlertRules rules;
  const auto window = rules.config().repeat_window;
  EXPECT_TRUE(rules.decide(latency(1500), kNow));
  EXPECT_FALSE(rules.decide(latency(1500), kNow + window - std::chrono::nanoseconds{1}));
  EXPECT_FALSE(rules.decide(latency(1502), kNow)) << "nearly the same value";
  EXPECT_TRUE(rules.decide(latency(1500, "b"), kNow)) << "another system";
  EXPECT_TRUE(rules.decide(latency(9000), kNow)) << "much worse";
  EXPECT_TRUE(rules.decide(latency(1500), kNow + window));
  EXPECT_FALSE(rules.decide(latency(1500), kNow + window + std::chrono::seconds{1}));
}

TEST(Alerts, RememberAtMostSoManyPatterns) {
  AlertRules rules({.most_patterns = 3});
  for (int i = 0; i < 10; ++i)
    EXPECT_TRUE(rules.decide(latency(1500, std::to_string(i)), kNow + std::chrono::seconds{i}));
  EXPECT_LE(rules.remembered(), 3U);
  EXPECT_FALSE(rules.decide(latency(1500, "9"), kNow + std::chrono::seconds{10}));
  EXPECT_TRUE(rules.decide(latency(1500, "0"), kNow + std::chrono::seconds{11})) << "given way";
}

TEST(Alerts, ThresholdsCanBeSetAndTakenAway) {
  AlertRules rules;
  ASSERT_TRUE(rules.set_threshold(AlertType::kUnusualTraffic, 3));
  EXPECT_TRUE(rules.decide({.type = AlertType::kUnusualTraffic, .value = 4}, kNow));
  ASSERT_TRUE(rules.set_threshold(AlertType::kHighLatency, std::nullopt));
  EXPECT_FALSE(rules.decide(latency(1e6), kNow));
  EXPECT_FALSE(rules.set_threshold(AlertType::kHighLatency, std::nan("")));
}

TEST(Alerts, SayInTheWebhookWhatHappened) {
  AlertRules rules;
  const Alert alert = rules.decide(latency(1500), kNow).value();
  const auto body = parse_json(alert.json()).value().as_object();
  EXPECT_EQ(body.at("alert_type").as_string(), "high_latency");
  EXPECT_EQ(body.at("severity").as_string(), "warning");
  EXPECT_EQ(body.at("id").as_string(), alert.id);
  EXPECT_TRUE(alert.id.starts_with("alert_"));
  EXPECT_EQ(body.at("message").as_string(), "high_latency: 1500 is above the threshold of 1000");
  EXPECT_EQ(body.at("metadata").as_object().at("system_id").as_string(), "a");
  EXPECT_EQ(body.at("timestamp").as_string(), format_rfc3339(kNow));
  EXPECT_EQ(body.at("pattern_data").as_object().at("threshold").to_number<double>(), 1000);
  EXPECT_EQ(body.at("pattern_data").as_object().at("actual_value").to_number<double>(), 1500);
}

TEST(Alerts, TypesHaveNames) {
  for (std::size_t i = 0; i < kAlertTypes; ++i) {
    const auto type = static_cast<AlertType>(i);
    EXPECT_EQ(alert_type_from(to_string(type)), type);
  }
  EXPECT_FALSE(alert_type_from("panic"));
}

}  // namespace
}  // namespace asahi::memory::series
