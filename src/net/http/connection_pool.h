#pragma once
// Inside net/http only: the client's connections, kept per origin.

#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/cancel.h"
#include "net/event.h"
#include "net/http/byte_buffer.h"
#include "net/http/client.h"
#include "net/stream.h"

namespace asahi::http {

struct ClientConnection {
  std::unique_ptr<net::Stream> stream;
  ByteBuffer buffer;
  bool reused = false;
};

enum class Reuse : std::uint8_t { kIdleOrNew, kOnlyNew };

/// Last used, first taken: connections that are not needed get old and are closed. Loop thread
/// only.
class ConnectionPool : public std::enable_shared_from_this<ConnectionPool> {
 public:
  ConnectionPool(net::Loop& loop, ClientOptions options)
      : loop_(loop), options_(std::move(options)) {}

  /// Connections of one origin; stays where it is until the pool's end.
  struct Lane {
    struct Idle {
      std::unique_ptr<ClientConnection> connection;
      std::chrono::steady_clock::time_point since;
    };
    std::vector<Idle> idle;  ///< oldest first
    std::size_t total = 0;   ///< idle, lent and being made
    std::deque<net::Event*> waiting;
  };

  Lane& lane_of(const Origin& origin);
  /// Errors: unavailable, timeout, cancelled.
  Task<std::unique_ptr<ClientConnection>> acquire(Lane& lane, const Origin& origin,
                                                  const CallOptions& call, Reuse reuse);
  void give_back(Lane& lane, std::unique_ptr<ClientConnection> connection);
  /// Drops a lent connection, or the slot of one that could not be made (null).
  void discard(Lane& lane, std::unique_ptr<ClientConnection> connection);
  /// Closes idle connections and keeps none from now on.
  void shut_down();

  std::size_t idle_connections() const;
  net::Loop& loop() { return loop_; }
  const ClientOptions& options() const { return options_; }

 private:
  struct Key {
    bool tls;
    std::string host;
    std::uint16_t port;
  };
  struct KeyView {
    bool tls;
    std::string_view host;
    std::uint16_t port;
    KeyView(const Key& key) : tls(key.tls), host(key.host), port(key.port) {}
    explicit KeyView(const Origin& origin)
        : tls(origin.tls), host(origin.host), port(origin.port) {}
    bool operator==(const KeyView&) const = default;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(const KeyView& key) const {
      return std::hash<std::string_view>{}(key.host) * 31 + key.port * 2u + (key.tls ? 1u : 0u);
    }
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(const KeyView& a, const KeyView& b) const { return a == b; }
  };

  void wake_one(Lane& lane);
  void sweep_later();
  void sweep();

  net::Loop& loop_;
  const ClientOptions options_;
  std::unordered_map<Key, std::unique_ptr<Lane>, Hash, Equal> lanes_;
  net::Loop::Deadline sweep_;
  bool sweeping_ = false;
  bool shut_down_ = false;
};

}  // namespace asahi::http
