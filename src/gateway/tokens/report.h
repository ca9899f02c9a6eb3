#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace asahi::gateway {

/// How far a trimmed request may be from what was asked, by the share of tokens saved (spec §3.10):
/// under 15 % none, under 30 % low, under 50 % medium, else high.
enum class QualityRisk { kNone, kLow, kMedium, kHigh };
QualityRisk risk_of(double saved_percent);
std::string_view to_string(QualityRisk risk);
std::optional<QualityRisk> parse_quality_risk(std::string_view word);

/// What was done to one request. Tokens are estimates (words × 1.3), original and optimised alike.
struct OptimisationReport {
  std::int64_t original_tokens = 0, optimized_tokens = 0;
  std::vector<std::string_view> strategies;  ///< empty: the request is as it was
  QualityRisk risk = QualityRisk::kNone;
  std::string skipped;  ///< why nothing was tried, where that is worth telling

  bool changed() const { return !strategies.empty(); }
  std::int64_t saved() const { return original_tokens - optimized_tokens; }
  double saved_percent() const;
};

}  // namespace asahi::gateway
