#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/result.h"

namespace asahi::memory {

enum class Compression : std::uint8_t { kNone, kGzip, kZstd, kLz4 };
/// "none", "gzip", "zstd", "lz4".
std::string_view compression_name(Compression compression);
/// By the name's ending (.gz, .zst, .lz4); kNone for others.
Compression compression_of_name(std::string_view file_name);

/// What a file may grow to: a small one that unpacks to gigabytes is an attack.
struct DecodeLimits {
  /// Bytes out for each byte in, over all so far. The first MiB is free.
  std::uint64_t ratio = 100;
  std::uint64_t max_bytes = 100'000'000'000;
};

/// Unpacks a file that comes in pieces, in bounded memory: several gzip members or frames one after
/// the other too. One thread at a time; after an error it is done for.
/// Errors of all: corrupt (no such format, broken, ends too early), too_large (DecodeLimits),
/// unavailable (the library of the format is not installed).
class Decoder {
 public:
  static Result<std::unique_ptr<Decoder>> make(Compression compression, DecodeLimits limits = {});
  virtual ~Decoder() = default;

  /// The next bytes of the file, which stay valid until `next` gives nothing.
  void give(std::string_view bytes) { input_ = bytes; }
  /// The next unpacked bytes, valid until the next call; empty: give more.
  Result<std::string_view> next();
  /// The file ends here.
  Result<void> finish();

  std::uint64_t bytes_in() const { return in_; }
  std::uint64_t bytes_out() const { return out_; }

 protected:
  explicit Decoder(DecodeLimits limits) : limits_(limits) {}
  /// Unpacks from the front of `input_`, takes away what it used. Empty: all of it is used.
  virtual Result<std::string_view> step() = 0;
  /// Whether the file could end here.
  virtual bool complete() const = 0;

  std::string_view input_;

 private:
  const DecodeLimits limits_;
  std::uint64_t in_ = 0;
  std::uint64_t out_ = 0;
};

}  // namespace asahi::memory
