#include "memory/wiring/tiers.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "memory/cold/sql_catalogue.h"
#include "memory/measure/measured_store.h"
#include "memory/residency/staying.h"
#include "memory/wiring/buckets.h"
#include "memory/wiring/replicas.h"
#include "net/blocking.h"

namespace asahi::memory {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kColdThreads = 2;  ///< for searches, look-ups and changes each
constexpr std::size_t kColdWaiting = 256;
/// Of several processes one may be dead for so long before its files are erased.
constexpr std::chrono::hours kAbandonedAfter{1};
constexpr double kWarningPercent = 75, kCriticalPercent = 90;
constexpr std::uint64_t kGiB = 1ULL << 30;

/// Other services than Amazon's refuse its classes unless they are told of them.
std::string archive_class_of(const MemoryConfig::Cold& config) {
  if (config.backend == "local" || config.archive_class == "none") return {};
  if (!config.archive_class.empty()) return config.archive_class;
  // What only speaks the provider's protocol need not have its classes.
  if (!config.endpoint.empty()) return {};
  if (config.backend == "azure") return "Cool";
  return config.backend == "gcs" ? "COLDLINE" : "GLACIER_IR";
}

/// Whether what is cold goes elsewhere than to a folder here.
bool cold_leaves(const MemoryConfig& config) {
  return config.cold.backend != "local" ||
         std::ranges::any_of(config.replicas.cold,
                             [](const std::string& url) { return !url.starts_with("file://"); });
}

}  // namespace

Result<std::unique_ptr<Tiers>> Tiers::open(Parts parts, std::unique_ptr<Store> hot,
                                           std::unique_ptr<Store> warm) {
  std::unique_ptr<Tiers> made(new Tiers(parts));
  // Where another process keeps a tier, that one counts its calls.
  const auto counts =
      parts.alone ? MeasuredStore::Counts::kCallsAndErrors : MeasuredStore::Counts::kErrors;
  const auto measured = [&](std::unique_ptr<Store> store) {
    return std::make_unique<MeasuredStore>(std::move(store), parts.metrics, parts.clock, counts);
  };
  hot = measured(std::move(hot));
  if (warm != nullptr) warm = measured(std::move(warm));
  if (warm != nullptr && !parts.config.residency.empty() && cold_leaves(parts.config))
    warm = std::make_unique<StayingStore>(std::move(warm), parts.config.residency);
  made->hot_ = std::make_unique<ageing::MoveGate>(std::move(hot), parts.clock);
  if (warm != nullptr) {
    made->warm_ = std::make_unique<ageing::MoveGate>(std::move(warm), parts.clock);
    made->front_ = std::make_unique<ageing::Front>(*made->hot_, *made->warm_);
  }
  if (auto ok = made->open_cold(); !ok) return std::unexpected(std::move(ok.error()));
  return made;
}

Tiers::~Tiers() { stop(std::chrono::milliseconds(0)); }

Result<std::optional<ColdPlace>> open_cold_place(const MemoryConfig& settings,
                                                 sql::Database& database, bool alone) {
  const MemoryConfig::Cold& config = settings.cold;
  const bool embedded = database.dialect() == sql::Dialect::kSqlite;
  if (!config.enabled || (!alone && embedded)) return std::nullopt;
  std::error_code failed;
  const fs::path folder = fs::absolute(config.path, failed);
  if (!failed) fs::create_directories(folder, failed);
  if (failed) {
    return fail(Errc::kUnavailable,
                "the cold tier's folder " + config.path + ": " + failed.message());
  }
  ColdPlace place{.objects = {},
                  .catalogue = {},
                  .catalogue_file = {},
                  .temp_folder = (folder / "temp").string(),
                  .shared = !embedded};
  ASAHI_TRY(place.objects, open_cold_bucket(settings, (folder / "objects").string()));
  if (embedded) {
    // One process has the folder; its file is synced, which SQLite's commits here are not.
    place.catalogue_file = (folder / "catalogue").string();
    place.catalogue = std::make_unique<cold::FileCatalogue>(place.catalogue_file);
  } else {
    place.catalogue = std::make_unique<cold::SqlCatalogue>(database);
  }
  return place;
}

Result<void> Tiers::open_replicas() {
  const MemoryConfig::Replicas& config = parts_.config.replicas;
  if (config.cold.empty()) return {};
  auto watched = std::make_unique<WatchedStore>(std::move(cold_place_->objects), "cold",
                                                parts_.metrics, parts_.clock);
  ASAHI_TRY(auto replicated, with_replicas(parts_.config, "cold", config.cold, std::move(watched),
                                           &parts_.metrics, parts_.clock));
  replicas_ = std::make_unique<ReplicaKeeper>(
      ReplicaKeeper::Parts{.store = *replicated,
                           .database = parts_.database,
                           .loop = parts_.loops.at(0),
                           .metrics = parts_.metrics,
                           .clock = parts_.clock},
      ReplicaKeeper::Options{.place = "cold", .schedule = config.schedule});
  cold_place_->objects = std::move(replicated);
  return {};
}

