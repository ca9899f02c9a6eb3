#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/task.h"
#include "memory/ops/circuit.h"
#include "telemetry/metrics.h"

namespace asahi::memory {

/// What an orchestrator runs for the memory (spec/memory §3.10).
enum class Workflow : std::uint8_t { kDailyIngest, kTierTransition, kHealthCheck };
/// "akosha-daily-ingest", "akosha-tier-transition", "akosha-health-check".
std::string_view workflow_name(Workflow workflow);

/// The orchestrator (Mahavishnu) that may run the memory's workflows, and what happens without it.
/// Once a minute it is asked whether it is there; a workflow that is due is asked of it, and is
/// done here while it is away (fallback mode) or refuses. Of many processes one asks for each time
/// that a workflow is due. One loop, except `status`.
///
/// | Metric | What |
/// |---|---|
/// | akosha_fallback_mode | 1: an orchestrator is configured and away |
/// | akosha_workflow_runs_total | counter; workflow, by (orchestrator, here) |
class Orchestrator {
 public:
  struct Options {
    bool configured = false;  ///< else nothing is asked, and nothing is missing
    /// Starts workflows; else only the orchestrator's health is followed, for `status`.
    bool starts_workflows = true;
    std::string daily_ingest = "0 0 * * *";  ///< cron, UTC
    std::string tier_transition = "0 2 * * *";
    std::string health_check = "0 * * * *";
    std::chrono::seconds probe_every{60};
  };
  struct Parts {
    std::function<Task<json::object>()> hello;  ///< whether it is there
    std::function<Task<json::object>(std::string tool, json::object arguments)> call;
    /// Does here what the orchestrator would have had done.
    std::function<void(Workflow)> here;
    /// Whether this process is the one that starts the workflow that is due then (WorkflowRuns).
    std::function<Task<bool>(std::string workflow, Clock::Time due, Clock::Time now)> claim;
    telemetry::Registry& metrics;
    const Clock& clock;
  };
  /// `schedules` were checked when they were read.
  Orchestrator(Parts parts, Options options);

  struct Status {
    bool configured = false;
    bool fallback = false;
    std::optional<Clock::Time> last_contact;
    std::string error;  ///< why it is away; may name hosts
  };
  /// Any thread.
  Status status() const;
  CircuitStats circuit() const { return circuit_.stats(); }

  /// Asks whether it is there, and for what has become due since the last call.
  Aw<void> tick();
  /// tick() each `probe_every` until cancelled. `sleep`: false when cancelled.
  Aw<void> run(std::function<Aw<bool>(std::chrono::nanoseconds)> sleep);

 private:
  struct Due {
    Workflow workflow;
    std::string schedule;
    std::optional<Clock::Time> next;
  };
  Aw<void> probe();
  Aw<void> start(Workflow workflow, Clock::Time due);
  void note(const Result<json::object>& outcome);
  void count(Workflow workflow, const char* by);

  const Parts parts_;
  const Options options_;
  Logger logger_{"memory.orchestrator"};
  Circuit circuit_;
  telemetry::Gauge& fallback_;
  std::array<Due, 3> due_;
  mutable std::mutex mutex_;
  Status status_;  // under the mutex
};

/// {"status": "normal" or "fallback", "fallback_mode", "last_mahavishnu_contact"}.
json::object orchestrator_json(const Orchestrator::Status& status);

}  // namespace asahi::memory
