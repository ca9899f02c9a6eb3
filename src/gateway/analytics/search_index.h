#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/task.h"
#include "gateway/analytics/search_pages.h"
#include "gateway/analytics/store.h"
#include "storage/sql/database.h"

namespace asahi::gateway::analytics {

/// Finds events by words and exact values, on both engines alike: inverted lists of blocks of
/// events with consecutive ids (`event_blocks`, `event_terms`). A full-text index of the engine
/// would be another one on each, could not give the newest hits first without ranking all, and
/// would cost a posting per word on the writer's way; a block is indexed when it is full, some
/// 0.03 rows an event. Whatever is asked, a query looks at most once at each block.

/// Terms from `from` to before `to`.
struct TermRange {
  std::string from, to;
  bool exact = true;  ///< one term
};
/// Terms that an event must all have; empty when the query names none.
std::vector<TermRange> terms_of(const EventsQuery& query);

/// Indexes the next full block; false when there is none. Blocking. Takes turns with the loaders of
/// all nodes.
Result<bool> index_next_block(sql::Database& database);

/// The first id that no block holds.
Result<std::int64_t> indexed_to(sql::Database& database);

/// A block of an organisation's events.
struct Block {
  std::int64_t number = 0;
  std::int64_t first_ms = 0, last_ms = 0;
};
/// Those with events from `from_ms` to `to_ms` (both included), the latest first.
Result<std::vector<Block>> blocks_between(sql::Database& database, const std::string& org_id,
                                          std::int64_t from_ms, std::int64_t to_ms);

struct FoundEvent {
  std::int64_t ms = 0, id = 0;
  auto operator<=>(const FoundEvent&) const = default;
};
/// The events of some blocks that have all of `terms` (at least one). Rows may be gone since, and
/// terms are cut at a length: look at the rows.
Result<std::vector<FoundEvent>> find_in(sql::Database& database, const std::string& org_id,
                                        const std::vector<std::int64_t>& blocks,
                                        const std::vector<TermRange>& terms);

/// Drops blocks whose events are all older than `cutoff`.
Task<void> expire_search(sql::Database& database, std::string org_id, Clock::Time cutoff);
/// Takes a user's events up to `until`, whose rows are deleted already, out of the index, and with
/// them the words that only they had.
Task<void> erase_search_of(sql::Database& database, std::string org_id, std::string user_id,
                           Clock::Time until);

}  // namespace asahi::gateway::analytics
