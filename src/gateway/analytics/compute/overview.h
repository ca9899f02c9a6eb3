#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "gateway/analytics/sums.h"

namespace asahi::gateway::analytics {

/// A figure of the overview, by its name in the reply.
struct Figure {
  std::string_view name;
  double value = 0;
};
/// In the order of the reply: requests, errors, error_rate, total_cost … Money in dollars with six
/// decimals.
std::vector<Figure> overview_figures(const Sums& sums);

/// Change from `previous` to `current` in percent, two decimals; nothing where `previous` is 0.
std::optional<double> delta_pct(double current, double previous);

}  // namespace asahi::gateway::analytics
