#pragma once

#include <expected>
#include <memory>
#include <string>
#include <string_view>

#include "net/http/message.h"

namespace asahi::http {

/// Why a request cannot be served, with the status that says so.
struct RequestFault {
  int status = 400;
  std::string reason;  ///< machine-readable, e.g. "header_too_large"
  std::string message;
};

struct RequestParserLimits {
  std::size_t max_header_bytes = 32 * 1024;
  std::size_t max_header_fields = 128;
};

/// HTTP/1.0 and 1.1 requests from bytes cut anywhere (RFC 9112), strict where leniency is a
/// smuggling vector. Pure: the caller owns the bytes and drops those that `feed` took. Beast's
/// parser does the head; what it would accept but must not pass is refused here.
class RequestParser {
 public:
  explicit RequestParser(RequestParserLimits limits);
  ~RequestParser();
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  /// Begins a request that is written into `request` (cleared here, alive until the parser is done
  /// or restarted).
  void start(Request& request);
  /// Takes bytes and returns how many. Stops behind the head, so that the body can be refused
  /// unread, and behind the request. When it takes nothing and is not done it needs more bytes than
  /// it was given.
  std::expected<std::size_t, RequestFault> feed(std::string_view bytes);

  bool head_done() const;
  bool done() const;
  /// True once any byte of the request was taken or seen.
  bool begun() const;

  // After the head:
  bool keep_alive() const;
  bool http_1_1() const;
  bool expects_continue() const;
  /// The body's length when the head gives it; 0 without body or for a chunked one.
  std::size_t content_length() const;
  /// A longer body is a fault with status 413. Set between head and body.
  void set_max_body_bytes(std::size_t bytes);
  /// The raw path of the target ("/a%20b"), without query.
  std::string_view raw_path() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace asahi::http
