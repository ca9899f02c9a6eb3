#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/task.h"

namespace asahi::memory {

/// Something that the memory cannot, or would rather not, work without.
struct Dependency {
  std::string name;      ///< "database", "hot", "redis"
  bool required = true;  ///< without it the process is not ready
  /// A cheap question that only a working one answers.
  std::function<Task<void>()> ask;
};

struct DependencyReport {
  std::string name;
  bool required = true;
  bool healthy = false;
  std::chrono::nanoseconds latency{0};
  std::string error;  ///< for the log and for operators; may name hosts
};

/// Asks all dependencies at once. The answer of a second ago serves again: whoever asks often
/// (probes, status pages, strangers) costs the dependencies nothing. Any loop.
class Health {
 public:
  struct Report {
    std::vector<DependencyReport> dependencies;
    Clock::Time at{};
    bool ready() const;  ///< every required one is healthy
    bool whole() const;  ///< all are
  };
  /// `patience`: a dependency that takes longer is not healthy. `clock` outlives it.
  Health(std::vector<Dependency> dependencies, const Clock& clock,
         std::chrono::milliseconds patience = std::chrono::seconds(2))
      : dependencies_(std::move(dependencies)), clock_(clock), patience_(patience) {}

  Aw<Report> look();

 private:
  Aw<Report> ask() const;

  const std::vector<Dependency> dependencies_;
  const Clock& clock_;
  const std::chrono::milliseconds patience_;
  std::mutex mutex_;
  Report last_;
  Clock::Steady asked_{};
};

/// {"status": "ready"|"degraded"|"unavailable", "dependencies": {name: {"status", "required",
/// "latency_ms"}}}. Without errors: anybody may read it.
json::object health_json(const Health::Report& report);

}  // namespace asahi::memory
