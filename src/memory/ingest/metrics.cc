#include "memory/ingest/metrics.h"

#include <tuple>
#include <utility>

namespace asahi::memory {

namespace {

const std::vector<double> kBounds = {.001, .005, .01, .025, .05, .1, .25, .5,
                                     1,    2.5,  5,   10,   30,  60, 300};
/// As many as the registry keeps apart.
constexpr std::size_t kMostSystems = 1'000;
constexpr const char* kDuration = "akosha_ingestion_duration_seconds";
constexpr const char* kDurationHelp = "How long uploads, pushes and scans took.";

double seconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

}  // namespace

IngestMetrics::IngestMetrics(telemetry::Registry& registry, const Clock& clock)
    : registry_(registry),
      clock_(clock),
      upload_(registry, "upload"),
      push_(registry, "push"),
      scan_(registry, "scan"),
      told_(clock.steady_now()),
      uploads_(registry.histogram(kDuration, kDurationHelp, kBounds, {{"operation", "upload"}})),
      pushes_(registry.histogram(kDuration, kDurationHelp, kBounds, {{"operation", "push"}})),
      scans_(registry.histogram(kDuration, kDurationHelp, kBounds, {{"operation", "scan"}})),
      share_(registry.gauge("akosha_ingestion_queue_size",
                            "Uploads that wait or are in work: this process's share.")),
      backlog_(registry.gauge("akosha_ingestion_backlog_count",
                              "Uploads that wait or are in work, of all processes.")) {}

void IngestMetrics::ended(const IngestEnd& end, std::chrono::nanoseconds took) {
  const auto& [tenant, system_id, status, operation, gained] = end;
  registry_
      .counter("akosha_ingestion_requests_total", "Uploads and pushes by how they ended.",
               {{"system_id", system_id}, {"status", std::string(status)}})
      .add();
  (operation == "push" ? pushes_ : uploads_).observe(seconds(took));
  const bool failed = status == "error" || status == "failed" || status == "rejected";
  (operation == "push" ? push_ : upload_).ended(!failed, took);
  {
    const std::scoped_lock lock(mutex_);
    const bool known = taken_.size() < kMostSystems || taken_.contains(system_id);
    taken_[known ? system_id : "other"] += static_cast<double>(gained.items);
  }
  const std::pair<const char*, std::uint64_t> outcomes[] = {
      {"stored", gained.stored},        {"replaced", gained.replaced},
      {"unchanged", gained.unchanged},  {"older", gained.older},
      {"duplicate", gained.duplicates}, {"near_duplicate", gained.near_duplicates},
      {"skipped", gained.skipped},      {"error", gained.errors}};
  for (const auto& [outcome, number] : outcomes) {
    if (number == 0) continue;
    registry_
        .counter("akosha_ingestion_conversations_processed_total",
                 "Memories by what became of them.",
                 {{"system_id", system_id}, {"status", outcome}})
        .add(static_cast<double>(number));
  }
  // What is stored was looked for in both ways, and found in neither.
  const std::uint64_t unique = gained.stored + gained.replaced;
  for (const auto& [type, result, number] :
       {std::tuple("exact", "duplicate", gained.duplicates),
        std::tuple("exact", "unique", unique + gained.near_duplicates),
        std::tuple("fuzzy", "duplicate", gained.near_duplicates),
        std::tuple("fuzzy", "unique", unique)}) {
    if (number == 0) continue;
    registry_
        .counter("akosha_deduplication_checks_total", "Memories by whether they were there.",
                 {{"check_type", type}, {"result", result}})
        .add(static_cast<double>(number));
  }
  registry_
      .counter("akosha_ingestion_bytes_total", "Bytes of payload read.", {{"system_id", system_id}})
      .add(static_cast<double>(gained.bytes));
  if (watcher_) watcher_(end);
}

void IngestMetrics::error(const std::string& system_id, std::string_view type) {
  registry_
      .counter("akosha_ingestion_errors_total", "What went wrong while taking memories in.",
               {{"system_id", system_id}, {"error_type", std::string(type)}})
      .add();
  count_error(registry_, clock_, Part::kIngestionWorker, type);
}

void IngestMetrics::scanned(std::chrono::nanoseconds took) {
  scans_.observe(seconds(took));
  scan_.ended(true, took);
}

void IngestMetrics::queue(double own_share, double all) {
  share_.set(own_share);
  backlog_.set(all);
}

void IngestMetrics::tell_throughput() {
  const Clock::Steady now = clock_.steady_now();
  const std::scoped_lock lock(mutex_);
  const double seconds_passed = seconds(now - std::exchange(told_, now));
  if (seconds_passed <= 0) return;
  for (auto& [system_id, memories] : taken_) {
    registry_
        .gauge("akosha_ingestion_throughput", "Memories taken in a second, of late",
               {{"system_id", system_id}})
        .set(std::exchange(memories, 0.0) / seconds_passed);
  }
}

}  // namespace asahi::memory
