#include "gateway/archive/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <new>

namespace asahi::gateway {
namespace {

constexpr std::size_t kPiece = 64 * 1024;
/// Of zlib: a window of 32 KiB, with the header of gzip.
constexpr int kGzip = 15 + 16;
constexpr int kLevel = 6;

Bytef* bytes_of(std::string_view text) {
  return reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
}

}  // namespace

struct GzipWriter::Impl {
  ByteSink sink;
  z_stream stream{};
  std::string out = std::string(kPiece, '\0');
};

GzipWriter::GzipWriter(ByteSink sink) : impl_(std::make_unique<Impl>()) {
  impl_->sink = std::move(sink);
  constexpr int kMemory = 8;
  if (::deflateInit2(&impl_->stream, kLevel, Z_DEFLATED, kGzip, kMemory, Z_DEFAULT_STRATEGY) !=
      Z_OK)
    throw std::bad_alloc();
}
GzipWriter::~GzipWriter() { ::deflateEnd(&impl_->stream); }

Result<void> GzipWriter::push(std::string_view bytes, bool last) {
  z_stream& stream = impl_->stream;
  stream.next_in = bytes_of(bytes);
  stream.avail_in = static_cast<uInt>(bytes.size());
  for (;;) {
    stream.next_out = bytes_of(impl_->out);
    stream.avail_out = static_cast<uInt>(impl_->out.size());
    const int said = ::deflate(&stream, last ? Z_FINISH : Z_NO_FLUSH);
    const std::size_t made = impl_->out.size() - stream.avail_out;
    if (made > 0) {
      if (auto taken = impl_->sink({impl_->out.data(), made}); !taken) return taken;
    }
    if (said == Z_STREAM_END || (!last && stream.avail_out > 0)) return {};
    if (said != Z_OK && said != Z_BUF_ERROR) return fail(Errc::kInternal, "zlib cannot compress");
  }
}

Result<void> GzipWriter::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::string_view some = bytes.substr(0, 1 << 20);
    if (auto pushed = push(some, false); !pushed) return pushed;
    bytes.remove_prefix(some.size());
  }
  return {};
}
Result<void> GzipWriter::finish() { return push({}, true); }

struct GzipReader::Impl {
  ByteSink sink;
  z_stream stream{};
  std::string out = std::string(kPiece, '\0');
  bool ended = false;
};

GzipReader::GzipReader(ByteSink sink) : impl_(std::make_unique<Impl>()) {
  impl_->sink = std::move(sink);
  if (::inflateInit2(&impl_->stream, kGzip) != Z_OK) throw std::bad_alloc();
}
GzipReader::~GzipReader() { ::inflateEnd(&impl_->stream); }

Result<void> GzipReader::write(std::string_view bytes) {
  z_stream& stream = impl_->stream;
  while (!bytes.empty()) {
    if (impl_->ended) return fail(Errc::kCorrupt, "there is more after the end of the gzip data");
    const std::string_view some = bytes.substr(0, 1 << 20);
    stream.next_in = bytes_of(some);
    stream.avail_in = static_cast<uInt>(some.size());
    do {
      stream.next_out = bytes_of(impl_->out);
      stream.avail_out = static_cast<uInt>(impl_->out.size());
      const int said = ::inflate(&stream, Z_NO_FLUSH);
      if (said != Z_OK && said != Z_STREAM_END && said != Z_BUF_ERROR)
        return fail(Errc::kCorrupt, "this is no gzip data");
      const std::size_t made = impl_->out.size() - stream.avail_out;
      if (made > 0) {
        if (auto taken = impl_->sink({impl_->out.data(), made}); !taken) return taken;
      }
      impl_->ended = said == Z_STREAM_END;
    } while (!impl_->ended && (stream.avail_in > 0 || stream.avail_out == 0));
    bytes.remove_prefix(some.size() - stream.avail_in);
  }
  return {};
}

Result<void> GzipReader::finish() {
  if (!impl_->ended) return fail(Errc::kCorrupt, "the gzip data ends too early");
  return {};
}

}  // namespace asahi::gateway
