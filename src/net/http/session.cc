#include "net/http/session.h"

#include <fmt/format.h>

#include <utility>

#include "base/exception_text.h"
#include "base/ids.h"
#include "base/log.h"
#include "net/http/ascii.h"
#include "net/turn.h"
#include "net/websocket/connection.h"

namespace asahi::http {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kFirstBuffer = 4 * 1024;
constexpr std::size_t kBodyBuffer = 64 * 1024;
constexpr std::size_t kKeptBuffer = 16 * 1024;  ///< a larger one is given back between requests
constexpr std::size_t kJoinedBody = 16 * 1024;  ///< smaller bodies are copied behind their head
constexpr auto kSuspendedAfter = 10ms;
constexpr auto kStuckAfter = 500ms;
constexpr auto kLingerTime = 2s;
constexpr std::size_t kLingerBytes = 4 * 1024 * 1024;
constexpr std::size_t kMaxForeignId = 128;

const Logger& logger() {
  static const Logger instance("http");
  return instance;
}

std::size_t total_size(const net::Gather& pieces) {
  std::size_t total = 0;
  for (const auto& piece : pieces) total += piece.size();
  return total;
}

void advance(net::Gather& pieces, std::size_t bytes) {
  for (auto& piece : pieces) {
    const std::size_t part = std::min(bytes, piece.size());
    piece += part;
    bytes -= part;
  }
}

std::string_view body_of(const Response& response) {
  return response.shared_body ? std::string_view(*response.shared_body)
                              : std::string_view(response.body);
}

}  // namespace

/// Frames the pieces of a streamed body as chunks (RFC 9112 §7.1), or sends them as they are to
/// HTTP/1.0.
class Session::ChunkWriter final : public BodyWriter {
 public:
  ChunkWriter(Session& session, CancelSource& cancel, bool chunked)
      : session_(session), cancel_(cancel), chunked_(chunked) {}

  Task<void> write(std::string bytes) override {
    if (bytes.empty()) co_return Result<void>{};
    if (failed_ || cancel_.cancelled())
      co_return fail(Errc::kCancelled, "the client is no longer there");
    char size_line[20];
    net::Gather pieces{asio::buffer(bytes)};
    if (chunked_) {
      const auto end = fmt::format_to_n(size_line, sizeof size_line, "{:x}\r\n", bytes.size());
      pieces = {asio::const_buffer(size_line, end.size), asio::buffer(bytes),
                asio::const_buffer("\r\n", 2)};
    }
    const std::size_t total = total_size(pieces);
    const std::size_t sent = session_.stream_->try_write(pieces);
    if (sent != total) {
      advance(pieces, sent);
      if (!co_await session_.send(pieces)) {
        failed_ = true;
        cancel_.cancel();
        co_return fail(Errc::kCancelled, "the client went away or stopped reading");
      }
    }
    body_bytes_ += bytes.size();
    co_return Result<void>{};
  }

  bool failed() const { return failed_; }
  std::size_t body_bytes() const { return body_bytes_; }

 private:
  Session& session_;
  CancelSource& cancel_;
  const bool chunked_;
  bool failed_ = false;
  std::size_t body_bytes_ = 0;
};

Session::Session(std::shared_ptr<ServerSide> side, std::unique_ptr<net::Stream> stream,
                 ConnectionSlot slot)
    : side_(std::move(side)),
      state_(*side_->state),
      limits_(state_.options.limits),
      stream_(std::move(stream)),
      slot_(std::move(slot)),
      next_(side_->sessions),
      parser_({limits_.max_header_bytes, limits_.max_header_fields}),
      read_done_(side_->loop) {
  if (next_ != nullptr) next_->prev_ = this;
  side_->sessions = this;
  request_.remote_address = stream_->remote_address();
  request_.tls = state_.options.tls.has_value();
}

Session::~Session() {
  (prev_ != nullptr ? prev_->next_ : side_->sessions) = next_;
  if (next_ != nullptr) next_->prev_ = prev_;
}

