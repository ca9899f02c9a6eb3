#include "gateway/analytics/compute/budget_risk.h"

#include <fmt/format.h>

namespace asahi::gateway::analytics {

std::optional<std::string> budget_risk(const Forecast& thirty, double monthly_budget) {
  if (monthly_budget <= 0 || thirty.method == ForecastMethod::kNone) return std::nullopt;
  if (thirty.predicted > monthly_budget) {
    return fmt::format(
        "The next 30 days are expected to cost ${:.2f}: ${:.2f} more than the budget of ${:.2f}.",
        thirty.predicted, thirty.predicted - monthly_budget, monthly_budget);
  }
  if (thirty.high > monthly_budget) {
    return fmt::format(
        "Caution: the next 30 days are expected to cost ${:.2f}, within the budget of ${:.2f}, but "
        "could reach ${:.2f}.",
        thirty.predicted, monthly_budget, thirty.high);
  }
  return std::nullopt;
}

}  // namespace asahi::gateway::analytics