Result<void> Tiers::open_cold() {
  ASAHI_TRY(cold_place_, open_cold_place(parts_.config, parts_.database, parts_.alone));
  if (!cold_place_) return {};
  if (auto ok = open_replicas(); !ok) return ok;
  cold::ColdOptions options;
  options.temp_folder = cold_place_->temp_folder;
  if (cold_place_->shared) options.abandoned_after = kAbandonedAfter;
  const MemoryConfig::Cold& settings = parts_.config.cold;
  options.archive = {.storage_class = archive_class_of(settings),
                     .after = std::chrono::days(settings.archive_after_days)};
  ASAHI_TRY(cold_tier_, cold::ColdTier::open(*cold_place_->objects, *cold_place_->catalogue,
                                             parts_.clock, std::move(options)));
  auto files = std::make_unique<cold::ColdStore>(*cold_tier_, kColdThreads, kColdWaiting);
  cold_files_ = files.get();
  std::unique_ptr<Store> cold = std::move(files);
  if (!parts_.config.residency.empty() && cold_leaves(parts_.config))
    cold = std::make_unique<ClosedStore>(std::move(cold), parts_.config.residency);
  // Its files are no process's own: whoever reads them counts.
  cold_ = std::make_unique<MeasuredStore>(std::move(cold), parts_.metrics, parts_.clock,
                                          MeasuredStore::Counts::kCallsAndErrors);
  return {};
}

ageing::Ageing& Tiers::make_ageing(Epochs& epochs) {
  const MemoryConfig& config = parts_.config;
  ageing::AgeingOptions options;
  options.hot_days = config.aging.hot_days;
  options.warm_days = config.aging.warm_days;
  options.schedule = config.aging.schedule;
  options.compaction = config.cold.compaction_schedule;
  options.batch_size = config.aging.batch_size;
  options.in_batches = config.aging.batch_migration;
  options.pressure_bytes = static_cast<std::uint64_t>(config.aging.pressure_gb) * kGiB;
  options.longest = std::chrono::minutes(config.aging.max_minutes);
  const auto& access = config.aging.access_rules;
  options.access = {.enabled = access.enabled,
                    .promote_hits = static_cast<std::uint64_t>(access.promote_hits),
                    .demote_hits = static_cast<std::uint64_t>(access.demote_hits),
                    .window_days = access.window_days,
                    .min_age_days = access.min_age_days};
  ageing::Ageing::Parts parts{
      .hot = hot_.get(),
      .warm = warm_.get(),
      .cold = cold_.get(),
      .database = parts_.database,
      .loop = parts_.loops.at(0),
      .work = parts_.work,
      .clock = parts_.clock,
      .metrics = parts_.metrics,
      .moved = [&epochs](std::string tenant) -> Aw<void> { return epochs.bump(std::move(tenant)); },
      .compact = {},
      .tidy = {}};
  if (cold_ != nullptr) {
    parts.compact = [this](std::chrono::milliseconds budget) -> Task<cold::Compacted> {
      return cold_files_->compact(budget);
    };
    parts.tidy = [this](std::chrono::milliseconds budget) -> Task<cold::Compacted> {
      return cold_files_->tidy(budget);
    };
  }
  ageing_ = std::make_unique<ageing::Ageing>(std::move(parts), std::move(options));
  return *ageing_;
}

void Tiers::start() {
  if (ageing_ != nullptr) ageing_->start();
}

void Tiers::start_replicas() {
  if (replicas_ != nullptr) replicas_->start();
}

void Tiers::stop(std::chrono::milliseconds grace) {
  if (ageing_ != nullptr) ageing_->stop(grace);
  if (replicas_ != nullptr) replicas_->stop(grace);
}

Task<remote::RemoteStore::DiskSpace> Tiers::warm_disk() {
  if (parts_.remote_warm != nullptr) co_return co_await parts_.remote_warm->disk();
  const std::string path = parts_.config.warm.path;
  using Space = remote::RemoteStore::DiskSpace;
  if (path == ":memory:") co_return Space{.folder = path};
  co_return co_await net::run_blocking(parts_.work, [path]() -> Result<Space> {
    std::error_code failed;
    const fs::space_info found = fs::space(path, failed);
    if (failed || found.capacity == 0)
      return fail(Errc::kUnavailable, "the warm tier's disk does not tell its size");
    return Space{.folder = path, .capacity = found.capacity, .available = found.available};
  });
}

Task<Tiers::Expiry> Tiers::expire_cold(std::string tenant, bool only_count) {
  if (cold_files_ == nullptr) co_return fail(Errc::kUnavailable, "there is no cold tier here");
  Expiry out{.before = parts_.clock.now() - std::chrono::days(parts_.config.cold.retention_days),
             .expired = {}};
  ASAHI_CO_TRY(out.expired,
               co_await cold_files_->expire(std::move(tenant), out.before, only_count));
  co_return out;
}

Task<WarmStorage> Tiers::warm_storage() {
  if (warm_ == nullptr) co_return fail(Errc::kUnavailable, "there is no warm tier");
  ASAHI_CO_TRY(const TierStats stats, co_await warm_->stats(""));
  ASAHI_CO_TRY(const auto disk, co_await warm_disk());
  co_return WarmStorage{.environment = parts_.config.environment,
                        .folder = disk.folder,
                        .capacity = disk.capacity,
                        .available = disk.available,
                        .bytes = stats.bytes,
                        .records = stats.records};
}

Task<json::object> Tiers::warm_health() {
  ASAHI_CO_TRY(const WarmStorage warm, co_await warm_storage());
  json::object out{{"healthy", true},          {"path", warm.folder},
                   {"size_bytes", warm.bytes}, {"available_bytes", nullptr},
                   {"usage_percent", nullptr}, {"status", "healthy"}};
  if (warm.capacity == 0) co_return out;
  const double used =
      100.0 * (1.0 - static_cast<double>(warm.available) / static_cast<double>(warm.capacity));
  out["available_bytes"] = warm.available;
  out["usage_percent"] = used;
  out["healthy"] = used <= kCriticalPercent;
  out["status"] = used > kCriticalPercent  ? "critical"
                  : used > kWarningPercent ? "warning"
                                           : "healthy";
  co_return out;
}

}  // namespace asahi::memory
