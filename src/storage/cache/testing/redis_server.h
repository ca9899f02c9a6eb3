#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "storage/cache/redis/resp.h"

namespace asahi::cache_testing {

/// True when redis-server is on PATH; otherwise tests that need it skip with `kNoRedis` as the
/// reason.
bool redis_available();
inline constexpr const char* kNoRedis = "redis-server is not on PATH (Debian: redis-server)";

/// A redis-server of the test's own, on a temporary folder and free port, without persistence
/// unless asked for; it dies with the test program. For the test's thread, not for loops: calls
/// block.
class RedisServer {
 public:
  /// `arguments` follow the default ones, as on the command line: {"--requirepass", "secret"}.
  /// Throws std::runtime_error when the server does not come up.
  explicit RedisServer(std::vector<std::string> arguments = {});
  ~RedisServer();
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  std::uint16_t port() const { return port_; }
  const std::string& folder() const { return folder_; }
  std::string url() const { return "redis://127.0.0.1:" + std::to_string(port_); }
  /// "unix:///…/redis.sock"
  std::string unix_url() const { return "unix://" + folder_ + "/redis.sock"; }

  /// Kills it, as a crash would.
  void stop();
  /// Starts it again on the same port and folder, and waits until it answers.
  void start();

  /// One command on a connection of its own, past everything that is tested.
  cache::Reply command(const std::vector<std::string>& args) const;

 private:
  std::vector<std::string> arguments_;
  std::string folder_;
  std::uint16_t port_ = 0;
  pid_t process_ = -1;
};

/// A TCP port of 127.0.0.1 that was free a moment ago.
std::uint16_t free_port();

/// Three primaries that share the slots, without replicas.
class RedisCluster {
 public:
  /// Throws std::runtime_error when it does not come up.
  RedisCluster();
  RedisServer& node(std::size_t index) { return *nodes_[index]; }
  std::size_t size() const { return nodes_.size(); }
  std::string url() const { return nodes_[0]->url(); }
  /// Gives a slot, with its keys, from the node that has it to another.
  void move_slot(std::uint16_t slot, std::size_t from, std::size_t to);

 private:
  std::string id_of(std::size_t index) const;
  std::vector<std::unique_ptr<RedisServer>> nodes_;
};

}  // namespace asahi::cache_testing
