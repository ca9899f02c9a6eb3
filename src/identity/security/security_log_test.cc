#include "identity/security/security_log.h"

#include <gtest/gtest.h>

namespace asahi::identity {
namespace {

struct SecurityLogTest : ::testing::Test {
  struct Line {
    LogLevel level;
    SecurityEntry entry;
    std::uint64_t suppressed;
  };
  std::string metric(const std::string& name) {
    const std::string all = metrics.expose();
    const auto at = all.find("\n" + name + " ");
    if (at == std::string::npos) return "";
    const auto from = at + name.size() + 2;
    return all.substr(from, all.find('\n', from) - from);
  }
  ManualClock clock;
  telemetry::Registry metrics;
  std::vector<Line> lines;
  SecurityLog log{metrics,
                  clock,
                  {.lines_per_second = 3},
                  [this](LogLevel level, const SecurityEntry& entry, std::uint64_t suppressed) {
                    lines.push_back({level, entry, suppressed});
                  }};
};

TEST_F(SecurityLogTest, AFloodIsCountedWholeAndWrittenInPart) {
  for (int i = 0; i < 100; ++i)
    log.note({.event = SecurityEvent::kAuthFailure, .severity = SecuritySeverity::kMedium});
  log.note({.event = SecurityEvent::kDataAccess});
  EXPECT_EQ(lines.size(), 4U) << "three of the one, and the other is not held up by it";
  clock.advance(std::chrono::seconds(1));
  log.note({.event = SecurityEvent::kAuthFailure, .severity = SecuritySeverity::kHigh});
  EXPECT_EQ(lines.back().suppressed, 97U);
  EXPECT_EQ(metric(R"(security_auth_failure_total{severity="MEDIUM"})"), "100");
  EXPECT_EQ(metric(R"(security_auth_failure_total{severity="HIGH"})"), "1");
}

TEST_F(SecurityLogTest, ValuesAreCut) {
  log.note({.event = SecurityEvent::kSchemaValidationFailure,
            .resource = std::string(2'000, 'r'),
            .details = {{"value", std::string(2'000, 'v')}}});
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_LE(lines[0].entry.resource.size(), 500U);
  EXPECT_LE(lines[0].entry.details[0].second.size(), 500U);
}

TEST_F(SecurityLogTest, WhatIsWorseHasAHigherLevel) {
  log.note({.severity = SecuritySeverity::kLow});
  log.note({.severity = SecuritySeverity::kHigh});
  log.note({.severity = SecuritySeverity::kCritical});
  EXPECT_EQ(lines[0].level, LogLevel::kInfo);
  EXPECT_EQ(lines[1].level, LogLevel::kWarning);
  EXPECT_EQ(lines[2].level, LogLevel::kCritical);
}

TEST(LooksLikeTraversal, WhatLeadsUpwardsIsFoundHoweverItIsWritten) {
  for (const char* text : {"../etc/passwd", "a/../b", "..", "x/..", "..\\windows", "%2e%2e%2fetc",
                           "..%2F", ".%2e/", "a%00b"})
    EXPECT_TRUE(looks_like_traversal(text)) << text;
  EXPECT_TRUE(looks_like_traversal(std::string_view("a\0b", 3)));
  for (const char* text : {"agent-1", "v1.2..3", "100%", "wait... what", "a/b/c", "file.tar.gz"})
    EXPECT_FALSE(looks_like_traversal(text)) << text;
}

TEST(LooksLikeSqlInjection, TheUsualOnesAreFoundAndPlainTextIsNot) {
  for (const char* text : {"x' OR '1'='1", "1 or 1=1", "admin'--", "a'; DROP TABLE users",
                           "1 UNION SELECT password FROM users", "x\" or \"a\"=\"a", "sleep(10)"})
    EXPECT_TRUE(looks_like_sql_injection(text)) << text;
  for (const char* text : {"why did the deploy fail", "a = b", "well--known", "it's Ben's",
                           "color: red; background: blue", "select a good union"})
    EXPECT_FALSE(looks_like_sql_injection(text)) << text;
}

}  // namespace
}  // namespace asahi::identity
