#pragma once
// Inside net/http only: what the connections of one server share.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "net/http/response_head.h"
#include "net/http/server.h"
#include "net/loop.h"
#include "net/tls.h"

namespace asahi::http {

class Session;

/// One per server; every connection holds it, so it outlives the Server object where a loop ends
/// late.
struct ServerState {
  ServerState(ServerOptions given, Router routes)
      : options(std::move(given)),
        router(std::move(routes)),
        head_writer(options.default_headers, options.cors_origins) {}

  const ServerOptions options;
  const Router router;
  const ResponseHeadWriter head_writer;

  std::atomic<std::size_t> connections{0};
  std::atomic<std::size_t> active{0};  ///< requests in a Handler, a stream or a WebSocket
  std::atomic<bool> draining{false};

  std::mutex mutex;
  std::condition_variable connection_ended;
  std::shared_ptr<const net::TlsContext> tls;  ///< guarded by `mutex`; null: plain

  std::shared_ptr<const net::TlsContext> current_tls() {
    const std::lock_guard lock(mutex);
    return tls;
  }
};

/// The part of a server that lives on one loop.
struct ServerSide {
  ServerSide(net::Loop& on, std::shared_ptr<ServerState> shared)
      : loop(on), state(std::move(shared)) {}

  net::Loop& loop;
  std::shared_ptr<ServerState> state;
  DateField date;
  Session* sessions = nullptr;  ///< all of this loop
};

/// Counts a connection for as long as it lives.
class ConnectionSlot {
 public:
  explicit ConnectionSlot(std::shared_ptr<ServerState> state) : state_(std::move(state)) {
    state_->connections.fetch_add(1, std::memory_order_relaxed);
  }
  ConnectionSlot(ConnectionSlot&&) noexcept = default;
  ConnectionSlot& operator=(ConnectionSlot&&) noexcept = default;
  ~ConnectionSlot() {
    if (!state_) return;
    // Under the lock, so that drain() cannot miss the last one between its check and its wait.
    const std::lock_guard lock(state_->mutex);
    state_->connections.fetch_sub(1, std::memory_order_relaxed);
    state_->connection_ended.notify_all();
  }

 private:
  std::shared_ptr<ServerState> state_;
};

/// Counts a request as active; `granted` is false beyond the limit.
class ActiveSlot {
 public:
  explicit ActiveSlot(ServerState& state)
      : state_(state),
        granted_(state.active.fetch_add(1, std::memory_order_relaxed) <
                 state.options.limits.max_active_requests) {}
  ~ActiveSlot() { state_.active.fetch_sub(1, std::memory_order_relaxed); }
  ActiveSlot(const ActiveSlot&) = delete;
  ActiveSlot& operator=(const ActiveSlot&) = delete;
  bool granted() const { return granted_; }

 private:
  ServerState& state_;
  bool granted_;
};

}  // namespace asahi::http
