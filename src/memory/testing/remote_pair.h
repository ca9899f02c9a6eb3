#pragma once

#include <future>
#include <memory>
#include <utility>

#include "memory/remote/remote_store.h"
#include "memory/remote/store_api.h"
#include "net/http/server.h"

namespace asahi::memory::testing {

/// Something with connections ends on its loop, while that runs. From an ordinary thread.
template <class T>
std::shared_ptr<T> ends_on_loop(net::LoopPool& loops, std::unique_ptr<T> made) {
  return std::shared_ptr<T>(made.release(), [&loops](T* raw) {
    std::promise<void> gone;
    loops.at(0).post([raw, &gone] {
      delete raw;
      gone.set_value();
    });
    gone.get_future().wait();
  });
}

/// A store behind the internal API on a loopback port, and the store that calls it. Made and ended
/// on an ordinary thread while the loops run.
class RemotePair {
 public:
  RemotePair(net::LoopPool& loops, Store& store, const Clock& clock,
             remote::StoreApi::Options options = {.secrets = secrets(), .snapshot_folder = {}})
      : loops_(loops), clock_(clock) {
    api_ = std::make_unique<remote::StoreApi>(store, clock, metrics_, std::move(options));
    listen(0);
  }
  ~RemotePair() { server_->drain(std::chrono::milliseconds(100)); }

  static remote::StoreSecrets secrets() {
    return {.current = Secret("the-secret-of-the-tests-0123456789"), .previous = {}};
  }
  remote::RemoteStore::Options options(Tier tier = Tier::kHot) const {
    return {.tier = tier,
            .origin = {.host = "127.0.0.1", .port = server_->port(), .base_path = {}},
            .secrets = secrets(),
            .retry = {.max_attempts = 3,
                      .base = std::chrono::milliseconds(1),
                      .cap = std::chrono::milliseconds(2)}};
  }
  std::shared_ptr<remote::RemoteStore> connect(remote::RemoteStore::Options options) {
    return ends_on_loop(loops_,
                        std::make_unique<remote::RemoteStore>(loops_, clock_, std::move(options)));
  }
  /// The process goes, and comes back on its port.
  void stop() { server_->drain(std::chrono::milliseconds(100)); }
  void start_again() { listen(server_->port()); }

 private:
  void listen(std::uint16_t port) {
    http::Router router;
    api_->add_routes(router);
    http::ServerOptions options;
    options.host = "127.0.0.1";
    options.port = port;
    server_.reset();
    server_ = http::Server::bind(loops_, std::move(options), std::move(router)).value();
    server_->start();
  }

  net::LoopPool& loops_;
  const Clock& clock_;
  telemetry::Registry metrics_;
  std::unique_ptr<remote::StoreApi> api_;
  std::unique_ptr<http::Server> server_;
};

}  // namespace asahi::memory::testing
