#pragma once

#include <memory>
#include <string>

#include "memory/ops/circuit.h"
#include "storage/object/store.h"
#include "telemetry/metrics.h"

namespace asahi::memory {

/// An object store behind a breaker that counts (spec/memory §8.2, §8.6): after five failures in a
/// row calls are refused at once for a minute. That something is not there, or that a condition
/// does not hold, is no failure. Thread-safe as the store is.
///
/// | Name | Type; labels |
/// |---|---|
/// | akosha_storage_uploads, akosha_storage_downloads | counter; tier, success |
/// | akosha_storage_bytes_uploaded, akosha_storage_bytes_downloaded | counter; tier |
/// | akosha_storage_upload_latency_ms, akosha_storage_download_latency_ms | histogram; tier |
/// | akosha_cloud_storage_errors_total | counter; tier |
class WatchedStore final : public object::ObjectStore {
 public:
  /// `tier`: what the store is for ("bucket", "cold", "backup"). `metrics`, `clock` outlive it.
  WatchedStore(std::unique_ptr<object::ObjectStore> store, std::string tier,
               telemetry::Registry& metrics, const Clock& clock);

  Result<object::ObjectInfo> put(const std::string& key, std::string_view bytes,
                                 const object::PutOptions& options) override;
  Result<object::ObjectInfo> put_file(const std::string& key, const std::string& path,
                                      const object::PutOptions& options) override;
  /// Its end counts with the store's own time, not as an upload.
  Result<std::unique_ptr<object::Upload>> begin_upload(const std::string& key,
                                                       const object::PutOptions& options) override;
  Result<object::ObjectInfo> read(const std::string& key, const object::Sink& sink,
                                  const object::ReadOptions& options) override;
  Result<std::optional<object::ObjectInfo>> head(const std::string& key) override;
  Result<object::Page> list(const object::ListQuery& query) override;
  Result<void> erase(const std::string& key) override;
  void stop() override { store_->stop(); }
  std::string where() const override { return store_->where(); }

  CircuitStats stats() const { return circuit_.stats(); }

 private:
  template <class Work>
  std::invoke_result_t<Work> guard(Work work);
  void uploaded(const Result<object::ObjectInfo>& done, Clock::Steady begun);

  const std::unique_ptr<object::ObjectStore> store_;
  const Clock& clock_;
  Circuit circuit_;
  telemetry::Counter &uploads_, &failed_uploads_, &downloads_, &failed_downloads_;
  telemetry::Counter &bytes_up_, &bytes_down_, &errors_;
  telemetry::Histogram &upload_ms_, &download_ms_;
};

}  // namespace asahi::memory
