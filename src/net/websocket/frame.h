#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "net/http/message.h"

namespace asahi::http {

/// What a client's frames amount to (RFC 6455 §5).
struct WebSocketEvent {
  enum class Kind : std::uint8_t { kText, kBinary, kPing, kPong, kClose };
  Kind kind = Kind::kText;
  std::string data;        ///< message, ping or pong payload, close reason
  std::uint16_t code = 0;  ///< of a close; 1005 when the peer gave none
};

/// Status codes of RFC 6455 §7.4.1.
namespace close_code {
inline constexpr std::uint16_t kNormal = 1000;
inline constexpr std::uint16_t kGoingAway = 1001;
inline constexpr std::uint16_t kProtocolError = 1002;
inline constexpr std::uint16_t kNoStatus = 1005;
inline constexpr std::uint16_t kBadData = 1007;
inline constexpr std::uint16_t kTooBig = 1009;
}  // namespace close_code

/// Puts a client's frames together: unmasks, joins fragments, checks the rules of RFC 6455 and that
/// text is UTF-8. Pure.
class WebSocketReader {
 public:
  explicit WebSocketReader(std::size_t max_message_bytes) : max_message_bytes_(max_message_bytes) {}
  /// Appends the events that `bytes` completes. The error is the code to close with; nothing may
  /// follow it.
  std::expected<void, std::uint16_t> feed(std::string_view bytes, std::vector<WebSocketEvent>& out);

 private:
  std::expected<void, std::uint16_t> begin_frame();
  std::expected<void, std::uint16_t> end_frame(std::vector<WebSocketEvent>& out);

  std::size_t max_message_bytes_;
  std::string head_;  // of the frame in hand, until complete
  bool in_payload_ = false;
  bool final_ = false;
  std::uint8_t opcode_ = 0;
  std::uint8_t message_opcode_ = 0;  // of the fragmented message in hand; 0: none
  std::uint64_t left_ = 0;
  std::size_t mask_at_ = 0;
  char mask_[4] = {};
  std::string message_;
  std::string control_;
};

/// One unmasked final frame, as a server sends it.
void append_frame(std::string& out, WebSocketEvent::Kind kind, std::string_view payload);
void append_close_frame(std::string& out, std::uint16_t code, std::string_view reason);

/// The Sec-WebSocket-Accept value for a request that may be upgraded (RFC 6455 §4.2).
/// Errors: invalid_argument saying what the handshake lacks.
Result<std::string> accept_websocket(const Request& request);

}  // namespace asahi::http
