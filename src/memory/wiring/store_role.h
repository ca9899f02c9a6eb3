#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "memory/hot/engine.h"
#include "memory/remote/store_api.h"
#include "memory/wiring/roles.h"
#include "net/http/router.h"
#include "storage/sql/database.h"
#include "telemetry/metrics.h"

namespace asahi::memory {

/// The process that keeps a tier: the only writer of its files, reached through the internal API.
/// Destroy it when no call is under way: that writes out what is left.
class StoreRole {
 public:
  struct Parts {
    const MemoryConfig& config;
    const Clock& clock;
    telemetry::Registry& metrics;
  };
  /// Opens the tier; blocking, reads what was written last. Errors: unavailable for folders that
  /// cannot be used, corrupt with what is damaged, invalid_argument (the secret).
  static Result<std::unique_ptr<StoreRole>> open(Tier tier, Parts parts);
  /// Over a store that is open already. `api`: what else is told of it.
  StoreRole(Parts parts, remote::StoreApi::Options api, std::unique_ptr<Store> store,
            std::unique_ptr<PlacementRecord> placement = nullptr);

  void add_routes(http::Router& router) { api_.add_routes(router); }
  std::vector<Dependency> dependencies();
  /// Sets the gauges of the tier's size; before metrics are shown.
  Aw<void> measure();

 private:
  telemetry::Registry& metrics_;
  std::string environment_, folder_;            ///< of the warm tier; else empty
  std::function<hot::EngineStats()> engine_;    ///< of the tier; empty: tests
  std::unique_ptr<PlacementRecord> placement_;  ///< of the hot tier's nodes; null: another tier
  std::unique_ptr<Store> store_;
  remote::StoreApi api_;
};

/// The tiers of this process, reading what was written last; blocking. The hot tier is where its
/// last move ended, if there was one, else where the settings say. `database`: keeps the record of
/// that, and the hot tier where the settings name PostgreSQL and no other address of one. All
/// outlive them. Errors: as StoreRole::open, and those of PgVectorStore::open.
Result<StorePair> open_stores(const MemoryConfig& config, sql::Database& database,
                              const Clock& clock, telemetry::Registry& metrics,
                              net::LoopPool& loops);

}  // namespace asahi::memory
