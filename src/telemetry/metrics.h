#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace asahi::telemetry {

using Labels = std::vector<std::pair<std::string, std::string>>;

/// Instruments are resolved once and then cost a relaxed atomic add; they live as long as their
/// registry. All are thread-safe.
class Counter {
 public:
  virtual ~Counter() = default;
  virtual void add(double by = 1) = 0;
  virtual double value() const = 0;
};
class Gauge {
 public:
  virtual ~Gauge() = default;
  virtual void set(double to) = 0;
  virtual void add(double by) = 0;
  virtual double value() const = 0;
};
class Histogram {
 public:
  virtual ~Histogram() = default;
  virtual void observe(double value) = 0;
};

enum class MetricType : std::uint8_t { kCounter, kGauge, kHistogram };

/// What one instrument held at one moment.
struct Sample {
  Labels labels;     ///< sorted by name
  double value = 0;  ///< of a counter or gauge; the sum of a histogram's observations
  /// Of a histogram, for each bound of its family and then +Inf: observations up to it.
  std::vector<std::uint64_t> buckets = {};

  std::uint64_t count() const { return buckets.empty() ? 0 : buckets.back(); }
};

/// One family of a registry at one moment, for exporters.
struct FamilySnapshot {
  std::string name, help;
  MetricType type = MetricType::kCounter;
  std::vector<double> bounds;  ///< of a histogram
  std::vector<Sample> samples;
};

/// One registry per process, injected. Label values are bounded: beyond `max_series` of a family
/// new label sets fall into one whose values are all "other".
class Registry {
 public:
  explicit Registry(std::size_t max_series_per_family = 1'000);
  ~Registry();

  /// The same name and labels give the same instrument. A name used with another type is a bug:
  /// throws.
  Counter& counter(const std::string& name, const std::string& help, const Labels& labels = {});
  Gauge& gauge(const std::string& name, const std::string& help, const Labels& labels = {});
  Histogram& histogram(const std::string& name, const std::string& help,
                       const std::vector<double>& bounds, const Labels& labels = {});

  /// Prometheus text exposition 0.0.4.
  std::string expose() const;
  /// The same as values, by family name and labels. Any thread; copies everything, so not for the
  /// hot path.
  std::vector<FamilySnapshot> collect() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace asahi::telemetry
