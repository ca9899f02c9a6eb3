#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/clock.h"

namespace asahi::identity {

/// Values remembered for a while, so that a hot question needs no store. Bounded: a full shard
/// starts over. What was read while an invalidation came in is not remembered: take `generation`
/// before reading and give it to `put`. Thread-safe; a look-up costs a short lock and no
/// allocation. `Value` is cheap to copy.
template <class Value>
class Memo {
 public:
  explicit Memo(std::size_t max_entries) : max_per_shard_(max_entries / kShards + 1) {}

  std::optional<Value> find(std::string_view key, Clock::Steady now) {
    const std::size_t hash = Hash{}(key);
    Shard& shard = shards_[hash % kShards];
    const std::lock_guard lock(shard.mutex);
    const auto at = shard.entries.find(key);
    if (at == shard.entries.end()) return std::nullopt;
    if (at->second.expires <= now) {
      shard.entries.erase(at);
      return std::nullopt;
    }
    return at->second.value;
  }
  std::uint64_t generation(std::string_view key) {
    Shard& shard = shard_of(key);
    const std::lock_guard lock(shard.mutex);
    return shard.generation;
  }
  void put(std::string_view key, Value value, Clock::Steady expires, std::uint64_t generation) {
    Shard& shard = shard_of(key);
    typename Shard::Entries dropped;  // freed after the lock
    const std::lock_guard lock(shard.mutex);
    if (shard.generation != generation) return;
    if (shard.entries.size() >= max_per_shard_) dropped.swap(shard.entries);
    shard.entries.insert_or_assign(std::string(key), Entry{std::move(value), expires});
  }
  void erase(std::string_view key) {
    Shard& shard = shard_of(key);
    const std::lock_guard lock(shard.mutex);
    ++shard.generation;
    if (const auto at = shard.entries.find(key); at != shard.entries.end()) shard.entries.erase(at);
  }
  /// Drops every value that `condition` holds for.
  template <class Condition>
  void erase_if(Condition condition) {
    for (Shard& shard : shards_) {
      const std::lock_guard lock(shard.mutex);
      ++shard.generation;
      std::erase_if(shard.entries, [&](const auto& item) { return condition(item.second.value); });
    }
  }
  void clear() {
    erase_if([](const Value&) { return true; });
  }
  template <class Visit>
  void each(Visit visit) {
    for (Shard& shard : shards_) {
      const std::lock_guard lock(shard.mutex);
      for (const auto& [key, entry] : shard.entries) visit(key, entry.value);
    }
  }

 private:
  static constexpr std::size_t kShards = 16;
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view key) const {
      return std::hash<std::string_view>{}(key);
    }
  };
  struct Entry {
    Value value;
    Clock::Steady expires;
  };
  struct alignas(64) Shard {
    using Entries = std::unordered_map<std::string, Entry, Hash, std::equal_to<>>;
    std::mutex mutex;
    Entries entries;
    std::uint64_t generation = 0;
  };
  Shard& shard_of(std::string_view key) { return shards_[Hash{}(key) % kShards]; }

  const std::size_t max_per_shard_;
  std::array<Shard, kShards> shards_;
};

}  // namespace asahi::identity
