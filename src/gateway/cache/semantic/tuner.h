#pragma once

#include <array>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace asahi::gateway::semantic {

/// How much the operator minds paying twice (gateway spec §3.3): high takes hits early.
enum class Sensitivity : std::uint8_t { kHigh, kMedium, kLow };
std::optional<Sensitivity> parse_sensitivity(std::string_view text);
std::string_view to_string(Sensitivity sensitivity);

/// The first filter on similarity, per task and sensitivity: the table of gateway spec §3.3, moved
/// at run time. Thread-safe.
class ThresholdTuner {
 public:
  ThresholdTuner();

  /// An unknown task has the default row.
  double threshold(std::string_view task, Sensitivity sensitivity) const;
  /// An unknown task gets a copy of the default row first. Errors: invalid_argument outside [0, 1]
  /// and beyond 64 tasks.
  Result<void> set(std::string_view task, Sensitivity sensitivity, double threshold);

  /// Those with a row of their own.
  std::vector<std::string> tasks() const;

  /// A user reported a wrong hit: + 0.01; 50 clean near misses: − 0.005; never more than 0.05 away
  /// from what was set.
  void reported_wrong(std::string_view task, Sensitivity sensitivity);
  void clean_near_miss(std::string_view task, Sensitivity sensitivity);

  /// JSON {"task": {"high": 0.75, …}}, to be kept over restarts.
  std::string encode() const;
  Result<void> restore(std::string_view text);

 private:
  struct Cell {
    double set = 0, shift = 0;
    int near_misses = 0;
  };
  using Row = std::array<Cell, 3>;
  const Row& row(std::string_view task) const;
  Row* own_row(std::string_view task);

  mutable std::mutex mutex_;
  std::map<std::string, Row, std::less<>> rows_;
};

/// One labelled pair: how alike the cache found them, and whether one answer serves both.
struct LabelledScore {
  double score = 0;
  bool same = false;
};

/// Where to cut so that `beta`-weighted F is best (β = 0.5 minds wrong hits twice as much as missed
/// ones).
struct TunedThreshold {
  double threshold = 1;
  double f = 0, precision = 0, recall = 0;
};
TunedThreshold tune_threshold(std::span<const LabelledScore> pairs, double beta);

/// The mismatch weight of a task (gateway spec §3.3).
double mismatch_weight(std::string_view task);

}  // namespace asahi::gateway::semantic
