#pragma once

#include <memory>
#include <string>

#include "memory/config.h"
#include "storage/object/store.h"

namespace asahi::memory {

// Buckets and folders, opened in one place, whoever provides them.

/// The bucket or folder of `url`; S3 with the address and keys of `memory.ingestion`, Azure and
/// Google with those of `memory.azure` and `memory.gcs`. Errors: those of object::open_store.
Result<std::unique_ptr<object::ObjectStore>> open_bucket(const MemoryConfig& config,
                                                         std::string url);
/// A replica bucket: the same, S3 with what `memory.replicas` says of its address and keys.
Result<std::unique_ptr<object::ObjectStore>> open_replica(const MemoryConfig& config,
                                                          std::string url);
/// Where the cold tier's files are: `memory.cold.bucket` of its backend, or `folder`. Errors: the
/// same.
Result<std::unique_ptr<object::ObjectStore>> open_cold_bucket(const MemoryConfig& config,
                                                              const std::string& folder);

}  // namespace asahi::memory
