#include "server/live_listener.h"

#include <fmt/format.h>

#include <utility>

#include "base/log.h"

namespace asahi::server {
namespace {

using WebSocket = memory::MemoryConfig::WebSocket;

constexpr std::size_t kSockets = 2'000;

std::optional<http::TlsFiles> tls_of(const WebSocket& settings) {
  if (!settings.tls_enabled) return std::nullopt;
  return http::TlsFiles{.certificate_file = settings.cert_file,
                        .private_key_file = settings.key_file,
                        .client_ca_file = settings.ca_file,
                        .client_certificate_required = settings.verify_client,
                        .must_be_current = true,
                        .throw_away = settings.cert_file.empty()};
}

/// What the listener says is wrong, with the setting that mends it.
Error named(Error error) {
  const char* setting = "memory.websocket.port (AKOSHA_WS_PORT)";
  if (error.field == "certificate_file")
    setting = "memory.websocket.cert_file (AKOSHA_WS_CERT_FILE)";
  if (error.field == "private_key_file") setting = "memory.websocket.key_file (AKOSHA_WS_KEY_FILE)";
  if (error.field == "client_ca_file") setting = "memory.websocket.ca_file (AKOSHA_WS_CA_FILE)";
  error.message = fmt::format("{}: {}", setting, error.message);
  error.field.clear();
  return error;
}

std::string_view certificates_of_clients(const WebSocket& settings) {
  if (settings.ca_file.empty()) return "not asked for";
  return settings.verify_client ? "required" : "checked where shown";
}

}  // namespace

Result<std::unique_ptr<LiveListener>> LiveListener::open(const Parts& parts) {
  const WebSocket& settings = parts.config.websocket;
  const bool wanted = settings.is_wanted();
  if (!wanted && !(settings.enabled && parts.by_default)) return nullptr;
  const Logger logger("memory.live");
  http::ServerOptions options;
  options.host = parts.host;
  options.port = settings.port < 0 ? WebSocket::kPort : static_cast<std::uint16_t>(settings.port);
  options.errors = http::native_error;
  options.default_headers.add("X-Content-Type-Options", "nosniff");
  // Whoever is one too many hears so over the WebSocket (memory/http/live.h), not as an HTTP error.
  options.limits.max_active_requests = kSockets;
  options.limits.max_body_bytes = 0;
  options.gate = parts.gate;
  options.tls = tls_of(settings);
  options.on_exception = [logger](const http::Context& context, std::string_view what) {
    logger.error("a connection failed", {{"request_id", context.request_id}, {"error", what}});
  };
  http::Router router;
  parts.memory.add_live_routes(router);
  const std::uint16_t asked = options.port;
  auto tls = options.tls;
  auto bound = http::Server::bind(parts.loops, std::move(options), std::move(router));
  if (!bound) {
    Error error = named(std::move(bound.error()));
    if (wanted) return std::unexpected(std::move(error));
    // Nobody asked for it, and /ws of the API answers too: no reason not to start.
    logger.warning("the listener for live events is off; /ws of the API has them",
                   {{"port", asked}, {"error", error.message}});
    return nullptr;
  }
  logger.info("live events", {{"host", parts.host},
                              {"port", (*bound)->port()},
                              {"tls", tls.has_value()},
                              {"client_certificates", certificates_of_clients(settings)}});
  if (tls && tls->throw_away) {
    logger.warning(
        "live events use a throw-away certificate that no client trusts; set "
        "AKOSHA_WS_CERT_FILE and AKOSHA_WS_KEY_FILE");
  }
  return std::unique_ptr<LiveListener>(
      new LiveListener(parts.loops.at(0), std::move(tls), std::move(*bound)));
}

void LiveListener::start() {
  server_->start();
  if (tls_ && !tls_->throw_away)
    certificate_ = std::make_unique<CertificateKeeper>(loop_, *server_, *tls_);
}

void LiveListener::drain(std::chrono::milliseconds grace) {
  certificate_.reset();
  server_->drain(grace);
}

}  // namespace asahi::server
