#pragma once
// Inside net only: a WebSocket on a server's connection.

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "base/cancel.h"
#include "net/event.h"
#include "net/stream.h"
#include "net/websocket/frame.h"
#include "net/websocket/websocket.h"

namespace asahi::http {

/// Reads in the background, so that pings are answered and the peer's end is noticed while the
/// handler only writes. One reader and one writer at a time. Loop thread only.
class ServerWebSocket final : public WebSocket,
                              public std::enable_shared_from_this<ServerWebSocket> {
 public:
  /// `cancel` fires when the peer is gone; it lives until `finish` returns. `owner` keeps `stream`
  /// alive.
  ServerWebSocket(net::Loop& loop, std::shared_ptr<void> owner, net::Stream& stream,
                  CancelSource& cancel, std::chrono::milliseconds write_timeout);

  /// `early`: bytes that came behind the handshake.
  void start(std::string early);
  Task<Message> read() override;
  Task<void> write(Message message) override;
  Task<void> close(std::uint16_t code, std::string reason) override;
  /// The server's own goodbye: a close frame, and the handler is cancelled.
  void go_away();
  /// Says goodbye if nobody has, closes the stream and waits for the reader's end. Call last.
  Aw<void> finish();

 private:
  Aw<void> pump(std::string early);
  /// False when the connection is over.
  bool take(std::string_view bytes);
  Task<void> flush();
  void flush_soon();
  void send_close(std::uint16_t code, std::string_view reason);
  void end(Error why);
  void watch_silence();

  net::Loop& loop_;
  std::shared_ptr<void> owner_;
  net::Stream& stream_;
  CancelSource* cancel_;  ///< null after `finish`
  const std::chrono::milliseconds write_timeout_;
  WebSocketReader reader_;
  std::deque<Message> messages_;
  std::size_t queued_bytes_ = 0;
  std::string out_;  ///< frames to be written
  bool writing_ = false;
  bool writer_waits_ = false;
  bool pumping_ = false;
  bool close_sent_ = false;
  bool close_received_ = false;
  bool heard_ = true;  ///< anything since the last look
  std::optional<Error> ended_;
  net::Loop::Deadline silence_;
  net::Loop::Deadline goodbye_;  ///< how long the peer's own close is awaited
  net::Event arrived_;
  net::Event room_;
  net::Event flushed_;
  net::Event pump_done_;
};

}  // namespace asahi::http
