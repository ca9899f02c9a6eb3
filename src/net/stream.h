#pragma once

#include <boost/asio/buffer.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/cancel.h"
#include "base/task.h"
#include "net/loop.h"

namespace asahi::net {

/// Up to three pieces that go out in one system call; unused ones are empty.
using Gather = std::array<boost::asio::const_buffer, 3>;

/// A connected byte stream, plain or TLS: the one seam between protocols and sockets. Loop thread
/// only. One reader and one writer at a time; destroy it only when neither is in flight.
class Stream {
 public:
  virtual ~Stream() = default;  ///< closes
  /// At least one byte; 0 at the peer's orderly end. Errors: cancelled after `close`, unavailable
  /// otherwise.
  virtual Task<std::size_t> read_some(boost::asio::mutable_buffer into) = 0;
  /// All of it.
  virtual Task<void> write(boost::asio::const_buffer bytes) = 0;
  /// All of all pieces, in order.
  virtual Task<void> write_all(Gather pieces);
  /// Gives the kernel what it takes now and returns how much that was; 0 also when the connection
  /// is broken (the next `write` says so). Spares the common small answer a coroutine.
  virtual std::size_t try_write(const Gather& pieces);
  /// Resumes when bytes, an end or an error can be read, without taking them (disconnect watch).
  virtual Aw<void> wait_readable() = 0;
  /// True when the peer has closed its side and no byte is left to read; never blocks.
  virtual bool peer_closed() = 0;
  /// True when neither bytes nor an end nor an error wait to be read: what a pooled connection must
  /// be. Never blocks.
  virtual bool quiet() { return !peer_closed(); }
  /// Every operation in flight ends with cancelled; the stream stays usable (where an
  /// implementation cannot do that, it closes).
  virtual void interrupt() { close(); }
  /// Says the orderly end to the peer; reading goes on.
  virtual void shutdown_write() {}
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
  /// Fires: the attempt ends with cancelled. May be null; outlives the call.
  CancelSource* cancel = nullptr;
  /// Judges each address that the host resolves to, local sockets by their path; those refused are
  /// not tried, and none left is forbidden. Empty: all are good.
  std::function<bool(std::string_view address)> allows;
};

/// Resolves, connects (every address in turn) and, for TLS, shakes hands with SNI and host name
/// check. TCP_NODELAY is set. Errors: unavailable, timeout, cancelled, forbidden (`allows`).
Task<std::unique_ptr<Stream>> connect_stream(Loop& loop, std::string host, std::uint16_t port,
                                             ConnectOptions options);

}  // namespace asahi::net
