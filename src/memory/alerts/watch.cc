#include "memory/alerts/watch.h"

#include <algorithm>
#include <cmath>

namespace asahi::memory {
namespace {

constexpr double kFirstMs = 0.1;
constexpr double kStepsOfAnOctave = 4;
constexpr std::uint64_t kLeastForLatency = 20;
constexpr std::uint64_t kLeastForHitRate = 100;
constexpr std::uint64_t kLeastFailures = 10;

std::size_t step_of(double ms, std::size_t steps) {
  if (ms <= kFirstMs) return 0;
  const auto step = static_cast<std::size_t>(std::log2(ms / kFirstMs) * kStepsOfAnOctave);
  return std::min(step, steps - 1);
}

}  // namespace

void SearchWatch::searched(std::string_view tenant, SearchMode, std::string_view cache, bool ok,
                           std::chrono::nanoseconds took) {
  const double ms = std::chrono::duration<double, std::milli>(took).count();
  const std::scoped_lock lock(mutex_);
  auto found = windows_.find(tenant);
  if (found == windows_.end()) {
    if (windows_.size() >= most_) return;
    found = windows_.emplace(std::string(tenant), Window{}).first;
  }
  Window& window = found->second;
  ++window.searches;
  ++window.times[step_of(ms, kSteps)];
  if (!ok) ++window.failures;
  ++window.lookups;
  if (cache == "l1" || cache == "l2") ++window.hits;
}

double SearchWatch::percentile(const Window& window, double share) {
  const double wanted = share * static_cast<double>(window.searches);
  double seen = 0;
  for (std::size_t i = 0; i < kSteps; ++i) {
    seen += window.times[i];
    // The upper end of the step: at most 19 % too much, never too little.
    if (seen >= wanted) return kFirstMs * std::exp2(static_cast<double>(i + 1) / kStepsOfAnOctave);
  }
  return 0;
}

std::map<std::string, double> SearchWatch::close_window(AlertSink& sink) {
  using enum series::AlertType;
  std::map<std::string, Window, std::less<>> closed;
  {
    const std::scoped_lock lock(mutex_);
    closed = windows_;
    std::erase_if(windows_, [](const auto& item) {
      return item.second.searches == 0 && item.second.usual_failures < 0.1;
    });
    for (auto& [tenant, window] : windows_) {
      const double usual = 0.9 * window.usual_failures + 0.1 * static_cast<double>(window.failures);
      window = Window{};
      window.usual_failures = usual;
    }
  }
  std::map<std::string, double> slowest;
  for (const auto& [tenant, window] : closed) {
    if (window.searches >= kLeastForLatency) {
      const double p99 = slowest[tenant] = percentile(window, 0.99);
      sink.observe(tenant, {.type = kHighLatency,
                            .value = p99,
                            .message = {},
                            .about = {{"operation", "search"}, {"measure", "p99_ms"}}});
    }
    if (window.lookups >= kLeastForHitRate) {
      const double rate = static_cast<double>(window.hits) / static_cast<double>(window.lookups);
      sink.observe(
          tenant,
          {.type = kLowHitRate, .value = rate, .message = {}, .about = {{"operation", "search"}}});
    }
    if (window.failures >= kLeastFailures) {
      const double times =
          static_cast<double>(window.failures) / std::max(1.0, window.usual_failures);
      sink.observe(tenant, {.type = kSpikeInErrors,
                            .value = times,
                            .message = {},
                            .about = {{"operation", "search"}}});
    }
  }
  return slowest;
}

}  // namespace asahi::memory
