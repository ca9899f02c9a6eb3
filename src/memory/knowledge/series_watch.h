#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "memory/events/hub.h"
#include "memory/knowledge/series_store.h"
#include "memory/series/analysis.h"

namespace asahi::memory::knowledge {

/// Something that a tenant's numbers show: an event of the channel `patterns:{category}`.
struct Pattern {
  std::string category;  ///< "trend", "anomaly", "changepoint", "correlation"
  std::string type;      ///< "increasing", "outlier", "abrupt_up", "moves_together", …
  std::string description;
  double confidence = 0;  ///< 0 to 1
  std::string anchor;     ///< what makes it the same one when it is seen again
  json::object metadata;
  std::vector<std::string> systems = {};  ///< all that it tells of; empty: of the whole tenant
};
/// The same for people: an event of the channel `insights`.
struct Insight {
  std::string type, title, description, anchor;
  json::object data;
  std::vector<std::string> systems = {};  ///< as Pattern
};
struct Findings {
  std::vector<Pattern> patterns;
  std::vector<Insight> insights;
};

/// What one metric's points show; pure. Confidences: of a trend its R²; of an outlier 1 − 1/z², the
/// share of values that Chebyshev's inequality holds nearer to the mean; of a step its share of the
/// whole range; of a correlation |r|. Told are trends with R² of 0.6 and more over 10 points,
/// outliers beyond 3 standard deviations, abrupt steps, correlations beyond 0.7; an insight comes
/// with a trend that changes by a fifth, a step, and a correlation.
Findings findings(const std::string& metric, std::span<const series::Point> points);

/// Looks at the series of tenants that listen and tells the hub what it finds, each finding once
/// while they are connected. One thread at a time; blocking.
class SeriesWatch {
 public:
  struct Options {
    std::chrono::hours window{24 * 7};  ///< that is looked at
    std::size_t most_tenants = 1'000;   ///< that are looked at a time
    std::size_t most_metrics = 50;      ///< of a tenant: those with most points
    std::size_t most_told = 10'000;     ///< findings of a tenant that are remembered
  };
  /// All outlive it.
  SeriesWatch(SeriesStore& series, Hub& hub, const Clock& clock, Options options)
      : series_(series), hub_(hub), clock_(clock), options_(options) {}

  /// One look. How many events were told. Errors: those of the database.
  Result<std::size_t> look();

 private:
  Result<std::size_t> look_at(const std::string& tenant);
  bool is_new(const std::string& tenant, const std::string& id);
  std::size_t tell(const std::string& tenant, const std::string& metric, const Findings& found);

  SeriesStore& series_;
  Hub& hub_;
  const Clock& clock_;
  const Options options_;
  std::map<std::string, std::set<std::string>> told_;  ///< ids by tenant
};

}  // namespace asahi::memory::knowledge
