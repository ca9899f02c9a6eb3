#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "base/clock.h"
#include "memory/events/hub.h"
#include "memory/events/live_protocol.h"
#include "net/http/gate.h"
#include "net/http/router.h"
#include "net/websocket/websocket.h"

namespace asahi::memory {

/// Events over WebSocket (spec/memory §2.5): GET {mount}/ws. Any loop.
///
/// Who connects with `Authorization` or `X-API-Key`, or where no credential is needed, may listen
/// at once; browsers, which cannot send either, name their token in the first message. Cookies are
/// not looked at: a page of somebody else's could send them. A credential is looked at again every
/// minute.
class Live {
 public:
  struct Options {
    std::size_t max_connections = 1000;  ///< beyond: closed with 1013
    int messages_per_second = 100;
    std::chrono::milliseconds auth_timeout{10'000};
    std::chrono::milliseconds check_again{60'000};
    bool auth_required = true;
  };
  /// All outlive it.
  struct Parts {
    Hub& hub;
    const Clock& clock;
    http::Gate* gate = nullptr;  ///< null: whoever comes may do everything
    std::string server;          ///< "akosha 0.9.0"
  };
  Live(Parts parts, Options options) : parts_(std::move(parts)), options_(options) {}

  void add_routes(http::Router& router, const std::string& mount);
  void add_route(http::Router& router, std::string pattern);
  std::size_t connections() const { return connections_.load(std::memory_order_relaxed); }

 private:
  struct Connection;
  Aw<void> serve(http::Context& context, http::WebSocket& socket);
  Aw<void> write(std::shared_ptr<Connection> connection, http::WebSocket& socket,
                 http::Context& context);
  void wait_patiently(const std::shared_ptr<Connection>& connection) const;
  Aw<void> look_again(const std::shared_ptr<Connection>& connection, http::Context& context);
  /// Who the request's own credential belongs to; nothing: nobody, or one that is refused.
  Aw<std::optional<Listener>> listener_of(http::Context& context) const;

  const Parts parts_;
  const Options options_;
  std::atomic<std::size_t> connections_{0};
};

/// Whether a browser's page at `origin` (empty: no browser) is of the very host that it asks.
bool is_same_host(std::string_view origin, std::string_view host);

}  // namespace asahi::memory
