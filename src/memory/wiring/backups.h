#pragma once

#include <memory>
#include <string>
#include <vector>

#include "memory/backup/keeper.h"
#include "memory/backup/restore.h"
#include "memory/config.h"
#include "memory/ops/watched_store.h"
#include "memory/replicas/keeper.h"
#include "memory/wiring/roles.h"
#include "net/loop.h"

namespace asahi::memory {

/// The place for backups, with its replicas, which are read while it is away. Errors:
/// invalid_argument naming the setting, unavailable.
Result<std::unique_ptr<object::ObjectStore>> open_backup_place(const MemoryConfig& config);

/// Backups of a process: their place, and who makes them.
class Backups {
 public:
  /// All outlive it.
  struct Parts {
    const MemoryConfig& config;
    std::vector<Store*> stores;  ///< that the process reaches, hottest first
    sql::Database& database;
    net::Loop& loop;
    telemetry::Registry& metrics;
    const Clock& clock;
    std::string version;  ///< of the product
  };
  /// Errors: as open_backup_place.
  static Result<std::unique_ptr<Backups>> open(Parts parts);

  BackupKeeper& keeper() { return *keeper_; }
  /// Lets replicas of the place follow.
  void start_replicas();
  ReplicaKeeper* replicas() { return replicas_.get(); }  ///< null: there are none
  /// Cuts short what runs; replicas still get what waits, for a while. Ordinary thread, while the
  /// loops run.
  void stop();
  CircuitStats circuit() const { return place_->stats(); }

 private:
  Backups() = default;
  std::unique_ptr<object::ObjectStore> target_;
  WatchedStore* place_ = nullptr;  ///< the same, or the first of it and its replicas
  std::unique_ptr<ReplicaKeeper> replicas_;
  std::unique_ptr<BackupKeeper> keeper_;
};

/// Puts back what a role keeps: `all` everything, a store its tier, the others the cold tier and
/// the rows. Nothing of it runs meanwhile. `database`: migrated; null in stores, which have none.
/// `backup_id`: empty: the newest. `node`: whose, of several hot stores. Errors: as find_backup and
/// restore_backup; invalid_argument where memories are not kept on a disk.
struct RestoredBackup {
  BackupManifest manifest;
  std::vector<RestoredPart> parts;
};
Result<RestoredBackup> restore_role(const MemoryConfig& config, const Role& role,
                                    sql::Database* database, const std::string& backup_id,
                                    const std::string& node, const Clock& clock);

}  // namespace asahi::memory
