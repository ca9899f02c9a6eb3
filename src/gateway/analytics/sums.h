#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/money.h"
#include "base/result.h"
#include "gateway/events/event.h"

namespace asahi::gateway::analytics {

/// Latencies as counts per bucket: sums of histograms are histograms, so that percentiles of any
/// window come from its rollups. Buckets are log-linear: a value is known to within 1 % (or 0.01
/// ms).
class LatencyHistogram {
 public:
  void add(double ms, std::int64_t count = 1);
  LatencyHistogram& operator+=(const LatencyHistogram& other);
  LatencyHistogram& operator+=(LatencyHistogram&& other);
  std::int64_t count() const { return count_; }
  bool empty() const { return count_ == 0; }
  /// Nearest rank: the value of the smallest bucket that at least `p` percent (0 to 100) of the
  /// values do not exceed; 0 when empty.
  double percentile(double p) const;

  /// Its form in a column; what `encode` wrote. Errors: corrupt.
  std::string encode() const;
  static Result<LatencyHistogram> decode(std::string_view bytes);
  bool operator==(const LatencyHistogram& other) const;

 private:
  using Counts =
      std::vector<std::pair<std::int32_t, std::int64_t>>;  ///< (bucket, count), ascending
  void unpack();
  Counts unpacked() const;

  Counts counts_;
  /// What a column holds, for as long as nothing is added: a sixth of the memory of `counts_`,
  /// which is empty meanwhile. Most of a trend's histograms are read once or never.
  std::string encoded_;
  std::int64_t count_ = 0;
};

/// Where money was saved (spec §7.1, `phase`).
enum class Saving { kRouting, kCacheTier1, kCacheTier2, kCacheTier3, kTokens, kBatching };
inline constexpr std::size_t kSavings = 6;
/// "routing", "cache_t1" … "tokens", "batching"
std::string_view to_string(Saving saving);

using Savings = std::array<NanoUsd, kSavings>;  ///< by `Saving`
/// How an event's savings came about. What trimming and batching saved is part of the whole; the
/// rest is due to the cache tier that answered, or to routing. The parts add up to
/// `event.savings()`, so that the rest may be negative (a dearer model was asked for).
Savings divide_savings(const InferenceEvent& event);

/// What a set of events adds up to.
struct Sums {
  std::int64_t requests = 0;                   ///< all events
  std::int64_t errors = 0;                     ///< of these, not answered
  std::array<std::int64_t, 4> hits_by_tier{};  ///< index 1 to 3
  std::int64_t lookups = 0;                    ///< answered requests that could have hit
  NanoUsd cost, baseline_cost;
  Savings savings{};  ///< sum: baseline_cost − cost
  std::int64_t input_tokens = 0, output_tokens = 0, tokens_saved = 0;
  std::int64_t fallbacks = 0;
  double quality_sum = 0;
  std::int64_t quality_count = 0;
  double latency_ms_sum = 0;  ///< of answered requests, as the histogram
  LatencyHistogram latency;
  std::array<double, 4> lookup_ms_sum{};  ///< latency by tier that answered; index 0: misses
  double tokens_sum_of_squares = 0;       ///< of input + output per answered request
  std::int64_t screened = 0, hallucinations = 0;  ///< answers looked at; with signs of invention

  void add(const InferenceEvent& event);
  /// The same without its latency in the histogram.
  void count(const InferenceEvent& event);
  Sums& operator+=(const Sums& other);
  Sums& operator+=(Sums&& other);
  /// The same but for the histogram.
  void add_counts(const Sums& other);
  /// Takes away what is part of it; the histogram stays as it is.
  Sums& operator-=(const Sums& other);

  std::int64_t answered() const { return requests - errors; }
  std::int64_t hits() const { return hits_by_tier[1] + hits_by_tier[2] + hits_by_tier[3]; }
  NanoUsd total_savings() const { return baseline_cost - cost; }
  /// 0 when there was none.
  double mean_latency_ms() const;
  double hit_rate() const;
  double mean_quality() const;
  /// Of the answers looked at; nothing where none was.
  std::optional<double> hallucination_rate() const;
  bool operator==(const Sums&) const = default;
};

/// Whether latencies are kept beside the counts.
enum class Latencies { kKept, kLeftOut };
/// Appends the compact form of `sums`: decimals to the thousandth, zeros cost nothing.
void append_sums(std::string& out, const Sums& sums, Latencies latencies);
/// Reads what `append_sums` wrote. Errors: corrupt.
Result<Sums> parse_sums(std::string_view bytes);
/// Only its cost.
std::optional<NanoUsd> parse_cost(std::string_view bytes);

}  // namespace asahi::gateway::analytics
