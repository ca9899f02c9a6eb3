#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "identity/audit/chain_store.h"

namespace asahi::identity::audit {

/// The chain from its anchor up to the row `last`, without a look at its head.
Result<AuditVerification> verify_part(sql::Database& database, std::string_view head_key,
                                      const std::string& org, std::int64_t last,
                                      const std::atomic<bool>* stop);

}  // namespace asahi::identity::audit
