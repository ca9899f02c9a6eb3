#pragma once
// Inside net/http only: one connection of a server.

#include <memory>
#include <optional>
#include <string>

#include "net/event.h"
#include "net/http/byte_buffer.h"
#include "net/http/request_parser.h"
#include "net/http/server_state.h"
#include "net/stream.h"

namespace asahi::http {

class ServerWebSocket;

/// Serves the requests of one connection in turn. Owned by its own coroutines (`run`, and `watch`
/// while a handler is suspended). Loop thread only.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(std::shared_ptr<ServerSide> side, std::unique_ptr<net::Stream> stream,
          ConnectionSlot slot);
  ~Session();

  /// The connection from its first byte to its last.
  Aw<void> run();
  /// Closes an idle connection on which nothing waits to be read; a busy one closes behind its
  /// answer. WebSockets are told to go.
  void drain();
  /// Cancels the request in hand.
  void cancel_for_shutdown();
  /// Closes at once, whatever is going on.
  void abort();

  Session* next() const { return next_; }

 private:
  class ChunkWriter;
  using Steady = std::chrono::steady_clock;
  static constexpr auto kNever = Steady::time_point::max();

  enum class Phase : std::uint8_t { kIdle, kHead, kBody, kHandling, kLingering };
  enum class After : std::uint8_t { kNextRequest, kClose, kLinger };

  // Reading.
  void make_room();
  bool took(const Result<std::size_t>& got);
  /// Reads more bytes; false when the connection is over or a timeout struck (`timed_out_`).
  Aw<bool> fill();
  Aw<std::optional<RequestFault>> read_body();
  void watch_peer();
  Aw<void> watch();

  // Answering.
  /// What is known without a handler: CORS preflight, unknown path, wrong method, a body that is
  /// too long.
  std::optional<Response> early_answer(Context& context, const Route*& route, bool& unread_body);
  /// Asks the gate; false when it wants to suspend. A refusal goes to `refusal`.
  bool try_gate(Context& context, const Route& route, std::optional<Response>& refusal) const;
  Aw<std::optional<Response>> pass_gate(Context& context, const Route& route);
  std::optional<Response> fast_answer(Context& context, const Route& route) const;
  Aw<Response> handle(Context& context, const Route& route);
  /// What the client gets when the handler's answer came too late or in the server's last moments.
  void replace_if_overtaken(Response& response, const Context& context, const Route& route) const;
  Response error_reply(int status, Errc code, std::string reason, std::string message,
                       const Context& context, const Route* route) const;
  Response write_error(const Error& error, const Context& context, const Route* route) const;
  void report_exception(const Context& context, std::string_view what) const;
  Response exception_reply(const Context& context, const Route& route, std::string_view what) const;
  /// Composes the head into `out_`; the pieces stay valid as long as `response`.
  net::Gather compose(const Response& response, const Context& context, bool keep_alive);
  Aw<bool> send(net::Gather pieces);
  Aw<bool> stream_body(BodyStream& body, CancelSource& cancel, const Context& context,
                       std::size_t& body_bytes);
  Aw<void> refuse(RequestFault fault, Steady::time_point received);
  Aw<void> linger();
  /// Upgrades and runs the handler; a refusal when the request is no WebSocket handshake.
  Aw<std::optional<Response>> serve_websocket(Context& context, const Route& route,
                                              CancelSource& cancel);
  Context make_context(CancelSource& cancel, Steady::time_point received);
  void completed(const Context& context, int status, std::size_t body_bytes) const;
  bool draining() const { return state_.draining.load(std::memory_order_relaxed); }

  // One timer for everything: it is only moved to an earlier time, and looks around when it fires.
  void expire_at(Steady::time_point when);
  void arm(Steady::time_point when);
  void on_timer();
  void on_expiry();
  void answer_for_stuck_handler();
  void begin_handling(CancelSource& cancel, Steady::time_point now, Steady::time_point deadline);
  void end_handling();

  std::shared_ptr<ServerSide> side_;
  ServerState& state_;
  const ServerLimits& limits_;
  std::unique_ptr<net::Stream> stream_;
  ConnectionSlot slot_;
  Session* prev_ = nullptr;
  Session* next_ = nullptr;

  ByteBuffer buffer_;
  RequestParser parser_;
  Request request_;
  std::string out_;

  net::Loop::Deadline timer_;
  Steady::time_point armed_ = kNever;
  Steady::time_point expiry_ = kNever;        ///< of the phase
  Steady::time_point watch_at_ = kNever;      ///< when a handler counts as suspended
  Steady::time_point write_expiry_ = kNever;  ///< of a write that the peer does not take
  Steady::time_point give_up_at_ = kNever;    ///< for a handler that ignores its cancellation

  Phase phase_ = Phase::kIdle;
  bool timed_out_ = false;
  bool ended_ = false;           ///< the peer has closed or the connection broke
  bool look_again_ = false;      ///< the drain has called an idle connection's read back
  bool reading_ = false;         ///< `watch` has a read in flight into `buffer_`
  bool answered_early_ = false;  ///< the 504 went out while the handler was still running
  bool head_sent_ = false;
  bool shutting_down_ = false;
  CancelSource* cancel_ = nullptr;  ///< of the handler in flight
  ServerWebSocket* websocket_ = nullptr;
  net::Event read_done_;
};

}  // namespace asahi::http
