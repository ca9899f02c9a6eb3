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

/// Adds pages to those in the table. Errors: those of the database; corrupt.
Result<void> write_pages(sql::Session& session, Pages& pages);

}  // namespace asahi::gateway::analytics
