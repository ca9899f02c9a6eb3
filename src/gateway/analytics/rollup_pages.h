#pragma once

#include <map>
#include <string>
#include <tuple>

#include "gateway/analytics/rollup_cells.h"
#include "storage/sql/database.h"

namespace asahi::gateway::analytics {

/// A page's place in `analytics_rollups`: organisation, dimension, grain, start, page.
using Where = std::tuple<std::string, std::int64_t, std::int64_t, std::int64_t, std::int64_t>;
using Pages = std::map<Where, Page>;  // in the order of the index

/// The lowest key number that a page may hold.
std::int64_t first_number(const Where& where);
Latencies latencies_of(const Where& where);

/// Puts a key's sums on its page, and its bare cost on another where the dimension has these.
void put(Pages& pages, const std::string& org, Dimension dimension, Grain grain, std::int64_t start,
         std::int64_t number, Sums sums);

/// Which pages are looked for on PostgreSQL before they are written. Of a time without a sum of
/// all (Dimension::kNone) there can be no others, if the sum of all is among those written:
/// `kLikely` looks for no more than that and finds out (conflict, with the reason
/// "unique_violation") if it was wrong, as while old rollups are being deleted.
enum class LookUp { kLikely, kEvery };

/// Adds pages to those in the table. Errors: those of the database; corrupt.
Result<void> write_pages(sql::Session& session, Pages& pages, LookUp look_up = LookUp::kEvery);

}  // namespace asahi::gateway::analytics
