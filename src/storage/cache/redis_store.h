#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "storage/cache/redis_client.h"
#include "storage/cache/store.h"

namespace asahi::cache {

/// The store on Redis (or a Redis cluster), through the calling loop's client. Keys stand in Redis
/// as they are given. Loop threads only.
class RedisStore final : public Store {
 public:
  explicit RedisStore(std::shared_ptr<RedisClients> clients);

  std::string_view backend() const override { return "redis"; }
  std::optional<std::optional<Bytes>> try_get(std::string_view key) override;
  Task<std::optional<Bytes>> get(std::string key) override;
  Task<void> set(std::string key, Bytes value, std::chrono::milliseconds ttl) override;
  Task<bool> set_if_absent(std::string key, Bytes value, std::chrono::milliseconds ttl) override;
  Task<std::uint64_t> erase(std::vector<std::string> keys) override;
  Task<std::int64_t> add(std::string key, std::int64_t by, std::chrono::milliseconds ttl) override;
  Task<void> scan(std::string prefix, std::function<bool(std::vector<Entry>)> visit) override;
  Task<std::uint64_t> erase_prefix(std::string prefix) override;
  Task<std::uint64_t> sweep() override;
  /// Entries and evictions of the whole database or cluster, whoever wrote them: counting one
  /// prefix would mean scanning it. Bytes: 0.
  Task<Stats> stats() override;
  Task<void> ping() override;

 private:
  struct Page {
    std::vector<std::string> keys;
    std::string cursor;
  };
  /// One SCAN step on one node; cursor "0" when that was the last.
  Task<Page> scan_page(NodeAddress node, std::string cursor, std::string pattern);
  Task<std::vector<Entry>> read_entries(std::vector<std::string> keys);
  RedisClient& client() { return clients_->local(); }

  std::shared_ptr<RedisClients> clients_;
  Script add_script_;
};

/// The pattern that matches exactly the keys beginning with `prefix`: *, ?, [, ] and \ are escaped.
std::string glob_of_prefix(std::string_view prefix);

}  // namespace asahi::cache
