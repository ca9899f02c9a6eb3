#include "memory/ingest/scan_jobs.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/ids.h"

namespace asahi::memory {

std::string_view state_name(ScanJob::State state) {
  switch (state) {
    case ScanJob::State::kQueued:
      return "queued";
    case ScanJob::State::kRunning:
      return "running";
    case ScanJob::State::kDone:
      return "done";
    case ScanJob::State::kFailed:
      break;
  }
  return "failed";
}

std::string ScanJobs::add(std::string system_id, UploadPriority priority, Clock::Time now) {
  const std::scoped_lock lock(mutex_);
  jobs_.push_back({.id = "scan_" + make_ulid(now),
                   .system_id = std::move(system_id),
                   .priority = priority,
                   .asked_at = now});
  // What a forgotten one was to find, the next scan of everything finds.
  if (jobs_.size() > kKept) jobs_.pop_front();
  return jobs_.back().id;
}

ScanJobs::Scan ScanJobs::begin() {
  const std::scoped_lock lock(mutex_);
  Scan scan;
  std::set<std::string> systems;
  bool all = false;
  for (ScanJob& job : jobs_) {
    if (job.state != ScanJob::State::kQueued) continue;
    job.state = ScanJob::State::kRunning;
    scan.ids.push_back(job.id);
    scan.priority = std::max(scan.priority, job.priority);
    if (job.system_id.empty()) {
      all = true;
    } else {
      systems.insert(job.system_id);
    }
  }
  if (!all && systems.size() <= kByName) scan.systems.assign(systems.begin(), systems.end());
  return scan;
}

void ScanJobs::end(const Scan& scan, const Discovery::Found& found, Clock::Time now) {
  const std::scoped_lock lock(mutex_);
  for (ScanJob& job : jobs_) {
    if (std::ranges::find(scan.ids, job.id) == scan.ids.end()) continue;
    job.state = found.errors > 0 ? ScanJob::State::kFailed : ScanJob::State::kDone;
    job.ended_at = now;
    job.discovered = found.discovered;
    job.error = found.error;
  }
}

std::optional<ScanJob> ScanJobs::find(const std::string& id) const {
  const std::scoped_lock lock(mutex_);
  const auto found = std::ranges::find(jobs_, id, &ScanJob::id);
  return found == jobs_.end() ? std::nullopt : std::optional(*found);
}

std::vector<ScanJob> ScanJobs::latest(std::size_t most) const {
  const std::scoped_lock lock(mutex_);
  const std::size_t count = std::min(most, jobs_.size());
  return {jobs_.rbegin(), jobs_.rbegin() + static_cast<std::ptrdiff_t>(count)};
}

}  // namespace asahi::memory