Aw<void> Session::run() {
  After after = After::kNextRequest;
  auto idle_since = Steady::now();
  while (after == After::kNextRequest) {
    parser_.start(request_);
    phase_ = Phase::kIdle;
    head_sent_ = false;
    expire_at(idle_since + limits_.idle_timeout);

    // The head.
    std::expected<std::size_t, RequestFault> fed{0};
    bool alive = true;
    for (;;) {
      if (!buffer_.empty()) {
        fed = parser_.feed(buffer_.view());
        if (!fed) break;
        buffer_.take(*fed);
        if (parser_.head_done()) break;
        if (parser_.begun() && phase_ == Phase::kIdle) {
          phase_ = Phase::kHead;
          expire_at(Steady::now() + limits_.header_timeout);
        }
      }
      if (phase_ == Phase::kIdle && draining() && stream_->quiet()) {
        alive = false;  // only now: what has come before the drain is still answered
      } else if (reading_) {
        alive = co_await fill();
      } else {
        make_room();
        const auto got =
            co_await stream_->read_some(asio::buffer(buffer_.room(), buffer_.room_size()));
        alive = took(got);
      }
      if (std::exchange(look_again_, false) && !ended_ && !timed_out_) alive = true;
      if (!alive) break;
    }
    const auto received = Steady::now();
    if (!alive && timed_out_)
      fed = std::unexpected(RequestFault{408, "request_timeout", "the header took too long"});
    if (!fed) {
      co_await refuse(std::move(fed).error(), received);
      break;
    }
    if (!alive) break;

    CancelSource cancel;
    // However this request ends: who reads ahead must not reach for its source any more.
    struct End {
      Session& session;
      ~End() { session.end_handling(); }
    } const end{*this};
    Context context = make_context(cancel, received);
    const Route* route = nullptr;
    bool unread_body = false;
    std::optional<Response> response = early_answer(context, route, unread_body);

    // The body.
    if (!parser_.done() && !unread_body) {
      if (!buffer_.empty()) {
        fed = parser_.feed(buffer_.view());
        if (fed) buffer_.take(*fed);
      }
      if (fed && !parser_.done()) {
        if (auto fault = co_await read_body()) fed = std::unexpected(*std::move(fault));
      }
      if (!fed) {
        co_await refuse(std::move(fed).error(), received);
        break;
      }
      if (!parser_.done()) break;  // cut off
    }

    // The answer. Its time is the handler's and the writes' own.
    expiry_ = kNever;
    std::optional<ActiveSlot> slot;
    bool passed = response.has_value();
    if (!passed) passed = try_gate(context, *route, response);
    if (!response && passed && route->fast) response = fast_answer(context, *route);
    if (!response) {
      slot.emplace(state_);
      if (slot->granted() && !passed) {
        begin_handling(cancel, received, context.deadline);
        response = co_await pass_gate(context, *route);
        if (response) replace_if_overtaken(*response, context, *route);
        if (!response && route->fast) response = fast_answer(context, *route);
      }
      if (response) {
        // refused at the gate, or answered behind it
      } else if (slot->granted() && route->websocket) {
        // It may stay for days: it counts among the connections, not among the requests in work.
        slot.reset();
        response = co_await serve_websocket(context, *route, cancel);
        if (!response) break;
      } else if (slot->granted()) {
        if (cancel_ == nullptr) begin_handling(cancel, received, context.deadline);
        response = co_await handle(context, *route);
        replace_if_overtaken(*response, context, *route);
      } else {
        response = error_reply(503, Errc::kUnavailable, "service_unavailable",
                               "too many requests in flight; retry in a second", context, route);
      }
    }
    if (route != nullptr && (response->status < 200 || response->status > 999)) {
      // Its head would promise another answer or be none at all: the client would wait.
      response = exception_reply(
          context, *route, fmt::format("{} is no status of a final answer", response->status));
    }
    if (slot && !response->stream) co_await net::after_the_ready();
    if (answered_early_) {
      completed(context, 504, 0);
      break;
    }
    const bool streamed =
        response->stream && request_.method != Method::kHead && !has_no_body(response->status);
    const bool keep_alive = parser_.keep_alive() && !unread_body && !draining() && !ended_ &&
                            (!streamed || parser_.http_1_1());
    auto pieces = compose(*response, context, keep_alive);
    const std::size_t total = total_size(pieces);
    std::size_t body_bytes =
        streamed || request_.method == Method::kHead ? 0 : body_of(*response).size();
    head_sent_ = true;
    const std::size_t sent = stream_->try_write(pieces);
    bool delivered = sent == total;
    if (!delivered) {
      advance(pieces, sent);
      delivered = co_await send(pieces);
    }
    if (streamed && delivered) {
      if (cancel_ == nullptr) begin_handling(cancel, received, context.deadline);
      // A handler may have given its stream more time, or all there is.
      if (expiry_ != kNever) expiry_ = std::max(expiry_, context.deadline);
      delivered = co_await stream_body(response->stream, cancel, context, body_bytes);
    }
    const bool left = cancel_ != nullptr && ended_;
    end_handling();
    completed(context, left && !streamed ? 499 : response->status, body_bytes);

    if (!delivered || left) {
      after = After::kClose;
    } else if (!keep_alive) {
      after = unread_body || !buffer_.empty() ? After::kLinger : After::kClose;
    }
    idle_since = slot ? Steady::now() : received;
    if (request_.body.capacity() > kBodyBuffer) std::string().swap(request_.body);
    if (out_.capacity() > kBodyBuffer) std::string().swap(out_);
  }
  if (after == After::kLinger) co_await linger();
  stream_->close();
}

