#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"

namespace asahi::sql::testing {

/// Servers that refuse to run as root become `postgres` or `nobody` when the test does; this is
/// their user id.
uid_t server_account();

/// A temporary folder that belongs to that account. Errors: internal.
Result<std::string> make_folder(const std::string& prefix);

/// Whom a program runs as: the test's own account can read the working copy wherever it lies, the
/// server's cannot look into root's home.
enum class Account { kServer, kOwn };

/// Starts a program as `server_account` or as the test, its output appended to `log`; 0 when it
/// cannot fork. The kernel ends it with SIGQUIT when the calling thread ends first.
pid_t spawn(const std::vector<std::string>& command, const std::string& log,
            Account as = Account::kServer);

/// Starts a program and waits for its end. Errors: internal, with what it wrote.
Result<void> run_to_end(const std::vector<std::string>& command, const std::string& log);

/// The end of a log file.
std::string tail_of(const std::string& file);

/// A TCP port of 127.0.0.1 that nobody listens on.
int free_port();

}  // namespace asahi::sql::testing
