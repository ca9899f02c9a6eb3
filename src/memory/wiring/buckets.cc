#include "memory/wiring/buckets.h"

#include <utility>

#include "storage/object/open_store.h"

namespace asahi::memory {

Result<std::unique_ptr<object::ObjectStore>> open_bucket(const MemoryConfig& config,
                                                         std::string url) {
  return object::open_store(
      {.url = std::move(url),
       .region = config.ingestion.region,
       .endpoint = config.ingestion.endpoint,
       .credentials = {config.ingestion.access_key_id, config.ingestion.secret_access_key, {}},
       .clouds = config.clouds});
}

Result<std::unique_ptr<object::ObjectStore>> open_replica(const MemoryConfig& config,
                                                          std::string url) {
  const MemoryConfig::Replicas& own = config.replicas;
  MemoryConfig::Ingestion s3 = config.ingestion;
  if (!own.region.empty()) s3.region = own.region;
  if (!own.endpoint.empty()) s3.endpoint = own.endpoint;
  if (!own.access_key_id.empty()) {
    s3.access_key_id = own.access_key_id;
    s3.secret_access_key = own.secret_access_key;
  }
  return object::open_store({.url = std::move(url),
                             .region = s3.region,
                             .endpoint = s3.endpoint,
                             .credentials = {s3.access_key_id, s3.secret_access_key, {}},
                             .clouds = config.clouds});
}

Result<std::unique_ptr<object::ObjectStore>> open_cold_bucket(const MemoryConfig& config,
                                                              const std::string& folder) {
  const MemoryConfig::Cold& cold = config.cold;
  if (cold.backend == "local") return object::open_store({.url = "file://" + folder});
  const std::string scheme = cold.backend == "azure" ? "azure://"
                             : cold.backend == "gcs" ? "gs://"
                                                     : "s3://";
  object::OpenOptions options{
      .url = cold.bucket.contains("://") ? cold.bucket : scheme + cold.bucket,
      .region = cold.region,
      .endpoint = cold.endpoint,
      .credentials = {cold.access_key_id, cold.secret_access_key, {}},
      .clouds = config.clouds};
  // What is said of the cold bucket wins over what is said of its provider.
  if (cold.backend == "azure") {
    if (!cold.access_key_id.empty()) options.clouds.azure.account = cold.access_key_id;
    if (!cold.secret_access_key.empty()) options.clouds.azure.key = cold.secret_access_key;
    if (!cold.endpoint.empty()) options.clouds.azure_endpoint = cold.endpoint;
  } else if (cold.backend == "gcs") {
    if (!cold.access_key_id.empty()) options.clouds.google = options.credentials;
    if (!cold.endpoint.empty()) options.clouds.google_endpoint = cold.endpoint;
  }
  return object::open_store(std::move(options));
}

}  // namespace asahi::memory
