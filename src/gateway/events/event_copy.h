#pragma once

#include "base/clock.h"
#include "gateway/events/event.h"
#include "storage/sql/copy_rows.h"

namespace asahi::gateway {

/// Rows of `inference_events` for PostgreSQL's COPY, empty at first.
sql::CopyRows event_rows();
/// Adds an event that fits its columns, as the loader makes it. `created_at` and its time are cut
/// to milliseconds: places in pages of events (analytics/store.h) are told apart by them.
void append_row(sql::CopyRows& rows, std::int64_t id, const InferenceEvent& event,
                Clock::Time created_at);

}  // namespace asahi::gateway
