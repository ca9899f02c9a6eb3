#pragma once

#include <string>

#include "base/result.h"
#include "base/secret.h"

namespace asahi::identity {

/// A file that holds a secret: at most 16 KiB, readable by its owner only. Errors:
/// unavailable, invalid_argument (open to others). Blocking.
Result<Secret> read_private_file(const std::string& path);

/// Writes one with mode 0600, whole or not at all: a crash leaves at most a temporary file.
/// Replaces what is there. Errors: unavailable. Blocking.
Result<void> write_private_file(const std::string& path, const Secret& content);

/// The same, but what is there stays: of several processes that start together one wins, and all
/// then read the same.
Result<void> add_private_file(const std::string& path, const Secret& content);

}  // namespace asahi::identity
