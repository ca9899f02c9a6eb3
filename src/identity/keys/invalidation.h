#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/task.h"
#include "net/loop.h"
#include "storage/cache/redis_client.h"

namespace asahi::identity {

/// Tells every process that something it may remember has changed: "key:<prefix>", "org:<org>",
/// "role:<org>", and whatever other modules agree on ("policy:<org>"). In this process at once; in
/// others by the Redis channel `asahi:invalidate` within milliseconds. Messages are not kept, so
/// whenever listening (re)starts everybody drops everything. Without Redis other processes find out
/// when what they remember expires.
class Invalidation {
 public:
  static constexpr std::string_view kChannel = "asahi:invalidate";
  /// `kind` and `id` of what changed; both empty: anything may have.
  using Listener = std::function<void(std::string_view kind, std::string_view id)>;

  /// `redis` null: this process alone. `loops` outlive it.
  Invalidation(net::LoopPool& loops, std::shared_ptr<cache::RedisClients> redis);
  ~Invalidation();

  /// Before `start`. Called on any thread; must not block.
  void listen(Listener listener) { listeners_.push_back(std::move(listener)); }
  void start();
  /// Ordinary thread, loops still running.
  void stop();
  /// Tells this process before it suspends, then the others. Redis away: they learn when they
  /// reconnect.
  Aw<void> publish(std::string kind, std::string id);
  /// True once messages of other processes arrive, or when there are none to come.
  bool listening() const { return redis_ == nullptr || listening_.load(std::memory_order_relaxed); }

 private:
  void tell(std::string_view kind, std::string_view id) const;

  net::LoopPool& loops_;
  std::shared_ptr<cache::RedisClients> redis_;
  std::vector<Listener> listeners_;
  cache::RedisClient::Subscription subscription_;  ///< made and dropped on loop 0
  std::atomic<bool> listening_{false};
};

}  // namespace asahi::identity
