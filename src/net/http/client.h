#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/cancel.h"
#include "base/task.h"
#include "net/http/message.h"
#include "net/loop.h"

namespace asahi::http {

/// "https://api.example.com:8443/base" split once, at configuration time.
struct Origin {
  bool tls = false;
  std::string host;
  std::uint16_t port = 0;
  std::string base_path;  ///< no trailing slash; may be empty

  /// Errors: invalid_argument naming what is wrong (scheme not http/https, user info, bad port …).
  static Result<Origin> parse(std::string_view url);
  std::string to_string() const;
};

struct ClientRequest {
  Method method = Method::kPost;
  Origin origin;
  std::string target;  ///< path and query below the origin's base path, beginning with '/'
  Headers headers;     ///< Host, Content-Length and Connection are the client's own business
  std::string body;
};

struct CallOptions {
  /// Nothing is waited for past this moment. Error: timeout.
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  /// Longest silence: to the first byte of the answer, and between pieces of its body.
  std::chrono::milliseconds idle_timeout{30'000};
  /// Fires: the socket is closed at once, the call ends with cancelled. May be null.
  CancelSource* cancel = nullptr;
};

struct ClientResponse {
  int status = 0;
  Headers headers;
  std::string body;
};

/// An answer whose body is still arriving.
class ClientStream {
 public:
  virtual ~ClientStream() = default;  ///< before the end: closes the socket
  virtual int status() const = 0;
  virtual const Headers& headers() const = 0;
  /// The next piece of the (de-chunked) body; an empty optional after its proper end.
  /// The view is valid until the next call. Errors: upstream when the connection closes before the
  /// end, timeout, cancelled.
  virtual Task<std::optional<std::string_view>> read() = 0;
};

struct ClientOptions {
  std::chrono::milliseconds connect_timeout{5'000};  ///< resolve, connect, TLS handshake together
  std::chrono::milliseconds pool_idle{55'000};       ///< an unused connection is closed after this
  std::size_t max_idle_per_origin = 256;
  std::size_t max_connections_per_origin = 2'048;     ///< callers beyond wait, until their deadline
  std::size_t max_response_bytes = 32 * 1024 * 1024;  ///< `send` only; beyond: upstream error
  std::size_t max_header_bytes = 64 * 1024;
  bool verify_tls = true;
  std::string ca_file;  ///< PEM added to the system's roots
  /// Addresses that may be asked (net::ConnectOptions::allows); empty: all.
  std::function<bool(std::string_view address)> allows = {};
};

/// HTTP/1.1 with keep-alive pools, for one loop. When the peer closes a pooled connection under a
/// request before any byte of the answer arrived, the request is sent once more on a fresh one if
/// that cannot do its work twice (RFC 9110 §9.2.2): its method is idempotent, it has an
/// `Idempotency-Key`, or it did not go out whole. Loop thread only. Errors: unavailable (resolve,
/// connect, TLS), timeout, cancelled, upstream (broken answer).
class Client {
 public:
  Client(net::Loop& loop, ClientOptions options);
  ~Client();

  Task<ClientResponse> send(ClientRequest request, CallOptions options);
  Task<std::unique_ptr<ClientStream>> open(ClientRequest request, CallOptions options);

  std::size_t idle_connections() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace asahi::http
