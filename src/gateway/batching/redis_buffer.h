#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/log.h"
#include "gateway/batching/buffer.h"
#include "storage/cache/redis_client.h"

namespace asahi::gateway {

/// Items of several workers, on Redis 7: one stream per group (`asahi:batch:{group}`) with one
/// consumer group, in which an item is pending with the worker that took it until that worker ends
/// it; a set of ids beside it; a list of groups in use (`asahi:batch:groups`); and one list of
/// replies per worker (`asahi:batch:replies:{worker}`). Everything expires by itself. Ages come
/// from the server's clock alone, so that workers' clocks need not agree. An item whose worker
/// falls silent for `abandoned_after` is not called again by another, since it may have been paid
/// for and may be what brought that worker down: its caller is told to go alone. Loop threads only.
class RedisBatchBuffer final : public BatchBuffer {
 public:
  struct Options {
    std::string
        worker;  ///< this process among those that share the Redis; the same after a restart
    std::string prefix = "asahi:batch";
    std::size_t max_items = 1'000;  ///< of one group
    std::chrono::milliseconds abandoned_after{1'000};
    std::chrono::seconds expiry{60};  ///< of everything; longer than any item waits
  };
  RedisBatchBuffer(Options options, std::shared_ptr<cache::RedisClients> clients);

  std::string_view backend() const override { return "redis"; }
  Task<void> push(BatchItem item) override;
  Task<bool> remove(std::string group, std::string id) override;
  Task<std::vector<GroupState>> groups() override;
  Task<std::vector<BatchItem>> take(std::string group, std::size_t most) override;
  Task<std::vector<BatchReply>> finish(std::vector<Finished> finished) override;
  Task<std::vector<BatchReply>> collect() override;
  Task<std::size_t> maintain() override;

 private:
  struct Place {
    std::string group;
    std::string entry;  ///< id within the stream
  };
  std::vector<std::string> keys(const std::string& group) const;
  std::string replies_key(const std::string& worker) const;
  Task<std::vector<std::string>> known_groups();
  Task<void> send(std::string worker, std::vector<std::string> replies);
  std::optional<Place> place_of(const std::unordered_map<std::string, Place>& places,
                                const std::string& id);
  cache::RedisClient& client() { return clients_->local(); }

  Options options_;
  std::shared_ptr<cache::RedisClients> clients_;
  Logger logger_{"batching"};
  const cache::Script touch_, push_, remove_, state_, take_, finish_, renew_, reclaim_;
  std::mutex mutex_;                               // guards both maps
  std::unordered_map<std::string, Place> pushed_;  ///< by this worker, until they are taken back
  std::unordered_map<std::string, Place> held_;    ///< taken by this worker
};

}  // namespace asahi::gateway
