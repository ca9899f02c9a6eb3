#pragma once

#include <boost/asio/thread_pool.hpp>

#include <functional>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/task.h"
#include "net/http/message.h"
#include "storage/sql/database.h"

namespace asahi::gateway::analytics {

enum class ExportFormat { kCsv, kNdjson };

/// Which events are exported: of one organisation, oldest first. Empty texts: any.
struct ExportQuery {
  std::string org_id;
  std::optional<Clock::Time> from, to;  ///< [from, to)
  std::string model, task_type, user_id, api_key_prefix, provider, error_code;
  std::optional<bool> cache_hit, failed;
  std::optional<int> cache_tier;
  ExportFormat format = ExportFormat::kCsv;
};

/// Writes the events of a query, as many as there are, in the memory of one page: the next page is
/// read when the client has taken this one. Pages cost the same however rare the events are that
/// fit, so no statement runs long. `text` runs what turns rows into text, off the loops. Ends with
/// `cancelled` when the client goes or `gone` says so. Other errors: those of the database.
Task<void> export_events(sql::Database& database, boost::asio::thread_pool& text, ExportQuery query,
                         http::BodyWriter& writer, std::function<bool()> gone);

/// Rows of one page of the table.
inline constexpr std::int64_t kExportPage = 2'000;

}  // namespace asahi::gateway::analytics
