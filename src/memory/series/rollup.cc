#include "memory/series/rollup.h"

#include <algorithm>

namespace asahi::memory::series {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::nanoseconds;

/// Towards the past, before the epoch too.
Time floor_to(Time at, nanoseconds width) {
  const nanoseconds since = at.time_since_epoch();
  nanoseconds rest = since % width;
  if (rest < nanoseconds{0}) rest += width;
  return at - rest;
}

using Buckets = std::map<std::pair<Time, std::string>, Bucket>;

void add(Buckets& buckets, Time at, const std::string& system, double sum, double min, double max,
         std::uint64_t count) {
  if (count == 0) return;
  const auto [found, fresh] = buckets.try_emplace({at, system});
  Bucket& bucket = found->second;
  if (fresh) {
    bucket = {at, system, sum, min, max, count};
    return;
  }
  bucket.sum += sum;
  bucket.min = std::min(bucket.min, min);
  bucket.max = std::max(bucket.max, max);
  bucket.count += count;
}

std::vector<Bucket> listed(Buckets buckets) {
  std::vector<Bucket> out;
  out.reserve(buckets.size());
  for (auto& [key, bucket] : buckets) out.push_back(std::move(bucket));
  return out;
}

}  // namespace

nanoseconds width(Resolution resolution) {
  switch (resolution) {
    case Resolution::kRaw:
      return minutes{1};
    case Resolution::kFiveMinutes:
      return minutes{5};
    case Resolution::kHour:
      return hours{1};
  }
  return hours{1};
}

nanoseconds Retention::of(Resolution resolution) const {
  switch (resolution) {
    case Resolution::kRaw:
      return std::min(days{7}, five_minutes);
    case Resolution::kFiveMinutes:
      return five_minutes;
    case Resolution::kHour:
      return days{365};
  }
  return days{365};
}

Resolution resolution_for(nanoseconds range) {
  if (range < hours{24}) return Resolution::kRaw;
  return range < days{30} ? Resolution::kFiveMinutes : Resolution::kHour;
}

std::vector<Bucket> rolled(std::span<const Point> points, nanoseconds width) {
  Buckets buckets;
  for (const Point& point : points)
    add(buckets, floor_to(point.at, width), point.system_id, point.value, point.value, point.value,
        1);
  return listed(std::move(buckets));
}

std::vector<Bucket> rolled(std::span<const Bucket> finer, nanoseconds width) {
  Buckets buckets;
  for (const Bucket& one : finer)
    add(buckets, floor_to(one.at, width), one.system_id, one.sum, one.min, one.max, one.count);
  return listed(std::move(buckets));
}

std::vector<Point> points_of(std::span<const Bucket> buckets) {
  std::vector<Point> out;
  out.reserve(buckets.size());
  for (const Bucket& bucket : buckets)
    out.push_back({.at = bucket.at, .value = bucket.mean(), .system_id = bucket.system_id});
  return out;
}

Hour& Hour::operator+=(const Hour& other) {
  conversations += other.conversations;
  bytes += other.bytes;
  duplicates += other.duplicates;
  vectors += other.vectors;
  norms += other.norms;
  return *this;
}

bool HourlyCounts::add(const Ingested& memory) {
  const Key key{floor_to(memory.at, hours{1}), memory.system_id};
  auto at = hours_.find(key);
  if (at == hours_.end()) {
    if (hours_.size() >= most_) return false;
    at = hours_.try_emplace(key).first;
  }
  at->second += {.conversations = 1,
                 .bytes = memory.bytes,
                 .duplicates = memory.duplicate ? 1U : 0U,
                 .vectors = memory.norm > 0 ? 1U : 0U,
                 .norms = std::max(memory.norm, 0.0)};
  return true;
}

std::vector<Measured> measured(const std::map<HourlyCounts::Key, Hour>& hours) {
  std::vector<Measured> out;
  std::map<Time, double> active;
  for (const auto& [key, hour] : hours) {
    const auto& [at, system] = key;
    const auto put = [&](std::string_view metric, double value) {
      out.push_back({std::string(metric), {.at = at, .value = value, .system_id = system}});
    };
    put("conversation_count", static_cast<double>(hour.conversations));
    put("bytes", static_cast<double>(hour.bytes));
    put("duplicates", static_cast<double>(hour.duplicates));
    if (hour.vectors > 0) put("mean_vector_norm", hour.norms / static_cast<double>(hour.vectors));
    if (hour.conversations > 0) active[at] += 1;
  }
  for (const auto& [at, systems] : active)
    out.push_back({"active_systems", {.at = at, .value = systems}});
  return out;
}

}  // namespace asahi::memory::series
