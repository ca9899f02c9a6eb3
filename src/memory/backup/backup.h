#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/result.h"
#include "storage/object/store.h"

namespace asahi::memory {

/// What a backup has beside the tiers (sql_copy.h).
inline constexpr std::string_view kSqlPart = "sql";

/// A copy of tiers in an object store: `{id}/{tier}/{path}` for each file and `{id}/manifest.json`,
/// which is written last and makes the copy one. Whatever has no manifest is no backup. Blocking:
/// ordinary threads.
struct BackupFile {
  std::string tier;  ///< "hot", "warm", "cold", or "sql": the rows of the database
  std::string path;  ///< below the tier's folder, with '/'
  std::uint64_t size = 0;
  std::string sha256;  ///< hex, of the content
};

struct BackupManifest {
  std::string id;  ///< "bak_20261122T140000Z_1f2e3d": in order of time
  Clock::Time created_at{};
  std::string version;  ///< of the product
  std::vector<BackupFile> files;
  std::uint64_t bytes() const;
  /// Whether it holds such a part: each that was backed up has a file at least.
  bool has(std::string_view tier) const;
};

json::object manifest_json(const BackupManifest& manifest);
/// Errors: corrupt, naming what is wrong; paths that lead out of their folder are wrong.
Result<BackupManifest> parse_backup_manifest(std::string_view text);

std::string make_backup_id(Clock::Time now);
/// "bak_" and what follows of [A-Za-z0-9_]. Errors: invalid_argument.
Result<void> check_backup_id(std::string_view id);

/// Writes what stands in `folder`/`tier` for each tier and reads it back. Errors: those of the
/// store; corrupt when what comes back is something else; nothing is a backup then.
Result<BackupManifest> write_backup(object::ObjectStore& store, const std::string& folder,
                                    const std::vector<std::string>& tiers, std::string id,
                                    Clock::Time now, std::string version);

/// Newest first; at most `most`. Those whose manifest cannot be read are left out.
Result<std::vector<BackupManifest>> list_backups(object::ObjectStore& store, std::size_t most);
/// Empty `id`: the newest. Errors: not_found, corrupt.
Result<BackupManifest> find_backup(object::ObjectStore& store, const std::string& id);

/// Reads every file and compares sizes and sums. The names of those that differ or are missing;
/// empty: the backup is good. Errors: those of the store but not_found.
Result<std::vector<std::string>> verify_backup(object::ObjectStore& store,
                                               const BackupManifest& manifest);

/// Fetches one tier into `folder`, which must not exist; every sum is compared. Errors: corrupt
/// (the folder is gone again), conflict (the folder exists), unavailable, those of the store.
Result<std::uint64_t> fetch_tier(object::ObjectStore& store, const BackupManifest& manifest,
                                 const std::string& tier, const std::string& folder);

/// Erases backups from before `before` and what is beyond the `most` newest, but never the newest;
/// how many.
Result<std::uint64_t> prune_backups(object::ObjectStore& store, Clock::Time before,
                                    std::size_t most = SIZE_MAX);

}  // namespace asahi::memory
