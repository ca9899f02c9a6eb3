#include "memory/measure/measured_store.h"

#include <chrono>
#include <string>

namespace asahi::memory {
namespace {

/// Seconds; spec §8.2.
const std::vector<double> kSeconds = {.0001, .0005, .001, .005, .01, .05, .1, .25, .5, 1, 2.5, 5};
constexpr std::array<const char*, 4> kKinds = {"read", "write", "delete", "scan"};

}  // namespace

MeasuredStore::MeasuredStore(std::unique_ptr<Store> store, telemetry::Registry& metrics,
                             const Clock& clock, Counts counts)
    : ForwardingStore(*store),
      store_(std::move(store)),
      metrics_(metrics),
      clock_(clock),
      part_(part_of(store_->tier())) {
  if (counts == Counts::kErrors) return;
  const std::string tier(tier_name(store_->tier()));
  for (std::size_t i = 0; i < kKinds.size(); ++i) {
    const auto counter = [&](const char* status) {
      return &metrics.counter("akosha_store_operations_total", "Calls of a store",
                              {{"tier", tier}, {"operation", kKinds[i]}, {"status", status}});
    };
    series_[i] = {.ok = counter("success"),
                  .failed = counter("error"),
                  .seconds = &metrics.histogram("akosha_store_operation_duration_seconds",
                                                "Time of calls of a store", kSeconds,
                                                {{"tier", tier}, {"operation", kKinds[i]}})};
  }
}

template <class T>
Task<T> MeasuredStore::measured(Kind kind, Task<T> call) {
  const Clock::Steady begun = clock_.steady_now();
  auto done = co_await std::move(call);
  const Series& series = series_[kind];
  if (series.seconds != nullptr) {
    (done ? series.ok : series.failed)->add();
    series.seconds->observe(std::chrono::duration<double>(clock_.steady_now() - begun).count());
  }
  if (!done) count_error(metrics_, clock_, part_, done.error());
  co_return done;
}

Task<std::vector<UpsertOutcome>> MeasuredStore::upsert_batch(std::vector<Memory> memories,
                                                             UpsertOptions options) {
  return measured(kWrite, inner().upsert_batch(std::move(memories), options));
}
Task<std::vector<std::optional<Memory>>> MeasuredStore::get(std::vector<Key> keys) {
  return measured(kRead, inner().get(std::move(keys)));
}
Task<std::uint64_t> MeasuredStore::delete_batch(std::vector<Key> keys) {
  return measured(kDelete, inner().delete_batch(std::move(keys)));
}
Task<std::uint64_t> MeasuredStore::delete_system(std::string tenant, std::string system_id) {
  return measured(kDelete, inner().delete_system(std::move(tenant), std::move(system_id)));
}
Task<StorePage> MeasuredStore::search(StoreQuery query) {
  return measured(kRead, inner().search(std::move(query)));
}
Task<std::vector<Eligible>> MeasuredStore::scan_eligible(ScanQuery wanted) {
  return measured(kScan, inner().scan_eligible(std::move(wanted)));
}

Task<std::uint64_t> MeasuredStore::replace_vectors(std::vector<NewVector> rows) {
  return measured(kWrite, inner().replace_vectors(std::move(rows)));
}
Task<std::uint64_t> MeasuredStore::delete_migrated(std::vector<std::pair<Key, Digest>> rows) {
  return measured(kDelete, inner().delete_migrated(std::move(rows)));
}
Task<std::vector<std::optional<Digest>>> MeasuredStore::checksum(std::vector<Key> keys) {
  return measured(kRead, inner().checksum(std::move(keys)));
}
Task<std::vector<HeldFile>> MeasuredStore::snapshot(std::string folder, HeldSums held) {
  return measured(kScan, inner().snapshot(std::move(folder), std::move(held)));
}

}  // namespace asahi::memory
