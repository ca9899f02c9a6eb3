#include "storage/columnar/parquet/compression.h"

#include <zstd.h>

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

}  // namespace

struct Zstd::Contexts {
  Contexts() = default;
  Contexts(const Contexts&) = delete;
  Contexts& operator=(const Contexts&) = delete;
  ~Contexts() {
    if (in != nullptr) ZSTD_freeCCtx(in);
    if (out != nullptr) ZSTD_freeDCtx(out);
  }
  ZSTD_CCtx* in = nullptr;
  ZSTD_DCtx* out = nullptr;
};

void Zstd::Delete::operator()(Contexts* contexts) const { delete contexts; }

Result<Zstd> Zstd::open() {
  if (auto loaded = libzstd.load(); !loaded) return std::unexpected(std::move(loaded.error()));
  return Zstd(std::unique_ptr<Contexts, Delete>(new Contexts));
}

Result<void> Zstd::compress(std::string_view bytes, int level, std::string& out) {
  if (contexts_->in == nullptr) contexts_->in = ZSTD_createCCtx();
  const std::size_t before = out.size();
  const std::size_t bound = ZSTD_compressBound(bytes.size());
  std::size_t size = 0;
  out.resize_and_overwrite(before + bound, [&](char* data, std::size_t) {
    size =
        ZSTD_compressCCtx(contexts_->in, data + before, bound, bytes.data(), bytes.size(), level);
    return before + (ZSTD_isError(size) != 0 ? 0 : size);
  });
  if (ZSTD_isError(size) != 0) return fail(Errc::kUnavailable, "zstd cannot compress a page");
  return {};
}

Result<std::string> Zstd::decompress(std::string_view bytes, std::size_t size) {
  if (contexts_->out == nullptr) contexts_->out = ZSTD_createDCtx();
  std::string out;
  std::size_t made = 0;
  out.resize_and_overwrite(size, [&](char* data, std::size_t) {
    made = ZSTD_decompressDCtx(contexts_->out, data, size, bytes.data(), bytes.size());
    return ZSTD_isError(made) != 0 ? 0 : made;
  });
  if (ZSTD_isError(made) != 0 || made != size)
    return fail(Errc::kCorrupt, "a page of a Parquet file cannot be decompressed");
  return out;
}

}  // namespace asahi::columnar::parquet
