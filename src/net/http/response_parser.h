#pragma once

#include <memory>
#include <string_view>

#include "base/result.h"
#include "net/http/message.h"

namespace asahi::http {

/// Answers of an HTTP/1.x server from bytes cut anywhere (RFC 9112). Pure: the caller owns the
/// bytes. Interim answers (1xx) are read over. Errors: upstream, for whatever is no well-formed
/// answer.
class ResponseParser {
 public:
  enum class RequestKind : std::uint8_t { kHead, kOther };  ///< an answer to HEAD has no body
  ResponseParser(RequestKind request, std::size_t max_header_bytes);
  ~ResponseParser();
  ResponseParser(const ResponseParser&) = delete;
  ResponseParser& operator=(const ResponseParser&) = delete;

  /// Takes bytes of the head and returns how many; none means that more are needed.
  Result<std::size_t> feed_head(std::string_view bytes);
  bool head_done() const;

  struct Step {
    std::size_t taken = 0;   ///< bytes of the input that are done with
    std::string_view piece;  ///< body bytes among them, at their end; may be empty
  };
  /// Goes on up to the next piece of body. Only after the head.
  Result<Step> next_body(std::string_view bytes);
  bool done() const;
  /// Says that the connection has ended: completes a body that lasts to the end, else an error.
  Result<void> finish();

  int status() const;
  const Headers& headers() const;
  Headers take_headers();
  /// True when the connection may carry another request behind this answer.
  bool keep_alive() const;
  /// Content-Length, when the body has one.
  std::optional<std::size_t> content_length() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace asahi::http
