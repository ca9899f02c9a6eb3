#pragma once

#include <memory>
#include <string>

#include "memory/config.h"
#include "storage/object/store.h"

namespace asahi::memory {

/// The bucket or folder of `url`; S3 with the address and keys of `memory.ingestion`. Errors:
/// those of object::open_store.
Result<std::unique_ptr<object::ObjectStore>> open_bucket(const MemoryConfig& config,
                                                         std::string url);

}  // namespace asahi::memory
