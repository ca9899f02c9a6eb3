#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http/context.h"
#include "net/http/cors.h"
#include "net/http/message.h"

namespace asahi::http {

enum class BodyFraming : std::uint8_t {
  kLength,   ///< Content-Length
  kChunked,  ///< Transfer-Encoding: chunked
  kToClose,  ///< HTTP/1.0 stream: the end of the connection ends the body
  kNone,     ///< 1xx, 204, 304: no body and no length
};

/// What a reply's head says besides the handler's own fields.
struct ReplyFrame {
  BodyFraming framing = BodyFraming::kLength;
  std::size_t body_bytes = 0;
  bool keep_alive = true;
  bool http_1_1 = true;
  std::string_view request_id;
  std::string_view date_field;     ///< "Date: …\r\n"
  const Headers* extra = nullptr;  ///< fields beside the handler's; null: none
  std::optional<LimitState> limits{};
};

/// Writes reply heads with a server's fixed parts (default fields, CORS). Pure.
class ResponseHeadWriter {
 public:
  ResponseHeadWriter(Headers default_fields, std::vector<std::string> cors_origins);

  const Cors& cors() const { return cors_; }
  /// Fields that the server owns (length, connection, date, request id) are dropped from
  /// `response`, and so are fields whose name or value would break out of their line.
  void append(std::string& out, const Response& response, const ReplyFrame& frame,
              const Request& request) const;

 private:
  Headers default_fields_;
  std::string default_block_;  ///< all of them, ready to copy
  Cors cors_;
};

std::string_view reason_phrase(int status);

/// Statuses whose replies never carry a body.
inline bool has_no_body(int status) { return status < 200 || status == 204 || status == 304; }

/// "Date: Sat, 21 Nov 2026 10:00:00 GMT\r\n", formatted once a second. One per loop.
class DateField {
 public:
  std::string_view now();

 private:
  std::int64_t second_ = -1;
  std::string text_;
};

}  // namespace asahi::http
