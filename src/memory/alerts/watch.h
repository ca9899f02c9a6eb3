#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "memory/alerts/alerts.h"
#include "memory/search/search.h"

namespace asahi::memory {

/// Counts the searches of each tenant and says, window by window, what may be worth an alert:
///
/// | Type | Value | Asked |
/// |---|---|---|
/// | high_latency | 99th percentile, ms | from 20 searches in the window on |
/// | low_hit_rate | share that a cache answered | from 100 on |
/// | spike_in_errors | failures over the mean of the windows before (at least one) | from 10 on |
///
/// Thread-safe.
class SearchWatch final : public SearchObserver {
 public:
  /// `most`: tenants watched at a time; who asks nothing for a window is forgotten.
  explicit SearchWatch(std::size_t most = 10'000) : most_(most) {}

  void searched(std::string_view tenant, SearchMode mode, std::string_view cache, bool ok,
                std::chrono::nanoseconds took) override;
  /// Ends the window and tells of it. The 99th percentiles in milliseconds of tenants that
  /// searched at least 20 times, by tenant.
  std::map<std::string, double> close_window(AlertSink& sink);

 private:
  /// Times in steps of a quarter of an octave from 0.1 ms on.
  static constexpr std::size_t kSteps = 96;
  struct Window {
    std::uint64_t searches = 0, failures = 0, hits = 0, lookups = 0;
    std::array<std::uint32_t, kSteps> times{};
    double usual_failures = 0;  ///< of the windows before: a mean that forgets by a tenth
  };
  static double percentile(const Window& window, double share);

  const std::size_t most_;
  std::mutex mutex_;
  std::map<std::string, Window, std::less<>> windows_;
};

}  // namespace asahi::memory
