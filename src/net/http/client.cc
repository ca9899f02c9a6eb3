#include "net/http/client.h"

#include <fmt/format.h>

#include <cstring>

#include "net/http/ascii.h"
#include "net/http/connection_pool.h"
#include "net/http/response_parser.h"
#include "net/turn.h"

namespace asahi::http {

namespace asio = boost::asio;
using Steady = std::chrono::steady_clock;

struct Client::Impl {
  explicit Impl(std::shared_ptr<ConnectionPool> connections) : pool(std::move(connections)) {}
  std::shared_ptr<ConnectionPool> pool;
};

namespace {

constexpr std::size_t kReadBuffer = 8 * 1024;
constexpr std::size_t kJoinedBody = 16 * 1024;

/// Without a way out of the loop: the compiler looks at many bytes together.
bool breaks_line(std::string_view text) {
  unsigned char found = 0;
  for (const char c : text) {
    found |= static_cast<unsigned char>(static_cast<unsigned>(c == '\r') |
                                        static_cast<unsigned>(c == '\n') |
                                        static_cast<unsigned>(c == '\0'));
  }
  return found != 0;
}

/// The request's head, and its body too when that is small.
Result<std::string> compose(const ClientRequest& request) {
  for (const char c : request.target) {
    if (static_cast<unsigned char>(c) <= ' ' || c == 127) {
      return fail(Errc::kInvalidArgument,
                  "the request target holds a space or control character; percent-encode it");
    }
  }
  if (!request.target.starts_with('/')) {
    return fail(Errc::kInvalidArgument, "the request target must begin with '/'");
  }
  std::string out;
  out.reserve(512 + (request.body.size() <= kJoinedBody ? request.body.size() : 0));
  out += to_string(request.method);
  out += ' ';
  out += request.origin.base_path;
  out += request.target;
  out += " HTTP/1.1\r\nHost: ";
  const bool v6 = request.origin.host.find(':') != std::string::npos;
  if (v6) out += '[';
  out += request.origin.host.starts_with("unix:") ? std::string_view("localhost")
                                                  : std::string_view(request.origin.host);
  if (v6) out += ']';
  if (request.origin.port != (request.origin.tls ? 443 : 80)) {
    out += ':';
    out += std::to_string(request.origin.port);
  }
  out += "\r\n";
  for (const auto& [name, value] : request.headers) {
    if (iequals(name, "Host") || iequals(name, "Content-Length") || iequals(name, "Connection") ||
        iequals(name, "Transfer-Encoding")) {
      continue;
    }
    if (name.empty() || breaks_line(name) || name.find_first_of(" :") != std::string::npos ||
        breaks_line(value)) {
      return fail(Errc::kInvalidArgument,
                  "a request header holds a line break or is not a header name");
    }
    out += name;
    out += ": ";
    out += value;
    out += "\r\n";
  }
  if (!request.headers.has("User-Agent")) out += "User-Agent: asahi/" ASAHI_VERSION "\r\n";
  const bool has_body = !request.body.empty() || request.method == Method::kPost ||
                        request.method == Method::kPut || request.method == Method::kPatch;
  if (has_body) {
    out += "Content-Length: ";
    out += std::to_string(request.body.size());
    out += "\r\n";
  }
  out += "\r\n";
  if (request.body.size() <= kJoinedBody) out += request.body;
  return out;
}

/// True when a server that gets the request twice does its work once (RFC 9110 §9.2.2).
bool may_repeat(const ClientRequest& request) {
  switch (request.method) {
    case Method::kPost:
    case Method::kPatch:
    case Method::kOther:
      return request.headers.has("Idempotency-Key");
    default:
      return true;
  }
}

/// One call on one connection: sends, then hands the answer out as it comes.
class Exchange final : public ClientStream {
 public:
  Exchange(std::shared_ptr<ConnectionPool> pool, ConnectionPool::Lane& lane,
           std::unique_ptr<ClientConnection> connection, ResponseParser::RequestKind kind,
           const CallOptions& options)
      : pool_(std::move(pool)),
        lane_(lane),
        connection_(std::move(connection)),
        parser_(kind, pool_->options().max_header_bytes),
        options_(options) {
    if (options_.cancel != nullptr) {
      subscription_ = options_.cancel->on_cancel([this] {
        cancelled_ = true;
        stream().close();
      });
    }
    arm(options_.deadline);
  }

