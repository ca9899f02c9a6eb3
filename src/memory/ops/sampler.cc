#include "memory/ops/sampler.h"

#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <utility>

namespace asahi::memory {
namespace {

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

/// The second field of /proc/self/statm, in bytes.
double resident_bytes() {
  std::ifstream file("/proc/self/statm");
  double all = 0, resident = 0;
  if (!(file >> all >> resident)) return 0;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

/// The series of one tier.
struct TierSeries {
  const char* bytes;
  const char* records;
  const char* health;
};
TierSeries series_of(Tier tier) {
  switch (tier) {
    case Tier::kHot:
      return {"akosha_hot_store_size_bytes", "akosha_hot_store_record_count",
              "akosha_hot_store_health_status"};
    case Tier::kWarm:
      return {"akosha_warm_store_size_bytes", "akosha_warm_store_record_count",
              "akosha_warm_store_health_status"};
    case Tier::kCold:
      return {"akosha_cold_store_size_bytes", "akosha_cold_store_record_count",
              "akosha_cold_store_health_status"};
  }
  return {};
}

constexpr const char* kBytes = "Bytes of the tier.";
constexpr const char* kRecords = "Memories in the tier.";

}  // namespace

Sampler::Sampler(Parts parts) : parts_(std::move(parts)) {
  // All tiers have their size, also where one is not served: dashboards show nothing as nothing.
  // Health has only what is served: what is not there is not away.
  for (const Tier tier : {Tier::kHot, Tier::kWarm, Tier::kCold}) {
    gauge(series_of(tier).bytes, kBytes).set(0);
    gauge(series_of(tier).records, kRecords).set(0);
  }
  gauge("akosha_system_cpu_usage_percent", "Of one core, since the last sample.").set(0);
}

telemetry::Gauge& Sampler::gauge(const std::string& name, const std::string& help,
                                 const telemetry::Labels& labels) {
  return parts_.metrics.gauge(name, help, labels);
}

Aw<void> Sampler::sample() {
  for (Store* store : parts_.stores) co_await sample_store(*store);
  const auto [l1, l2] = parts_.hit_rates();
  for (const auto& [tier, cache, rate] :
       {std::tuple("L1", parts_.l1, l1), std::tuple("L2", parts_.l2, l2)}) {
    const telemetry::Labels labels{{"cache_tier", tier}};
    gauge("akosha_cache_hit_rate", "Share of searches it answered, since the start.", labels)
        .set(rate);
    // Counting what a shared server holds is a scan of it: its own metrics tell.
    if (cache == nullptr || cache == parts_.l2) continue;
    const auto stats = co_await cache->stats();
    if (!stats) continue;
    gauge("akosha_cache_entry_count", "Answers kept.", labels)
        .set(static_cast<double>(stats->entries));
    gauge("akosha_cache_size_bytes", "Bytes of answers kept.", labels)
        .set(static_cast<double>(stats->bytes));
  }
  for (const auto& [tier, stats] : parts_.engines) tell_engine(parts_.metrics, tier, stats());
  if (parts_.warm_storage) {
    if (const auto warm = co_await parts_.warm_storage()) tell_warm_storage(parts_.metrics, *warm);
  }
  sample_process();
  sample_disk_traffic();
  sample_circuits();
}

Aw<void> Sampler::sample_store(Store& store) {
  const TierSeries series = series_of(store.tier());
  const auto stats = co_await store.stats("");
  gauge(series.health, "1: the tier answers.").set(stats ? 1 : 0);
  if (!stats) co_return;
  const auto records = static_cast<double>(stats->records);
  const auto bytes = static_cast<double>(stats->bytes);
  gauge(series.bytes, kBytes).set(bytes);
  gauge(series.records, kRecords).set(records);
  const telemetry::Labels labels{{"tier", std::string(tier_name(store.tier()))}};
  gauge("akosha_store_size_bytes", "Bytes of each tier.", labels).set(bytes);
  gauge("akosha_store_size_records", "Memories in each tier.", labels).set(records);
}

void Sampler::sample_process() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const double cpu = seconds_of(used.ru_utime) + seconds_of(used.ru_stime);
  const Clock::Steady now = parts_.clock.steady_now();
  if (cpu_read_ != Clock::Steady{} && now > cpu_read_) {
    const double passed = std::chrono::duration<double>(now - cpu_read_).count();
    gauge("akosha_system_cpu_usage_percent", "Of one core, since the last sample.")
        .set(100 * (cpu - cpu_seconds_) / passed);
  }
  cpu_seconds_ = cpu;
  cpu_read_ = now;
  gauge("akosha_system_memory_usage_bytes", "Resident memory of the process.")
      .set(resident_bytes());
  struct statvfs disk{};
  if (statvfs(parts_.data_path.c_str(), &disk) != 0 || disk.f_blocks == 0) return;
  const auto block = static_cast<double>(disk.f_frsize);
  const double size = block * static_cast<double>(disk.f_blocks);
  const double left = block * static_cast<double>(disk.f_bavail);
  disk_used_ = 1 - left / size;
  const telemetry::Labels labels{{"mount_point", "data"}};
  gauge("akosha_system_disk_usage_bytes", "Used of the disk below the data.", labels)
      .set(size - left);
  gauge("akosha_system_disk_size_bytes", "Size of the disk below the data.", labels).set(size);
}

void Sampler::sample_disk_traffic() {
  // What the process caused at the disk itself, as the kernel counts it (proc(5), io).
  std::ifstream file("/proc/self/io");
  std::string name;
  double bytes = 0;
  while (file >> name >> bytes) {
    if (name == "read_bytes:")
      gauge("akosha_system_disk_read_bytes", "Read from disks by the process.").set(bytes);
    if (name == "write_bytes:")
      gauge("akosha_system_disk_written_bytes", "Written to disks by the process.").set(bytes);
  }
}

void Sampler::sample_circuits() {
  for (const auto& [name, stats] : parts_.circuits()) {
    const telemetry::Labels labels{{"service_name", name}};
    // 0 open, 1 closed, 2 half open (spec §8.2).
    const double state = stats.state == Breaker::State::kOpen     ? 0
                         : stats.state == Breaker::State::kClosed ? 1
                                                                  : 2;
    gauge("circuit_state", "0 open, 1 closed, 2 half open.", labels).set(state);
    const std::pair<const char*, std::uint64_t> counts[] = {
        {"circuit_total_calls", stats.total},
        {"circuit_successful_calls", stats.successful},
        {"circuit_failed_calls", stats.failed},
        {"circuit_rejected_calls", stats.rejected},
        {"circuit_consecutive_failures", stats.consecutive_failures},
        {"circuit_consecutive_successes", stats.consecutive_successes}};
    for (const auto& [series, count] : counts)
      gauge(series, "Calls to an outside service.", labels).set(static_cast<double>(count));
    gauge("circuit_success_rate", "Share of ended calls that succeeded.", labels)
        .set(stats.success_rate());
  }
}

}  // namespace asahi::memory
