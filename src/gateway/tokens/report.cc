#include "gateway/tokens/report.h"

namespace asahi::gateway {

QualityRisk risk_of(double saved_percent) {
  if (saved_percent < 15) return QualityRisk::kNone;
  if (saved_percent < 30) return QualityRisk::kLow;
  return saved_percent < 50 ? QualityRisk::kMedium : QualityRisk::kHigh;
}

std::string_view to_string(QualityRisk risk) {
  switch (risk) {
    case QualityRisk::kNone:
      return "none";
    case QualityRisk::kLow:
      return "low";
    case QualityRisk::kMedium:
      return "medium";
    case QualityRisk::kHigh:
      return "high";
  }
  return "none";
}

std::optional<QualityRisk> parse_quality_risk(std::string_view word) {
  for (const QualityRisk risk :
       {QualityRisk::kNone, QualityRisk::kLow, QualityRisk::kMedium, QualityRisk::kHigh}) {
    if (word == to_string(risk)) return risk;
  }
  return std::nullopt;
}

double OptimisationReport::saved_percent() const {
  return original_tokens > 0
             ? 100.0 * static_cast<double>(saved()) / static_cast<double>(original_tokens)
             : 0;
}

}  // namespace asahi::gateway
