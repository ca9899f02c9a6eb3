#include "memory/measure/errors.h"

#include <gtest/gtest.h>

#include "base/result.h"

namespace asahi::memory {
namespace {

TEST(ErrorType, SaysWhatTheCallerOrThePartDidWrong) {
  const auto type = [](Part part, Errc code) {
    return error_type(part, Error{.code = code, .message = {}});
  };
  EXPECT_EQ(type(Part::kQueryEngine, Errc::kInvalidArgument), "validation_error");
  EXPECT_EQ(type(Part::kQueryEngine, Errc::kTooLarge), "validation_error");
  EXPECT_EQ(type(Part::kQueryEngine, Errc::kForbidden), "authentication_error");
  EXPECT_EQ(type(Part::kQueryEngine, Errc::kRateLimited), "rate_limit_error");
  EXPECT_EQ(type(Part::kQueryEngine, Errc::kTimeout), "timeout_error");
  EXPECT_EQ(type(Part::kQueryEngine, Errc::kInternal), "unknown_error");
  EXPECT_EQ(type(Part::kHotStore, Errc::kCorrupt), "serialization_error");
}

TEST(ErrorType, OfWhatIsAwayDependsOnWhoseItIs) {
  const Error away{.code = Errc::kUnavailable, .message = {}};
  EXPECT_EQ(error_type(Part::kCacheLayer, away), "network_error");
  EXPECT_EQ(error_type(Part::kHotStore, away), "storage_error");
  EXPECT_EQ(error_type(Part::kColdStore, away), "storage_error");
  EXPECT_EQ(error_type(Part::kKnowledgeGraph, away), "database_error");
  EXPECT_EQ(error_type(Part::kVectorIndexer, away), "embedding_error");
}

TEST(CountError, CountsItWithItsSeverityAndNotesTheTime) {
  telemetry::Registry metrics;
  ManualClock clock;
  clock.advance(std::chrono::hours(1));
  const Error full{.code = Errc::kUnavailable, .message = "disk full"};
  count_error(metrics, clock, Part::kHotStore, full);
  count_error(metrics, clock, Part::kHotStore, full);
  const std::string text = metrics.expose();
  EXPECT_NE(text.find("akosha_errors_total{component=\"hot_store\",error_type=\"storage_error\","
                      "severity=\"error\"} 2"),
            std::string::npos)
      << text;
  const auto seconds = std::chrono::duration<double>(clock.now().time_since_epoch()).count();
  EXPECT_EQ(
      metrics
          .gauge(
              "akosha_error_last_timestamp_seconds", "",
              {{"component", "hot_store"}, {"error_type", "storage_error"}, {"severity", "error"}})
          .value(),
      seconds);
  count_error(metrics, clock, Part::kQueryEngine, Error{.code = Errc::kInvalidArgument});
  EXPECT_NE(metrics.expose().find("error_type=\"validation_error\",severity=\"info\"} 1"),
            std::string::npos);
}

}  // namespace
}  // namespace asahi::memory
