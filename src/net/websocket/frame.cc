#include "net/websocket/frame.h"

#include <openssl/sha.h>

#include <algorithm>

#include "base/hash.h"
#include "base/utf8.h"
#include "net/http/ascii.h"

namespace asahi::http {
namespace {

constexpr std::uint8_t kContinuation = 0;
constexpr std::uint8_t kTextFrame = 1;
constexpr std::uint8_t kBinaryFrame = 2;
constexpr std::uint8_t kCloseFrame = 8;
constexpr std::uint8_t kPingFrame = 9;
constexpr std::uint8_t kPongFrame = 10;
constexpr std::size_t kMaxControl = 125;

std::uint8_t byte_at(const std::string& text, std::size_t at) {
  return static_cast<std::uint8_t>(text[at]);
}

bool is_sendable_code(std::uint16_t code) {
  return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
         (code >= 3000 && code <= 4999);
}

/// Bytes that the head has by what is known of it so far.
std::size_t head_size(const std::string& head) {
  if (head.size() < 2) return 2;
  const std::uint8_t length = byte_at(head, 1) & 0x7f;
  return 2 + (length == 126 ? 2u : length == 127 ? 8u : 0u) + 4u;
}

void append_head(std::string& out, std::uint8_t opcode, std::size_t size) {
  out += static_cast<char>(0x80 | opcode);
  if (size < 126) {
    out += static_cast<char>(size);
  } else if (size <= 0xffff) {
    out += static_cast<char>(126);
    out += static_cast<char>(size >> 8);
    out += static_cast<char>(size & 0xff);
  } else {
    out += static_cast<char>(127);
    for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>((size >> shift) & 0xff);
  }
}

}  // namespace

std::expected<void, std::uint16_t> WebSocketReader::feed(std::string_view bytes,
                                                         std::vector<WebSocketEvent>& out) {
  while (!bytes.empty()) {
    if (!in_payload_) {
      const std::size_t want = std::min(head_size(head_) - head_.size(), bytes.size());
      head_ += bytes.substr(0, want);
      bytes.remove_prefix(want);
      // A client that does not mask is refused by its second byte: the rest of its head would be
      // read wrongly.
      if (head_.size() >= 2 && (byte_at(head_, 1) & 0x80) == 0)
        return std::unexpected(close_code::kProtocolError);
      if (head_.size() < head_size(head_)) continue;
      if (auto begun = begin_frame(); !begun) return begun;
    }
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
    std::string& target = opcode_ >= kCloseFrame ? control_ : message_;
    const std::size_t old = target.size();
    target += bytes.substr(0, size);
    for (std::size_t i = old; i < target.size(); ++i) {
      target[i] = static_cast<char>(target[i] ^ mask_[mask_at_++ & 3]);
    }
    bytes.remove_prefix(size);
    left_ -= size;
    if (left_ == 0) {
      if (auto ended = end_frame(out); !ended) return ended;
    }
  }
  return {};
}

std::expected<void, std::uint16_t> WebSocketReader::begin_frame() {
  const std::uint8_t first = byte_at(head_, 0);
  const std::uint8_t short_length = byte_at(head_, 1) & 0x7f;
  final_ = (first & 0x80) != 0;
  opcode_ = first & 0x0f;
  std::uint64_t length = short_length;
  std::size_t at = 2;
  if (short_length >= 126) {
    const std::size_t count = short_length == 126 ? 2 : 8;
    length = 0;
    for (std::size_t i = 0; i < count; ++i) length = length << 8 | byte_at(head_, at++);
    // The shortest form is the only valid one.
    if (length < (count == 2 ? 126u : 0x10000u)) return std::unexpected(close_code::kProtocolError);
  }
  std::copy_n(head_.data() + at, 4, mask_);
  const bool control = opcode_ >= kCloseFrame;
  const bool known = opcode_ <= kBinaryFrame || (opcode_ >= kCloseFrame && opcode_ <= kPongFrame);
  if ((first & 0x70) != 0 || !known) return std::unexpected(close_code::kProtocolError);
  if (control && (!final_ || length > kMaxControl))
    return std::unexpected(close_code::kProtocolError);
  if (!control && (opcode_ == kContinuation) != (message_opcode_ != 0)) {
    return std::unexpected(close_code::kProtocolError);
  }
  if (!control && length > max_message_bytes_ - message_.size())
    return std::unexpected(close_code::kTooBig);
  if (!control && opcode_ != kContinuation) message_opcode_ = opcode_;
  left_ = length;
  mask_at_ = 0;
  in_payload_ = true;
  head_.clear();
  return {};
}

std::expected<void, std::uint16_t> WebSocketReader::end_frame(std::vector<WebSocketEvent>& out) {
  using Kind = WebSocketEvent::Kind;
  in_payload_ = false;
  if (opcode_ < kCloseFrame) {
    if (!final_) return {};
    const bool text = std::exchange(message_opcode_, 0) == kTextFrame;
    if (text && !is_utf8(message_)) return std::unexpected(close_code::kBadData);
    out.push_back({text ? Kind::kText : Kind::kBinary, std::exchange(message_, {})});
    return {};
  }
  std::string payload = std::exchange(control_, {});
  if (opcode_ != kCloseFrame) {
    out.push_back({opcode_ == kPingFrame ? Kind::kPing : Kind::kPong, std::move(payload)});
    return {};
  }
  if (payload.empty()) {
    out.push_back({Kind::kClose, {}, close_code::kNoStatus});
    return {};
  }
  if (payload.size() < 2) return std::unexpected(close_code::kProtocolError);
  const auto code = static_cast<std::uint16_t>(byte_at(payload, 0) << 8 | byte_at(payload, 1));
  if (!is_sendable_code(code)) return std::unexpected(close_code::kProtocolError);
  payload.erase(0, 2);
  if (!is_utf8(payload)) return std::unexpected(close_code::kBadData);
  out.push_back({Kind::kClose, std::move(payload), code});
  return {};
}

void append_frame(std::string& out, WebSocketEvent::Kind kind, std::string_view payload) {
  using Kind = WebSocketEvent::Kind;
  std::uint8_t opcode = kTextFrame;
  if (kind == Kind::kBinary) opcode = kBinaryFrame;
  if (kind == Kind::kClose) opcode = kCloseFrame;
  if (kind == Kind::kPing) opcode = kPingFrame;
  if (kind == Kind::kPong) opcode = kPongFrame;
  append_head(out, opcode, payload.size());
  out += payload;
}

void append_close_frame(std::string& out, std::uint16_t code, std::string_view reason) {
  std::string payload{static_cast<char>(code >> 8), static_cast<char>(code & 0xff)};
  payload += reason.substr(0, kMaxControl - 2);
  append_frame(out, WebSocketEvent::Kind::kClose, payload);
}

Result<std::string> accept_websocket(const Request& request) {
  const auto lacks = [](std::string what) { return fail(Errc::kInvalidArgument, std::move(what)); };
  const Headers& headers = request.headers;
  if (request.method != Method::kGet || !has_token(headers.get("Upgrade"), "websocket") ||
      !has_token(headers.get("Connection"), "upgrade")) {
    return lacks(
        "this path is a WebSocket; connect with 'Upgrade: websocket' and 'Connection: Upgrade'");
  }
  if (headers.get("Sec-WebSocket-Version") != "13")
    return lacks("Sec-WebSocket-Version must be 13");
  const std::string_view key = headers.get("Sec-WebSocket-Key");
  if (key.size() != 24 || !key.ends_with("=="))
    return lacks("Sec-WebSocket-Key must be 16 bytes in base64");
  const std::string salted = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  unsigned char digest[SHA_DIGEST_LENGTH];
  SHA1(reinterpret_cast<const unsigned char*>(salted.data()), salted.size(), digest);
  return base64_encode({reinterpret_cast<const char*>(digest), sizeof digest});
}

}  // namespace asahi::http
