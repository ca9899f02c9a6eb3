#pragma once

#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/loop.h"
#include "net/stream.h"
#include "storage/cache/redis/options.h"
#include "storage/cache/redis/session.h"

namespace asahi::cache {

/// Channels of one loop on a connection of their own, as RESP2 allows nothing else there and a
/// flood of messages must not delay commands. Reconnects and subscribes again by itself. Redis
/// keeps no messages for who is away: `on_active` tells the listener that from now on none is
/// missed, each time. Loop thread only; callbacks run there too.
class Subscriber : public std::enable_shared_from_this<Subscriber> {
 public:
  using OnMessage = std::function<void(std::string_view payload)>;
  using OnActive = std::function<void()>;

  /// `pick` names the server for each attempt.
  Subscriber(net::Loop& loop, std::shared_ptr<const RedisOptions> options,
             std::function<RedisEndpoint()> pick);

  std::uint64_t add(std::string channel, OnMessage on_message, OnActive on_active);
  void remove(std::uint64_t id);
  void close();

 private:
  struct Listener {
    std::uint64_t id;
    OnMessage on_message;
    OnActive on_active;
    bool removed = false;
  };
  using Listeners = std::vector<std::shared_ptr<Listener>>;

  static Aw<void> supervise(std::shared_ptr<Subscriber> self);
  static Aw<Error> listen(std::shared_ptr<Subscriber> self, std::shared_ptr<net::Stream> stream);
  static Aw<void> write_queued(std::shared_ptr<Subscriber> self,
                               std::shared_ptr<net::Stream> stream);
  void send(std::vector<std::string_view> args);
  void take(const Reply& reply);
  void arm_heartbeat();

  net::Loop& loop_;
  const std::shared_ptr<const RedisOptions> options_;
  const std::function<RedisEndpoint()> pick_;
  std::map<std::string, Listeners, std::less<>> channels_;
  std::uint64_t next_id_ = 1;
  bool started_ = false;
  bool closed_ = false;
  std::shared_ptr<net::Stream> stream_;
  std::string out_;
  bool writing_ = false;
  std::chrono::steady_clock::time_point last_heard_;
  bool asked_ = false;  ///< a PING is out and nothing was heard since
  boost::asio::steady_timer pause_;
  boost::asio::steady_timer heartbeat_;
};

}  // namespace asahi::cache