// --- reading ---

void Session::make_room() {
  if (buffer_.empty() && buffer_.capacity() > kKeptBuffer && phase_ == Phase::kIdle)
    buffer_.release();
  if (buffer_.empty()) buffer_.make_room(buffer_.capacity());
  if (buffer_.room_size() > 0 && buffer_.capacity() > 0 && phase_ != Phase::kBody) return;
  const std::size_t limit =
      std::max(kFirstBuffer, phase_ == Phase::kBody ? kBodyBuffer : limits_.max_header_bytes);
  const bool full = buffer_.size() * 2 > buffer_.capacity() || phase_ == Phase::kBody;
  buffer_.make_room(full ? std::max(buffer_.capacity(),
                                    std::min(limit, std::max(kFirstBuffer, buffer_.capacity() * 4)))
                         : std::max(buffer_.capacity(), kFirstBuffer));
}

bool Session::took(const Result<std::size_t>& got) {
  if (!got || *got == 0) {
    const bool called_back = look_again_ && !got && got.error().code == Errc::kCancelled;
    if (!timed_out_ && !called_back) ended_ = true;
    return false;
  }
  buffer_.filled(*got);
  return true;
}

Aw<bool> Session::fill() {
  if (reading_) {
    while (reading_) co_await read_done_.wait();
    co_return !ended_ && !timed_out_;
  }
  make_room();
  co_return took(co_await stream_->read_some(asio::buffer(buffer_.room(), buffer_.room_size())));
}

Aw<std::optional<RequestFault>> Session::read_body() {
  phase_ = Phase::kBody;
  expire_at(Steady::now() + limits_.body_timeout);
  if (parser_.expects_continue() && buffer_.empty()) {
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    if (!co_await send({asio::buffer(kContinue)})) co_return std::nullopt;
  }
  while (!parser_.done()) {
    if (!co_await fill()) {
      if (timed_out_) co_return RequestFault{408, "request_timeout", "the body took too long"};
      co_return std::nullopt;
    }
    const auto fed = parser_.feed(buffer_.view());
    if (!fed) co_return fed.error();
    buffer_.take(*fed);
  }
  co_return std::nullopt;
}

void Session::watch_peer() {
  if (reading_ || ended_) return;
  buffer_.make_room(std::max(buffer_.capacity(), buffer_.size() + kFirstBuffer));
  reading_ = true;
  read_done_.clear();
  side_->loop.spawn("http watch", [self = shared_from_this()] { return self->watch(); });
}

Aw<void> Session::watch() {
  // Reading on is how a disconnect shows. What a pipelining client sends meanwhile is kept for the
  // next request, up to the buffer's room; then its next bytes must wait, and so must the look at
  // its end.
  for (;;) {
    buffer_.make_room(buffer_.capacity());
    if (buffer_.room_size() == 0 || look_again_) break;
    const auto got = co_await stream_->read_some(asio::buffer(buffer_.room(), buffer_.room_size()));
    if (!took(got)) {
      if (cancel_ != nullptr) cancel_->cancel();
      break;
    }
    if (cancel_ == nullptr) break;  // the next request's bytes
  }
  reading_ = false;
  read_done_.set();
}

// --- answering ---

Context Session::make_context(CancelSource& cancel, Steady::time_point received) {
  Context context{request_, side_->loop, cancel, received + limits_.request_timeout, received, {},
                  {},       {},          {}};
  const std::string_view given = request_.headers.get("X-Request-Id");
  if (is_valid_request_id(given)) {
    context.request_id = given;
  } else {
    context.request_id = random_id("req_", 12);
    context.client_request_id = given.substr(0, kMaxForeignId);
  }
  return context;
}