  ~Exchange() override {
    if (parser_.done() && parser_.keep_alive() && !interrupted()) {
      pool_->give_back(lane_, std::move(connection_));
    } else {
      pool_->discard(lane_, std::move(connection_));
    }
  }

  int status() const override { return parser_.status(); }
  const Headers& headers() const override { return parser_.headers(); }
  ResponseParser& parser() { return parser_; }

  /// True when the peer closed this pooled connection before it answered anything.
  bool went_stale() const {
    return connection_->reused && !answered_ && peer_left_ && !interrupted();
  }
  /// True when the peer may have got the whole request.
  bool sent_whole() const { return sent_whole_; }

  Task<void> start(const std::string& head, const std::string& body) {
    co_await net::after_the_ready();
    // Too large for the head's buffer: goes out behind it in the same call.
    const bool separate = body.size() > kJoinedBody;
    net::Gather pieces{asio::buffer(head), separate ? asio::buffer(body) : asio::const_buffer()};
    const std::size_t total = head.size() + (separate ? body.size() : 0);
    std::size_t sent = stream().try_write(pieces);
    Result<void> written;
    if (sent != total) {
      for (auto& piece : pieces) {
        const std::size_t part = std::min(sent, piece.size());
        piece += part;
        sent -= part;
      }
      expect_progress();
      written = co_await stream().write_all(pieces);
      silent_until_ = Steady::time_point::max();
    }
    sent_whole_ = written.has_value();
    if (interrupted()) co_return std::unexpected(interruption_error());
    // A server may refuse a large body early and hang up: its answer counts more than our broken
    // write.
    while (!parser_.head_done()) {
      if (connection_->buffer.empty() || needs_more_) {
        if (auto got = co_await receive(); !got) co_return std::unexpected(std::move(got).error());
      }
      auto taken = parser_.feed_head(connection_->buffer.view());
      if (!taken) co_return std::unexpected(std::move(taken).error());
      connection_->buffer.take(*taken);
      needs_more_ = !parser_.head_done();
    }
    needs_more_ = false;
    co_return Result<void>{};
  }

  Task<std::optional<std::string_view>> read() override {
    ByteBuffer& buffer = connection_->buffer;
    for (;;) {
      if (interrupted()) co_return std::unexpected(interruption_error());
      // What lies ready goes out as one piece: chunks are moved together over their framing.
      char* const begin = buffer.front();
      const std::string_view bytes = buffer.view();
      std::size_t taken = 0;
      std::size_t size = 0;
      while (taken < bytes.size() && !parser_.done()) {
        const auto step = parser_.next_body(bytes.substr(taken));
        if (!step) co_return std::unexpected(step.error());
        if (!step->piece.empty() && step->piece.data() != begin + size) {
          std::memmove(begin + size, step->piece.data(), step->piece.size());
        }
        size += step->piece.size();
        taken += step->taken;
      }
      buffer.take(taken);
      if (size > 0) co_return std::string_view(begin, size);
      if (parser_.done()) co_return std::nullopt;
      auto got = co_await receive();
      if (!got) co_return std::unexpected(std::move(got).error());
    }
  }

 private:
  net::Stream& stream() { return *connection_->stream; }
  bool interrupted() const { return timed_out_ || cancelled_; }

  Error interruption_error() const {
    if (cancelled_) return fail(Errc::kCancelled, "the call was cancelled").error();
    return fail(Errc::kTimeout, silence_ ? "the server was silent for too long"
                                         : "the server did not answer in time")
        .error();
  }

  /// Appends bytes to the buffer. An orderly end completes a body that lasts so long, else it is an
  /// error.
  Task<void> receive() {
    ByteBuffer& buffer = connection_->buffer;
    if (buffer.room_size() == 0 || buffer.capacity() == 0 ||
        buffer.size() * 2 < buffer.capacity()) {
      const bool full = buffer.size() == buffer.capacity();
      buffer.make_room(full ? std::max(kReadBuffer, buffer.capacity() * 2) : buffer.capacity());
    }
    expect_progress();
    const auto got = co_await stream().read_some(asio::buffer(buffer.room(), buffer.room_size()));
    silent_until_ = Steady::time_point::max();
    if (interrupted()) co_return std::unexpected(interruption_error());
    if (got && *got > 0) {
      answered_ = true;
      buffer.filled(*got);
      co_return Result<void>{};
    }
    peer_left_ = true;
    if (got && parser_.head_done()) co_return parser_.finish();
    auto failure =
        fail(Errc::kUpstream, "the server cut the connection before its answer was complete");
    failure.error().reason = "connection_cut";
    co_return failure;
  }

