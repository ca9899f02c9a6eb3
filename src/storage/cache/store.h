#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/task.h"

namespace asahi::cache {

/// Stored bytes are shared, not copied: a memory hit hands out a pointer.
using Bytes = std::shared_ptr<const std::string>;

struct Entry {
  std::string key;
  Bytes value;
  std::optional<std::chrono::milliseconds> ttl_left;  ///< empty: never expires
  std::optional<std::uint64_t>
      hits;  ///< reads since it was stored; empty where nobody counts (Redis)
};

struct Stats {
  std::uint64_t entries = 0;  ///< approximate on Redis
  std::uint64_t bytes = 0;    ///< keys and values held; 0 where the backend cannot tell
  std::uint64_t evictions = 0;
};

/// Keys to values with expiry, in process or on Redis: one contract suite runs over both.
/// Callable from any loop. Errors: unavailable, timeout (the backend is away: treat as a miss).
class Store {
 public:
  virtual ~Store() = default;
  virtual std::string_view backend() const = 0;  ///< "memory" or "redis"

  /// Answers without suspending when the backend can (memory); empty when the caller must use
  /// `get`. Inner optional: hit or miss.
  virtual std::optional<std::optional<Bytes>> try_get(std::string_view key) = 0;
  virtual Task<std::optional<Bytes>> get(std::string key) = 0;
  /// ttl zero: never expires.
  virtual Task<void> set(std::string key, Bytes value, std::chrono::milliseconds ttl) = 0;
  /// True when it stored: the key was absent.
  virtual Task<bool> set_if_absent(std::string key, Bytes value, std::chrono::milliseconds ttl) = 0;
  /// How many existed.
  virtual Task<std::uint64_t> erase(std::vector<std::string> keys) = 0;
  /// Adds and returns the sum; a missing key counts as 0 and then gets `ttl` (zero: none).
  virtual Task<std::int64_t> add(std::string key, std::int64_t by,
                                 std::chrono::milliseconds ttl) = 0;
  /// Hands over entries whose key begins with `prefix` in batches until `visit` returns false.
  /// Entries written meanwhile may or may not be seen; none is seen twice in process.
  virtual Task<void> scan(std::string prefix, std::function<bool(std::vector<Entry>)> visit) = 0;
  /// Erases by prefix in batches (never KEYS, never blocking the server); returns how many.
  virtual Task<std::uint64_t> erase_prefix(std::string prefix) = 0;
  /// Drops expired entries now and returns how many. Redis expires by itself: 0.
  virtual Task<std::uint64_t> sweep() = 0;
  virtual Task<Stats> stats() = 0;
  /// Cheap round trip: is the backend there?
  virtual Task<void> ping() = 0;
};

}  // namespace asahi::cache
