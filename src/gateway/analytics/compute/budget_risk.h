#pragma once

#include <optional>
#include <string>

#include "gateway/analytics/compute/forecast.h"

namespace asahi::gateway::analytics {

/// A sentence when 30 days will cost more than `monthly_budget` (dollars), or may: the upper end of
/// the interval is above it. `thirty`: a forecast over 30 days. Budget 0: none.
std::optional<std::string> budget_risk(const Forecast& thirty, double monthly_budget);

}  // namespace asahi::gateway::analytics
