#pragma once

#include <cstdint>
#include <string_view>

namespace asahi::http {

/// Takes the chunked transfer coding apart (RFC 9112 §7.1), strictly: CRLF only, plain hex sizes,
/// no folded trailers. Extensions and trailers are read over. Pure.
class ChunkDecoder {
 public:
  enum class Fault : std::uint8_t { kNone, kMalformed, kTooLong };

  /// `max_trailer_bytes`: all trailer lines together; an extension may have 256 bytes.
  explicit ChunkDecoder(std::size_t max_trailer_bytes) : max_trailer_bytes_(max_trailer_bytes) {}

  struct Step {
    std::size_t taken = 0;   ///< bytes of the input that are done with
    std::string_view piece;  ///< body bytes among them, at their end; may be empty
  };
  /// Goes on up to the next piece of body, the end of the body, a fault or the end of `bytes`.
  Step next(std::string_view bytes);

  bool done() const { return state_ == State::kDone; }
  Fault fault() const { return fault_; }

 private:
  enum class State : std::uint8_t {
    kSizeStart,
    kSize,
    kExtension,
    kSizeLf,
    kData,
    kDataCr,
    kDataLf,
    kTrailerStart,
    kTrailer,
    kTrailerLf,
    kEndLf,
    kDone,
  };
  void one(char c);
  void stop(Fault fault) { fault_ = fault; }

  State state_ = State::kSizeStart;
  Fault fault_ = Fault::kNone;
  std::uint64_t left_ = 0;
  std::size_t line_bytes_ = 0;
  std::size_t trailer_bytes_ = 0;
  std::size_t max_trailer_bytes_;
};

}  // namespace asahi::http
