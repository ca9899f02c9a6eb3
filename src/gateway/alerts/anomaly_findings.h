#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/task.h"
#include "gateway/alerts/alert.h"
#include "gateway/analytics/store.h"

namespace asahi::gateway::alerts {

/// What analytics finds unusual in the last hour of these organisations, as findings about them:
/// each is the same for every process that shares the database. A cost spike is high, what drifts
/// is medium (spec §7.2). Errors: those of the store.
Task<std::vector<Finding>> anomaly_findings(const analytics::Store& store,
                                            std::vector<std::string> organisations,
                                            Clock::Time now);

}  // namespace asahi::gateway::alerts
