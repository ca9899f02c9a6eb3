#pragma once
// Inside net only: how streams are made of sockets.

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/generic/stream_protocol.hpp>

#include <chrono>
#include <memory>
#include <string>

#include "net/stream.h"
#include "net/tls.h"

namespace asahi::net {

/// TCP and local sockets alike, with the concrete executor.
using Socket = boost::asio::basic_stream_socket<boost::asio::generic::stream_protocol, IoExecutor>;

/// aborted -> cancelled, everything else -> unavailable with the system's words.
Error socket_error(const boost::system::error_code& code);

std::unique_ptr<Stream> make_plain_stream(Socket socket, std::string remote);

/// Shakes hands as a server. Errors: unavailable, timeout.
Task<std::unique_ptr<Stream>> accept_tls(Loop& loop, Socket socket, std::string remote,
                                         std::shared_ptr<const TlsContext> context,
                                         std::chrono::steady_clock::time_point deadline);

/// Shakes hands as a client: SNI, and the certificate must be `host`'s if the context verifies.
/// Errors: unavailable, timeout, cancelled.
Task<std::unique_ptr<Stream>> connect_tls(Loop& loop, Socket socket, std::string remote,
                                          std::shared_ptr<const TlsContext> context,
                                          std::string host,
                                          std::chrono::steady_clock::time_point deadline,
                                          CancelSource* cancel);

/// Runs `stop` when the deadline passes or `cancel` fires, and remembers which. Lives in the frame
/// that waits.
class Interruption {
 public:
  Interruption(Loop& loop, std::chrono::steady_clock::time_point deadline, CancelSource* cancel,
               std::function<void()> stop);
  bool happened() const { return timed_out_ || cancelled_; }
  /// timeout or cancelled naming `what`, when one happened; else `otherwise`.
  Error explain(std::string_view what, Error otherwise) const;

 private:
  bool timed_out_ = false;
  bool cancelled_ = false;
  std::function<void()> stop_;
  Loop::Deadline deadline_;
  CancelSource::Subscription subscription_;
};

}  // namespace asahi::net
