#pragma once

#include <array>
#include <memory>
#include <utility>
#include <vector>

#include "memory/measure/errors.h"
#include "memory/model/forwarding_store.h"

namespace asahi::memory {

/// A tier whose calls are counted, and whose errors are (measure/errors.h). Any loop.
///
/// | Name | Type; labels |
/// |---|---|
/// | akosha_store_operations_total | counter; tier, operation (read, write, delete, scan), status |
/// | akosha_store_operation_duration_seconds | histogram; tier, operation |
class MeasuredStore final : public ForwardingStore {
 public:
  enum class Counts : std::uint8_t {
    kCallsAndErrors,
    kErrors,  ///< the process that keeps the tier counts its calls
  };
  /// `metrics`, `clock` outlive it.
  MeasuredStore(std::unique_ptr<Store> store, telemetry::Registry& metrics, const Clock& clock,
                Counts counts);

  Task<std::vector<UpsertOutcome>> upsert_batch(std::vector<Memory> memories,
                                                UpsertOptions options) override;
  Task<std::vector<std::optional<Memory>>> get(std::vector<Key> keys) override;
  Task<std::uint64_t> delete_batch(std::vector<Key> keys) override;
  Task<std::uint64_t> delete_system(std::string tenant, std::string system_id) override;
  Task<StorePage> search(StoreQuery query) override;
  Task<std::vector<Eligible>> scan_eligible(ScanQuery wanted) override;
  Task<std::uint64_t> delete_migrated(std::vector<std::pair<Key, Digest>> rows) override;
  Task<std::uint64_t> replace_vectors(std::vector<NewVector> rows) override;
  Task<std::vector<std::optional<Digest>>> checksum(std::vector<Key> keys) override;
  Task<std::vector<HeldFile>> snapshot(std::string folder, HeldSums held) override;
  ShardRows* shard_rows() override { return inner().shard_rows(); }

 private:
  enum Kind : std::uint8_t { kRead, kWrite, kDelete, kScan };
  struct Series {
    telemetry::Counter *ok = nullptr, *failed = nullptr;
    telemetry::Histogram* seconds = nullptr;
  };
  template <class T>
  Task<T> measured(Kind kind, Task<T> call);

  const std::unique_ptr<Store> store_;
  telemetry::Registry& metrics_;
  const Clock& clock_;
  const Part part_;
  std::array<Series, 4> series_;  ///< of nothing where calls are not counted
};

}  // namespace asahi::memory
