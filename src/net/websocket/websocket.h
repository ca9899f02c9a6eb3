#pragma once

#include <cstdint>
#include <string>

#include "base/task.h"

namespace asahi::http {

/// A server-side WebSocket (RFC 6455) after its handshake. Pings are answered inside.
class WebSocket {
 public:
  struct Message {
    bool text = true;
    std::string data;
  };
  virtual ~WebSocket() = default;
  /// Errors: cancelled when the peer closed or vanished, too_large beyond the message limit (1
  /// MiB).
  virtual Task<Message> read() = 0;
  virtual Task<void> write(Message message) = 0;
  /// Says goodbye; `read` ends once the peer has answered, or two seconds later.
  virtual Task<void> close(std::uint16_t code, std::string reason) = 0;
};

}  // namespace asahi::http
