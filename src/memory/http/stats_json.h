#pragma once

#include <string>

#include "base/json.h"
#include "base/task.h"
#include "memory/http/routes.h"

namespace asahi::memory {

/// The tiers that are served here, hottest first.
std::vector<Store*> stores_of(const RouteParts& parts);
/// {"tiers": {"hot": {records, bytes, oldest, newest, health}, …}}: a tier that does not answer is
/// told as unavailable. Bytes and oldest times are null for who does not see every system.
Task<json::object> storage_json(const RouteParts& parts, Reach reach);

}  // namespace asahi::memory