std::optional<Response> Session::early_answer(Context& context, const Route*& route,
                                              bool& unread_body) {
  std::optional<Response> response = state_.head_writer.cors().preflight(request_);
  if (!response) {
    auto match = state_.router.match(request_.method, parser_.raw_path());
    route = match.route;
    context.path_params = std::move(match.params);
    if (route != nullptr) {
      context.route = route->pattern;
    } else if (match.allow.empty()) {
      response = error_reply(404, Errc::kNotFound, "not_found", "there is nothing at this path",
                             context, nullptr);
    } else {
      if (request_.method == Method::kOptions) {
        response.emplace().status = 204;
      } else {
        response = error_reply(405, Errc::kInvalidArgument, "method_not_allowed",
                               "this path does not take this method; it takes " + match.allow,
                               context, nullptr);
      }
      response->headers.set("Allow", std::move(match.allow));
    }
    if (state_.options.before) {
      if (auto instead = state_.options.before(context)) response = std::move(instead);
    }
  }
  if (parser_.done()) return response;
  const std::size_t max_body = route != nullptr && route->max_body_bytes > 0
                                   ? route->max_body_bytes
                                   : limits_.max_body_bytes;
  parser_.set_max_body_bytes(max_body);
  if (parser_.content_length() > max_body) {
    unread_body = true;
    response = error_reply(413, Errc::kTooLarge, "payload_too_large",
                           fmt::format("the body is {} bytes long; at most {} are accepted here",
                                       parser_.content_length(), max_body),
                           context, route);
  } else if (response && parser_.expects_continue()) {
    unread_body = true;  // the client waits for a word before it sends: this is the word
  }
  return response;
}

std::optional<Response> Session::fast_answer(Context& context, const Route& route) const {
  std::string what;
  try {
    return route.fast(context);
  } catch (...) {
    what = exception_text(std::current_exception());
  }
  return exception_reply(context, route, what);
}

bool Session::try_gate(Context& context, const Route& route,
                       std::optional<Response>& refusal) const {
  Gate* const gate = state_.options.gate;
  if (gate == nullptr) return true;
  std::string what;
  try {
    const auto verdict = gate->try_enter(context, route);
    if (!verdict) return false;
    if (!*verdict) refusal = write_error(verdict->error(), context, &route);
    return true;
  } catch (...) {
    what = exception_text(std::current_exception());
  }
  refusal = exception_reply(context, route, what);
  return true;
}

Aw<std::optional<Response>> Session::pass_gate(Context& context, const Route& route) {
  std::string what;
  try {
    const auto verdict = co_await state_.options.gate->enter(context, route);
    if (verdict) co_return std::nullopt;
    co_return write_error(verdict.error(), context, &route);
  } catch (...) {
    what = exception_text(std::current_exception());
  }
  co_return exception_reply(context, route, what);
}

Aw<Response> Session::handle(Context& context, const Route& route) {
  std::string what;
  try {
    if (route.handler) co_return co_await route.handler(context);
    what = "the route has no handler for what its fast handler passed on";
  } catch (...) {
    what = exception_text(std::current_exception());
  }
  co_return exception_reply(context, route, what);
}

void Session::report_exception(const Context& context, std::string_view what) const {
  if (state_.options.on_exception) {
    state_.options.on_exception(context, what);
  } else {
    logger().error("exception escaped a handler",
                   {{"route", context.route}, {"request_id", context.request_id}, {"error", what}});
  }
}

Response Session::exception_reply(const Context& context, const Route& route,
                                  std::string_view what) const {
  report_exception(context, what);
  return error_reply(500, Errc::kInternal, "", "internal error", context, &route);
}

Response Session::error_reply(int status, Errc code, std::string reason, std::string message,
                              const Context& context, const Route* route) const {
  Error error = fail(code, std::move(message)).error();
  error.reason = std::move(reason);
  if (status == 503) error.retry_after = 1s;
  Response response = write_error(error, context, route);
  response.status = status;
  return response;
}

Response Session::write_error(const Error& error, const Context& context,
                              const Route* route) const {
  const ErrorWriter& writer =
      route != nullptr && route->errors ? route->errors : state_.options.errors;
  return writer ? writer(error, context) : native_error(error, context);
}

