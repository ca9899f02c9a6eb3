#pragma once

#include "base/result.h"

namespace asahi::sql {

/// Loads libpq, once: with LDAP, Kerberos and GnuTLS, which it brings along, it takes 3 MiB that a
/// gateway on SQLite does without. Until then no function of libpq-fe.h may be called; all that is
/// asked of them goes through pg_library.cc. Errors: unavailable, naming the package. Thread-safe.
Result<void> load_libpq();

}  // namespace asahi::sql
