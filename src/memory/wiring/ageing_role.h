#pragma once

#include <boost/asio/thread_pool.hpp>

#include <memory>
#include <vector>

#include "memory/search/epochs.h"
#include "memory/wiring/roles.h"
#include "memory/wiring/tiers.h"
#include "storage/cache/store.h"

namespace asahi::memory {

/// The aging_service role: moves memories between tiers that other processes keep, at its times and
/// when one of them asks (POST /storage/migrations).
class AgeingRole {
 public:
  /// All outlive it.
  struct Parts {
    const MemoryConfig& config;
    net::LoopPool& loops;
    sql::Database& database;
    cache::Store* shared_cache = nullptr;  ///< Redis; null: there is none
    telemetry::Registry& metrics;
    const Clock& clock;
  };
  /// Errors: as connect_stores and Tiers::open; invalid_argument without a warm store.
  static Result<std::unique_ptr<AgeingRole>> make(Parts parts);

  std::vector<Dependency> dependencies();
  void start() { tiers_->start(); }
  /// Gives the run under way back. Ordinary thread, while the loops run.
  void stop(std::chrono::milliseconds grace) { tiers_->stop(grace); }

 private:
  explicit AgeingRole(cache::Store* shared_cache) : epochs_(shared_cache) {}

  boost::asio::thread_pool work_{2};
  Epochs epochs_;
  std::vector<Dependency> dependencies_;  ///< of the hot tier
  std::unique_ptr<Tiers> tiers_;
};

}  // namespace asahi::memory