void Session::replace_if_overtaken(Response& response, const Context& context,
                                   const Route& route) const {
  if (timed_out_) {
    response = error_reply(504, Errc::kTimeout, "deadline_exceeded",
                           "the request was not answered in time", context, &route);
  } else if (shutting_down_ && cancel_ != nullptr && cancel_->cancelled()) {
    response = error_reply(503, Errc::kUnavailable, "service_unavailable",
                           "the server is shutting down", context, &route);
  }
}

net::Gather Session::compose(const Response& response, const Context& context, bool keep_alive) {
  const std::string_view body = body_of(response);
  ReplyFrame frame;
  frame.body_bytes = body.size();
  frame.keep_alive = keep_alive;
  frame.http_1_1 = parser_.http_1_1();
  frame.request_id = context.request_id;
  frame.date_field = side_->date.now();
  frame.extra = &context.reply_headers;
  frame.limits = context.limits;
  if (has_no_body(response.status)) {
    frame.framing = BodyFraming::kNone;
  } else if (response.stream) {
    frame.framing = frame.http_1_1 ? BodyFraming::kChunked : BodyFraming::kToClose;
  }
  out_.clear();
  state_.head_writer.append(out_, response, frame, request_);
  if (frame.framing != BodyFraming::kLength || request_.method == Method::kHead)
    return {asio::buffer(out_)};
  if (body.size() <= kJoinedBody) {
    out_ += body;
    return {asio::buffer(out_)};
  }
  return {asio::buffer(out_), asio::buffer(body)};
}

Aw<bool> Session::send(net::Gather pieces) {
  write_expiry_ = Steady::now() + limits_.write_timeout;
  arm(write_expiry_);
  const auto sent = co_await stream_->write_all(pieces);
  write_expiry_ = kNever;
  if (!sent) ended_ = true;
  co_return sent.has_value();
}

Aw<bool> Session::stream_body(BodyStream& body, CancelSource& cancel, const Context& context,
                              std::size_t& body_bytes) {
  ChunkWriter writer(*this, cancel, parser_.http_1_1());
  std::string what;
  bool whole = false;
  try {
    const auto outcome = co_await body(writer);
    whole = outcome.has_value() && !writer.failed() && !timed_out_;
  } catch (...) {
    what = exception_text(std::current_exception());
  }
  body_bytes = writer.body_bytes();
  if (!what.empty()) report_exception(context, what);
  if (whole && parser_.http_1_1()) {
    static constexpr std::string_view kLastChunk = "0\r\n\r\n";
    net::Gather pieces{asio::buffer(kLastChunk)};
    const std::size_t sent = stream_->try_write(pieces);
    advance(pieces, sent);
    if (sent != kLastChunk.size()) whole = co_await send(pieces);
  }
  co_return whole;
}

Aw<void> Session::refuse(RequestFault fault, Steady::time_point received) {
  CancelSource cancel;
  Context context = make_context(cancel, received);
  Errc code = Errc::kInvalidArgument;
  if (fault.status == 408) code = Errc::kTimeout;
  if (fault.status == 413) code = Errc::kTooLarge;
  const Response response = error_reply(fault.status, code, std::move(fault.reason),
                                        std::move(fault.message), context, nullptr);
  timed_out_ = false;
  expiry_ = kNever;
  const bool sent = co_await send(compose(response, context, false));
  completed(context, response.status, response.body.size());
  if (sent) co_await linger();
}

