#include "gateway/analytics/compute/anomalies.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "gateway/analytics/compute/chance.h"
#include "gateway/analytics/compute/rounding.h"
#include "gateway/analytics/compute/window.h"

namespace asahi::gateway::analytics {
namespace {

/// What is likelier than this on steady traffic is no anomaly. Of slow answers five before and
/// three now suffice, if all are.
constexpr double kChance = 1e-5, kChanceOfSlow = 1e-4;
constexpr double kSpike = 2, kCriticalSpike = 1.5 * kSpike;
/// Fewer say little about what requests cost: a dear one among many cheap ones is not rare.
constexpr std::int64_t kOldCosts = 100, kNewCosts = 10;
constexpr std::int64_t kOldLatencies = 5, kNewLatencies = 3;
constexpr double kErrorRate = 0.01, kCriticalErrors = 5 * kErrorRate;
constexpr double kDrop = 0.5, kCriticalDrop = 0.75;
constexpr double kAssumedHitRate = 0.5;
/// A cache that has just begun to fill is not worse than before.
constexpr std::int64_t kFirstLookups = 30;
constexpr double kQualityDrop = 0.5;
constexpr std::int64_t kQualitySamples = 5;

struct Halves {
  std::span<const Bucket> recent_minutes, old_minutes;
  Sums recent, old;
};

Halves split(std::span<const Bucket> minutes, Clock::Time recent_from) {
  const auto cut = std::ranges::lower_bound(minutes, recent_from, {}, &Bucket::start);
  const auto old = static_cast<std::size_t>(cut - minutes.begin());
  Halves halves{.recent_minutes = minutes.subspan(old),
                .old_minutes = minutes.first(old),
                .recent = {},
                .old = {}};
  for (const Bucket& minute : halves.recent_minutes) halves.recent += minute.sums;
  for (const Bucket& minute : halves.old_minutes) halves.old += minute.sums;
  return halves;
}

double cost_per_request(const Sums& sums) {
  return share(sums.cost.dollars(), static_cast<double>(sums.requests));
}

/// Large costs come singly: the unit in which cost is as irregular as counted things (its second
/// moment ÷ its mean), twice over, since a day need not have seen the largest.
double cost_unit(const Halves& halves) {
  const double mean = cost_per_request(halves.old);
  double squares = 0;
  std::int64_t used = 0;
  for (const Bucket& minute : halves.old_minutes) {
    if (minute.sums.requests == 0) continue;
    const double count = static_cast<double>(minute.sums.requests);
    const double apart = minute.sums.cost.dollars() - mean * count;
    squares += apart * apart / count;
    ++used;
  }
  const double variance = used > 1 ? squares / static_cast<double>(used - 1) : 0;
  return 2 * (variance + mean * mean) / mean;
}

/// The cost per request without the most expensive minute, where minutes are enough to leave one
/// out.
double lasting_cost(const Halves& halves) {
  constexpr std::size_t kMinutes = 3;
  if (halves.recent_minutes.size() < kMinutes) return cost_per_request(halves.recent);
  const Bucket& dearest =
      *std::ranges::max_element(halves.recent_minutes, {},
                                [](const Bucket& minute) { return cost_per_request(minute.sums); });
  return share((halves.recent.cost - dearest.sums.cost).dollars(),
               static_cast<double>(halves.recent.requests - dearest.sums.requests));
}

std::optional<Anomaly> cost_spike(const Halves& halves) {
  if (halves.old.requests < kOldCosts || halves.recent.requests < kNewCosts) return std::nullopt;
  const double expected = cost_per_request(halves.old);
  const double current = cost_per_request(halves.recent);
  if (expected <= 0 || current < kSpike * expected) return std::nullopt;
  if (lasting_cost(halves) < kSpike * expected) return std::nullopt;
  const double unit = cost_unit(halves);
  const double mean = expected * static_cast<double>(halves.recent.requests) / unit;
  const auto seen = static_cast<std::int64_t>(std::floor(halves.recent.cost.dollars() / unit));
  if (poisson_tail(seen, mean) >= kChance) return std::nullopt;
  return Anomaly{
      .type = AnomalyType::kCostSpike,
      .critical = current >= kCriticalSpike * expected,
      .current = rounded(current, 6),
      .expected = rounded(expected, 6),
      .message = fmt::format("A request cost ${:.6f} on average in the last hour, {:.1f} times the "
                             "${:.6f} of the day before.",
                             current, current / expected, expected)};
}

/// The share of values above `limit`.
double share_above(const LatencyHistogram& latencies, double limit) {
  double below = 0, above = 100;
  for (int i = 0; i < 40; ++i) {
    const double middle = (below + above) / 2;
    (latencies.percentile(middle) > limit ? above : below) = middle;
  }
  return 1 - below / 100;
}

std::optional<Anomaly> latency_spike(const Halves& halves) {
  const LatencyHistogram &old = halves.old.latency, &recent = halves.recent.latency;
  if (old.count() < kOldLatencies || recent.count() < kNewLatencies) return std::nullopt;
  const double expected = old.percentile(95), current = recent.percentile(95);
  if (expected <= 0 || current < kSpike * expected) return std::nullopt;
  // However the latencies are distributed: so many slow ones, where a day had so few. A quarter of
  // a value stands for those that the day happened not to see.
  const double limit = std::nextafter(kSpike * expected, 0.0);
  const double count = static_cast<double>(old.count());
  const double usual = (share_above(old, limit) * count + 0.25) / (count + 1);
  const double slow = share_above(recent, limit) * static_cast<double>(recent.count());
  if (binomial_tail(static_cast<std::int64_t>(std::llround(slow)), recent.count(), usual) >=
      kChanceOfSlow)
    return std::nullopt;
  return Anomaly{.type = AnomalyType::kLatencySpike,
                 .critical = current >= kCriticalSpike * expected,
                 .current = rounded(current, 2),
                 .expected = rounded(expected, 2),
                 .message = fmt::format("The 95th percentile of latency is {:.0f} ms in the last "
                                        "hour, {:.1f} times the {:.0f} ms of the day before.",
                                        current, current / expected, expected)};
}

std::optional<Anomaly> error_rate(const Halves& halves) {
  const Sums& recent = halves.recent;
  const double current = share(recent.errors, recent.requests);
  if (recent.errors == 0 || current < kErrorRate) return std::nullopt;
  const double expected = share(halves.old.errors, halves.old.requests);
  // Without a day to compare with, the threshold itself is what is usual.
  const double usual = (static_cast<double>(halves.old.errors) + 0.5) /
                       (static_cast<double>(halves.old.requests) + 50);
  if (binomial_tail(recent.errors, recent.requests, std::min(usual, kErrorRate)) >= kChance)
    return std::nullopt;
  return Anomaly{
      .type = AnomalyType::kErrorRate,
      .critical = current >= kCriticalErrors,
      .current = rounded(current, 4),
      .expected = rounded(expected, 4),
      .message = fmt::format("{} of {} requests failed in the last hour ({:.1f} %); "
                             "{:.1f} % did the day before.",
                             recent.errors, recent.requests, 100 * current, 100 * expected)};
}

std::optional<Anomaly> cache_degradation(const Halves& halves) {
  const Sums& recent = halves.recent;
  const bool known = halves.old.lookups > 0;
  if (!known && recent.lookups < kFirstLookups) return std::nullopt;
  const double expected = known ? share(halves.old.hits(), halves.old.lookups) : kAssumedHitRate;
  if (recent.lookups == 0 || expected <= 0) return std::nullopt;
  const double current = share(recent.hits(), recent.lookups);
  const double drop = (expected - current) / expected;
  if (drop < kDrop) return std::nullopt;
  // Too few to have missed so often by chance; half a hit stands for what a short day did not see.
  const double usual_misses = known ? 1 - expected * static_cast<double>(halves.old.lookups) /
                                              (static_cast<double>(halves.old.lookups) + 1)
                                    : 1 - kAssumedHitRate;
  if (binomial_tail(recent.lookups - recent.hits(), recent.lookups, usual_misses) >= kChance)
    return std::nullopt;
  return Anomaly{
      .type = AnomalyType::kCacheDegradation,
      // Half is a guess as long as there is no history.
      .critical = known && drop >= kCriticalDrop,
      .current = rounded(current, 4),
      .expected = rounded(expected, 4),
      .message = known ? fmt::format("The cache answered {:.1f} % of {} lookups in the last hour; "
                                     "{:.1f} % the day before.",
                                     100 * current, recent.lookups, 100 * expected)
                       : fmt::format("The cache answered {:.1f} % of its first {} lookups; half "
                                     "of them is usual.",
                                     100 * current, recent.lookups)};
}

/// The last quarter of the rated answers against all of them.
std::optional<Anomaly> quality_degradation(std::span<const Bucket> minutes) {
  double sum = 0;
  std::int64_t count = 0;
  for (const Bucket& minute : minutes) {
    sum += minute.sums.quality_sum;
    count += minute.sums.quality_count;
  }
  if (count < kQualitySamples) return std::nullopt;
  const std::int64_t quarter = (count + 3) / 4;
  double late_sum = 0;
  std::int64_t late = 0;
  for (std::size_t at = minutes.size(); at > 0 && late < quarter; --at) {
    late_sum += minutes[at - 1].sums.quality_sum;
    late += minutes[at - 1].sums.quality_count;
  }
  const double expected = sum / static_cast<double>(count);
  const double current = late_sum / static_cast<double>(late);
  const double drop = expected - current;
  if (drop < kQualityDrop) return std::nullopt;
  // What the spread of ratings may bring with so few of them is no fall.
  double squares = 0;
  std::int64_t used = 0;
  for (const Bucket& minute : minutes) {
    const double rated = static_cast<double>(minute.sums.quality_count);
    if (rated == 0) continue;
    const double apart = minute.sums.quality_sum - expected * rated;
    squares += apart * apart / rated;
    ++used;
  }
  const double variance = used > 1 ? squares / static_cast<double>(used - 1) : 0;
  constexpr double kSurely = 3.3;  // standard errors
  const double spread = std::sqrt(variance + 1 / static_cast<double>(count));
  if (drop * std::sqrt(static_cast<double>(late)) < kSurely * spread) return std::nullopt;
  return Anomaly{.type = AnomalyType::kQualityDegradation,
                 .critical = drop >= 2 * kQualityDrop,
                 .current = rounded(current, 2),
                 .expected = rounded(expected, 2),
                 .message = fmt::format("Quality is {:.2f} over the last {} rated answers; {:.2f} "
                                        "over the whole day.",
                                        current, late, expected)};
}

}  // namespace

std::string_view to_string(AnomalyType type) {
  switch (type) {
    case AnomalyType::kCostSpike:
      return "cost_spike";
    case AnomalyType::kLatencySpike:
      return "latency_spike";
    case AnomalyType::kErrorRate:
      return "error_rate";
    case AnomalyType::kCacheDegradation:
      return "cache_degradation";
    case AnomalyType::kQualityDegradation:
      break;
  }
  return "quality_degradation";
}

std::string_view metric_name(AnomalyType type) {
  switch (type) {
    case AnomalyType::kCostSpike:
      return "cost_per_request";
    case AnomalyType::kLatencySpike:
      return "latency_p95_ms";
    case AnomalyType::kErrorRate:
      return "error_rate";
    case AnomalyType::kCacheDegradation:
      return "cache_hit_rate";
    case AnomalyType::kQualityDegradation:
      break;
  }
  return "quality_score";
}

double Anomaly::deviation_pct() const { return percent(current - expected, expected); }

void filter_by(AnomalyType type, EventsQuery& query) {
  switch (type) {
    case AnomalyType::kCostSpike:
      query.cache_hit = false;  // failed ones may have cost something too
      break;
    case AnomalyType::kErrorRate:
      query.failed = true;
      break;
    case AnomalyType::kLatencySpike:
    case AnomalyType::kQualityDegradation:
      query.failed = false;
      break;
    case AnomalyType::kCacheDegradation:
      query.cache_hit = false;
      query.failed = false;
      break;
  }
}

AnomalyWindow anomaly_window(std::string org_id, Clock::Time now) {
  using std::chrono::hours;
  using std::chrono::minutes;
  const Clock::Time end = floor_to(now, minutes(1)) + minutes(1);
  return {.query = {.org_id = std::move(org_id),
                    .from = end - hours(25),
                    .to = end,
                    .step = minutes(1)},
          .recent_from = end - hours(1)};
}

std::vector<Anomaly> anomalies(std::span<const Bucket> minutes, Clock::Time recent_from) {
  const Halves halves = split(minutes, recent_from);
  std::vector<Anomaly> found;
  for (auto one : {cost_spike(halves), latency_spike(halves), error_rate(halves),
                   cache_degradation(halves), quality_degradation(minutes)}) {
    if (one) found.push_back(*std::move(one));
  }
  std::ranges::sort(found, [](const Anomaly& one, const Anomaly& other) {
    return one.critical != other.critical ? one.critical : one.type < other.type;
  });
  return found;
}

}  // namespace asahi::gateway::analytics
