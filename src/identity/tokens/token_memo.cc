#include "identity/tokens/token_memo.h"

#include <cstring>

#include "base/ids.h"

namespace asahi::identity {

TokenMemo::TokenMemo(std::size_t max_entries, const Clock& clock)
    : max_per_shard_(max_entries / std::tuple_size_v<decltype(shards_)> + 1), clock_(clock) {
  random_bytes(key_.data(), key_.size());
}

std::size_t TokenMemo::Hash::operator()(const Digest128& digest) const {
  std::size_t hash;
  std::memcpy(&hash, digest.data(), sizeof hash);
  return hash;
}

std::shared_ptr<const Principal> TokenMemo::find(std::string_view token) {
  const Digest128 digest = keyed_digest(key_, {token});
  Shard& shard = shard_of(digest);
  const std::scoped_lock lock(shard.mutex);
  const auto at = shard.entries.find(digest);
  if (at == shard.entries.end()) return nullptr;
  if (at->second.until > clock_.steady_now()) return at->second.principal;
  shard.entries.erase(at);
  return nullptr;
}

void TokenMemo::put(std::string_view token, std::shared_ptr<const Principal> principal,
                    Clock::Steady until) {
  const Clock::Steady now = clock_.steady_now();
  if (until <= now) return;
  const Digest128 digest = keyed_digest(key_, {token});
  Shard& shard = shard_of(digest);
  const std::scoped_lock lock(shard.mutex);
  if (shard.entries.size() >= max_per_shard_) {
    std::erase_if(shard.entries, [now](const auto& entry) { return entry.second.until <= now; });
    if (shard.entries.size() >= max_per_shard_) shard.entries.erase(shard.entries.begin());
  }
  shard.entries.insert_or_assign(digest, Entry{std::move(principal), until});
}

void TokenMemo::clear() {
  for (Shard& shard : shards_) {
    const std::scoped_lock lock(shard.mutex);
    shard.entries.clear();
  }
}

std::size_t TokenMemo::size() const {
  std::size_t size = 0;
  for (const Shard& shard : shards_) {
    const std::scoped_lock lock(shard.mutex);
    size += shard.entries.size();
  }
  return size;
}

}  // namespace asahi::identity
