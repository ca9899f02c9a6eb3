#include "net/http/server.h"

#include <fmt/format.h>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>

#include "base/log.h"
#include "net/http/session.h"
#include "net/socket.h"

namespace asahi::http {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;
using TcpSocket = asio::basic_stream_socket<tcp, IoExecutor>;
using Acceptor = asio::basic_socket_acceptor<tcp, IoExecutor>;
using ReusePort = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;
using Steady = std::chrono::steady_clock;
using namespace std::chrono_literals;

namespace {

constexpr int kBacklog = 1024;
constexpr auto kAcceptPause = 50ms;
constexpr auto kForcedEnd = 2s;

const Logger& logger() {
  static const Logger instance("http");
  return instance;
}

/// One loop's listening socket and what hangs on it. Its accept coroutine owns it.
struct Listener {
  Listener(net::Loop& loop, const std::shared_ptr<ServerState>& state)
      : side(std::make_shared<ServerSide>(loop, state)), acceptor(loop.executor()) {}
  std::shared_ptr<ServerSide> side;
  Acceptor acceptor;
};

Result<std::shared_ptr<Listener>> listen(net::Loop& loop, const std::shared_ptr<ServerState>& state,
                                         const tcp::endpoint& endpoint) {
  auto listener = std::make_shared<Listener>(loop, state);
  boost::system::error_code error;
  Acceptor& acceptor = listener->acceptor;
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) acceptor.set_option(ReusePort(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(kBacklog, error);
  if (error) {
    return fail(Errc::kUnavailable,
                fmt::format("cannot listen on {} port {}: {}; stop what uses it or choose another",
                            endpoint.address().to_string(), endpoint.port(), error.message()));
  }
  return listener;
}

/// Another process must not share our port by SO_REUSEPORT unnoticed: a plain bind shows whether it
/// is free.
Result<void> check_free(const tcp::endpoint& endpoint) {
  asio::io_context io;
  Acceptor probe(io.get_executor());
  boost::system::error_code error;
  probe.open(endpoint.protocol(), error);
  if (!error) probe.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) probe.bind(endpoint, error);
  if (error) {
    return fail(Errc::kUnavailable,
                fmt::format("cannot listen on {} port {}: {}; stop what uses it or choose another",
                            endpoint.address().to_string(), endpoint.port(), error.message()));
  }
  return {};
}

void refuse_connection(std::unique_ptr<net::Stream> stream) {
  constexpr std::string_view kBody =
      "{\"error\":\"service_unavailable\",\"message\":\"too many connections\",\"details\":{}}";
  const std::string full = fmt::format(
      "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
      "Connection: close\r\nContent-Length: {}\r\n\r\n{}",
      kBody.size(), kBody);
  stream->try_write({asio::buffer(full)});
  stream->shutdown_write();
}

Aw<void> serve(std::shared_ptr<ServerSide> side, net::Socket socket, std::string remote,
               ConnectionSlot slot, std::shared_ptr<const net::TlsContext> tls) {
  std::unique_ptr<net::Stream> stream;
  if (tls) {
    const auto deadline = Steady::now() + side->state->options.limits.header_timeout;
    auto secured = co_await net::accept_tls(side->loop, std::move(socket), std::move(remote),
                                            std::move(tls), deadline);
    if (!secured) co_return;  // a failed handshake is the client's affair
    stream = *std::move(secured);
  } else {
    stream = net::make_plain_stream(std::move(socket), std::move(remote));
  }
  const auto session =
      std::make_shared<Session>(std::move(side), std::move(stream), std::move(slot));
  co_await session->run();
}

void start_connection(const std::shared_ptr<ServerSide>& side, net::Socket socket,
                      const tcp::endpoint& peer) {
  ServerState& state = *side->state;
  boost::system::error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  std::string remote =
      peer.address().is_v6() && peer.address().to_v6().is_v4_mapped()
          ? asio::ip::make_address_v4(asio::ip::v4_mapped, peer.address().to_v6()).to_string()
          : peer.address().to_string();
  ConnectionSlot slot(side->state);
  if (state.connections.load(std::memory_order_relaxed) > state.options.limits.max_connections) {
    refuse_connection(net::make_plain_stream(std::move(socket), std::move(remote)));
    return;
  }
  std::shared_ptr<const net::TlsContext> tls;
  if (state.options.tls) tls = state.current_tls();
  side->loop.spawn("http session", serve(side, std::move(socket), std::move(remote),
                                         std::move(slot), std::move(tls)));
}

Aw<void> accept_all(std::shared_ptr<Listener> listener) {
  const auto side = listener->side;
  while (listener->acceptor.is_open()) {
    TcpSocket socket(side->loop.executor());
    tcp::endpoint peer;
    boost::system::error_code error;
    co_await listener->acceptor.async_accept(socket, peer, asio::redirect_error(use_aw, error));
    if (!error) {
      start_connection(side, std::move(socket), peer);
    } else if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor) {
      break;
    } else if (error != asio::error::connection_aborted) {
      // Out of descriptors or memory: pausing lets connections end; the backlog keeps those who
      // wait.
      logger().warning("cannot accept a connection", {{"error", error.message()}});
      co_await side->loop.sleep_for(kAcceptPause);
    }
  }
}

}  // namespace

