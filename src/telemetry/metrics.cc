#include "telemetry/metrics.h"

#include <fmt/format.h>
#include <prometheus/check_names.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <cmath>
#include <limits>
#include <sstream>
#include <stdexcept>

#include "base/utf8.h"

namespace asahi::telemetry {
namespace {

constexpr std::size_t kMaxLabelBytes = 200;
constexpr std::string_view kOther = "other";
// Each instrument has its cache line to itself: two loops counting different things must not slow
// each other.
constexpr std::size_t kCacheLine = 64;

using SortedLabels = std::map<std::string, std::string>;

/// Whole steps go to an integer, which adds in one instruction; a double needs a loop of compare
/// and exchange.
class alignas(kCacheLine) AtomicCounter final : public Counter {
 public:
  void add(double by) override {
    if (!(by > 0) || std::isinf(by)) return;  // counters only rise
    if (by < 1e15 && by == std::floor(by)) {
      whole_.fetch_add(static_cast<std::uint64_t>(by), std::memory_order_relaxed);
    } else {
      rest_.fetch_add(by, std::memory_order_relaxed);
    }
  }
  double value() const override {
    return static_cast<double>(whole_.load(std::memory_order_relaxed)) +
           rest_.load(std::memory_order_relaxed);
  }
  void collect(prometheus::ClientMetric& out) const { out.counter.value = value(); }

 private:
  std::atomic<std::uint64_t> whole_{0};
  std::atomic<double> rest_{0};
};

class alignas(kCacheLine) AtomicGauge final : public Gauge {
 public:
  void set(double to) override { value_.store(to, std::memory_order_relaxed); }
  void add(double by) override { value_.fetch_add(by, std::memory_order_relaxed); }
  double value() const override { return value_.load(std::memory_order_relaxed); }
  void collect(prometheus::ClientMetric& out) const { out.gauge.value = value(); }

 private:
  std::atomic<double> value_{0};
};

class alignas(kCacheLine) AtomicHistogram final : public Histogram {
 public:
  explicit AtomicHistogram(const std::vector<double>& bounds)
      : bounds_(bounds), buckets_(bounds.size() + 1) {}
  void observe(double value) override {
    if (std::isnan(value)) return;
    const auto bucket =
        std::ranges::lower_bound(bounds_, value) - bounds_.begin();  // "le" includes its bound
    buckets_[static_cast<std::size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
    sum_.fetch_add(value, std::memory_order_relaxed);
  }
  void collect(prometheus::ClientMetric& out) const {
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
      count += buckets_[i].load(std::memory_order_relaxed);
      const double bound =
          i < bounds_.size() ? bounds_[i] : std::numeric_limits<double>::infinity();
      out.histogram.bucket.push_back({count, bound});
    }
    // The count is the sum of the buckets as just read, so that a scrape in the middle of an add
    // agrees with itself.
    out.histogram.sample_count = count;
    out.histogram.sample_sum = sum_.load(std::memory_order_relaxed);
  }

 private:
  const std::vector<double> bounds_;
  std::vector<std::atomic<std::uint64_t>> buckets_;
  std::atomic<double> sum_{0};
};

prometheus::MetricType type_of(MetricType type) {
  switch (type) {
    case MetricType::kCounter:
      return prometheus::MetricType::Counter;
    case MetricType::kGauge:
      return prometheus::MetricType::Gauge;
    case MetricType::kHistogram:
      return prometheus::MetricType::Histogram;
  }
  return prometheus::MetricType::Untyped;
}

struct Family {
  std::string help;
  MetricType type;
  std::vector<double> bounds;
  // Sorted, so that two scrapes list the series in the same order.
  std::map<SortedLabels, std::unique_ptr<AtomicCounter>> counters;
  std::map<SortedLabels, std::unique_ptr<AtomicGauge>> gauges;
  std::map<SortedLabels, std::unique_ptr<AtomicHistogram>> histograms;
};

SortedLabels checked_labels(const std::string& name, const Labels& labels) {
  SortedLabels sorted;
  for (const auto& [key, value] : labels) {
    if (!prometheus::CheckLabelName(key) || key == "le") {
      throw std::logic_error(
          fmt::format("metric {} has the label name '{}', which Prometheus refuses", name, key));
    }
    // One value that is not UTF-8 would make Prometheus refuse the whole page.
    sorted[key] = mended_utf8(value, kMaxLabelBytes);
  }
  return sorted;
}

template <class Instrument, class... Args>
Instrument& resolve(std::map<SortedLabels, std::unique_ptr<Instrument>>& series,
                    SortedLabels labels, std::size_t max_series, const Args&... args) {
  if (const auto found = series.find(labels); found != series.end()) return *found->second;
  if (series.size() >= max_series && !labels.empty()) {
    for (auto& [key, value] : labels) value = kOther;
  }
  auto& slot = series[std::move(labels)];
  if (slot == nullptr) slot = std::make_unique<Instrument>(args...);
  return *slot;
}

Sample sample_of(const AtomicHistogram& histogram) {
  prometheus::ClientMetric metric;
  histogram.collect(metric);
  Sample sample{.labels = {}, .value = metric.histogram.sample_sum};
  sample.buckets.reserve(metric.histogram.bucket.size());
  for (const auto& bucket : metric.histogram.bucket)
    sample.buckets.push_back(bucket.cumulative_count);
  return sample;
}
template <class Instrument>
Sample sample_of(const Instrument& instrument) {
  return {.labels = {}, .value = instrument.value()};
}

template <class Instrument>
void collect(const std::map<SortedLabels, std::unique_ptr<Instrument>>& series,
             FamilySnapshot& out) {
  for (const auto& [labels, instrument] : series) {
    Sample& sample = out.samples.emplace_back(sample_of(*instrument));
    sample.labels.assign(labels.begin(), labels.end());
  }
}

template <class Instrument>
void collect(const std::map<SortedLabels, std::unique_ptr<Instrument>>& series,
             prometheus::MetricFamily& out) {
  for (const auto& [labels, instrument] : series) {
    prometheus::ClientMetric& metric = out.metric.emplace_back();
    for (const auto& [key, value] : labels) metric.label.push_back({key, value});
    instrument->collect(metric);
  }
}

}  // namespace

struct Registry::Impl {
  Family& family(const std::string& name, const std::string& help, MetricType type) {
    const auto found = families.find(name);
    if (found == families.end()) {
      if (!prometheus::CheckMetricName(name)) {
        throw std::logic_error(fmt::format("'{}' is a metric name that Prometheus refuses", name));
      }
      return families.emplace(name, Family{.help = help, .type = type}).first->second;
    }
    if (found->second.type != type) {
      throw std::logic_error(fmt::format("metric {} is used with two types", name));
    }
    return found->second;
  }

