#pragma once

#include <array>
#include <string>

#include "gateway/quality/answer_screen.h"
#include "telemetry/metrics.h"

namespace asahi::gateway {

/// Counts what the screen finds, what comes of asking again, and how answers compare with the
/// baseline model's. Thread-safe.
class QualityMetrics {
 public:
  explicit QualityMetrics(telemetry::Registry& registry);
  void screened(const AnswerScreening& screening);
  void escalated(const std::string& from, const std::string& to);
  void compared(double agreement);

 private:
  telemetry::Registry& registry_;
  std::array<telemetry::Counter*, kAnswerFlagCount> flags_{};
  telemetry::Histogram& agreement_;
};

}  // namespace asahi::gateway
