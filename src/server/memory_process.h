#pragma once

#include <cstdint>
#include <memory>

#include "base/result.h"
#include "server/options.h"

namespace asahi::server {

/// A process that is one role of the memory (memory/wiring/roles.h), or all of it: its listeners,
/// and what the role needs, built in that order and ended in reverse. Holds no logic of its own.
class MemoryProcess {
 public:
  /// Everything up and listening. Errors: unavailable (port, folder), invalid_argument (settings
  /// that only show at start).
  static Result<std::unique_ptr<MemoryProcess>> start(const ServerConfig& config);
  /// For a process that something else begins by the clock: up and listening, what is old now is
  /// moved, and that is the end. Errors: those of `start`; invalid_argument for another role than
  /// aging_service; those of the run.
  static Result<void> age_once(const ServerConfig& config);
  ~MemoryProcess();

  /// Of the role's API; of its metrics where it has no API.
  std::uint16_t port() const;
  std::uint16_t metrics_port() const;
  /// Readiness off, requests in flight and leases finished or given back within the grace time,
  /// everything written out.
  void stop();

 private:
  struct Impl;
  /// All but what the clock begins.
  static Result<std::unique_ptr<MemoryProcess>> build(const ServerConfig& config);
  explicit MemoryProcess(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace asahi::server
