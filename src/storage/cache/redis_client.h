#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/loop.h"
#include "storage/cache/redis/options.h"
#include "storage/cache/redis/resp.h"
#include "storage/cache/redis/slots.h"

namespace asahi::cache {

/// A command as it goes over the wire, with the place of its key for cluster routing.
class Command {
 public:
  explicit Command(const std::vector<std::string>& args);
  Command(std::initializer_list<std::string_view> args);

  const std::string& wire() const { return wire_; }
  std::string take_wire() { return std::move(wire_); }
  /// Empty: any node may answer.
  std::optional<std::uint16_t> slot() const;
  /// Not for a shared connection; see `needs_own_connection`.
  bool refused() const { return refused_; }

 private:
  void encode(std::span<const std::string_view> args);
  std::string wire_;
  std::size_t key_at_ = 0;
  std::size_t key_size_ = 0;
  bool has_key_ = false;
  bool refused_ = false;
};

/// Lua source with the digest that EVALSHA names it by. Cheap to copy.
class Script {
 public:
  explicit Script(std::string source);
  const std::string& source() const { return *source_; }
  const std::string& sha1() const { return sha1_; }

 private:
  std::shared_ptr<const std::string> source_;
  std::string sha1_;
};

/// Redis for one loop: one connection (one per primary in a cluster), kept up in the background, on
/// which all commands of the loop are pipelined. While the server is away commands fail at once
/// with unavailable; no command takes longer than `timeout`. Nothing is sent twice: a command that
/// was in flight when the connection broke fails, and whether it ran is unknown. Loop thread only,
/// but made and destroyed anywhere while its loop exists; it outlives its commands.
class RedisClient {
 public:
  RedisClient(net::Loop& loop, RedisOptions options);
  ~RedisClient();
  RedisClient(const RedisClient&) = delete;
  RedisClient& operator=(const RedisClient&) = delete;

  /// One command, any but those that need a connection of their own. An error reply is a failure:
  /// unavailable (loading, failing over, full), timeout, invalid_argument (needs its own
  /// connection), else upstream with the reply's first word as `reason`.
  Task<Reply> command(std::vector<std::string> args);
  Task<Reply> run(Command command);
  /// Many commands in one go, answered in their order; each has its own outcome.
  Aw<std::vector<Result<Reply>>> batch(std::vector<Command> commands);
  /// Runs a script by its digest, and with its source where the server does not know it yet. In a
  /// cluster all keys must share a slot: give them one hash tag.
  Task<Reply> eval(Script script, std::vector<std::string> keys, std::vector<std::string> args);

  /// Every primary, after finding out whether this is a cluster at all.
  Task<std::vector<NodeAddress>> primaries();
  /// True once a server has shown to be a node of a cluster; settled after `primaries`.
  bool cluster() const;
  /// A command for that very node (SCAN, DBSIZE, INFO); redirects are not followed.
  Task<Reply> run_at(NodeAddress node, Command command);

  /// Ends the subscription when destroyed; on the client's loop, before the client.
  class [[nodiscard]] Subscription {
   public:
    Subscription() = default;
    Subscription(Subscription&& other) noexcept : cancel_(std::exchange(other.cancel_, {})) {}
    Subscription& operator=(Subscription&& other) noexcept {
      if (this != &other) {
        reset();
        cancel_ = std::exchange(other.cancel_, {});
      }
      return *this;
    }
    ~Subscription() { reset(); }
    void reset() {
      if (auto cancel = std::exchange(cancel_, {})) cancel();
    }

   private:
    friend class RedisClient;
    explicit Subscription(std::function<void()> cancel) : cancel_(std::move(cancel)) {}
    std::function<void()> cancel_;
  };
  /// Listens on a channel until the handle goes; subscribes again after every reconnect. Redis
  /// keeps no messages meanwhile: `on_active` runs whenever listening (re)starts, so that whoever
  /// invalidates by messages can drop everything then. Both run on the loop and must not block.
  Subscription subscribe(std::string channel,
                         std::function<void(std::string_view payload)> on_message,
                         std::function<void()> on_active = {});

 private:
  struct Core;
  std::shared_ptr<Core> core_;
};

/// A client on every loop, made up front and connected on first use.
using RedisClients = net::PerLoop<RedisClient>;
std::shared_ptr<RedisClients> make_redis_clients(net::LoopPool& loops, const RedisOptions& options);

}  // namespace asahi::cache