Aw<std::optional<Response>> Session::serve_websocket(Context& context, const Route& route,
                                                     CancelSource& cancel) {
  auto accept = parser_.http_1_1() ? accept_websocket(request_)
                                   : fail(Errc::kInvalidArgument, "a WebSocket needs HTTP/1.1");
  if (!accept) {
    Response refusal = error_reply(426, Errc::kInvalidArgument, "upgrade_required",
                                   std::move(accept).error().message, context, &route);
    refusal.headers.set("Upgrade", "websocket");
    refusal.headers.set("Sec-WebSocket-Version", "13");
    co_return refusal;
  }
  if (reading_) {
    // A look-ahead for an earlier request is still reading; from here on the WebSocket does.
    timed_out_ = true;
    stream_->interrupt();
    while (reading_) co_await read_done_.wait();
    timed_out_ = false;
  }
  const std::string head = fmt::format(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Accept: {}\r\nX-Request-Id: {}\r\n\r\n",
      *accept, context.request_id);
  if (!co_await send({asio::buffer(head)})) co_return std::nullopt;
  head_sent_ = true;
  phase_ = Phase::kHandling;
  expiry_ = context.deadline = kNever;
  cancel_ = &cancel;
  const auto socket = std::make_shared<ServerWebSocket>(side_->loop, shared_from_this(), *stream_,
                                                        cancel, limits_.write_timeout);
  websocket_ = socket.get();
  socket->start(std::string(buffer_.view()));
  buffer_.take(buffer_.size());
  if (draining()) socket->go_away();
  std::string what;
  try {
    co_await route.websocket(context, *socket);
  } catch (...) {
    what = exception_text(std::current_exception());
  }
  if (!what.empty()) report_exception(context, what);
  co_await socket->finish();
  websocket_ = nullptr;
  end_handling();
  completed(context, 101, 0);
  co_return std::nullopt;
}

Aw<void> Session::linger() {
  // Closing with unread bytes would reset the connection and take the answer away from the client.
  phase_ = Phase::kLingering;
  timed_out_ = false;
  expire_at(Steady::now() + kLingerTime);
  stream_->shutdown_write();
  std::size_t dropped = 0;
  while (dropped < kLingerBytes) {
    dropped += buffer_.size();
    buffer_.take(buffer_.size());
    if (!co_await fill()) break;
  }
}

void Session::completed(const Context& context, int status, std::size_t body_bytes) const {
  if (state_.options.on_complete) state_.options.on_complete(context, status, body_bytes);
}

// --- time and shutdown ---

void Session::begin_handling(CancelSource& cancel, Steady::time_point now,
                             Steady::time_point deadline) {
  phase_ = Phase::kHandling;
  cancel_ = &cancel;
  watch_at_ = now + kSuspendedAfter;
  expiry_ = deadline;
  arm(std::min(watch_at_, expiry_));
}

void Session::end_handling() {
  cancel_ = nullptr;
  watch_at_ = give_up_at_ = kNever;
  phase_ = Phase::kIdle;
  timed_out_ = false;
}

void Session::expire_at(Steady::time_point when) {
  expiry_ = when;
  arm(when);
}

void Session::arm(Steady::time_point when) {
  if (when >= armed_) return;
  armed_ = when;
  timer_ = side_->loop.at(when, [this] { on_timer(); });
}

void Session::on_timer() {
  const auto self = shared_from_this();
  armed_ = kNever;
  const auto now = Steady::now();
  if (now >= watch_at_) {
    watch_at_ = kNever;
    watch_peer();
  }
  if (now >= write_expiry_) {
    write_expiry_ = kNever;
    stream_->close();
  }
  if (now >= give_up_at_) {
    give_up_at_ = kNever;
    answer_for_stuck_handler();
  }
  if (now >= expiry_) {
    expiry_ = kNever;
    on_expiry();
  }
  const auto next = std::min({watch_at_, write_expiry_, give_up_at_, expiry_});
  if (next != kNever) arm(next);
}

void Session::on_expiry() {
  switch (phase_) {
    case Phase::kHead:
    case Phase::kBody:
      timed_out_ = true;
      stream_->interrupt();
      break;
    case Phase::kHandling:
      timed_out_ = true;
      if (!head_sent_) give_up_at_ = Steady::now() + kStuckAfter;
      cancel_->cancel();
      break;
    case Phase::kIdle:
    case Phase::kLingering:
      stream_->close();
      break;
  }
}

void Session::answer_for_stuck_handler() {
  if (head_sent_ || cancel_ == nullptr) return;
  answered_early_ = true;
  stream_->try_write({asio::buffer(std::string_view(
      "HTTP/1.1 504 Gateway Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"))});
  stream_->shutdown_write();
}

void Session::drain() {
  if (websocket_ != nullptr) websocket_->go_away();
  if (phase_ != Phase::kIdle || !buffer_.empty() || parser_.begun()) return;
  look_again_ = true;
  stream_->interrupt();
}

void Session::cancel_for_shutdown() {
  shutting_down_ = true;
  if (cancel_ != nullptr) {
    cancel_->cancel();
  } else {
    stream_->close();
  }
}

void Session::abort() {
  if (cancel_ != nullptr) cancel_->cancel();
  stream_->close();
}

}  // namespace asahi::http
