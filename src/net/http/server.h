#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "net/http/gate.h"
#include "net/loop.h"
#include "net/tls.h"

namespace asahi::http {

struct ServerLimits {
  std::size_t max_header_bytes = 32 * 1024;      ///< request line and fields; beyond: 431
  std::size_t max_header_fields = 128;           ///< beyond: 431
  std::size_t max_body_bytes = 2 * 1024 * 1024;  ///< beyond: 413
  std::size_t max_connections = 20'000;  ///< per process; beyond: accepted and closed with 503
  std::size_t max_active_requests =
      1'000;  ///< per process; beyond: 503 service_unavailable with Retry-After
  std::chrono::milliseconds header_timeout{
      10'000};  ///< first byte of a request to the end of its header; 408
  std::chrono::milliseconds body_timeout{30'000};  ///< end of header to the end of the body; 408
  std::chrono::milliseconds idle_timeout{75'000};  ///< keep-alive between requests; closed silently
  std::chrono::milliseconds write_timeout{
      30'000};  ///< one write to a peer that does not read; closed
  std::chrono::milliseconds request_timeout{
      120'000};  ///< header complete to answer complete; sets Context::deadline
};

using TlsFiles = net::TlsFiles;

struct ServerOptions {
  std::string host = "0.0.0.0";
  std::uint16_t port = 8000;  ///< 0: any free port; see Server::port
  std::optional<TlsFiles> tls;
  ServerLimits limits;
  /// Added to every reply that lacks them: security headers, `Server` stays unset.
  Headers default_headers;
  /// CORS origins; "*" allows any without credentials; empty: no CORS headers.
  std::vector<std::string> cors_origins;
  /// Body for errors outside any route (bad request line, 404, 405, 413 …).
  ErrorWriter errors;
  /// Sees every request (but CORS preflights) before its route, on the loop's thread; a response
  /// is sent instead of the route's.
  std::function<std::optional<Response>(const Context&)> before;
  /// Stands before every route; outlives the server. Null: all routes are open.
  Gate* gate = nullptr;
  /// Called on the loop's thread when a reply's last byte was handed to the kernel: access log,
  /// metrics.
  std::function<void(const Context&, int status, std::size_t body_bytes)> on_complete;
  /// Turns an exception that escaped a handler into a log line; the client gets a plain 500.
  std::function<void(const Context&, std::string_view what)> on_exception;
};

/// HTTP/1.1 on every loop of a pool (SO_REUSEPORT, TCP_NODELAY). The parser refuses what smuggling
/// is made of: both Content-Length and Transfer-Encoding, repeated or signed lengths, bare LF,
/// folded fields, missing or repeated Host.
class Server {
 public:
  /// Binds at once; serving starts with `start`. Errors: unavailable (port taken), invalid_argument
  /// (TLS files).
  static Result<std::unique_ptr<Server>> bind(net::LoopPool& loops, ServerOptions options,
                                              Router router);
  ~Server();

  void start();
  std::uint16_t port() const;
  std::size_t active_requests() const;
  std::size_t connections() const;

  /// Stops accepting, answers the requests in flight with `Connection: close`, closes idle
  /// connections and waits until all are done or `grace` is over; then cancels the rest. Call from
  /// an ordinary thread.
  void drain(std::chrono::milliseconds grace);
  /// Reads the certificate files again; connections made from now on use them.
  Result<void> reload_tls();

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// HTTP status of an error code: invalid_argument 400, unauthenticated 401, forbidden 403,
/// not_found 404, conflict 409, too_large 413, rate_limited 429, timeout 504, cancelled 499,
/// unavailable 503, upstream 502, corrupt and internal 500.
int http_status(Errc code);

/// The native error body of design §3: {"error", "message", "details", "request_id", "timestamp"}.
Response native_error(const Error& error, const Context& context);

}  // namespace asahi::http
