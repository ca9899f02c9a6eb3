#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/task.h"
#include "gateway/analytics/store.h"
#include "storage/sql/database.h"

namespace asahi::gateway::analytics {

/// What an organisation's events of one day (UTC) add up to, by a dimension that is not folded
/// (rollup_cells.h). Without latencies.
struct OrgDay {
  std::string org_id;
  std::string key;
  Clock::Time day;
  Sums sums;
};

/// Of all organisations, for what looks after the installation as a whole: the days that begin in
/// [from, to), in no order. Reads one row per organisation, day and key. Errors: those of the
/// database; corrupt.
Task<std::vector<OrgDay>> org_days(sql::Database& database, Dimension by, Clock::Time from,
                                   Clock::Time to);

}  // namespace asahi::gateway::analytics
