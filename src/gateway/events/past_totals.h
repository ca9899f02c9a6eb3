#pragma once

#include <map>
#include <string>

#include "base/clock.h"
#include "gateway/events/totals.h"
#include "storage/sql/database.h"

namespace asahi::gateway {

/// Each organisation's sums over `inference_events` from before `start`: what `Totals` would hold
/// had it seen those events. Money is exact; latencies are the table's whole milliseconds.
/// Blocking. Errors: those of the database.
Result<std::map<std::string, OrgTotals>> totals_before(sql::Database& database, Clock::Time start);

}  // namespace asahi::gateway
