#pragma once

#include <sys/epoll.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace asahi::bench {

/// Nanoseconds of the monotonic clock.
std::int64_t now_ns();

/// Value of a header of a message head, matched without case; empty when absent.
std::string_view header_of(std::string_view head, std::string_view name);

/// Reads one HTTP/1.1 answer after the other from the bytes of a connection: what both tools need
/// of the protocol, and no more. Trusts its peer.
class ResponseReader {
 public:
  /// Takes what it can use of `bytes` and returns how much that was; what is left must be offered
  /// again with more. Body bytes without their chunk framing go to `body`.
  std::size_t feed(std::string_view bytes, std::string& body);
  bool done() const { return state_ == State::kDone; }
  bool broken() const { return state_ == State::kBroken; }
  int status() const { return status_; }
  void next() { *this = {}; }

 private:
  enum class State { kHead, kLength, kChunkSize, kChunk, kChunkEnd, kTrailer, kDone, kBroken };
  std::size_t head(std::string_view bytes);
  std::size_t line(std::string_view bytes);

  State state_ = State::kHead;
  int status_ = 0;
  std::size_t left_ = 0;  ///< bytes still to come of the body or chunk
};

/// A non-blocking socket to 127.0.0.1 with TCP_NODELAY, or listening there; -1 with errno on
/// failure.
int connect_local(std::uint16_t port);
int listen_local(std::uint16_t port);
/// The port a socket is bound to.
std::uint16_t bound_port(int socket);

/// epoll_pwait2 with a timeout in nanoseconds: milliseconds are too coarse for arrival times.
int wait_for_events(int epoll, epoll_event* events, int capacity, std::int64_t timeout_ns);

}  // namespace asahi::bench
