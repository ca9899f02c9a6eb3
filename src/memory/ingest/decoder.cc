#include "memory/ingest/decoder.h"

#include <fmt/format.h>
#include <lz4frame.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <new>
#include <string>

#include "base/dynamic_library.h"

namespace asahi::memory {

namespace {

// Few installations meet zstd or lz4; the others do without the libraries.
constinit DynamicLibrary libzstd{"libzstd.so.1", "zstd payloads", "libzstd1",
                                 "ZSTD_DCtx_setParameter"};
constinit DynamicLibrary liblz4{"liblz4.so.1", "lz4 payloads", "liblz4-1", "LZ4F_decompress"};
ASAHI_DYNAMIC_FUNCTION(libzstd, ZSTD_createDCtx);
ASAHI_DYNAMIC_FUNCTION(libzstd, ZSTD_freeDCtx);
ASAHI_DYNAMIC_FUNCTION(libzstd, ZSTD_DCtx_setParameter);
ASAHI_DYNAMIC_FUNCTION(libzstd, ZSTD_decompressStream);
ASAHI_DYNAMIC_FUNCTION(libzstd, ZSTD_isError);
ASAHI_DYNAMIC_FUNCTION(libzstd, ZSTD_getErrorName);
ASAHI_DYNAMIC_FUNCTION(liblz4, LZ4F_createDecompressionContext);
ASAHI_DYNAMIC_FUNCTION(liblz4, LZ4F_freeDecompressionContext);
ASAHI_DYNAMIC_FUNCTION(liblz4, LZ4F_decompress);
ASAHI_DYNAMIC_FUNCTION(liblz4, LZ4F_isError);
ASAHI_DYNAMIC_FUNCTION(liblz4, LZ4F_getErrorName);

constexpr std::size_t kPiece = 64 * 1024;
constexpr std::uint64_t kFree = 1 << 20;
/// zstd's window, the memory that a frame may demand: 32 MiB, as much as level 22 takes for large
/// files without --long or --ultra's last step.
constexpr int kWindowLog = 25;

std::unexpected<Error> broken(std::string_view format, std::string_view why) {
  return fail(Errc::kCorrupt, fmt::format("the payload cannot be unpacked as {}: {}", format, why));
}

class Plain final : public Decoder {
 public:
  explicit Plain(DecodeLimits limits) : Decoder(limits) {}

 private:
  Result<std::string_view> step() override {
    const std::string_view piece = input_.substr(0, kPiece);
    input_.remove_prefix(piece.size());
    return piece;
  }
  bool complete() const override { return true; }
};

class Gzip final : public Decoder {
 public:
  explicit Gzip(DecodeLimits limits) : Decoder(limits), out_(kPiece, '\0') {
    constexpr int kGzipWindow = 15 + 16;
    if (::inflateInit2(&stream_, kGzipWindow) != Z_OK) throw std::bad_alloc();
  }
  ~Gzip() override { ::inflateEnd(&stream_); }

 private:
  Result<std::string_view> step() override {
    while (!input_.empty() || more_) {
      // Another member behind the last one.
      if (ended_ && ::inflateReset(&stream_) != Z_OK) return broken("gzip", "cannot go on");
      ended_ = false;
      begun_ = true;
      const auto given = static_cast<uInt>(std::min<std::size_t>(input_.size(), 1 << 20));
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input_.data()));
      stream_.avail_in = given;
      stream_.next_out = reinterpret_cast<Bytef*>(out_.data());
      stream_.avail_out = static_cast<uInt>(out_.size());
      const int said = ::inflate(&stream_, Z_NO_FLUSH);
      input_.remove_prefix(given - stream_.avail_in);
      if (said == Z_STREAM_END) {
        ended_ = true;
      } else if (said != Z_OK && said != Z_BUF_ERROR) {
        return broken("gzip", stream_.msg == nullptr ? "bad data" : stream_.msg);
      }
      const std::size_t made = out_.size() - stream_.avail_out;
      more_ = stream_.avail_out == 0 && !ended_;
      if (made > 0) return std::string_view(out_).substr(0, made);
      if (said == Z_BUF_ERROR) break;
    }
    return std::string_view{};
  }
  bool complete() const override { return begun_ && ended_; }

  z_stream stream_{};
  std::string out_;
  bool begun_ = false;
  bool ended_ = false;
  bool more_ = false;  ///< the library holds unpacked bytes back
};

class Zstd final : public Decoder {
 public:
  explicit Zstd(DecodeLimits limits)
      : Decoder(limits), context_(ZSTD_createDCtx()), out_(kPiece, '\0') {
    if (context_ == nullptr) throw std::bad_alloc();
    ZSTD_DCtx_setParameter(context_, ZSTD_d_windowLogMax, kWindowLog);
  }
  ~Zstd() override { ZSTD_freeDCtx(context_); }

