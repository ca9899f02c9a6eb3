#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "memory/cold/catalogue.h"
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
  std::uint64_t cache_bytes = 64ULL << 20;  ///< of such objects and of footers
  std::chrono::milliseconds search_budget{60'000};
  /// How long a retired object stays for those who still read it.
  std::chrono::seconds grace{600};
  /// Files of one system and day are merged while they hold fewer rows than that.
  std::uint64_t merge_rows = 1'000'000;
  /// A file is rewritten when this share of its rows is tombstones.
  double dead_share = 0.1;
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

struct Compacted {
  std::uint64_t files_before = 0, files_after = 0;  ///< that took part
  std::uint64_t rows_dropped = 0;                   ///< erased memories that are gone for good
  std::uint64_t objects_erased = 0;                 ///< retired before
};

/// Memories in Parquet files of an object store, listed in a catalogue. Blocking, from ordinary
/// threads (store.h has the coroutines); thread-safe.
///
/// A batch becomes one file per system and day: written into a private folder, put, read back and
/// compared by SHA-256, and only then in the catalogue. Erased memories get a tombstone there at
/// once; `compact` rewrites their files. Killed at any moment it leaves what the catalogue says.
/// Where several processes share a catalogue, of two changes at a time one is refused (conflict).
class ColdTier {
 public:
  /// `objects`, `catalogue`, `clock` outlive it. Erases what an earlier process had on its way.
  /// A shared catalogue (`abandoned_after`) that is away is read later. Errors: those of the
  /// catalogue.
  static Result<std::unique_ptr<ColdTier>> open(object::ObjectStore& objects, Catalogue& catalogue,
                                                const Clock& clock, ColdOptions options);

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
  /// Errors: that of the first file when none could be read.
  Result<ColdPage> search(StoreQuery query, Clock::Steady deadline);
  /// Of all tenants when `tenant` is empty.
  TierStats stats(const std::string& tenant) const;
  /// Takes in what other processes did to the catalogue since; changes do so by themselves. When
  /// the catalogue is away, what is known of it serves. Errors: unavailable while nothing is.
  Result<void> refresh();
  /// Merges small files, drops erased memories, erases retired objects. Until the deadline: what is
  /// left comes the next time. A damaged file stays as it is.
  Result<Compacted> compact(Clock::Steady deadline);
  /// The objects below `folder`/objects and their list as `folder`/catalogue: a FolderStore and a
  /// FileCatalogue open them.
  Result<void> snapshot(const std::string& folder);

  const ColdOptions& options() const { return options_; }
  const Clock& clock() const { return clock_; }

 private:
  using File = std::shared_ptr<const ColdFile>;
  using Owner = std::pair<std::string, std::string>;  ///< tenant, system
  struct Cached {
    std::string key;
    std::shared_ptr<const std::string> bytes;  ///< of small objects
    std::shared_ptr<const columnar::parquet::Layout> layout;
    std::uint64_t size = 0;
  };

  ColdTier(object::ObjectStore& objects, Catalogue& catalogue, const Clock& clock,
           ColdOptions options)
      : objects_(objects), catalogue_(catalogue), clock_(clock), options_(std::move(options)) {}

  std::vector<File> live_files(const Owner& owner) const;
  std::vector<File> live_files(const std::string& tenant) const;
  std::vector<File> live_files() const;
  void take(std::vector<ColdFile> files);
  /// `changing_` is held.
  Result<void> refresh_locked();
  Result<void> copy_live(const std::string& folder);
  bool abandoned(const ColdFile& file) const;
  /// Whether the catalogue has a file of that name, in whatever state.
  bool is_listed(const ColdFile& entry) const;
  Result<void> commit(const CatalogueChange& change);
  Result<void> erase_objects(const std::vector<ColdFile>& files);

  Result<RowFile> open_file(const ColdFile& file);
  std::optional<Cached> cached(const std::string& key);
  void cache(Cached entry);

  struct Found {
    File file;
    std::optional<Memory> memory;  ///< nothing: its file cannot be read
  };
  Result<std::optional<Found>> find(const Key& key);
  /// A file that was written here and is to be put.
  struct Ready {
    ColdFile entry;
    std::string path;
    std::chrono::sys_days day;
  };
  Result<Ready> write(const std::vector<const Memory*>& rows, const std::string& path);
  /// Gives it a name that no listed file has.
  void name(Ready& file);
  /// Lists the files as being written, with one commit, then puts each and reads it back.
  Result<void> put(std::vector<Ready>& files);
  Result<void> put(Ready& file);
  Result<bool> merge(const std::vector<File>& files, std::chrono::sys_days day, Compacted& done);

  object::ObjectStore& objects_;
  Catalogue& catalogue_;
  const Clock& clock_;
  const ColdOptions options_;
  std::atomic<bool> known_{false};  ///< the catalogue was read
  std::mutex changing_;  ///< held by whoever changes the catalogue, from reading to commit
  mutable std::mutex mutex_;
  std::map<Owner, std::vector<File>> files_;
  std::uint64_t generation_ = 0;
  std::uint32_t sequence_ = 0;
  std::mutex cache_mutex_;
  std::list<Cached> cache_;  ///< used last first
  std::unordered_map<std::string, std::list<Cached>::iterator> cache_index_;
  std::uint64_t cache_size_ = 0;
};

}  // namespace asahi::memory::cold
