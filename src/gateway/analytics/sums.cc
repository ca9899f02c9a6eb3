#include "gateway/analytics/sums.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "gateway/analytics/varint.h"

namespace asahi::gateway::analytics {
namespace {

// Values count in hundredths of a millisecond. The first octaves are exact; from there on each
// octave has 64 buckets, so that a bucket's middle is at most 1/128 off.
constexpr double kUnitsPerMs = 100;
constexpr int kSubBits = 6;
constexpr double kMostMs = 1e12;

std::int32_t bucket_of(double ms) {
  if (!(ms > 0)) return 0;
  const auto units = static_cast<std::uint64_t>(std::llround(std::min(ms, kMostMs) * kUnitsPerMs));
  const int octave = std::max(0, static_cast<int>(std::bit_width(units)) - (kSubBits + 1));
  return static_cast<std::int32_t>((octave << kSubBits) + static_cast<int>(units >> octave));
}

double value_of(std::int32_t bucket) {
  const int octave = std::max(0, (bucket >> kSubBits) - 1);
  const auto mantissa = static_cast<double>(bucket - (octave << kSubBits));
  const double width = std::ldexp(1.0, octave);
  return (mantissa * width + (width - 1) / 2) / kUnitsPerMs;
}

constexpr std::int32_t kBuckets = 64 << kSubBits;

/// Three decimals, as the event log keeps them: whole thousandths add up without a rest, in any
/// order.
std::int64_t thousandths(double value) {
  constexpr double kMost = 9e15;
  return std::isfinite(value) ? std::llround(std::clamp(value * 1000, -kMost, kMost)) : 0;
}

std::int64_t whole(double value) {
  constexpr double kMost = 9e18;
  return std::isfinite(value) ? std::llround(std::clamp(value, 0.0, kMost)) : 0;
}

enum Field : std::uint64_t { kHistogram = 1 };

/// Visits every number of `sums` but the histogram, in the order of the encoding. What comes
/// later goes behind them all: readers of old rows find it zero.
template <class SumsType, class Visit>
void each_field(SumsType& sums, Visit visit) {
  visit(sums.requests);
  visit(sums.errors);
  for (std::size_t tier = 1; tier < sums.hits_by_tier.size(); ++tier)
    visit(sums.hits_by_tier[tier]);
  visit(sums.lookups);
  visit(sums.cost.nanos);
  visit(sums.baseline_cost.nanos);
  for (auto& saving : sums.savings) visit(saving.nanos);
  visit(sums.input_tokens);
  visit(sums.output_tokens);
  visit(sums.tokens_saved);
  visit(sums.fallbacks);
  visit(sums.quality_sum);
  visit(sums.quality_count);
  visit(sums.latency_ms_sum);
  for (auto& ms : sums.lookup_ms_sum) visit(ms);
}

std::unexpected<Error> corrupt(std::string_view what) {
  return fail(Errc::kCorrupt, "a stored " + std::string(what) + " cannot be read");
}

void add_to(std::vector<std::pair<std::int32_t, std::int64_t>>& counts, std::int32_t bucket,
            std::int64_t count) {
  const auto at =
      std::ranges::lower_bound(counts, bucket, {}, [](auto& entry) { return entry.first; });
  if (at != counts.end() && at->first == bucket) {
    at->second += count;
  } else {
    counts.insert(at, {bucket, count});
  }
}

}  // namespace

void LatencyHistogram::add(double ms, std::int64_t count) {
  unpack();
  add_to(counts_, bucket_of(ms), count);
  count_ += count;
}

LatencyHistogram& LatencyHistogram::operator+=(LatencyHistogram&& other) {
  if (count_ == 0) return *this = std::move(other);
  return *this += std::as_const(other);
}

LatencyHistogram& LatencyHistogram::operator+=(const LatencyHistogram& other) {
  if (other.count_ == 0) return *this;
  if (count_ == 0) return *this = other;
  unpack();
  const Counts unpacked = other.encoded_.empty() ? Counts() : other.unpacked();
  const Counts& added = other.encoded_.empty() ? other.counts_ : unpacked;
  // A few buckets mostly meet their like: no need to write all others anew.
  constexpr std::size_t kFew = 8;
  count_ += other.count_;
  if (added.size() * kFew <= counts_.size()) {
    for (const auto& [bucket, count] : added) add_to(counts_, bucket, count);
    return *this;
  }
  Counts merged;
  merged.reserve(counts_.size() + added.size());
  auto mine = counts_.begin();
  auto theirs = added.begin();
  while (mine != counts_.end() && theirs != added.end()) {
    if (mine->first < theirs->first) {
      merged.push_back(*mine++);
    } else if (theirs->first < mine->first) {
      merged.push_back(*theirs++);
    } else {
      merged.emplace_back(mine->first, mine->second + theirs->second);
      ++mine;
      ++theirs;
    }
  }
  merged.insert(merged.end(), mine, counts_.end());
  merged.insert(merged.end(), theirs, added.end());
  counts_ = std::move(merged);
  return *this;
}

namespace {

/// Calls `visit(bucket, count)` for what `encode` wrote; false when the bytes are something else.
template <class Visit>
bool each_bucket(std::string_view bytes, Visit visit) {
  VarintReader reader(bytes);
  std::uint64_t bucket = 0;
  for (bool first = true; !reader.done(); first = false) {
    const std::uint64_t gap = reader.next();
    bucket += gap;
    const std::int64_t count = reader.next_signed();
    const bool ascending = first || gap > 0;
    if (!reader.ok() || !ascending || gap > kBuckets || bucket > kBuckets) return false;
    visit(static_cast<std::int32_t>(bucket), count);
  }
  return true;
}

}  // namespace

LatencyHistogram::Counts LatencyHistogram::unpacked() const {
  Counts counts;
  counts.reserve(encoded_.size() / 2);  // two numbers each
  each_bucket(encoded_,
              [&](std::int32_t bucket, std::int64_t count) { counts.emplace_back(bucket, count); });
  return counts;
}

void LatencyHistogram::unpack() {
  if (encoded_.empty()) return;
  counts_ = unpacked();
  encoded_ = {};
}

double LatencyHistogram::percentile(double p) const {
  if (count_ == 0) return 0;
  const auto rank = std::max<std::int64_t>(
      1, static_cast<std::int64_t>(
             std::ceil(std::clamp(p, 0.0, 100.0) / 100 * static_cast<double>(count_) - 1e-9)));
  std::int64_t seen = 0;
  std::int32_t last = 0;
  const auto visit = [&](std::int32_t bucket, std::int64_t count) {
    if (seen < rank) last = bucket;
    seen += count;
  };
  each_bucket(encoded_, visit);
  for (const auto& [bucket, count] : counts_) visit(bucket, count);
  return value_of(last);
}

std::string LatencyHistogram::encode() const {
  if (!encoded_.empty()) return encoded_;
  std::string out;
  out.reserve(counts_.size() * 3);
  std::int32_t before = 0;
  for (const auto& [bucket, count] : counts_) {
    append_varint(out, static_cast<std::uint64_t>(bucket - before));
    append_signed(out, count);
    before = bucket;
  }
  return out;
}

Result<LatencyHistogram> LatencyHistogram::decode(std::string_view bytes) {
  LatencyHistogram histogram;
  bool counted = true;
  const bool read = each_bucket(bytes, [&](std::int32_t, std::int64_t count) {
    counted = counted && !__builtin_add_overflow(histogram.count_, count, &histogram.count_);
  });
  if (!read || !counted) return corrupt("latency histogram");
  histogram.encoded_ = bytes;
  return histogram;
}

bool LatencyHistogram::operator==(const LatencyHistogram& other) const {
  return count_ == other.count_ && encode() == other.encode();
}

std::string_view to_string(Saving saving) {
  switch (saving) {
    case Saving::kRouting:
      return "routing";
    case Saving::kCacheTier1:
      return "cache_t1";
    case Saving::kCacheTier2:
      return "cache_t2";
    case Saving::kCacheTier3:
      return "cache_t3";
    case Saving::kTokens:
      return "tokens";
    case Saving::kBatching:
      return "batching";
  }
  return "routing";
}

Savings divide_savings(const InferenceEvent& event) {
  Savings parts{};
  const auto part = [&](Saving saving) -> NanoUsd& {
    return parts[static_cast<std::size_t>(saving)];
  };
  part(Saving::kTokens) = event.trim_savings;
  part(Saving::kBatching) = event.batching_savings;
  const int tier = event.hit_tier();
  const auto first_tier = static_cast<int>(Saving::kCacheTier1);
  part(tier != 0 ? static_cast<Saving>(first_tier + tier - 1) : Saving::kRouting) =
      event.savings() - event.trim_savings - event.batching_savings;
  return parts;
}

void Sums::add(const InferenceEvent& event) {
  count(event);
  if (event.error_code.empty()) latency.add(event.latency_ms);
}

void Sums::count(const InferenceEvent& event) {
  ++requests;
  // A failed request may have cost something too: answers that broke off were paid for.
  cost += event.cost;
  baseline_cost += event.baseline_cost;
  const Savings parts = divide_savings(event);
  for (std::size_t i = 0; i < kSavings; ++i) savings[i] += parts[i];
  input_tokens += event.input_tokens;
  output_tokens += event.output_tokens;
  tokens_saved += event.tokens_saved;
  if (event.fallback_used) ++fallbacks;
  if (!event.error_code.empty()) {
    ++errors;
    return;
  }
  if (event.quality_score > 0) {
    quality_sum += event.quality_score;
    ++quality_count;
  }
  if (event.hallucination) {
    ++screened;
    if (*event.hallucination) ++hallucinations;
  }
  if (event.event_type == "inference") ++lookups;
  const auto tier = static_cast<std::size_t>(event.hit_tier());
  if (tier != 0) ++hits_by_tier[tier];
  latency_ms_sum += event.latency_ms;
  lookup_ms_sum[tier] += event.latency_ms;
  const auto tokens = static_cast<double>(event.input_tokens + event.output_tokens);
  tokens_sum_of_squares += tokens * tokens;
}

Sums& Sums::operator+=(const Sums& other) {
  add_counts(other);
  latency += other.latency;
  return *this;
}

Sums& Sums::operator+=(Sums&& other) {
  add_counts(other);
  latency += std::move(other.latency);
  return *this;
}

void Sums::add_counts(const Sums& other) {
  requests += other.requests;
  errors += other.errors;
  lookups += other.lookups;
  cost += other.cost;
  baseline_cost += other.baseline_cost;
  input_tokens += other.input_tokens;
  output_tokens += other.output_tokens;
  tokens_saved += other.tokens_saved;
  fallbacks += other.fallbacks;
  quality_sum += other.quality_sum;
  quality_count += other.quality_count;
  latency_ms_sum += other.latency_ms_sum;
  tokens_sum_of_squares += other.tokens_sum_of_squares;
  screened += other.screened;
  hallucinations += other.hallucinations;
  for (std::size_t i = 0; i < kSavings; ++i) savings[i] += other.savings[i];
  for (std::size_t tier = 0; tier < hits_by_tier.size(); ++tier) {
    hits_by_tier[tier] += other.hits_by_tier[tier];
    lookup_ms_sum[tier] += other.lookup_ms_sum[tier];
  }
}

Sums& Sums::operator-=(const Sums& other) {
  requests -= other.requests;
  errors -= other.errors;
  lookups -= other.lookups;
  cost = cost - other.cost;
  baseline_cost = baseline_cost - other.baseline_cost;
  input_tokens -= other.input_tokens;
  output_tokens -= other.output_tokens;
  tokens_saved -= other.tokens_saved;
  fallbacks -= other.fallbacks;
  quality_sum -= other.quality_sum;
  quality_count -= other.quality_count;
  latency_ms_sum -= other.latency_ms_sum;
  tokens_sum_of_squares -= other.tokens_sum_of_squares;
  screened -= other.screened;
  hallucinations -= other.hallucinations;
  for (std::size_t i = 0; i < kSavings; ++i) savings[i] = savings[i] - other.savings[i];
  for (std::size_t tier = 0; tier < hits_by_tier.size(); ++tier) {
    hits_by_tier[tier] -= other.hits_by_tier[tier];
    lookup_ms_sum[tier] -= other.lookup_ms_sum[tier];
  }
  return *this;
}

double Sums::mean_latency_ms() const {
  return answered() > 0 ? latency_ms_sum / static_cast<double>(answered()) : 0;
}
double Sums::hit_rate() const {
  return lookups > 0 ? static_cast<double>(hits()) / static_cast<double>(lookups) : 0;
}
double Sums::mean_quality() const {
  return quality_count > 0 ? quality_sum / static_cast<double>(quality_count) : 0;
}

std::optional<double> Sums::hallucination_rate() const {
  if (screened == 0) return std::nullopt;
  return static_cast<double>(hallucinations) / static_cast<double>(screened);
}

void append_sums(std::string& out, const Sums& sums, Latencies latencies) {
  // Which fields are there, lowest bit the histogram, then the fields.
  std::uint64_t present = 0;
  std::uint64_t bit = kHistogram;
  std::string numbers;
  const auto put = [&](auto value) {
    bit <<= 1;
    std::int64_t number;
    if constexpr (std::is_same_v<decltype(value), double>) {
      number = thousandths(value);
    } else {
      number = value;
    }
    if (number == 0) return;
    present |= bit;
    append_signed(numbers, number);
  };
  each_field(sums, put);
  put(whole(sums.tokens_sum_of_squares));
  put(sums.screened);
  put(sums.hallucinations);
  const bool histogram = latencies == Latencies::kKept && !sums.latency.empty();
  if (histogram) present |= kHistogram;
  append_varint(out, present);
  out += numbers;
  if (histogram) out += sums.latency.encode();
}

Result<Sums> parse_sums(std::string_view bytes) {
  VarintReader reader(bytes);
  Sums sums;
  const std::uint64_t present = reader.next();
  std::uint64_t bit = kHistogram;
  const auto get = [&]() -> std::int64_t {
    bit <<= 1;
    return (present & bit) != 0 ? reader.next_signed() : 0;
  };
  each_field(sums, [&](auto& value) {
    if constexpr (std::is_same_v<std::remove_reference_t<decltype(value)>, double>) {
      value = static_cast<double>(get()) / 1000;
    } else {
      value = get();
    }
  });
  sums.tokens_sum_of_squares = static_cast<double>(get());
  sums.screened = get();
  sums.hallucinations = get();
  if (!reader.ok()) return corrupt("rollup");
  if ((present & kHistogram) != 0) {
    ASAHI_TRY(sums.latency, LatencyHistogram::decode(reader.rest()));
  } else if (!reader.done()) {
    return corrupt("rollup");
  }
  return sums;
}

std::optional<NanoUsd> parse_cost(std::string_view bytes) {
  constexpr int kCostField = 7;  // behind the histogram's bit and six counts
  VarintReader reader(bytes);
  const std::uint64_t present = reader.next();
  NanoUsd cost;
  for (int field = 1; field <= kCostField; ++field) {
    if ((present >> field & 1) != 0) cost = {reader.next_signed()};
    if (field < kCostField) cost = {};
  }
  if (!reader.ok()) return std::nullopt;
  return cost;
}

}  // namespace asahi::gateway::analytics
