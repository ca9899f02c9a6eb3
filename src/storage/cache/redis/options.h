#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "storage/cache/redis/resp.h"
#include "storage/cache/redis/url.h"

namespace asahi::cache {

enum class ClusterMode {
  kAuto,  ///< ask the server, follow its redirects
  kOff,   ///< one server, whatever it says
};

struct RedisOptions {
  RedisEndpoint endpoint;
  bool verify_tls = true;  ///< rediss:// only
  std::string ca_file;     ///< PEM added to the system's roots; rediss:// only
  ClusterMode cluster = ClusterMode::kAuto;

  /// One command from call to reply, redirects included. It holds for the caller; a late reply is
  /// read and dropped.
  std::chrono::milliseconds timeout{500};
  /// Name look-up, connect, TLS and the first commands together.
  std::chrono::milliseconds connect_timeout{2'000};
  /// A server that owes a reply this long after its timeout is given up and connected anew.
  std::chrono::milliseconds stall_limit{3'000};
  /// Pauses between attempts to connect: doubling from the first to the cap, jittered × 0.5–1.5.
  std::chrono::milliseconds backoff_first{50};
  std::chrono::milliseconds backoff_cap{2'000};
  /// Subscriptions: silence after which the server is asked for a sign of life; two make it dead.
  std::chrono::milliseconds heartbeat{10'000};

  std::size_t max_commands = 10'000;        ///< waiting and in flight, per connection
  std::size_t max_queued_bytes = 64 << 20;  ///< encoded and not yet written, per connection
  RespLimits limits;
  std::string client_name = "asahi";  ///< as CLIENT LIST shows it; no spaces
};

}  // namespace asahi::cache
