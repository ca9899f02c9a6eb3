#include "memory/http/live.h"

#include <deque>
#include <utility>

#include "base/ids.h"
#include "identity/principal.h"
#include "memory/http/reach.h"
#include "net/event.h"
#include "net/loop.h"

namespace asahi::memory {
namespace {

constexpr std::uint16_t kPolicyViolation = 1008;
constexpr std::uint16_t kTryAgainLater = 1013;
/// Answers that may wait for a peer that sends but does not read.
constexpr std::size_t kMaxWaiting = 1000;

}  // namespace

bool is_same_host(std::string_view origin, std::string_view host) {
  if (origin.empty()) return true;
  const auto at = origin.find("://");
  return at != std::string_view::npos && origin.substr(at + 3) == host;
}

/// What reader and writer of one connection share. Of its loop, but for the hub's signal.
struct Live::Connection {
  explicit Connection(net::Loop& at) : loop(at), wake(at), written(at) {}
  net::Loop& loop;
  net::Event wake;     ///< there is something to write, or to end
  net::Event written;  ///< the writer is done
  std::unique_ptr<LiveProtocol> protocol;
  std::deque<std::string> frames;
  std::optional<std::pair<std::uint16_t, std::string>> close;
  bool over = false;
  net::Loop::Deadline patience;  ///< for the token, and then until the next look at it
  bool time_is_up = false;

  void take(LiveProtocol::Actions& actions) {
    for (std::string& frame : actions.frames) frames.push_back(std::move(frame));
    if (actions.close && !close) close = std::move(actions.close);
    if (frames.size() > kMaxWaiting && !close) close = {kPolicyViolation, "answers are not read"};
    wake.set();
  }
};

void Live::add_routes(http::Router& router, const std::string& mount) {
  for (const char* version : {"", "/api/v1"}) add_route(router, version + mount + "/ws");
}

void Live::add_route(http::Router& router, std::string pattern) {
  http::Route route{.method = http::Method::kGet, .pattern = std::move(pattern)};
  route.websocket = [this](http::Context& context, http::WebSocket& socket) {
    return serve(context, socket);
  };
  route.access = "public";  // the protocol asks for the credential itself
  router.add(std::move(route));
}

Aw<std::optional<Listener>> Live::listener_of(http::Context& context) const {
  if (parts_.gate != nullptr) {
    static const http::Route kRoute{
        .method = http::Method::kGet, .pattern = "/ws", .access = "authenticated"};
    context.caller.reset();
    auto entered = parts_.gate->try_enter(context, kRoute);
    if (!entered) entered = co_await parts_.gate->enter(context, kRoute);
    if (!*entered) co_return std::nullopt;
  }
  const identity::Principal& caller = identity::principal_of(context);
  co_return Listener{.reach = reach_of(context),
                     .may_read = caller.may(identity::Permission::kQuerySearch)};
}

void Live::wait_patiently(const std::shared_ptr<Connection>& connection) const {
  const auto time =
      connection->protocol->is_authenticated() ? options_.check_again : options_.auth_timeout;
  connection->patience =
      connection->loop.at(std::chrono::steady_clock::now() + time, [raw = connection.get()] {
        raw->time_is_up = true;
        raw->wake.set();
      });
}

Aw<void> Live::look_again(const std::shared_ptr<Connection>& connection, http::Context& context) {
  connection->time_is_up = false;
  LiveProtocol& protocol = *connection->protocol;
  LiveProtocol::Actions actions;
  if (!protocol.is_authenticated()) {
    actions = protocol.waited_too_long();
  } else if (!co_await listener_of(context)) {
    actions = protocol.expired();
  }
  connection->take(actions);
  wait_patiently(connection);
}

Aw<void> Live::write(std::shared_ptr<Connection> connection, http::WebSocket& socket,
                     http::Context& context) {
  while (!connection->over) {
    while (!connection->frames.empty() && !connection->over) {
      std::string next = std::move(connection->frames.front());
      connection->frames.pop_front();
      if (!co_await socket.write({.text = true, .data = std::move(next)})) connection->over = true;
    }
    if (connection->over) break;
    if (connection->close) {
      (void)co_await socket.close(connection->close->first, connection->close->second);
      break;
    }
    if (connection->time_is_up) co_await look_again(connection, context);
    for (std::string& event : connection->protocol->events())
      connection->frames.push_back(std::move(event));
    if (connection->frames.empty() && !connection->close && !connection->over)
      co_await connection->wake.wait();
  }
  connection->over = true;
  connection->patience.reset();
  connection->written.set();
}

Aw<void> Live::serve(http::Context& context, http::WebSocket& socket) {
  struct Counted {
    explicit Counted(std::atomic<std::size_t>& all) : count(all), mine(count.fetch_add(1)) {}
    ~Counted() { count.fetch_sub(1); }
    std::atomic<std::size_t>& count;
    const std::size_t mine;
  } const counted(connections_);
  if (counted.mine >= options_.max_connections) {
    (void)co_await socket.close(kTryAgainLater, "too many connections");
    co_return;
  }
  http::Headers& headers = context.request.headers;
  if (!is_same_host(headers.get("origin"), headers.get("host"))) {
    (void)co_await socket.close(kPolicyViolation, "another site's page");
    co_return;
  }
  headers.remove("cookie");
  const auto connection = std::make_shared<Connection>(context.loop);
  const auto join = [this, connection = std::weak_ptr(connection),
                     &loop = context.loop](const Reach& reach) {
    return parts_.hub.join(reach, [connection, &loop] {
      loop.post([connection] {
        if (const auto alive = connection.lock()) alive->wake.set();
      });
    });
  };
  connection->protocol = std::make_unique<LiveProtocol>(
      parts_.hub, parts_.clock, join,
      LiveProtocol::Options{.connection_id = random_id("ws_", 16),
                            .server = parts_.server,
                            .secure = context.request.tls,
                            .messages_per_second = options_.messages_per_second});
  LiveProtocol& protocol = *connection->protocol;

  std::optional<Listener> known;
  if (!options_.auth_required || headers.has("authorization") || headers.has("x-api-key"))
    known = co_await listener_of(context);
  LiveProtocol::Actions first = protocol.start(std::move(known));
  connection->take(first);
  wait_patiently(connection);
  context.loop.spawn("live events", write(connection, socket, context));

  while (!connection->over) {
    auto message = co_await socket.read();
    if (!message || connection->over) break;
    LiveProtocol::Actions actions = protocol.receive(message->data);
    if (actions.authenticate) {
      headers.remove("x-api-key");
      headers.set("Authorization", "Bearer " + *actions.authenticate);
      std::optional<Listener> named = co_await listener_of(context);
      LiveProtocol::Actions outcome = protocol.authenticated(std::move(named));
      wait_patiently(connection);
      for (std::string& frame : outcome.frames) actions.frames.push_back(std::move(frame));
      actions.close = std::move(outcome.close);
    }
    connection->take(actions);
  }
  // The writer uses the socket and the request: it ends first.
  connection->over = true;
  connection->wake.set();
  co_await connection->written.wait();
}

}  // namespace asahi::memory
