#include "memory/ops/watched_store.h"

#include <fmt/format.h>

#include <optional>
#include <vector>

namespace asahi::memory {
namespace {

const std::vector<double> kMs = {1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000};

/// The store, or the way to it, does not work.
bool is_failure(const Error& error) {
  switch (error.code) {
    case Errc::kUnavailable:
    case Errc::kTimeout:
    case Errc::kUpstream:
    case Errc::kRateLimited:
    case Errc::kForbidden:
      return true;
    default:
      return false;
  }
}

telemetry::Labels labels(const std::string& tier, const char* success) {
  return {{"tier", tier}, {"success", success}};
}

}  // namespace

WatchedStore::WatchedStore(std::unique_ptr<object::ObjectStore> store, std::string tier,
                           telemetry::Registry& metrics, const Clock& clock)
    : store_(std::move(store)),
      clock_(clock),
      circuit_(clock),
      uploads_(metrics.counter("akosha_storage_uploads", "Objects written.", labels(tier, "true"))),
      failed_uploads_(
          metrics.counter("akosha_storage_uploads", "Objects written.", labels(tier, "false"))),
      downloads_(
          metrics.counter("akosha_storage_downloads", "Objects read.", labels(tier, "true"))),
      failed_downloads_(
          metrics.counter("akosha_storage_downloads", "Objects read.", labels(tier, "false"))),
      bytes_up_(metrics.counter("akosha_storage_bytes_uploaded", "Bytes written to objects.",
                                {{"tier", tier}})),
      bytes_down_(metrics.counter("akosha_storage_bytes_downloaded", "Bytes read of objects.",
                                  {{"tier", tier}})),
      errors_(metrics.counter("akosha_cloud_storage_errors_total",
                              "Calls to an object store that failed.", {{"tier", tier}})),
      upload_ms_(metrics.histogram("akosha_storage_upload_latency_ms", "Time of one write.", kMs,
                                   {{"tier", tier}})),
      download_ms_(metrics.histogram("akosha_storage_download_latency_ms", "Time of one read.", kMs,
                                     {{"tier", tier}})) {}

template <class Work>
std::invoke_result_t<Work> WatchedStore::guard(Work work) {
  if (!circuit_.allow()) {
    return fail(Errc::kUnavailable,
                fmt::format("{} failed five times in a row; it is asked again within a minute",
                            store_->where()));
  }
  auto done = work();
  if (done || !is_failure(done.error())) {
    circuit_.succeeded();
  } else {
    circuit_.failed();
    errors_.add();
  }
  return done;
}

void WatchedStore::uploaded(const Result<object::ObjectInfo>& done, Clock::Steady begun) {
  const std::chrono::duration<double, std::milli> took = clock_.steady_now() - begun;
  upload_ms_.observe(took.count());
  (done ? uploads_ : failed_uploads_).add();
  if (done) bytes_up_.add(static_cast<double>(done->size));
}

Result<object::ObjectInfo> WatchedStore::put(const std::string& key, std::string_view bytes,
                                             const object::PutOptions& options) {
  const Clock::Steady begun = clock_.steady_now();
  auto done = guard([&] { return store_->put(key, bytes, options); });
  uploaded(done, begun);
  return done;
}

Result<object::ObjectInfo> WatchedStore::put_file(const std::string& key, const std::string& path,
                                                  const object::PutOptions& options) {
  const Clock::Steady begun = clock_.steady_now();
  auto done = guard([&] { return store_->put_file(key, path, options); });
  uploaded(done, begun);
  return done;
}

Result<std::unique_ptr<object::Upload>> WatchedStore::begin_upload(
    const std::string& key, const object::PutOptions& options) {
  return guard([&] { return store_->begin_upload(key, options); });
}

Result<object::ObjectInfo> WatchedStore::read(const std::string& key, const object::Sink& sink,
                                              const object::ReadOptions& options) {
  const Clock::Steady begun = clock_.steady_now();
  bool by_sink = false;
  const object::Sink counted = [&](std::string_view bytes) {
    bytes_down_.add(static_cast<double>(bytes.size()));
    auto taken = sink(bytes);
    by_sink = !taken;
    return taken;
  };
  std::optional<Error> unwanted;  // what the reader did not want is not the store's fault
  auto done = guard([&]() -> Result<object::ObjectInfo> {
    auto got = store_->read(key, counted, options);
    if (got || !by_sink) return got;
    unwanted = std::move(got.error());
    return object::ObjectInfo{};
  });
  if (unwanted) done = std::unexpected(std::move(*unwanted));
  const std::chrono::duration<double, std::milli> took = clock_.steady_now() - begun;
  download_ms_.observe(took.count());
  (done ? downloads_ : failed_downloads_).add();
  return done;
}

Result<std::optional<object::ObjectInfo>> WatchedStore::head(const std::string& key) {
  return guard([&] { return store_->head(key); });
}

Result<object::Page> WatchedStore::list(const object::ListQuery& query) {
  return guard([&] { return store_->list(query); });
}

Result<void> WatchedStore::erase(const std::string& key) {
  return guard([&] { return store_->erase(key); });
}

}  // namespace asahi::memory
