#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/task.h"
#include "memory/model/query.h"
#include "memory/model/record.h"
#include "memory/model/shards.h"

namespace asahi::memory {

enum class UpsertOutcome : std::uint8_t {
  kStored,
  kReplaced,       ///< same key, changed content, newer timestamp
  kUnchanged,      ///< same key and content: adding it twice changes nothing
  kOlder,          ///< same key, changed content, timestamp not newer: the stored one stays
  kDuplicate,      ///< another key of the tenant has this very content: seen_in of that one grew
  kNearDuplicate,  ///< stored and linked, or skipped when `skip_near_duplicates`
};

struct UpsertOptions {
  bool deduplicate = true;
  bool skip_near_duplicates = false;
  double near_duplicate_threshold = 0.85;
};

struct TierStats {
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;  ///< on disk and in memory mapped from it
  std::optional<Clock::Time> oldest, newest;
  /// Vectors that are found one by one until the index has caught up; nothing: the tier has none.
  std::optional<std::uint64_t> unlinked = {};
};

/// A row that ageing may move, with the sum it must find again in the copy.
struct Eligible {
  Memory memory;
  Digest checksum{};
};

/// Which rows a scan takes: those that are all of this.
struct ScanQuery {
  Clock::Time before = Clock::Time::max();  ///< their timestamps are before it
  std::size_t limit = 1000;                 ///< the oldest of them, so many at most
  std::string tenant = {};                  ///< empty: of all tenants
  std::vector<Key> keys = {};               ///< these only; empty: any
  /// Rows that have no vector of this model; nothing: whatever vector they have.
  std::optional<std::string> without_model = {};
};

/// Another vector for a row that a scan gave.
struct NewVector {
  Key key;
  Digest checksum{};             ///< as the scan gave it; zeros: the row only loses its mark
  std::vector<float> embedding;  ///< of `model`
  std::string model;
};

/// SHA-256 of files that whoever asks for a copy has already; null: of none.
using HeldSums = std::shared_ptr<const std::set<Digest>>;
/// A file that a copy has not got because its content is held.
struct HeldFile {
  std::string path;  ///< below the copy's folder, with '/'
  std::uint64_t size = 0;
  Digest sha256{};
};

/// One tier, in this process or behind the internal store API. Every acknowledged write survives
/// `kill -9` where the tier is kept on disk. Callable from any loop.
/// Errors of all: unavailable (disk full, store away: nothing was changed), timeout, corrupt.
class Store {
 public:
  virtual ~Store() = default;
  virtual Tier tier() const = 0;

  /// All or nothing on disk, one outcome per memory in order; found by the next search.
  /// Errors: invalid_argument (width, NaN), too_large.
  virtual Task<std::vector<UpsertOutcome>> upsert_batch(std::vector<Memory> memories,
                                                        UpsertOptions options) = 0;
  virtual Task<std::vector<std::optional<Memory>>> get(std::vector<Key> keys) = 0;
  /// How many were there. Unknown keys are no error.
  virtual Task<std::uint64_t> delete_batch(std::vector<Key> keys) = 0;
  virtual Task<std::uint64_t> delete_system(std::string tenant, std::string system_id) = 0;
  virtual Task<StorePage> search(StoreQuery query) = 0;
  /// Rows that `wanted` describes, oldest first, marked as migrating so that a second run does not
  /// take them; a change of a marked row takes the mark away.
  virtual Task<std::vector<Eligible>> scan_eligible(ScanQuery wanted) = 0;
  /// Removes the rows whose checksum is still the one given (a row changed meanwhile stays). A row
  /// named with a digest of zeros stays and loses its mark: it was not copied after all.
  virtual Task<std::uint64_t> delete_migrated(std::vector<std::pair<Key, Digest>> rows) = 0;
  /// Gives rows whose checksum is still the one given another vector; all else of them stays as it
  /// is, and they lose their marks. All or nothing on disk. How many got theirs. Errors: also
  /// invalid_argument (width, NaN).
  virtual Task<std::uint64_t> replace_vectors(std::vector<NewVector> rows) = 0;
  /// Rows by the model of their vector, of all tenants when `tenant` is empty; an empty name: rows
  /// without a vector.
  virtual Task<std::map<std::string, std::uint64_t>> models(std::string tenant) = 0;
  virtual Task<std::vector<std::optional<Digest>>> checksum(std::vector<Key> keys) = 0;
  /// Of all tenants when `tenant` is empty.
  virtual Task<TierStats> stats(std::string tenant) = 0;
  /// A copy of the store as it stands below `folder`: complete, but for files whose content is
  /// `held`, where the store knows that without making them; these are told instead.
  virtual Task<std::vector<HeldFile>> snapshot(std::string folder, HeldSums held) = 0;
  /// What moves rows of it to other nodes of the tier; null: nothing does.
  virtual ShardRows* shard_rows() { return nullptr; }
};

}  // namespace asahi::memory
