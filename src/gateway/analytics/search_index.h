#pragma once

#include <memory>
#include <span>
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

/// A block's terms, gathered by who inserts its events, so that they need not be read back. Holds
/// one block from its first id on, without a gap: some 3 MB when it is full.
class FreshBlock {
 public:
  FreshBlock();
  ~FreshBlock();
  FreshBlock(FreshBlock&&) noexcept;
  FreshBlock& operator=(FreshBlock&&) noexcept;

  /// A committed event. The first of a block begins anew; one that does not follow the one before
  /// ends the gathering until the next block begins.
  void add(std::int64_t id, const InferenceEvent& event);

 private:
  struct Content;
  friend Result<bool> index_next_block(sql::Database& database, const FreshBlock* fresh);
  std::unique_ptr<Content> content_;
};

/// Indexes the next full block; false when there is none. If `fresh` holds all of it, and the table
/// too, the rows are not read. Blocking. Takes turns with the loaders of all nodes.
Result<bool> index_next_block(sql::Database& database, const FreshBlock* fresh = nullptr);

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

/// The rows of a user's events, ascending: what the index knows, and what stands in the table
/// behind it. Rows may be gone since, and terms are cut at a length: look at the rows. A look at
/// each block of the organisation, some 10 ms of ten million events. Errors: those of the database;
/// corrupt.
Task<std::vector<std::int64_t>> rows_of_user(sql::Database& database, std::string org_id,
                                             std::string user_id);
/// The same of a request id. One without a letter or digit is looked for in the table.
Task<std::vector<std::int64_t>> rows_of_request(sql::Database& database, std::string org_id,
                                                std::string request_id);
/// "id IN (a list of numbers in one parameter)" and that parameter.
std::string among_ids(sql::Dialect dialect);
sql::Value list_of_ids(sql::Dialect dialect, std::span<const std::int64_t> ids);

/// Drops blocks whose events are all older than `cutoff`.
Task<void> expire_search(sql::Database& database, std::string org_id, Clock::Time cutoff);
/// Takes a user's events up to `until`, whose rows are deleted already, out of the index, and with
/// them the words that only they had.
Task<void> erase_search_of(sql::Database& database, std::string org_id, std::string user_id,
                           Clock::Time until);

}  // namespace asahi::gateway::analytics
