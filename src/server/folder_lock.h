#pragma once

#include <string>

#include "base/file.h"
#include "base/result.h"

namespace asahi::server {

/// One process per data folder: two writers would tear the event log. Held while it lives.
class FolderLock {
 public:
  /// Makes the folder where it is missing. Errors: unavailable (another process holds it, or
  /// nothing can be written there).
  static Result<FolderLock> take(const std::string& dir);

 private:
  explicit FolderLock(File file) : file_(std::move(file)) {}
  File file_;
};

}  // namespace asahi::server
