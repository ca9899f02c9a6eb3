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
       .credentials = {config.ingestion.access_key_id, config.ingestion.secret_access_key, {}}});
}

}  // namespace asahi::memory
