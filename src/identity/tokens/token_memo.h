#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string_view>
#include <unordered_map>

#include "base/clock.h"
#include "base/hash.h"
#include "identity/principal.h"

namespace asahi::identity {

/// Tokens that were verified a moment ago, under a keyed fingerprint: the token itself is not kept.
/// Bounded. Thread-safe.
class TokenMemo {
 public:
  TokenMemo(std::size_t max_entries, const Clock& clock);

  /// Null: not known, or its time is over.
  std::shared_ptr<const Principal> find(std::string_view token);
  void put(std::string_view token, std::shared_ptr<const Principal> principal, Clock::Steady until);
  void clear();
  std::size_t size() const;

 private:
  struct Entry {
    std::shared_ptr<const Principal> principal;
    Clock::Steady until;
  };
  struct Hash {
    std::size_t operator()(const Digest128& digest) const;
  };
  struct Shard {
    mutable std::mutex mutex;
    std::unordered_map<Digest128, Entry, Hash> entries;
  };
  Shard& shard_of(const Digest128& digest) { return shards_[digest.back() % shards_.size()]; }

  const std::size_t max_per_shard_;
  const Clock& clock_;
  Digest128 key_;  ///< random per process: fingerprints cannot be made to collide
  std::array<Shard, 16> shards_;
};

}  // namespace asahi::identity
