#pragma once

#include <boost/asio/buffer.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "base/task.h"
#include "net/loop.h"

namespace asahi::net {

/// A connected byte stream, plain or TLS: the one seam between protocols and sockets. Loop thread only.
class Stream {
 public:
  virtual ~Stream() = default;  ///< closes
  /// At least one byte; 0 at the peer's orderly end. Errors: cancelled after `close`, unavailable otherwise.
  virtual Task<std::size_t> read_some(boost::asio::mutable_buffer into) = 0;
  /// All of it.
  virtual Task<void> write(boost::asio::const_buffer bytes) = 0;
  /// Resumes when bytes, an end or an error can be read, without taking them (disconnect watch).
  virtual Aw<void> wait_readable() = 0;
  /// True when the peer has closed its side and no byte is left to read; never blocks.
  virtual bool peer_closed() = 0;
  /// Every operation in flight ends with cancelled.
  virtual void close() = 0;
  virtual std::string remote_address() const = 0;
};

struct ConnectOptions {
  bool tls = false;
  bool verify_tls = true;
  std::string ca_file;  ///< PEM added to the system's roots
  /// "unix:/path" as host connects to a local socket.
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
};

/// Resolves, connects (every address in turn) and, for TLS, shakes hands with SNI and host name check.
/// TCP_NODELAY is set. Errors: unavailable, timeout.
Task<std::unique_ptr<Stream>> connect_stream(Loop& loop, std::string host, std::uint16_t port,
                                             ConnectOptions options);

}  // namespace asahi::net