  // One timer for deadline and silence, moved only to an earlier time.
  void expect_progress() {
    silent_until_ = Steady::now() + options_.idle_timeout;
    arm(silent_until_);
  }

  void arm(Steady::time_point when) {
    if (when >= armed_) return;
    armed_ = when;
    timer_ = pool_->loop().at(when, [this] { on_timer(); });
  }

  void on_timer() {
    armed_ = Steady::time_point::max();
    const auto now = Steady::now();
    const auto due = std::min(options_.deadline, silent_until_);
    if (now < due) return arm(due);
    timed_out_ = true;
    silence_ = now < options_.deadline;
    stream().close();
  }

  std::shared_ptr<ConnectionPool> pool_;
  ConnectionPool::Lane& lane_;
  std::unique_ptr<ClientConnection> connection_;
  ResponseParser parser_;
  const CallOptions options_;
  CancelSource::Subscription subscription_;
  net::Loop::Deadline timer_;
  Steady::time_point armed_ = Steady::time_point::max();
  Steady::time_point silent_until_ = Steady::time_point::max();
  bool timed_out_ = false;
  bool cancelled_ = false;
  bool silence_ = false;
  bool sent_whole_ = false;
  bool answered_ = false;
  bool peer_left_ = false;
  bool needs_more_ = false;
};

Task<std::unique_ptr<Exchange>> begin(std::shared_ptr<ConnectionPool> pool,
                                      const ClientRequest& request, const CallOptions& options) {
  if (options.cancel != nullptr && options.cancel->cancelled()) {
    co_return fail(Errc::kCancelled, "the call was cancelled before it began");
  }
  ASAHI_CO_TRY(const std::string head, compose(request));
  const auto kind = request.method == Method::kHead ? ResponseParser::RequestKind::kHead
                                                    : ResponseParser::RequestKind::kOther;
  ConnectionPool::Lane& lane = pool->lane_of(request.origin);
  auto reuse = Reuse::kIdleOrNew;
  for (;;) {
    ASAHI_CO_TRY(auto connection, co_await pool->acquire(lane, request.origin, options, reuse));
    auto exchange = std::make_unique<Exchange>(pool, lane, std::move(connection), kind, options);
    auto started = co_await exchange->start(head, request.body);
    if (started) co_return std::move(exchange);
    if (!exchange->went_stale() || (exchange->sent_whole() && !may_repeat(request))) {
      co_return std::unexpected(std::move(started).error());
    }
    reuse = Reuse::kOnlyNew;
  }
}

}  // namespace

Client::Client(net::Loop& loop, ClientOptions options)
    : impl_(std::make_shared<Impl>(std::make_shared<ConnectionPool>(loop, std::move(options)))) {}

Client::~Client() { impl_->pool->shut_down(); }

Task<ClientResponse> Client::send(ClientRequest request, CallOptions options) {
  const auto pool = impl_->pool;
  ASAHI_CO_TRY(auto exchange, co_await begin(pool, request, options));
  ClientResponse response;
  response.status = exchange->status();
  const std::size_t limit = pool->options().max_response_bytes;
  const auto too_large = [limit] {
    auto failure =
        fail(Errc::kUpstream, fmt::format("the server's answer is larger than {} bytes", limit));
    failure.error().reason = "response_too_large";
    return failure;
  };
  if (const auto length = exchange->parser().content_length()) {
    if (*length > limit) co_return too_large();
    response.body.reserve(*length);
  }
  for (;;) {
    ASAHI_CO_TRY(const auto piece, co_await exchange->read());
    if (!piece) break;
    if (piece->size() > limit - response.body.size()) co_return too_large();
    response.body += *piece;
  }
  response.headers = exchange->parser().take_headers();
  co_return std::move(response);
}

Task<std::unique_ptr<ClientStream>> Client::open(ClientRequest request, CallOptions options) {
  const auto pool = impl_->pool;
  ASAHI_CO_TRY(auto exchange, co_await begin(pool, request, options));
  co_return std::move(exchange);
}

std::size_t Client::idle_connections() const { return impl_->pool->idle_connections(); }

}  // namespace asahi::http
