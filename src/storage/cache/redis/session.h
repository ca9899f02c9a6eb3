#pragma once

#include <chrono>
#include <memory>
#include <random>
#include <string>

#include "net/loop.h"
#include "net/stream.h"
#include "storage/cache/redis/options.h"

namespace asahi::cache {

/// A connection on which Redis knows who we are: RESP version, credentials, name and database are
/// set.
struct Session {
  std::shared_ptr<net::Stream> stream;
  bool cluster = false;  ///< the server is a node of a cluster
};

/// Connects and introduces itself: HELLO 3 with AUTH and SETNAME, or their separate older commands
/// when the server knows no HELLO, then SELECT. Errors: unavailable (also refused credentials),
/// timeout.
Task<Session> open_session(net::Loop& loop, std::shared_ptr<const RedisOptions> options,
                           RedisEndpoint endpoint);

/// Pauses between attempts: doubling, capped, jittered so that many processes do not return at
/// once.
class Backoff {
 public:
  Backoff(std::chrono::milliseconds first, std::chrono::milliseconds cap)
      : first_(first), cap_(cap), random_(std::random_device{}()) {}
  std::chrono::milliseconds next();
  void reset() { attempts_ = 0; }

 private:
  std::chrono::milliseconds first_;
  std::chrono::milliseconds cap_;
  int attempts_ = 0;
  std::minstd_rand random_;
};

/// The server's complaint as a failure: unavailable while it is loading, failing over, full or
/// busy; upstream otherwise. `reason` is its first word ("WRONGTYPE").
Error redis_error(const Reply& reply);

}  // namespace asahi::cache
