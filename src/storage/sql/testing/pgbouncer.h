#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "base/result.h"

namespace asahi::sql::testing {

/// A PgBouncer in transaction mode in front of a PostgreSQL on 127.0.0.1, with few server
/// connections, so that clients share them from one transaction to the next. Stopped on
/// destruction.
class PgBouncer {
 public:
  /// Errors: not_found when the program is missing, internal when it does not come up.
  static Result<std::unique_ptr<PgBouncer>> launch(int postgres_port);
  ~PgBouncer();
  PgBouncer(const PgBouncer&) = delete;
  PgBouncer& operator=(const PgBouncer&) = delete;

  std::string url(const std::string& database) const;

 private:
  PgBouncer() = default;
  std::string folder_;
  int port_ = 0;
  pid_t process_ = 0;
};

}  // namespace asahi::sql::testing
