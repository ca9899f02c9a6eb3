#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"

namespace asahi::columnar::parquet {

/// zstd, loaded when it is first used. Thread-safe: its working memory, up to some 2 MB, belongs to
/// the thread and is kept as long as that, since making it costs more than a small page does.
class Zstd {
 public:
  /// Errors: unavailable, where libzstd.so.1 is missing.
  static Result<Zstd> open();

  /// Appends what `bytes` become to `out`. `level` 1 to 19.
  Result<void> compress(std::string_view bytes, int level, std::string& out) const;
  /// Into exactly `size` bytes. Errors: corrupt.
  Result<std::string> decompress(std::string_view bytes, std::size_t size) const;

 private:
  Zstd() = default;
};

}  // namespace asahi::columnar::parquet
