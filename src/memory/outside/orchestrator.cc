#include "memory/outside/orchestrator.h"

#include <utility>

#include "jobs/queue.h"

namespace asahi::memory {
namespace {

/// The orchestrator's tool that starts a workflow by name.
constexpr const char* kStartTool = "workflow-trigger";

std::optional<Clock::Time> next_of(const std::string& schedule, Clock::Time from) {
  const auto next = jobs::next_cron(schedule, from);
  return next ? std::optional(*next) : std::nullopt;
}

}  // namespace

std::string_view workflow_name(Workflow workflow) {
  switch (workflow) {
    case Workflow::kDailyIngest:
      return "akosha-daily-ingest";
    case Workflow::kTierTransition:
      return "akosha-tier-transition";
    case Workflow::kHealthCheck:
      break;
  }
  return "akosha-health-check";
}

Orchestrator::Orchestrator(Parts parts, Options options)
    : parts_(std::move(parts)),
      options_(std::move(options)),
      circuit_(parts_.clock),
      fallback_(parts_.metrics.gauge("akosha_fallback_mode",
                                     "1: an orchestrator is configured and away.")),
      due_{Due{Workflow::kDailyIngest, options_.daily_ingest, {}},
           Due{Workflow::kTierTransition, options_.tier_transition, {}},
           Due{Workflow::kHealthCheck, options_.health_check, {}}} {
  fallback_.set(0);
  status_.configured = options_.configured;
  for (Due& due : due_) due.next = next_of(due.schedule, parts_.clock.now());
}

Orchestrator::Status Orchestrator::status() const {
  const std::scoped_lock lock(mutex_);
  return status_;
}

void Orchestrator::count(Workflow workflow, const char* by) {
  parts_.metrics
      .counter("akosha_workflow_runs_total", "Workflows that became due, by who started them.",
               {{"workflow", std::string(workflow_name(workflow))}, {"by", by}})
      .add();
}

void Orchestrator::note(const Result<json::object>& outcome) {
  if (outcome) {
    circuit_.succeeded();
  } else {
    circuit_.failed();
  }
  bool changed = false;
  {
    const std::scoped_lock lock(mutex_);
    changed = status_.fallback == outcome.has_value();
    status_.fallback = !outcome;
    status_.error = outcome ? std::string() : outcome.error().message;
    if (outcome) status_.last_contact = parts_.clock.now();
  }
  fallback_.set(outcome ? 0 : 1);
  if (!changed) return;
  if (outcome) {
    logger_.info("the orchestrator is back");
  } else {
    logger_.warning("the orchestrator is away; its workflows are done here",
                    {{"error", outcome.error().message}});
  }
}

Aw<void> Orchestrator::probe() {
  if (!circuit_.allow()) co_return;
  note(co_await parts_.hello());
}

Aw<void> Orchestrator::start(Workflow workflow, Clock::Time due) {
  const std::string name(workflow_name(workflow));
  const auto mine = co_await parts_.claim(name, due, parts_.clock.now());
  if (!mine) {
    logger_.error("a workflow was due and is not started: the database is away",
                  {{"workflow", name}, {"error", mine.error().message}});
    co_return;
  }
  if (!*mine) co_return;
  if (!status().fallback && circuit_.allow()) {
    const auto started = co_await parts_.call(kStartTool, {{"workflow", name}});
    note(started);
    if (started) {
      count(workflow, "orchestrator");
      co_return;
    }
  }
  parts_.here(workflow);
  count(workflow, "here");
}

Aw<void> Orchestrator::tick() {
  if (!options_.configured) co_return;
  co_await probe();
  if (!options_.starts_workflows) co_return;
  const Clock::Time now = parts_.clock.now();
  for (Due& one : due_) {
    if (!one.next || *one.next > now) continue;
    const Clock::Time due = *one.next;
    // What was missed while the machine slept is done once.
    one.next = next_of(one.schedule, now + std::chrono::minutes(1));
    co_await start(one.workflow, due);
  }
}

Aw<void> Orchestrator::run(std::function<Aw<bool>(std::chrono::nanoseconds)> sleep) {
  do co_await tick();
  while (co_await sleep(options_.probe_every));
}

json::object orchestrator_json(const Orchestrator::Status& status) {
  return {{"status", status.fallback ? "fallback" : "normal"},
          {"fallback_mode", status.fallback},
          {"last_mahavishnu_contact", status.last_contact
                                          ? json::value(format_rfc3339(*status.last_contact))
                                          : json::value(nullptr)}};
}

}  // namespace asahi::memory
