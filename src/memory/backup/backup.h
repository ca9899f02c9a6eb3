#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/file_sums.h"
#include "base/json.h"
#include "base/result.h"
#include "memory/model/store.h"
#include "storage/object/store.h"

namespace asahi::memory {

/// What a backup has beside the tiers (sql_copy.h).
inline constexpr std::string_view kSqlPart = "sql";

/// A copy of tiers in an object store: `{id}/{tier}/{path}` for each file and `{id}/manifest.json`,
/// which is written last and makes the copy one. Whatever has no manifest is no backup. An
/// incremental one names what an earlier one has already instead of writing it again: it is as
/// complete, and an object goes with the last backup that names it. Blocking: ordinary threads.
struct BackupFile {
  std::string tier;  ///< "hot", "warm", "cold", or "sql": the rows of the database
  std::string path;  ///< below the tier's folder, with '/'
  std::uint64_t size = 0;
  std::string sha256;  ///< hex, of the content
  std::string at;      ///< key of an earlier backup's object that has it; empty: its own
};

struct BackupManifest {
  std::string id;  ///< "bak_20261122T140000Z_1f2e3d": in order of time
  Clock::Time created_at{};
  std::string version;  ///< of the product
  bool incremental = false;
  std::vector<BackupFile> files;
  std::uint64_t bytes() const;
  std::uint64_t new_bytes() const;  ///< of files that lie in no earlier backup
  /// Whether it holds such a part: each that was backed up has a file at least.
  bool has(std::string_view tier) const;
};

json::object manifest_json(const BackupManifest& manifest);
/// Errors: corrupt, naming what is wrong; paths that lead out of their folder are wrong.
Result<BackupManifest> parse_backup_manifest(std::string_view text);

std::string make_backup_id(Clock::Time now);
/// "bak_" and what follows of [A-Za-z0-9_]. Errors: invalid_argument.
Result<void> check_backup_id(std::string_view id);

/// What is to become a backup: what stands in `folder`/`tier` for each tier.
struct BackupSource {
  std::string folder;
  std::vector<std::string> tiers;
  /// By tier: files that are not there, since `base` has them.
  std::map<std::string, std::vector<HeldFile>> held = {};
  FileSums* sums = nullptr;  ///< null: every file is read
};
/// Writes it and reads it back; with `base`, a backup that stands there, only what that one has
/// not: an incremental one. Errors: those of the store; corrupt when what comes back is something
/// else; conflict (`base` went meanwhile); nothing is a backup then.
Result<BackupManifest> write_backup(object::ObjectStore& store, const BackupSource& source,
                                    std::string id, Clock::Time now, std::string version,
                                    const BackupManifest* base = nullptr);
/// SHA-256 of all its files.
HeldSums sums_of(const BackupManifest& manifest);

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

/// Which backups stay.
struct BackupRetention {
  Clock::Time before;                  ///< older ones go
  std::size_t most = SIZE_MAX;         ///< newest ones that are not incremental
  std::size_t incremental = SIZE_MAX;  ///< newest ones that are
};
/// Erases the others, but never the newest, and objects that none of those left names; how many
/// backups.
Result<std::uint64_t> prune_backups(object::ObjectStore& store, const BackupRetention& retention);

}  // namespace asahi::memory
