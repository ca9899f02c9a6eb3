#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "storage/cache/store.h"

namespace asahi::cache {

struct MemoryOptions {
  std::size_t max_entries = 10'000;  ///< at least 1
  std::size_t max_bytes = 64 << 20;  ///< keys and values; one entry may take all of it
  std::size_t shards = 16;           ///< locks to spread loops over; few entries use fewer
};

/// The store in this process. The least recently used entries make room when either bound is
/// passed: exactly so within a shard, in turn among the shards. Time is the clock's steady time, so
/// a change of the wall clock neither expires nor revives anything. Thread-safe; no call suspends
/// but `scan` and `erase_prefix`, which let the loop breathe between shards.
class MemoryStore final : public Store {
 public:
  /// `clock` outlives the store.
  MemoryStore(MemoryOptions options, const Clock& clock);
  ~MemoryStore() override;

  std::string_view backend() const override { return "memory"; }
  std::optional<std::optional<Bytes>> try_get(std::string_view key) override;
  Task<std::optional<Bytes>> get(std::string key) override;
  /// Also too_large: the entry alone is beyond `max_bytes`.
  Task<void> set(std::string key, Bytes value, std::chrono::milliseconds ttl) override;
  Task<bool> set_if_absent(std::string key, Bytes value, std::chrono::milliseconds ttl) override;
  Task<std::uint64_t> erase(std::vector<std::string> keys) override;
  Task<std::int64_t> add(std::string key, std::int64_t by, std::chrono::milliseconds ttl) override;
  Task<void> scan(std::string prefix, std::function<bool(std::vector<Entry>)> visit) override;
  Task<std::uint64_t> erase_prefix(std::string prefix) override;
  Task<std::uint64_t> sweep() override;
  Task<Stats> stats() override;
  Task<void> ping() override;

 private:
  struct Item;
  /// A key with its hash, so that a lookup hashes once and needs no string of its own.
  struct Probe {
    std::string_view key;
    std::size_t hash;
    friend bool operator==(const Probe& a, const Probe& b) { return a.key == b.key; }
  };
  struct ProbeHash {
    std::size_t operator()(const Probe& probe) const { return probe.hash; }
  };
  using Index = std::unordered_map<Probe, std::unique_ptr<Item>, ProbeHash>;
  struct Shard;

  static Probe probe(std::string_view key);
  Shard& shard_of(const Probe& probe);
  std::int64_t now_ns() const;
  bool expired(const Item& item) const;
  /// Live item or end; an expired one is dropped on the way. The shard is locked.
  Item* find(Shard& shard, const Probe& probe);
  void insert(Shard& shard, std::string key, Bytes value, std::chrono::milliseconds ttl);
  /// The erased value is handed back so that its memory is freed after the lock.
  std::unique_ptr<Item> remove(Shard& shard, Index::iterator at);
  Result<void> check(std::string_view key, const Bytes& value, std::chrono::milliseconds ttl) const;
  bool over() const;
  void make_room();
  template <class Drop>
  std::uint64_t drop_if(Shard& shard, Drop drop);

  const MemoryOptions options_;
  const Clock& clock_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::atomic<std::size_t> entries_{0};
  std::atomic<std::size_t> bytes_{0};
  std::atomic<std::uint64_t> evictions_{0};
  std::atomic<std::size_t> next_victim_{0};
};

}  // namespace asahi::cache
