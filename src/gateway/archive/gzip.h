#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace asahi::gateway {

/// Takes compressed or plain bytes; an error ends the work.
using ByteSink = std::function<Result<void>(std::string_view bytes)>;

/// gzip (RFC 1952), a piece at a time, in some 300 KiB of memory.
class GzipWriter {
 public:
  explicit GzipWriter(ByteSink sink);
  ~GzipWriter();
  GzipWriter(const GzipWriter&) = delete;
  GzipWriter& operator=(const GzipWriter&) = delete;

  Result<void> write(std::string_view bytes);
  /// Once, at the end.
  Result<void> finish();

 private:
  struct Impl;
  Result<void> push(std::string_view bytes, bool last);
  std::unique_ptr<Impl> impl_;
};

/// The reverse. Errors of both: corrupt for what is no gzip or is cut, those of the sink.
class GzipReader {
 public:
  explicit GzipReader(ByteSink sink);
  ~GzipReader();
  GzipReader(const GzipReader&) = delete;
  GzipReader& operator=(const GzipReader&) = delete;

  Result<void> write(std::string_view bytes);
  /// Errors: corrupt when the end is missing.
  Result<void> finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace asahi::gateway
