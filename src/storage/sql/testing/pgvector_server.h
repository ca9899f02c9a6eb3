#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.h"

namespace asahi::sql::testing {

/// A PostgreSQL with pgvector: the one that ASAHI_TEST_PGVECTOR_URL names, the system's when it has
/// the extension, else one in WebAssembly (npm's PGlite of tests/e2e).
class PgVectorServer {
 public:
  /// Its URL; one server for all tests of a program. Errors: not_found, with what is missing.
  static Result<std::string> url();

 private:
  PgVectorServer() : url_(find()) {}
  ~PgVectorServer();
  Result<std::string> find();

  std::string folder_;
  pid_t process_ = 0;
  Result<std::string> url_;
};

}  // namespace asahi::sql::testing
