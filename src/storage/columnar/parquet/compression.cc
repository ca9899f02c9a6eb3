#include "storage/columnar/parquet/compression.h"

#include <zstd.h>

#include <memory>

#include "base/dynamic_library.h"

namespace asahi::columnar::parquet {

namespace {

constinit DynamicLibrary libzstd{"libzstd.so.1", "Parquet's zstd", "libzstd1", "ZSTD_compressCCtx"};
ASAHI_DYNAMIC_FUNCTION(libzstd, ZSTD_compressBound);
ASAHI_DYNAMIC_FUNCTION(libzstd, ZSTD_compressCCtx);
ASAHI_DYNAMIC_FUNCTION(libzstd, ZSTD_createCCtx);
ASAHI_DYNAMIC_FUNCTION(libzstd, ZSTD_createDCtx);
ASAHI_DYNAMIC_FUNCTION(libzstd, ZSTD_decompressDCtx);
ASAHI_DYNAMIC_FUNCTION(libzstd, ZSTD_freeCCtx);
ASAHI_DYNAMIC_FUNCTION(libzstd, ZSTD_freeDCtx);
ASAHI_DYNAMIC_FUNCTION(libzstd, ZSTD_isError);

struct Free {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

ZSTD_CCtx* compressor() {
  thread_local const std::unique_ptr<ZSTD_CCtx, Free> context{ZSTD_createCCtx()};
  return context.get();
}

ZSTD_DCtx* decompressor() {
  thread_local const std::unique_ptr<ZSTD_DCtx, Free> context{ZSTD_createDCtx()};
  return context.get();
}

}  // namespace

Result<Zstd> Zstd::open() {
  if (auto loaded = libzstd.load(); !loaded) return std::unexpected(std::move(loaded.error()));
  return Zstd();
}

Result<void> Zstd::compress(std::string_view bytes, int level, std::string& out) const {
  ZSTD_CCtx* const context = compressor();
  const std::size_t before = out.size();
  const std::size_t bound = ZSTD_compressBound(bytes.size());
  std::size_t size = 0;
  out.resize_and_overwrite(before + bound, [&](char* data, std::size_t) {
    size = ZSTD_compressCCtx(context, data + before, bound, bytes.data(), bytes.size(), level);
    return before + (ZSTD_isError(size) != 0 ? 0 : size);
  });
  if (ZSTD_isError(size) != 0) return fail(Errc::kUnavailable, "zstd cannot compress a page");
  return {};
}

Result<std::string> Zstd::decompress(std::string_view bytes, std::size_t size) const {
  ZSTD_DCtx* const context = decompressor();
  std::string out;
  std::size_t made = 0;
  out.resize_and_overwrite(size, [&](char* data, std::size_t) {
    made = ZSTD_decompressDCtx(context, data, size, bytes.data(), bytes.size());
    return ZSTD_isError(made) != 0 ? 0 : made;
  });
  if (ZSTD_isError(made) != 0 || made != size)
    return fail(Errc::kCorrupt, "a page of a Parquet file cannot be decompressed");
  return out;
}

}  // namespace asahi::columnar::parquet
