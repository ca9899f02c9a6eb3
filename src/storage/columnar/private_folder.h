#pragma once

#include <string>

#include "base/file.h"
#include "base/result.h"

namespace asahi::columnar {

/// A folder for files on their way, which nobody else may read (0700); gone with its owner, with
/// everything in it. What a killed process left is removed by the next `make` below the same
/// parent.
class PrivateFolder {
 public:
  /// Below `parent` (made where missing; empty: the system's folder for such). Errors: unavailable.
  static Result<PrivateFolder> make(const std::string& parent);
  ~PrivateFolder();
  PrivateFolder(PrivateFolder&& other) noexcept;
  PrivateFolder& operator=(PrivateFolder&&) = delete;

  const std::string& path() const { return path_; }
  /// A path in it that was not given before.
  std::string file(const std::string& ending);

 private:
  PrivateFolder(std::string path, File lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  std::string path_;
  File lock_;  ///< held while somebody owns the folder
  unsigned files_ = 0;
};

}  // namespace asahi::columnar
