#pragma once

#include <boost/asio/thread_pool.hpp>

#include <memory>
#include <string>
#include <vector>

#include "memory/search/epochs.h"
#include "memory/wiring/backups.h"
#include "memory/wiring/roles.h"
#include "memory/wiring/tiers.h"
#include "storage/cache/store.h"

namespace asahi::memory {

/// The aging_service role: what the clock begins where each role is a process of its own. Moves
/// memories between tiers that other processes keep, also when one of them asks (POST
/// /storage/migrations), and makes backups.
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
    std::string version;  ///< of the product
  };
  /// Errors: as connect_stores and Tiers::open; invalid_argument without a warm store.
  static Result<std::unique_ptr<AgeingRole>> make(Parts parts);

  std::vector<Dependency> dependencies();
  void start();
  /// Instead of `start`: moves what is old now. Ordinary thread, while the loops run. Errors: of
  /// the step that failed; what it had moved stays moved.
  Result<void> age_once();
  /// Gives the run under way back. Ordinary thread, while the loops run.
  void stop(std::chrono::milliseconds grace);

 private:
  AgeingRole(net::LoopPool& loops, cache::Store* shared_cache)
      : loops_(loops), epochs_(shared_cache) {}

  net::LoopPool& loops_;
  boost::asio::thread_pool work_{2};
  Epochs epochs_;
  std::vector<Dependency> dependencies_;  ///< of the hot tier
  std::unique_ptr<Tiers> tiers_;
  std::unique_ptr<Backups> backups_;
};

}  // namespace asahi::memory
