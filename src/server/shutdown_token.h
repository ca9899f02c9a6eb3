#pragma once

#include <string>

#include "base/result.h"
#include "base/secret.h"

namespace asahi::server {

/// What proves to POST /shutdown that its sender may read this process's files: the content of
/// `<data_dir>/shutdown_token`, mode 0600, made when absent and shared by all processes of the
/// folder. Errors: unavailable (the folder cannot be written), invalid_argument (others can read
/// it), corrupt.
Result<Secret> make_shutdown_token(const std::string& data_dir);
/// The same, of a process that runs already. Errors: those; unavailable where there is none.
Result<Secret> read_shutdown_token(const std::string& data_dir);
/// For a process that starts: without a token only credentials count, which is logged.
Secret shutdown_token_or_none(const std::string& data_dir);

}  // namespace asahi::server
