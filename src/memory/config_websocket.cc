#include "memory/config_websocket.h"

#include <string>
#include <utility>

namespace asahi::memory {

void bind_websocket(config::Binder& binder, config::Binder::Section memory,
                    MemoryConfig::WebSocket& ws, std::string_view environment) {
  auto websocket = memory.section("websocket");
  websocket.value("enabled", ws.enabled,
                  {.env = {"AKOSHA_WS_ENABLED"}, .help = "live events on a listener of their own"});
  websocket.value("port", ws.port,
                  {.min = -1,
                   .max = 65'535,
                   .env = {"AKOSHA_WS_PORT"},
                   .help = "its port; 0: any free one; -1: 8692 with 'asahi memory' or TLS"});
  websocket.value("tls_enabled", ws.tls_enabled,
                  {.env = {"AKOSHA_WS_TLS_ENABLED"}, .help = "it speaks wss"});
  websocket.value("cert_file", ws.cert_file,
                  {.env = {"AKOSHA_WS_CERT_FILE"},
                   .help = "PEM chain; empty: a throw-away certificate, in development only"});
  websocket.value("key_file", ws.key_file, {.env = {"AKOSHA_WS_KEY_FILE"}, .help = "its PEM key"});
  websocket.value("ca_file", ws.ca_file,
                  {.env = {"AKOSHA_WS_CA_FILE"}, .help = "PEM: who signs clients' certificates"});
  websocket.value("verify_client", ws.verify_client,
                  {.env = {"AKOSHA_WS_VERIFY_CLIENT"},
                   .help = "clients without such a certificate are refused"});
  const auto refuse = [&](const char* key, std::string value, std::string rule) {
    binder.fault({.path = std::string("memory.websocket.") + key,
                  .value = std::move(value),
                  .rule = std::move(rule),
                  .origin = ""});
  };
  const std::string& lone = ws.cert_file.empty() ? ws.key_file : ws.cert_file;
  if (ws.cert_file.empty() != ws.key_file.empty()) {
    refuse(ws.cert_file.empty() ? "key_file" : "cert_file", lone,
           "certificate and private key go together: set AKOSHA_WS_CERT_FILE and "
           "AKOSHA_WS_KEY_FILE");
  }
  if (ws.verify_client && ws.ca_file.empty())
    refuse("verify_client", "true", "needs memory.websocket.ca_file (AKOSHA_WS_CA_FILE)");
  if (!ws.tls_enabled) {
    // Who names certificates must not find the listener in the clear.
    if (!lone.empty() || !ws.ca_file.empty() || ws.verify_client) {
      refuse("tls_enabled", "false",
             "must be true (AKOSHA_WS_TLS_ENABLED) where certificates are named");
    }
  } else if (lone.empty() && environment != "development") {
    refuse("cert_file", "",
           "must be set (AKOSHA_WS_CERT_FILE, with AKOSHA_WS_KEY_FILE): a throw-away certificate "
           "is for app.environment development only, and this is " +
               std::string(environment));
  }
}

}  // namespace asahi::memory
