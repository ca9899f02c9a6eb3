#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "storage/sql/database.h"
#include "storage/sql/migrations.h"

namespace asahi::gateway::semantic {

/// What the semantic cache keeps of one answered question. Texts of organisations whose profile
/// demands it are sealed (cache/seal.h) by the caller.
struct EntryRow {
  std::string org;
  std::string id;        ///< 32 hex digits, unique in the organisation
  std::string embedder;  ///< llm::EmbedderTraits::tag
  std::string query;
  std::string task;
  std::uint64_t context_digest = 0;
  std::string
      earlier{};       ///< what the user had said before (join_turns); empty: nothing, or not kept
  std::string answer;  ///< serialize_answer; not read by `after`
  std::uint64_t answer_digest = 0;
  /// Unit length; empty where the query tells it (the local embedder).
  std::vector<float> vector;
  std::string evidence;  ///< EntryEvidence::encode
  std::int64_t hits = 0;
  Clock::Time created{};
  Clock::Time expires{};
};

/// The semantic cache's entries in SQL: they are the truth, and the vector index follows from them.
/// Several processes may share one database: each sees the others' new entries with `after`, and
/// what another has deleted is not there when its answer is read. Errors: those of the database;
/// corrupt for a row that nobody here wrote.
class EntryRows {
 public:
  /// `database` outlives it.
  explicit EntryRows(sql::Database& database) : database_(database) {}

  /// At most kMaxBatch. An entry that is there is replaced and counts as new.
  static constexpr std::size_t kMaxBatch = 100;
  Task<void> put(std::vector<EntryRow> entries);

  struct Page {
    std::vector<EntryRow> entries;  ///< without answers
    std::int64_t last = 0;          ///< where the next page begins
    bool more = false;
  };
  /// Entries of one embedder that expire after `now`, in the order they were put, of all
  /// organisations.
  Task<Page> after(std::int64_t last, std::string embedder, Clock::Time now,
                   std::size_t limit) const;
  /// Of one organisation, newest first, with answers: for people who look at the cache.
  Task<std::vector<EntryRow>> list(std::string org, std::string before_id, std::size_t limit) const;

  struct Stored {
    std::string answer;    ///< serialize_answer
    std::string evidence;  ///< what another process learned meanwhile is in it
  };
  /// What an entry answers, unless it is gone or its time is over.
  Task<std::optional<Stored>> answer(std::string org, std::string id, Clock::Time now) const;
  Task<std::optional<EntryRow>> get(std::string org, std::string id) const;

  struct Learned {
    std::string org, id;
    std::string evidence;
    std::int64_t new_hits = 0;
  };
  /// Joins it with what others stored (EntryEvidence::merge). Entries that are gone meanwhile are
  /// no error.
  Task<void> learn(std::vector<Learned> learned);

  /// How many were there.
  Task<std::int64_t> erase(std::string org, std::vector<std::string> ids);
  Task<std::int64_t> erase_all(std::string org);
  Task<std::int64_t> erase_expired(std::string org, Clock::Time now);
  /// Of all organisations.
  Task<std::int64_t> sweep(Clock::Time now);
  Task<std::int64_t> count(std::string org, Clock::Time now) const;

  /// What was learned about one organisation's entries as a whole (Evidence::encode), and the
  /// first filter (ThresholdTuner::encode, under the organisation ""). Empty: nothing yet.
  Task<std::string> knowledge(std::string org, std::string embedder) const;
  Task<void> keep_knowledge(std::string org, std::string embedder, std::string text,
                            Clock::Time now);
  /// Puts `text` in the place of `before` (empty: of nothing). False: something else stands there.
  Task<bool> exchange_knowledge(std::string org, std::string embedder, std::string before,
                                std::string text, Clock::Time now);

 private:
  sql::Database& database_;
};

/// Versions 120 and 121.
std::vector<sql::Migration> entries_migrations();

}  // namespace asahi::gateway::semantic
