#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/clock.h"
#include "gateway/events/event.h"
#include "gateway/routing/model_registry.h"
#include "gateway/routing/pricing.h"

namespace asahi::server::demo {

struct MonthOptions {
  std::int64_t events = 120'000;  ///< in all, give or take one an hour
  int days = 30;                  ///< that end with `end`
  std::uint64_t seed = 1;
  std::string org;
  Clock::Time end;  ///< where the last hour ends
};

/// Invented traffic of an organisation with five applications and some fifty users, oldest first:
/// the same events for the same options and models. It has what charts are looked at for:
/// - a daily and a weekly rhythm, and growth by three quarters over the month;
/// - a move from dear models to cheaper ones in its middle, and caches that warm up;
/// - a night of batches, a vendor's outage of two hours, half a day with cold caches;
/// - an afternoon and a last hour that cost a multiple of what is usual.
/// Costs are those of the models' prices; models that `registry` lacks are not used.
void each_event_of_month(const MonthOptions& options, const gateway::Registry& registry,
                         gateway::BaselineRates baseline,
                         const std::function<void(const gateway::InferenceEvent&)>& visit);

}  // namespace asahi::server::demo
