#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace asahi::columnar::parquet {

/// zstd, loaded when it is first used. One thread at a time.
class Zstd {
 public:
  /// Errors: unavailable, where libzstd.so.1 is missing.
  static Result<Zstd> open();

  /// Appends what `bytes` become to `out`. `level` 1 to 19.
  Result<void> compress(std::string_view bytes, int level, std::string& out);
  /// Into exactly `size` bytes. Errors: corrupt.
  Result<std::string> decompress(std::string_view bytes, std::size_t size);

 private:
  struct Contexts;
  struct Delete {
    void operator()(Contexts* contexts) const;
  };
  explicit Zstd(std::unique_ptr<Contexts, Delete> contexts) : contexts_(std::move(contexts)) {}
  std::unique_ptr<Contexts, Delete> contexts_;
};

}  // namespace asahi::columnar::parquet
