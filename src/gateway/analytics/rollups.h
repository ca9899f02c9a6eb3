#pragma once

#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/task.h"
#include "gateway/analytics/rollup_cells.h"
#include "gateway/analytics/rollup_pages.h"
#include "gateway/events/event.h"
#include "storage/sql/database.h"

namespace asahi::gateway::analytics {

/// Keeps the rollups of `inference_events`. It works inside the transactions that insert the rows,
/// so that both are there or neither: a crash counts nothing twice. Belongs to the loader's thread.
class RollupWriter {
 public:
  explicit RollupWriter(const Clock& clock) : clock_(clock) {}

  /// First in a transaction that inserts rows or calls `add`: loaders of several nodes take turns
  /// until it ends, so that ids are committed in their order and rollups are read and written by
  /// one at a time. Errors: those of the database.
  Result<void> begin(sql::Session& session);
  /// Adds events whose rows this transaction inserted.
  Result<void> add(sql::Session& session, std::span<const InferenceEvent> events,
                   LookUp look_up = LookUp::kEvery);
  /// The transaction is through: what was learned in it may be relied on. Without this call `begin`
  /// forgets it.
  void committed();

  /// Adds the next rows that were there before rollups were; false when none are left.
  Result<bool> backfill(sql::Database& database);
  /// Makes the next day that is over (and with it a week) of its hours; true when another one is.
  Result<bool> fold_day(sql::Database& database);
  /// Deletes minutes and hours that are old enough.
  Result<void> prune(sql::Database& database);

 private:
  /// What is summed under one number.
  struct KeyView {
    Dimension dimension;
    std::string_view org, key;
    bool operator==(const KeyView&) const = default;
  };
  struct Key {
    Dimension dimension;
    std::string org, key;
    operator KeyView() const { return {dimension, org, key}; }
  };
  struct KeyHash {
    using is_transparent = void;
    std::size_t operator()(const KeyView& key) const;
  };
  struct KeyEqual {
    using is_transparent = void;
    bool operator()(const KeyView& one, const KeyView& two) const { return one == two; }
  };
  template <class T>
  using ByKey = std::unordered_map<Key, T, KeyHash, KeyEqual>;
  struct Cells;

  Result<void> number_keys(sql::Session& session, Cells& cells);

  const Clock& clock_;
  /// Numbers of keys, of committed transactions and of this one.
  ByKey<std::int64_t> numbers_, learned_;
  std::int64_t keys_version_ = -1;
  /// Up to here (minutes since 1970) days and weeks of folded dimensions hold all hours.
  std::int64_t folded_day_ = 0, folded_week_ = 0;
};

/// Deletes an organisation's rollups from before `cutoff`, days included.
Task<void> expire_rollups(sql::Database& database, std::string org_id, Clock::Time cutoff);
/// Deletes what is kept under a user's name and under the prefixes of the user's API keys. Sums
/// that are not told apart by person (of models, tasks …) keep counting the requests. Returns the
/// number of rollups that named the person.
Task<std::int64_t> erase_rollups_of(sql::Database& database, std::string org_id,
                                    std::string user_id);

}  // namespace asahi::gateway::analytics