 private:
  Result<std::string_view> step() override {
    while (!input_.empty() || more_) {
      ZSTD_inBuffer in{input_.data(), input_.size(), 0};
      ZSTD_outBuffer out{out_.data(), out_.size(), 0};
      const std::size_t said = ZSTD_decompressStream(context_, &out, &in);
      if (ZSTD_isError(said) != 0) return broken("zstd", ZSTD_getErrorName(said));
      const bool stuck = in.pos == 0 && out.pos == 0;
      input_.remove_prefix(in.pos);
      ended_ = said == 0;
      begun_ = true;
      // A full buffer may leave unpacked bytes inside the library.
      more_ = out.pos == out.size && !ended_;
      if (out.pos > 0) return std::string_view(out_).substr(0, out.pos);
      if (stuck) break;
    }
    return std::string_view{};
  }
  bool complete() const override { return begun_ && ended_; }

  ZSTD_DCtx* context_;
  std::string out_;
  bool begun_ = false;
  bool ended_ = false;
  bool more_ = false;
};

class Lz4 final : public Decoder {
 public:
  explicit Lz4(DecodeLimits limits) : Decoder(limits), out_(kPiece, '\0') {
    if (LZ4F_isError(LZ4F_createDecompressionContext(&context_, LZ4F_VERSION)) != 0)
      throw std::bad_alloc();
  }
  ~Lz4() override { LZ4F_freeDecompressionContext(context_); }

 private:
  Result<std::string_view> step() override {
    while (!input_.empty() || more_) {
      std::size_t in = input_.size();
      std::size_t out = out_.size();
      const std::size_t said =
          LZ4F_decompress(context_, out_.data(), &out, input_.data(), &in, nullptr);
      if (LZ4F_isError(said) != 0) return broken("lz4", LZ4F_getErrorName(said));
      input_.remove_prefix(in);
      ended_ = said == 0;
      begun_ = true;
      more_ = out == out_.size() && !ended_;
      if (out > 0) return std::string_view(out_).substr(0, out);
      if (in == 0) break;
    }
    return std::string_view{};
  }
  bool complete() const override { return begun_ && ended_; }

  LZ4F_dctx* context_ = nullptr;
  std::string out_;
  bool begun_ = false;
  bool ended_ = false;
  bool more_ = false;
};

}  // namespace

std::string_view compression_name(Compression compression) {
  switch (compression) {
    case Compression::kNone:
      return "none";
    case Compression::kGzip:
      return "gzip";
    case Compression::kZstd:
      return "zstd";
    case Compression::kLz4:
      return "lz4";
  }
  return "none";
}

Compression compression_of_name(std::string_view file_name) {
  if (file_name.ends_with(".gz")) return Compression::kGzip;
  if (file_name.ends_with(".zst")) return Compression::kZstd;
  if (file_name.ends_with(".lz4")) return Compression::kLz4;
  return Compression::kNone;
}

Result<std::unique_ptr<Decoder>> Decoder::make(Compression compression, DecodeLimits limits) {
  switch (compression) {
    case Compression::kGzip:
      return std::make_unique<Gzip>(limits);
    case Compression::kZstd:
      if (auto loaded = libzstd.load(); !loaded) return std::unexpected(loaded.error());
      return std::make_unique<Zstd>(limits);
    case Compression::kLz4:
      if (auto loaded = liblz4.load(); !loaded) return std::unexpected(loaded.error());
      return std::make_unique<Lz4>(limits);
    case Compression::kNone:
      break;
  }
  return std::make_unique<Plain>(limits);
}

Result<std::string_view> Decoder::next() {
  const std::size_t before = input_.size();
  auto piece = step();
  if (!piece) return piece;
  in_ += before - input_.size();
  out_ += piece->size();
  if (out_ > limits_.max_bytes)
    return fail(Errc::kTooLarge,
                fmt::format("the payload unpacks to more than {} bytes; split the upload",
                            limits_.max_bytes));
  if (out_ > std::max(kFree, limits_.ratio * in_))
    return fail(Errc::kTooLarge,
                fmt::format("the payload unpacks to more than {} times its size, which no memories "
                            "do; it is refused as an archive bomb",
                            limits_.ratio));
  return piece;
}

Result<void> Decoder::finish() {
  if (!input_.empty() || !complete())
    return fail(Errc::kCorrupt,
                "the payload ends in the middle of its compressed data; it was cut");
  return {};
}

}  // namespace asahi::memory
