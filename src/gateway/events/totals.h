#pragma once

#include <array>
#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "gateway/events/event.h"

namespace asahi::gateway {

/// Running sums of one organisation since the first event: what GET /metrics answers.
struct OrgTotals {
  std::int64_t requests = 0;
  std::int64_t errors = 0;
  NanoUsd cost, baseline_cost, cache_saved;
  double latency_ms_sum = 0;  ///< of answered requests
  double quality_sum = 0;
  std::int64_t quality_count = 0;
  std::array<std::int64_t, 4> hits_by_tier{};  ///< index 1–3
  std::int64_t lookups = 0;                    ///< answered requests that could have hit
  std::map<std::string, NanoUsd> cost_by_model;
  std::map<std::string, std::int64_t> requests_by_model;
  std::map<std::string, std::int64_t> requests_by_mode;

  OrgTotals& operator+=(const OrgTotals& other);
  NanoUsd savings() const { return baseline_cost - cost; }
  std::int64_t hits() const { return hits_by_tier[1] + hits_by_tier[2] + hits_by_tier[3]; }
};

/// Sums per organisation. Written by the event writer only; read from anywhere.
class Totals {
 public:
  void add(const InferenceEvent& event);
  OrgTotals of(const std::string& org_id) const;
  /// Those that have events, in order; at most `limit`.
  std::vector<std::string> organisations(std::size_t limit) const;
  /// Adds the sums from before this process's first event. Once, at any time after the start.
  void restore(const std::map<std::string, OrgTotals>& before);
  /// Sums from before can no longer come: they are in, or there will be none.
  void complete() { complete_.store(true, std::memory_order_relaxed); }
  bool is_complete() const { return complete_.load(std::memory_order_relaxed); }

 private:
  mutable std::mutex mutex_;
  std::atomic<bool> complete_{false};
  std::unordered_map<std::string, OrgTotals> by_org_;
};

}  // namespace asahi::gateway
