#pragma once

#include <string>
#include <string_view>

#include "base/file.h"
#include "base/result.h"

namespace asahi::server {

/// One process per data folder: two writers would tear the event log. Held while it lives.
class FolderLock {
 public:
  static constexpr std::string_view kFile = "asahi.lock";

  /// Makes the folder where it is missing. Errors: unavailable (another process holds it, or
  /// nothing can be written there); conflict (its data is on its way to another folder, or was
  /// moved there: move/data_move.h).
  static Result<FolderLock> take(const std::string& dir);
  /// The last of these alone, for who needs no folder to itself.
  static Result<void> check_not_moved(const std::string& dir);
  /// For the move itself.
  static Result<FolderLock> take_to_move(const std::string& dir);

 private:
  explicit FolderLock(File file) : file_(std::move(file)) {}
  File file_;
};

}  // namespace asahi::server
