#pragma once

#include <boost/asio/thread_pool.hpp>

#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/json.h"
#include "base/task.h"
#include "memory/ageing/ageing.h"
#include "memory/ageing/front.h"
#include "memory/ageing/move_gate.h"
#include "memory/cold/catalogue.h"
#include "memory/cold/store.h"
#include "memory/config.h"
#include "memory/ops/tier_gauges.h"
#include "memory/remote/remote_store.h"
#include "memory/replicas/keeper.h"
#include "memory/search/epochs.h"
#include "net/loop.h"
#include "storage/object/store.h"
#include "storage/sql/database.h"
#include "telemetry/metrics.h"

namespace asahi::memory {

/// Where the cold tier's files are, and their list.
struct ColdPlace {
  std::unique_ptr<object::ObjectStore> objects;
  std::unique_ptr<cold::Catalogue> catalogue;
  std::string catalogue_file;  ///< empty: rows of the database
  std::string temp_folder;
  bool shared = false;  ///< several processes have the catalogue
};
/// As configured. Nothing: switched off, or SQLite where the process is not `alone`: the catalogue
/// must be one for all. Errors: unavailable for a folder that cannot be used, invalid_argument for
/// a bucket that cannot be meant.
Result<std::optional<ColdPlace>> open_cold_place(const MemoryConfig& config,
                                                 sql::Database& database, bool alone);

/// The tiers as a process sees them: hot, warm and cold, each behind a gate that keeps
/// erasures and moves apart, and what moves memories from one to the next. Destroy it when no call
/// is under way.
class Tiers {
 public:
  /// All outlive it.
  struct Parts {
    const MemoryConfig& config;
    net::LoopPool& loops;
    sql::Database& database;
    telemetry::Registry& metrics;
    const Clock& clock;
    boost::asio::thread_pool& work;
    bool alone = true;                           ///< no other process has these tiers
    remote::RemoteStore* remote_warm = nullptr;  ///< the warm one, where another process keeps it
  };
  /// `hot` and `warm`: opened here or kept elsewhere; no warm one: null. Opens the cold tier,
  /// reading what was written last; blocking. Errors: unavailable for folders that cannot be used,
  /// corrupt with what is damaged, invalid_argument for a bucket that cannot be meant.
  static Result<std::unique_ptr<Tiers>> open(Parts parts, std::unique_ptr<Store> hot,
                                             std::unique_ptr<Store> warm);
  ~Tiers();

  Store& hot() { return *hot_; }
  /// Where new memories go.
  Store& front() { return front_ != nullptr ? static_cast<Store&>(*front_) : *hot_; }
  Store* warm() { return warm_.get(); }  ///< null: there is none
  Store* cold() { return cold_.get(); }  ///< null: switched off

  /// Before the first routes. `epochs` outlives it.
  ageing::Ageing& make_ageing(Epochs& epochs);
  ageing::Ageing& ageing() { return *ageing_; }  ///< after make_ageing
  void start();
  /// Lets the cold tier's replicas follow. In every process that has it.
  void start_replicas();
  ReplicaKeeper* replicas() { return replicas_.get(); }  ///< null: it has none
  /// Ordinary thread, while the loops run.
  void stop(std::chrono::milliseconds grace);

  /// Erases what the organisation has had for longer than memory.cold.retention_days, or counts it.
  /// Errors: unavailable (no cold tier is served here).
  struct Expiry {
    Clock::Time before;
    cold::Expired expired;
  };
  Task<Expiry> expire_cold(std::string tenant, bool only_count);

  /// GET /health/warm: {healthy, path, size_bytes, available_bytes, usage_percent, status}. Over
  /// 75 % of the disk: warning; over 90 %: critical, not healthy.
  Task<json::object> warm_health();
  /// The same for gauges. Errors: unavailable (no warm tier, or it is away).
  Task<WarmStorage> warm_storage();

 private:
  explicit Tiers(Parts parts) : parts_(parts) {}
  Result<void> open_cold();
  Result<void> open_replicas();
  /// The disk below the warm tier, wherever it is.
  Task<remote::RemoteStore::DiskSpace> warm_disk();

  const Parts parts_;
  std::unique_ptr<ageing::MoveGate> hot_, warm_;
  std::unique_ptr<ageing::Front> front_;
  std::optional<ColdPlace> cold_place_;      ///< nothing: there is no cold tier
  std::unique_ptr<ReplicaKeeper> replicas_;  ///< of its objects
  std::unique_ptr<cold::ColdTier> cold_tier_;
  std::unique_ptr<Store> cold_;
  cold::ColdStore* cold_files_ = nullptr;  ///< the same, uncounted; null: there is none
  std::unique_ptr<ageing::Ageing> ageing_;
};

}  // namespace asahi::memory
