#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "memory/ingest/ledger.h"
#include "memory/ingest/manifest.h"
#include "storage/object/task_store.h"

namespace asahi::memory {

/// Finds bundles in the bucket: folders of `systems/`, their folders, and in those that the ledger
/// does not know a manifest. What has none yet is looked at again next time. One scan at a time,
/// always on one loop.
class Discovery {
 public:
  struct Options {
    std::string tenant = "default";  ///< whose bucket it is
    std::size_t max_systems = 10'000;
    std::size_t max_uploads = 100'000;  ///< of one system, in one scan
    /// Requests at a time, 1 to 1000; the bucket's pool of threads bounds them too. 1: one after
    /// the other.
    std::size_t at_once = 16;
  };
  /// `ledger` and the bucket outlive it.
  Discovery(Ledger& ledger, object::TaskStore bucket, Options options)
      : ledger_(ledger), bucket_(bucket), options_(std::move(options)) {}

  struct Found {
    std::uint64_t systems = 0;     ///< looked into
    std::uint64_t uploads = 0;     ///< folders of uploads seen
    std::uint64_t waiting = 0;     ///< without manifest yet
    std::uint64_t bad_names = 0;   ///< folders that no system or upload may be called
    std::uint64_t discovered = 0;  ///< new in the ledger
    std::uint64_t errors = 0;      ///< lists and looks that failed: they go on next time
    std::string error;             ///< the first of them
    bool capped = false;           ///< a cap was hit; the next scan goes on there
  };
  /// Never fails as a whole: what could be seen is in the ledger.
  /// `only`: these systems; empty: all that the bucket has.
  Aw<Found> scan(UploadPriority priority = UploadPriority::kNormal,
                 std::vector<std::string> only = {});
  /// The one bundle that `key` belongs to (an event of the bucket, or a person's word): whether it
  /// is new. Errors: invalid_argument, those of bucket and ledger.
  Task<bool> notice(std::string key, UploadPriority priority = UploadPriority::kNormal);

 private:
  Aw<std::vector<std::string>> folders(std::string prefix, std::string& cursor, std::size_t most,
                                       Found& found);
  Aw<void> scan_system(std::string system_id, UploadPriority priority, Found& found);
  void note(Found& found, const Error& error);

  Ledger& ledger_;
  object::TaskStore bucket_;
  const Options options_;
  std::string system_cursor_;                   ///< empty: from the start
  std::map<std::string, std::string> cursors_;  ///< of systems whose list was not read to its end
};

}  // namespace asahi::memory