  std::size_t max_series;
  mutable std::mutex mutex;
  std::map<std::string, Family> families;
};

Registry::Registry(std::size_t max_series_per_family) : impl_(std::make_unique<Impl>()) {
  impl_->max_series = max_series_per_family;
}
Registry::~Registry() = default;

Counter& Registry::counter(const std::string& name, const std::string& help, const Labels& labels) {
  SortedLabels sorted = checked_labels(name, labels);
  std::lock_guard lock(impl_->mutex);
  Family& family = impl_->family(name, help, MetricType::kCounter);
  return resolve(family.counters, std::move(sorted), impl_->max_series);
}

Gauge& Registry::gauge(const std::string& name, const std::string& help, const Labels& labels) {
  SortedLabels sorted = checked_labels(name, labels);
  std::lock_guard lock(impl_->mutex);
  Family& family = impl_->family(name, help, MetricType::kGauge);
  return resolve(family.gauges, std::move(sorted), impl_->max_series);
}

Histogram& Registry::histogram(const std::string& name, const std::string& help,
                               const std::vector<double>& bounds, const Labels& labels) {
  const bool rising = std::ranges::adjacent_find(
                          bounds, [](double a, double b) { return !(a < b); }) == bounds.end();
  if (bounds.empty() || !rising ||
      !std::ranges::all_of(bounds, [](double bound) { return std::isfinite(bound); })) {
    throw std::logic_error(
        fmt::format("metric {} needs finite bucket bounds, each above the one before", name));
  }
  SortedLabels sorted = checked_labels(name, labels);
  std::lock_guard lock(impl_->mutex);
  Family& family = impl_->family(name, help, MetricType::kHistogram);
  if (family.bounds.empty()) family.bounds = bounds;
  if (family.bounds != bounds)
    throw std::logic_error(fmt::format("metric {} is used with two sets of bounds", name));
  return resolve(family.histograms, std::move(sorted), impl_->max_series, family.bounds);
}

std::string Registry::expose() const {
  std::vector<prometheus::MetricFamily> page;
  {
    std::lock_guard lock(impl_->mutex);
    page.reserve(impl_->families.size());
    for (const auto& [name, family] : impl_->families) {
      prometheus::MetricFamily& out = page.emplace_back();
      out.name = name;
      out.help = family.help;
      out.type = type_of(family.type);
      telemetry::collect(family.counters, out);
      telemetry::collect(family.gauges, out);
      telemetry::collect(family.histograms, out);
    }
  }
  std::ostringstream text;
  prometheus::TextSerializer().Serialize(text, page);
  return std::move(text).str();
}

std::vector<FamilySnapshot> Registry::collect() const {
  std::vector<FamilySnapshot> all;
  const std::lock_guard lock(impl_->mutex);
  all.reserve(impl_->families.size());
  for (const auto& [name, family] : impl_->families) {
    FamilySnapshot& out = all.emplace_back();
    out.name = name;
    out.help = family.help;
    out.type = family.type;
    out.bounds = family.bounds;
    telemetry::collect(family.counters, out);
    telemetry::collect(family.gauges, out);
    telemetry::collect(family.histograms, out);
  }
  return all;
}

}  // namespace asahi::telemetry
