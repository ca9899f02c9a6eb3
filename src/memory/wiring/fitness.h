#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "memory/config.h"
#include "memory/fitness/questions.h"
#include "net/background.h"
#include "net/http/client.h"
#include "net/loop.h"
#include "net/mcp/client.h"
#include "storage/sql/migrations.h"

namespace asahi::memory {

/// Traces of agents' work, and the loop that asks components for theirs.
class FitnessWiring {
 public:
  /// All outlive it.
  struct Parts {
    const MemoryConfig& config;
    net::LoopPool& loops;
    sql::Database& database;
    telemetry::Registry& metrics;
    const Clock& clock;
    std::string version;
  };
  /// Errors: invalid_argument (a component's URL).
  static Result<std::unique_ptr<FitnessWiring>> make(Parts parts);
  ~FitnessWiring();

  const fitness::Fitness& fitness() const { return *fitness_; }
  void start();
  /// Ordinary thread, while the loops run.
  void stop();

 private:
  explicit FitnessWiring(Parts parts);
  Result<void> make_analyzer();
  /// Now and then, one process: old traces and figures go.
  Task<std::uint64_t> sweep(Clock::Time now);

  const Parts parts_;
  net::PerLoop<http::Client> clients_;
  std::vector<mcp::Client> components_;
  fitness::TraceStore traces_;
  fitness::FitnessStore figures_;
  std::unique_ptr<fitness::Analyzer> analyzer_;
  std::unique_ptr<fitness::Fitness> fitness_;
  net::Background background_;  ///< on loop 0
};

/// Versions 344 and 345.
std::vector<sql::Migration> fitness_migrations();

}  // namespace asahi::memory
