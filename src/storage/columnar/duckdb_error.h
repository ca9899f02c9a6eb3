#pragma once

#include <string_view>

#include "base/result.h"
#include "storage/columnar/duckdb_library.h"

namespace asahi::columnar {

/// What the library says, as an error: timeout (interrupted), unavailable with reason "disk_full",
/// "out_of_memory" or "locked", corrupt, conflict (a constraint, a transaction that met another),
/// not_found (a file), invalid_argument (a value that does not fit), internal (a statement that it
/// does not understand). `doing`: "run a statement".
std::unexpected<Error> duckdb_error(duckdb_error_type type, std::string_view text,
                                    std::string_view doing);

}  // namespace asahi::columnar
