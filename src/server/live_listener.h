#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "memory/module.h"
#include "net/http/server.h"
#include "server/certificate_keeper.h"

namespace asahi::server {

/// The memory's live events (WebSocket) on a listener of their own, plain or TLS, beside `/ws` of
/// the API (spec/memory §2.1, §2.5; `memory.websocket.…`). At `/`, `/ws` and `/api/v1/ws`.
class LiveListener {
 public:
  /// All outlive it.
  struct Parts {
    const memory::MemoryConfig& config;
    net::LoopPool& loops;
    memory::MemoryModule& memory;
    http::Gate* gate = nullptr;  ///< null: whoever comes may listen
    std::string host;            ///< address to listen on
    /// The process is the memory alone: it has the listener unless told otherwise.
    bool by_default = false;
  };
  /// Null where none is wanted, or where nobody asked for it and its port is taken, which is
  /// logged. Errors: unavailable (port), invalid_argument (TLS files); both name the setting.
  static Result<std::unique_ptr<LiveListener>> open(const Parts& parts);

  void start();
  std::uint16_t port() const { return server_->port(); }
  /// As http::Server::drain; ends the watch over certificates first.
  void drain(std::chrono::milliseconds grace);

 private:
  LiveListener(net::Loop& loop, std::optional<http::TlsFiles> tls,
               std::unique_ptr<http::Server> server)
      : loop_(loop), tls_(std::move(tls)), server_(std::move(server)) {}

  net::Loop& loop_;
  const std::optional<http::TlsFiles> tls_;
  std::unique_ptr<http::Server> server_;
  std::unique_ptr<CertificateKeeper> certificate_;  ///< null: there is no file
};

}  // namespace asahi::server
