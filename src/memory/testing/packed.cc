#include "memory/testing/packed.h"

#include <lz4frame.h>
#include <zlib.h>
#include <zstd.h>

#include "base/dynamic_library.h"

namespace asahi::memory::testing {

namespace {

constinit DynamicLibrary libzstd{"libzstd.so.1", "tests", "libzstd1", "ZSTD_compress"};
constinit DynamicLibrary liblz4{"liblz4.so.1", "tests", "liblz4-1", "LZ4F_compressFrame"};
ASAHI_DYNAMIC_FUNCTION(libzstd, ZSTD_compress);
ASAHI_DYNAMIC_FUNCTION(libzstd, ZSTD_compressBound);
ASAHI_DYNAMIC_FUNCTION(liblz4, LZ4F_compressFrame);
ASAHI_DYNAMIC_FUNCTION(liblz4, LZ4F_compressFrameBound);

std::string gzip(std::string_view text) {
  constexpr int kGzipWindow = 15 + 16;
  constexpr int kMemory = 8;
  z_stream stream{};
  ::deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, kGzipWindow, kMemory, Z_DEFAULT_STRATEGY);
  std::string out(::deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  ::deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  return out;
}

}  // namespace

std::string packed(Compression compression, std::string_view text) {
  switch (compression) {
    case Compression::kNone:
      break;
    case Compression::kGzip:
      return gzip(text);
    case Compression::kZstd: {
      if (!libzstd.load()) return {};
      std::string out(ZSTD_compressBound(text.size()), '\0');
      constexpr int kLevel = 3;
      out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), kLevel));
      return out;
    }
    case Compression::kLz4: {
      if (!liblz4.load()) return {};
      std::string out(LZ4F_compressFrameBound(text.size(), nullptr), '\0');
      out.resize(LZ4F_compressFrame(out.data(), out.size(), text.data(), text.size(), nullptr));
      return out;
    }
  }
  return std::string(text);
}

}  // namespace asahi::memory::testing
