#pragma once

#include <ostream>
#include <string>
#include <string_view>

#include "storage/sql/database.h"

namespace asahi::identity {

/// `asahi audit verify --org O`: says in one line whether the chain is whole, and where it is not.
/// Returns the exit code: 0 whole, 1 broken or not readable. Blocking.
int run_audit_verify(sql::Database& database, std::string_view head_key, const std::string& org_id,
                     std::ostream& out);

}  // namespace asahi::identity
