#pragma once

#include <boost/asio/thread_pool.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "memory/cold/catalogue.h"
#include "memory/cold/listing.h"
#include "memory/cold/merge_plan.h"
#include "memory/cold/putting.h"
#include "memory/cold/reader.h"
#include "memory/cold/row_cache.h"
#include "memory/cold/rows.h"
#include "memory/model/query.h"
#include "memory/model/store.h"
#include "storage/object/store.h"

namespace asahi::memory::cold {

struct ColdOptions {
  std::string temp_folder;     ///< files on their way, in a private folder; empty: the system's
  std::uint32_t shards = 256;  ///< of the keys' names
  FileOptions file;            ///< rows of a row group and of a page, zstd's level
  /// Objects up to this size are fetched at once and checked by their sum; larger ones page by
  /// page.
  std::uint64_t whole_bytes = 2ULL << 20;
  std::uint64_t cache_bytes = 16ULL << 20;  ///< of such objects and of footers
  /// Of rows that are ready for searches (search_rows.h), some 900 bytes each.
  std::uint64_t rows_bytes = 96ULL << 20;
  /// Files that are read for searches, or put, at a time.
  unsigned files_at_once = 8;
  std::chrono::milliseconds search_budget{60'000};
  /// How long a retired object stays for those who still read it.
  std::chrono::seconds grace{600};
  MergeRules merge;
  ArchiveRules archive;
  /// A file that has been on its way this long is nobody's any more. 0 where no other process
  /// writes to this catalogue.
  std::chrono::seconds abandoned_after{0};
};

/// A file that could not be read, and why.
struct Unread {
  std::string key;
  Error error;
};

struct ColdPage {
  StorePage page;
  std::vector<Unread> unread;  ///< the others have answered
  bool complete = true;        ///< false: `unread`, or the time was over
  std::uint64_t files = 0;     ///< that were read
};

/// What is older than it is to be kept.
struct Expired {
  std::uint64_t records = 0;  ///< memories that are gone
  std::uint64_t files = 0;    ///< of which nothing is left
};

struct Compacted {
  std::uint64_t files_before = 0, files_after = 0;  ///< that took part
  std::uint64_t rows_dropped = 0;                   ///< erased memories that are gone for good
  std::uint64_t objects_erased = 0;                 ///< retired before
};

/// Memories in Parquet files of an object store, listed in a catalogue. Blocking, from ordinary
/// threads (store.h has the coroutines); thread-safe.
///
/// A batch becomes one file per system and month: written into a private folder, put, read back and
/// compared by SHA-256, and only then in the catalogue. Erased memories get a tombstone there at
/// once; `compact` rewrites their files, `tidy` merges small ones as they gather. Killed at any
/// moment it leaves what the catalogue says. Where several processes share a catalogue, of two
/// changes at a time one is refused (conflict).
class ColdTier {
 public:
  /// `objects`, `catalogue`, `clock` outlive it. Erases what an earlier process had on its way.
  /// A shared catalogue (`abandoned_after`) that is away is read later. Errors: those of the
  /// catalogue.
  static Result<std::unique_ptr<ColdTier>> open(object::ObjectStore& objects, Catalogue& catalogue,
                                                const Clock& clock, ColdOptions options);
  ~ColdTier();

