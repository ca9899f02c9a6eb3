#include "net/http/chunk_decoder.h"

#include <algorithm>

#include "base/hex.h"

namespace asahi::http {
namespace {

constexpr std::size_t kMaxExtension = 256;
constexpr std::uint64_t kMaxExcess = 16 * 1024;
constexpr std::uint64_t kMaxChunk = std::uint64_t{1} << 60;

bool is_text(char c) { return c == '\t' || static_cast<unsigned char>(c) >= ' '; }

}  // namespace

ChunkDecoder::Step ChunkDecoder::next(std::string_view bytes) {
  std::size_t at = 0;
  while (at < bytes.size() && fault_ == Fault::kNone && state_ != State::kDone) {
    if (state_ == State::kData) {
      const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size() - at));
      left_ -= size;
      excess_ -= std::min<std::uint64_t>(excess_, size);
      if (left_ == 0) state_ = State::kDataCr;
      return {at + size, bytes.substr(at, size)};
    }
    one(bytes[at++]);
  }
  return {at, {}};
}

void ChunkDecoder::one(char c) {
  switch (state_) {
    case State::kSizeStart:
    case State::kSize: {
      const int digit = hex_value(c);
      if (digit >= 0) {
        left_ = left_ * 16 + static_cast<std::uint64_t>(digit);
        // Leading zeros count too: a size line of any length is not an offer to read forever.
        if (left_ > kMaxChunk || ++line_bytes_ > 16) return stop(Fault::kMalformed);
        state_ = State::kSize;
      } else if (state_ == State::kSize && (c == ';' || c == ' ' || c == '\t')) {
        line_bytes_ = 0;
        state_ = c == ';' ? State::kExtension : State::kSizeSpace;
      } else if (state_ == State::kSize && c == '\r') {
        state_ = State::kSizeLf;
      } else {
        stop(Fault::kMalformed);
      }
      return;
    }
    case State::kSizeSpace:
    case State::kExtension:
      if (c == '\r') {
        state_ = State::kSizeLf;
      } else if (state_ == State::kSizeSpace && c != ';' && c != ' ' && c != '\t') {
        stop(Fault::kMalformed);  // "5 6": which of them is the size is anybody's guess
      } else if (!is_text(c)) {
        stop(Fault::kMalformed);
      } else if (++line_bytes_ > kMaxExtension || ++excess_ > kMaxExcess) {
        stop(Fault::kTooLong);
      } else if (c == ';') {
        state_ = State::kExtension;
      }
      return;
    case State::kSizeLf:
      if (c != '\n') return stop(Fault::kMalformed);
      line_bytes_ = 0;
      state_ = left_ == 0 ? State::kTrailerStart : State::kData;
      return;
    case State::kDataCr:
      if (c != '\r') return stop(Fault::kMalformed);
      state_ = State::kDataLf;
      return;
    case State::kDataLf:
      if (c != '\n') return stop(Fault::kMalformed);
      state_ = State::kSizeStart;
      return;
    case State::kTrailerStart:
      if (c == '\r') {
        state_ = State::kEndLf;
        return;
      }
      if (c == ' ' || c == '\t') return stop(Fault::kMalformed);
      state_ = State::kTrailer;
      [[fallthrough]];
    case State::kTrailer:
      if (++trailer_bytes_ > max_trailer_bytes_) return stop(Fault::kTooLong);
      if (c == '\r') {
        state_ = State::kTrailerLf;
      } else if (!is_text(c)) {
        stop(Fault::kMalformed);
      }
      return;
    case State::kTrailerLf:
      if (c != '\n') return stop(Fault::kMalformed);
      state_ = State::kTrailerStart;
      return;
    case State::kEndLf:
      if (c != '\n') return stop(Fault::kMalformed);
      state_ = State::kDone;
      return;
    case State::kData:
    case State::kDone:
      return;
  }
}

}  // namespace asahi::http
