#include "memory/wiring/backups.h"

#include <fmt/format.h>

#include <utility>

#include "memory/wiring/buckets.h"
#include "memory/wiring/replicas.h"
#include "memory/wiring/tiers.h"

namespace asahi::memory {
namespace {

constexpr std::chrono::seconds kGrace{10};

/// Errors: invalid_argument for a tier that keeps nothing.
Result<std::string> folder_of(std::string_view tier, const std::string& path) {
  if (path != ":memory:") return path;
  return fail_field(fmt::format("memory.{}.path", tier),
                    "':memory:' keeps nothing: name a folder to restore into");
}

Result<std::unique_ptr<object::ObjectStore>> open_first_place(const MemoryConfig& config) {
  auto opened = open_bucket(config, config.backup.bucket);
  if (!opened) return fail(opened.error().code, "memory.backup.bucket: " + opened.error().message);
  return opened;
}

}  // namespace

Result<std::unique_ptr<object::ObjectStore>> open_backup_place(const MemoryConfig& config) {
  ASAHI_TRY(auto first, open_first_place(config));
  if (config.replicas.backup.empty()) return first;
  return with_replicas(config, "backup", config.replicas.backup, std::move(first), nullptr,
                       system_clock());
}

Result<std::unique_ptr<Backups>> Backups::open(Parts parts) {
  const MemoryConfig& config = parts.config;
  ASAHI_TRY(auto first, open_first_place(config));
  std::unique_ptr<Backups> backups(new Backups);
  auto place =
      std::make_unique<WatchedStore>(std::move(first), "backup", parts.metrics, parts.clock);
  backups->place_ = place.get();
  if (config.replicas.backup.empty()) {
    backups->target_ = std::move(place);
  } else {
    ASAHI_TRY(auto replicated, with_replicas(config, "backup", config.replicas.backup,
                                             std::move(place), &parts.metrics, parts.clock));
    backups->replicas_ = std::make_unique<ReplicaKeeper>(
        ReplicaKeeper::Parts{.store = *replicated,
                             .database = parts.database,
                             .loop = parts.loop,
                             .metrics = parts.metrics,
                             .clock = parts.clock},
        ReplicaKeeper::Options{.place = "backup", .schedule = config.replicas.schedule});
    backups->target_ = std::move(replicated);
  }
  backups->keeper_ = std::make_unique<BackupKeeper>(
      BackupKeeper::Parts{.stores = std::move(parts.stores),
                          .database = parts.database,
                          .target = *backups->target_,
                          .loop = parts.loop,
                          .metrics = parts.metrics,
                          .clock = parts.clock},
      BackupKeeper::Options{.keep = std::chrono::hours(24 * config.backup.retention_days),
                            .most = config.backup.keep,
                            .schedule = config.backup.schedule,
                            .incremental_minutes = config.backup.incremental_minutes,
                            .folder = config.data_path + "/backup.tmp",
                            .version = std::move(parts.version)});
  return backups;
}

void Backups::start_replicas() {
  if (replicas_ != nullptr) replicas_->start();
}

void Backups::stop() {
  if (replicas_ != nullptr) replicas_->stop(kGrace);
  keeper_->stop();
}

Result<RestoredBackup> restore_role(const MemoryConfig& config, const Role& role,
                                    sql::Database* database, const std::string& backup_id,
                                    const std::string& node, const Clock& clock) {
  const bool all = role.component == Component::kAll;
  RestorePlaces places;
  places.folder = config.data_path;
  places.hot_node = node;
  if (all && config.hot.backend == "pgvector") {
    return fail_field("memory.hot.backend",
                      "a backup's hot tier is restored into files: restore with duckdb-ssd, or put "
                      "the PostgreSQL of the hot tier back with its own tools");
  }
  if (all || role.component == Component::kHotStore) {
    ASAHI_TRY(places.hot, folder_of("hot", config.hot.path));
  }
  if (all || role.component == Component::kWarmStore) {
    ASAHI_TRY(places.warm, folder_of("warm", config.warm.path));
  }
  std::optional<ColdPlace> cold;
  if (database != nullptr) {
    ASAHI_TRY(cold, open_cold_place(config, *database, all));
    if (cold) places.cold.emplace(*cold->objects, *cold->catalogue, cold->catalogue_file);
    places.database = database;
  }
  ASAHI_TRY(const auto source, open_backup_place(config));
  ASAHI_TRY(BackupManifest manifest, find_backup(*source, backup_id));
  ASAHI_TRY(auto parts, restore_backup(*source, manifest, places, clock));
  return RestoredBackup{std::move(manifest), std::move(parts)};
}

}  // namespace asahi::memory
