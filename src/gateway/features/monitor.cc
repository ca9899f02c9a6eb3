#include "gateway/features/monitor.h"

namespace asahi::gateway {

bool FeatureMonitor::Switch::allow(Clock::Steady now, std::chrono::seconds rest) {
  if (!off_since) return true;
  if (trying || now - *off_since < rest) return false;
  trying = true;
  return true;
}

bool FeatureMonitor::allow(std::string_view task, Clock::Steady now) {
  const std::scoped_lock lock(mutex_);
  if (!all_.allow(now, options_.rest)) return false;
  const auto found = tasks_.find(task);
  if (found == tasks_.end() || found->second.off.allow(now, options_.rest)) return true;
  all_.trying = false;  // the trial of all was not used
  return false;
}

void FeatureMonitor::succeeded(std::string_view task, double ms) {
  const std::scoped_lock lock(mutex_);
  ++requests_;
  ++successes_;
  total_ms_ += ms;
  in_row_ = 0;
  auto found = tasks_.find(task);
  // Tasks are words of a caller's choice.
  if (found == tasks_.end() && tasks_.size() < 1'000)
    found = tasks_.emplace(std::string(task), TaskCount{}).first;
  if (all_.trying) {
    all_ = {};
    with_ = without_ = {};
  }
  if (found == tasks_.end()) return;
  if (found->second.off.trying) found->second = {};
  ++found->second.requests;
}

void FeatureMonitor::failed(std::string_view task, Clock::Steady now) {
  const std::scoped_lock lock(mutex_);
  ++requests_;
  ++failures_;
  ++in_row_;
  if (all_.trying || (!all_.off_since && in_row_ >= options_.failures_in_row)) {
    const std::string reason =
        all_.off_since ? all_.reason : "the store failed five times in a row";
    all_ = {.off_since = now, .trying = false, .reason = reason};
  }
  auto found = tasks_.find(task);
  if (found == tasks_.end()) {
    if (tasks_.size() >= 1'000) return;
    found = tasks_.emplace(std::string(task), TaskCount{}).first;
  }
  TaskCount& count = found->second;
  ++count.requests;
  ++count.failures;
  if (count.off.trying || (!count.off.off_since && count.requests >= options_.samples &&
                           count.failures * 2 > count.requests)) {
    count.off = {.off_since = now,
                 .trying = false,
                 .reason = "more than half of the look-ups for " + std::string(task) + " failed"};
  }
}

void FeatureMonitor::quality(bool with_features, double score, Clock::Steady now) {
  const std::scoped_lock lock(mutex_);
  Mean& mean = with_features ? with_ : without_;
  ++mean.count;
  mean.sum += score;
  if (!all_.off_since && with_.count >= options_.samples && without_.count >= options_.samples &&
      with_.value() < without_.value()) {
    all_ = {.off_since = now, .trying = false, .reason = "answers with features are worse"};
  }
}

FeatureStats FeatureMonitor::stats() const {
  const std::scoped_lock lock(mutex_);
  FeatureStats stats;
  stats.enabled = !all_.off_since;
  stats.reason = all_.reason;
  for (const auto& [task, count] : tasks_) {
    if (stats.reason.empty() && count.off.off_since) stats.reason = count.off.reason;
  }
  stats.requests = requests_;
  stats.successes = successes_;
  stats.failures = failures_;
  stats.average_ms = successes_ == 0 ? 0 : total_ms_ / static_cast<double>(successes_);
  stats.availability_percent =
      requests_ == 0 ? 100 : 100 * static_cast<double>(successes_) / static_cast<double>(requests_);
  stats.quality_with = with_.value();
  stats.quality_without = without_.value();
  stats.samples_with = with_.count;
  stats.samples_without = without_.count;
  return stats;
}

}  // namespace asahi::gateway