  /// Outcomes kStored, kReplaced, kUnchanged, kOlder; content_hash tells content. Errors:
  /// invalid_argument (no memories, keys, vectors that are not finite), unavailable and the object
  /// store's: nothing was added.
  Result<std::vector<UpsertOutcome>> upsert(std::vector<Memory> memories);
  /// One result per key. Errors of each: corrupt, not_found (a file is missing), the object
  /// store's.
  std::vector<Result<std::optional<Memory>>> get(const std::vector<Key>& keys);
  /// How many were there.
  Result<std::uint64_t> erase(const std::vector<Key>& keys);
  Result<std::uint64_t> erase_system(const std::string& tenant, const std::string& system_id);
  /// Erases a tenant's memories with timestamps before `before`; `only_count`: tells of them.
  /// Errors: those of a file that holds some of them beside others and cannot be read: nothing has
  /// changed.
  Result<Expired> expire(const std::string& tenant, Clock::Time before, bool only_count);
  /// Errors: that of the first file when none could be read.
  Result<ColdPage> search(StoreQuery query, Clock::Steady deadline);
  /// Of all tenants when `tenant` is empty.
  TierStats stats(const std::string& tenant) const;
  /// Grows with every change of what a tenant has here, as far as `refresh` has seen.
  std::uint64_t version(const std::string& tenant) const { return listing_.version(tenant); }
  /// Takes in what other processes did to the catalogue since; changes do so by themselves. When
  /// the catalogue is away, what is known of it serves. Errors: unavailable while nothing is.
  Result<void> refresh();
  /// Merges small files, drops erased memories, erases retired objects. Until the deadline: what is
  /// left comes the next time. A damaged file stays as it is. Searches, look-ups, erasures and
  /// batches go on meanwhile.
  Result<Compacted> compact(Clock::Steady deadline);
  /// Merges only where many small files have gathered, and erases retired objects.
  Result<Compacted> tidy(Clock::Steady deadline);
  /// The objects below `folder`/objects and their list as `folder`/catalogue: a FolderStore and a
  /// FileCatalogue open them.
  Result<std::vector<HeldFile>> snapshot(const std::string& folder, const HeldSums& held = {});

  const ColdOptions& options() const { return options_; }
  const Clock& clock() const { return clock_; }

 private:
  using File = Listing::File;
  using Owner = Listing::Owner;
  struct Found {
    File file;
    Memory memory;
  };
  struct Unit;
  struct Reading;

  ColdTier(object::ObjectStore& objects, Catalogue& catalogue, const Clock& clock,
           ColdOptions options);

  // tier.cc; `changing_` is held.
  bool abandoned(const ColdFile& file) const;
  Result<void> erase_objects(const std::vector<ColdFile>& files);
  void give_up(const std::vector<Ready>& files);
  /// The ids of a file's living rows before `before`.
  Result<std::vector<std::string>> older_rows(const ColdFile& file, Clock::Time before);
  Result<std::vector<Ready>> write(const std::vector<const Memory*>& rows,
                                   const std::string& folder);

  // tier_read.cc
  /// The row of each key, of the latest file that holds it.
  std::vector<Result<std::optional<Found>>> find(const std::vector<Key>& keys);
  void look_into(const File& file, const std::vector<Key>& keys,
                 const std::vector<std::size_t>& wanted,
                 std::vector<Result<std::optional<Found>>>& out);
  Result<std::vector<Unit>> units_of(const File& file, const StoreQuery& query);
  RowCache::Loading load(const Unit& unit);

  // tier_merge.cc
  Result<Compacted> merge_all(MergeNeed need, Clock::Steady deadline);
  Result<std::uint64_t> erase_retired();
  std::vector<std::vector<File>> partitions() const;
  /// Merges the files, or drops them where nothing in them lives. False: somebody else has changed
  /// them meanwhile. `unreadable`: one that cannot be read.
  Result<bool> merge(const std::vector<File>& files, Compacted& done, File& unreadable);
  Result<std::optional<Ready>> merged_file(const std::vector<File>& files,
                                           const std::string& folder, File& unreadable);
  /// Puts the file in the place of `files`.
  Result<bool> replace(const std::vector<File>& files, std::optional<Ready> merged);
  Result<std::vector<HeldFile>> copy_live(const std::string& folder, const HeldSums& held);

  object::ObjectStore& objects_;
  const Clock& clock_;
  const ColdOptions options_;
  Listing listing_;
  Reader reader_;
  /// Held by whoever changes the catalogue, from reading to commit; a merge holds it for its two
  /// commits only.
  std::mutex changing_;
  std::mutex merging_;  ///< one merge at a time
  boost::asio::thread_pool work_;
  Putting putting_;
  RowCache rows_;
};

}  // namespace asahi::memory::cold
