#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <tuple>

#include "base/hash.h"
#include "base/result.h"

namespace asahi {

/// SHA-256 of files, worked out once for each that does not change: a file is known again by its
/// device, inode, size and time of last change, so also under another name (a hard link). For files
/// that are written once; any thread.
class FileSums {
 public:
  struct Sum {
    std::uint64_t size = 0;
    Digest256 sha256{};
  };
  /// At most so many are known at a time.
  explicit FileSums(std::size_t most = 10'000) : most_(most) {}
  /// Errors: unavailable (it cannot be read).
  Result<Sum> of(const std::string& path);
  /// Files that were read, not known.
  std::uint64_t read() const;

 private:
  /// Device, inode, size, nanoseconds of the last change.
  using Identity = std::tuple<std::uint64_t, std::uint64_t, std::uint64_t, std::int64_t>;
  const std::size_t most_;
  mutable std::mutex mutex_;
  std::map<Identity, Digest256> known_;
  std::uint64_t read_ = 0;
};

}  // namespace asahi