struct Server::Impl {
  Impl(net::LoopPool& pool, std::shared_ptr<ServerState> shared)
      : loops(pool), state(std::move(shared)) {}

  /// Runs `visit` for every session, on the loop of each.
  void for_each_session(void (Session::*visit)()) {
    for (const auto& listener : listeners) {
      listener->side->loop.post([side = listener->side, visit] {
        for (Session* session = side->sessions; session != nullptr;) {
          Session* const next = session->next();
          (session->*visit)();
          session = next;
        }
      });
    }
  }

  bool wait_until_empty(std::chrono::milliseconds time) {
    std::unique_lock lock(state->mutex);
    return state->connection_ended.wait_for(
        lock, time, [this] { return state->connections.load(std::memory_order_relaxed) == 0; });
  }

  net::LoopPool& loops;
  std::shared_ptr<ServerState> state;
  std::vector<std::shared_ptr<Listener>> listeners;
  std::uint16_t port = 0;
  bool started = false;
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() {
  if (impl_->started && impl_->loops.running()) drain(0ms);
}

Result<std::unique_ptr<Server>> Server::bind(net::LoopPool& loops, ServerOptions options,
                                             Router router) {
  boost::system::error_code error;
  const auto address = asio::ip::make_address(options.host, error);
  if (error) {
    return fail(Errc::kInvalidArgument,
                fmt::format("listen address '{}' is not an IP address such as 0.0.0.0 or ::",
                            options.host));
  }
  if (options.gate != nullptr) {
    for (const Route* route : router.routes()) {
      if (!route->access.empty()) continue;
      return fail(Errc::kInvalidArgument,
                  fmt::format("route {} {} does not say who may call it (Route::access)",
                              to_string(route->method), route->pattern));
    }
  }
  const std::uint16_t port = options.port;
  auto state = std::make_shared<ServerState>(std::move(options), std::move(router));
  auto impl = std::make_unique<Impl>(loops, state);
  tcp::endpoint endpoint(address, port);
  if (port != 0) {
    if (auto free = check_free(endpoint); !free) return std::unexpected(std::move(free).error());
  }
  for (std::size_t i = 0; i < loops.size(); ++i) {
    ASAHI_TRY(auto listener, listen(loops.at(i), state, endpoint));
    endpoint = listener->acceptor.local_endpoint();  // port 0: the first one chose for all
    impl->listeners.push_back(std::move(listener));
  }
  impl->port = endpoint.port();
  std::unique_ptr<Server> server(new Server(std::move(impl)));
  if (auto loaded = server->reload_tls(); !loaded)
    return std::unexpected(std::move(loaded).error());
  return server;
}

void Server::start() {
  impl_->started = true;
  for (const auto& listener : impl_->listeners) {
    listener->side->loop.spawn("http accept", accept_all(listener));
  }
}

std::uint16_t Server::port() const { return impl_->port; }
std::size_t Server::active_requests() const {
  return impl_->state->active.load(std::memory_order_relaxed);
}
std::size_t Server::connections() const {
  return impl_->state->connections.load(std::memory_order_relaxed);
}

void Server::drain(std::chrono::milliseconds grace) {
  ServerState& state = *impl_->state;
  state.draining = true;
  for (const auto& listener : impl_->listeners) {
    listener->side->loop.post([listener] {
      Acceptor& acceptor = listener->acceptor;
      boost::system::error_code error;
      if (!acceptor.is_open()) return;
      // Whoever is in the backlog has connected already, from where it stands.
      acceptor.non_blocking(true, error);
      while (!error) {
        TcpSocket socket(listener->side->loop.executor());
        tcp::endpoint peer;
        acceptor.accept(socket, peer, error);
        if (!error) start_connection(listener->side, std::move(socket), peer);
      }
      acceptor.close(error);
    });
  }
  impl_->for_each_session(&Session::drain);
  if (impl_->wait_until_empty(grace)) return;
  impl_->for_each_session(&Session::cancel_for_shutdown);
  if (impl_->wait_until_empty(kForcedEnd)) return;
  impl_->for_each_session(&Session::abort);
  if (!impl_->wait_until_empty(kForcedEnd)) {
    logger().warning("connections outlived the drain", {{"connections", connections()}});
  }
}

Result<void> Server::reload_tls() {
  ServerState& state = *impl_->state;
  if (!state.options.tls) return {};
  ASAHI_TRY(auto context, net::TlsContext::server(*state.options.tls));
  const std::lock_guard lock(state.mutex);
  state.tls = std::move(context);
  return {};
}

}  // namespace asahi::http
