#include "net/websocket/connection.h"

namespace asahi::http {

namespace asio = boost::asio;
using Steady = std::chrono::steady_clock;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kMaxMessage = 1024 * 1024;
constexpr std::size_t kMaxQueued = 16;  ///< messages that the handler has not read
constexpr std::size_t kMaxQueuedBytes = 2 * kMaxMessage;
constexpr std::size_t kReadBuffer = 4 * 1024;
constexpr std::size_t kMaxPendingControl =
    64 * 1024;  ///< pongs for a peer that sends pings but does not read
constexpr auto kPingAfter = 30s;
constexpr auto kCloseWait = 2s;

}  // namespace

ServerWebSocket::ServerWebSocket(net::Loop& loop, std::shared_ptr<void> owner, net::Stream& stream,
                                 CancelSource& cancel, std::chrono::milliseconds write_timeout)
    : loop_(loop),
      owner_(std::move(owner)),
      stream_(stream),
      cancel_(&cancel),
      write_timeout_(write_timeout),
      reader_(kMaxMessage),
      arrived_(loop),
      room_(loop),
      flushed_(loop),
      pump_done_(loop) {}

void ServerWebSocket::start(std::string early) {
  pumping_ = true;
  watch_silence();
  loop_.spawn("websocket",
              [self = shared_from_this(), early = std::move(early)] { return self->pump(early); });
}

Aw<void> ServerWebSocket::pump(std::string early) {
  std::string buffer(kReadBuffer, '\0');
  bool open = early.empty() || take(early);
  while (open) {
    while (!ended_ && (messages_.size() >= kMaxQueued || queued_bytes_ > kMaxQueuedBytes))
      co_await room_.wait();
    if (ended_) break;
    const auto got = co_await stream_.read_some(asio::buffer(buffer));
    heard_ = true;
    if (!got || *got == 0) {
      end(fail(Errc::kCancelled, "the WebSocket's peer is gone").error());
      break;
    }
    open = take(std::string_view(buffer).substr(0, *got));
  }
  pumping_ = false;
  pump_done_.set();
}

bool ServerWebSocket::take(std::string_view bytes) {
  std::vector<WebSocketEvent> events;
  const auto fed = reader_.feed(bytes, events);
  for (auto& event : events) {
    switch (event.kind) {
      case WebSocketEvent::Kind::kText:
      case WebSocketEvent::Kind::kBinary:
        queued_bytes_ += event.data.size();
        messages_.push_back({event.kind == WebSocketEvent::Kind::kText, std::move(event.data)});
        arrived_.set();
        break;
      case WebSocketEvent::Kind::kPing:
        if (close_sent_) break;
        if (out_.size() > kMaxPendingControl) {
          end(fail(Errc::kCancelled, "the WebSocket's peer does not read").error());
          return false;
        }
        append_frame(out_, WebSocketEvent::Kind::kPong, event.data);
        flush_soon();
        break;
      case WebSocketEvent::Kind::kPong:
        break;
      case WebSocketEvent::Kind::kClose:
        close_received_ = true;
        send_close(event.code == close_code::kNoStatus ? close_code::kNormal : event.code, "");
        end(fail(Errc::kCancelled, "the peer closed the WebSocket").error());
        return false;
    }
  }
  if (!fed) {
    send_close(fed.error(), "");
    end(fed.error() == close_code::kTooBig
            ? fail(Errc::kTooLarge, "a WebSocket message may have 1 MiB").error()
            : fail(Errc::kCancelled, "the peer broke the WebSocket protocol").error());
    return false;
  }
  return true;
}

Task<WebSocket::Message> ServerWebSocket::read() {
  while (messages_.empty()) {
    if (ended_) co_return std::unexpected(*ended_);
    co_await arrived_.wait();
  }
  Message message = std::move(messages_.front());
  messages_.pop_front();
  queued_bytes_ -= message.data.size();
  room_.set();
  co_return std::move(message);
}

Task<void> ServerWebSocket::write(Message message) {
  if (ended_) co_return std::unexpected(*ended_);
  if (close_sent_) co_return fail(Errc::kCancelled, "the WebSocket is closing");
  append_frame(out_, message.text ? WebSocketEvent::Kind::kText : WebSocketEvent::Kind::kBinary,
               message.data);
  co_return co_await flush();
}

/// Writes `out_` until it is empty; who comes while another writes waits for that one, which takes
/// all.
Task<void> ServerWebSocket::flush() {
  if (writing_) {
    writer_waits_ = true;
    while (writing_) co_await flushed_.wait();
    writer_waits_ = false;
    if (ended_ && !out_.empty()) co_return std::unexpected(*ended_);
    if (out_.empty()) co_return Result<void>{};
  }
  writing_ = true;
  Result<void> written;
  while (!out_.empty() && written) {
    const std::string bytes = std::exchange(out_, {});
    const auto late = loop_.at(Steady::now() + write_timeout_, [this] { stream_.close(); });
    written = co_await stream_.write(asio::buffer(bytes));
  }
  writing_ = false;
  if (writer_waits_) flushed_.set();
  if (!written) {
    end(fail(Errc::kCancelled, "the WebSocket's peer is gone or does not read").error());
    co_return std::unexpected(*ended_);
  }
  co_return Result<void>{};
}

void ServerWebSocket::flush_soon() {
  if (writing_) return;  // goes out with what is being written
  loop_.spawn("websocket write", [self = shared_from_this()]() -> Aw<void> {
    if (!self->writing_) co_await self->flush();
  });
}

void ServerWebSocket::send_close(std::uint16_t code, std::string_view reason) {
  if (std::exchange(close_sent_, true)) return;
  append_close_frame(out_, code, reason);
  flush_soon();
}

Task<void> ServerWebSocket::close(std::uint16_t code, std::string reason) {
  send_close(code, reason);
  // A peer that does not answer must not keep the handler that waits in `read`.
  goodbye_ = loop_.at(Steady::now() + kCloseWait, [this] {
    end(fail(Errc::kCancelled, "the peer did not close the WebSocket in time").error());
  });
  if (!ended_) co_return co_await flush();
  co_return Result<void>{};
}

void ServerWebSocket::go_away() {
  send_close(close_code::kGoingAway, "");
  end(fail(Errc::kCancelled, "the server is shutting down").error());
}

void ServerWebSocket::end(Error why) {
  if (ended_) return;
  ended_ = std::move(why);
  arrived_.set();
  room_.set();
  if (cancel_ != nullptr) cancel_->cancel();
}

Aw<void> ServerWebSocket::finish() {
  send_close(close_code::kNormal, "");
  // The goodbye goes out, and the peer's own is awaited a moment, so that it sees a clean end.
  const auto give_up = loop_.at(Steady::now() + kCloseWait, [this] { stream_.close(); });
  co_await flush();
  silence_.reset();
  if (close_received_ || !pumping_) stream_.close();
  while (pumping_) {
    // What the peer still sends is dropped.
    messages_.clear();
    queued_bytes_ = 0;
    room_.set();
    co_await pump_done_.wait();
  }
  stream_.close();
  cancel_ = nullptr;
}

void ServerWebSocket::watch_silence() {
  silence_ = loop_.at(Steady::now() + kPingAfter, [this] {
    if (!heard_) {
      end(fail(Errc::kCancelled, "the WebSocket's peer has vanished").error());
      stream_.close();
      return;
    }
    heard_ = false;
    if (!close_sent_) {
      append_frame(out_, WebSocketEvent::Kind::kPing, "");
      flush_soon();
    }
    watch_silence();
  });
}

}  // namespace asahi::http
