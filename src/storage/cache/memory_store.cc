#include "storage/cache/memory_store.h"

#include <boost/asio/post.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <limits>

#include "storage/cache/rules.h"

namespace asahi::cache {
namespace {

constexpr std::size_t kScanBatch = 256;
/// Below this many entries a shard says too little about recency, so small stores get fewer shards.
constexpr std::size_t kEntriesPerShard = 512;
constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

std::size_t shard_count(const MemoryOptions& options) {
  return std::clamp<std::size_t>(options.max_entries / kEntriesPerShard, 1,
                                 std::max<std::size_t>(options.shards, 1));
}

}  // namespace

struct MemoryStore::Item {
  std::string key;
  Bytes value;
  std::int64_t expires_ns = kNever;  ///< steady time
  std::size_t hash = 0;
  Item* newer = nullptr;
  Item* older = nullptr;

  std::size_t bytes() const { return key.size() + value->size(); }
};

struct alignas(64) MemoryStore::Shard {
  std::mutex mutex;
  Index index;
  Item* newest = nullptr;
  Item* oldest = nullptr;

  void unlink(Item& item) {
    (item.newer != nullptr ? item.newer->older : newest) = item.older;
    (item.older != nullptr ? item.older->newer : oldest) = item.newer;
    item.newer = item.older = nullptr;
  }
  void link_newest(Item& item) {
    item.older = newest;
    (newest != nullptr ? newest->newer : oldest) = &item;
    newest = &item;
  }
  void touch(Item& item) {
    if (newest == &item) return;
    unlink(item);
    link_newest(item);
  }
};

MemoryStore::MemoryStore(MemoryOptions options, const Clock& clock)
    : options_(options), clock_(clock) {
  for (std::size_t i = 0; i < shard_count(options); ++i) {
    shards_.push_back(std::make_unique<Shard>());
  }
}

MemoryStore::~MemoryStore() = default;

MemoryStore::Probe MemoryStore::probe(std::string_view key) {
  return {key, std::hash<std::string_view>{}(key)};
}

MemoryStore::Shard& MemoryStore::shard_of(const Probe& probe) {
  // The index uses the low bits; the shard takes others.
  return *shards_[(probe.hash >> 40) % shards_.size()];
}

std::int64_t MemoryStore::now_ns() const {
  return std::chrono::nanoseconds(clock_.steady_now().time_since_epoch()).count();
}

bool MemoryStore::expired(const Item& item) const {
  return item.expires_ns != kNever && item.expires_ns <= now_ns();
}

MemoryStore::Item* MemoryStore::find(Shard& shard, const Probe& probe) {
  const auto at = shard.index.find(probe);
  if (at == shard.index.end()) return nullptr;
  if (expired(*at->second)) {
    remove(shard, at);
    return nullptr;
  }
  shard.touch(*at->second);
  return at->second.get();
}

std::unique_ptr<MemoryStore::Item> MemoryStore::remove(Shard& shard, Index::iterator at) {
  auto item = std::move(at->second);
  shard.index.erase(at);
  shard.unlink(*item);
  entries_.fetch_sub(1, std::memory_order_relaxed);
  bytes_.fetch_sub(item->bytes(), std::memory_order_relaxed);
  return item;
}

void MemoryStore::insert(Shard& shard, std::string key, Bytes value,
                         std::chrono::milliseconds ttl) {
  auto item = std::make_unique<Item>();
  item->key = std::move(key);
  item->value = std::move(value);
  item->expires_ns = ttl.count() > 0 ? now_ns() + std::chrono::nanoseconds(ttl).count() : kNever;
  const Probe own = probe(item->key);
  item->hash = own.hash;
  entries_.fetch_add(1, std::memory_order_relaxed);
  bytes_.fetch_add(item->bytes(), std::memory_order_relaxed);
  shard.link_newest(*item);
  shard.index.emplace(own, std::move(item));
}

bool MemoryStore::over() const {
  return entries_.load(std::memory_order_relaxed) > options_.max_entries ||
         bytes_.load(std::memory_order_relaxed) > options_.max_bytes;
}

void MemoryStore::make_room() {
  while (over()) {
    Shard& shard = *shards_[next_victim_.fetch_add(1, std::memory_order_relaxed) % shards_.size()];
    std::unique_ptr<Item> victim;
    const std::lock_guard lock(shard.mutex);
    // Another thread may have made the room meanwhile.
    if (!over() || shard.oldest == nullptr) continue;
    victim = remove(shard, shard.index.find(Probe{shard.oldest->key, shard.oldest->hash}));
    evictions_.fetch_add(1, std::memory_order_relaxed);
  }
}

Result<void> MemoryStore::check(std::string_view key, const Bytes& value,
                                std::chrono::milliseconds ttl) const {
  if (auto ok = check_entry(value, ttl); !ok) return ok;
  if (key.size() + value->size() > options_.max_bytes) {
    return fail(Errc::kTooLarge, fmt::format("an entry of {} bytes does not fit in the in-process "
                                             "cache of {} bytes; raise its max_bytes",
                                             key.size() + value->size(), options_.max_bytes));
  }
  return {};
}

std::optional<std::optional<Bytes>> MemoryStore::try_get(std::string_view key) {
  const Probe wanted = probe(key);
  Shard& shard = shard_of(wanted);
  const std::lock_guard lock(shard.mutex);
  const Item* const item = find(shard, wanted);
  if (item == nullptr) return std::optional<std::optional<Bytes>>(std::in_place, std::nullopt);
  return std::optional<std::optional<Bytes>>(std::in_place, item->value);
}

Task<std::optional<Bytes>> MemoryStore::get(std::string key) { co_return *try_get(key); }

Task<void> MemoryStore::set(std::string key, Bytes value, std::chrono::milliseconds ttl) {
  if (auto ok = check(key, value, ttl); !ok) co_return std::unexpected(std::move(ok.error()));
  const Probe wanted = probe(key);
  Shard& shard = shard_of(wanted);
  {
    std::unique_ptr<Item> replaced;  // freed after the lock
    const std::lock_guard lock(shard.mutex);
    if (const auto at = shard.index.find(wanted); at != shard.index.end()) {
      replaced = remove(shard, at);
    }
    insert(shard, std::move(key), std::move(value), ttl);
  }
  make_room();
  co_return Result<void>{};
}

Task<bool> MemoryStore::set_if_absent(std::string key, Bytes value, std::chrono::milliseconds ttl) {
  if (auto ok = check(key, value, ttl); !ok) co_return std::unexpected(std::move(ok.error()));
  const Probe wanted = probe(key);
  Shard& shard = shard_of(wanted);
  {
    const std::lock_guard lock(shard.mutex);
    if (find(shard, wanted) != nullptr) co_return false;
    insert(shard, std::move(key), std::move(value), ttl);
  }
  make_room();
  co_return true;
}

Task<std::uint64_t> MemoryStore::erase(std::vector<std::string> keys) {
  std::uint64_t erased = 0;
  for (const std::string& key : keys) {
    const Probe wanted = probe(key);
    Shard& shard = shard_of(wanted);
    std::unique_ptr<Item> removed;
    const std::lock_guard lock(shard.mutex);
    const auto at = shard.index.find(wanted);
    if (at == shard.index.end()) continue;
    erased += expired(*at->second) ? 0 : 1;
    removed = remove(shard, at);
  }
  co_return erased;
}

Task<std::int64_t> MemoryStore::add(std::string key, std::int64_t by,
                                    std::chrono::milliseconds ttl) {
  if (auto ok = check_ttl(ttl); !ok) co_return std::unexpected(std::move(ok.error()));
  const Probe wanted = probe(key);
  Shard& shard = shard_of(wanted);
  std::int64_t sum = by;
  {
    const std::lock_guard lock(shard.mutex);
    if (Item* const item = find(shard, wanted); item != nullptr) {
      const std::string& old = *item->value;
      std::int64_t value = 0;
      const auto [end, error] = std::from_chars(old.data(), old.data() + old.size(), value);
      if (error != std::errc{} || end != old.data() + old.size()) co_return not_a_counter();
      if (__builtin_add_overflow(value, by, &sum)) co_return counter_overflow();
      auto next = std::make_shared<const std::string>(fmt::to_string(sum));
      bytes_.fetch_add(next->size(), std::memory_order_relaxed);
      bytes_.fetch_sub(old.size(), std::memory_order_relaxed);
      item->value = std::move(next);
    } else {
      insert(shard, std::move(key), std::make_shared<const std::string>(fmt::to_string(sum)), ttl);
    }
  }
  make_room();
  co_return sum;
}

Task<void> MemoryStore::scan(std::string prefix, std::function<bool(std::vector<Entry>)> visit) {
  for (const auto& shard : shards_) {
    std::vector<Entry> found;
    {
      const std::lock_guard lock(shard->mutex);
      const std::int64_t now = now_ns();
      for (const auto& [probe, item] : shard->index) {
        if (!item->key.starts_with(prefix) || item->expires_ns <= now) continue;
        std::optional<std::chrono::milliseconds> left;
        if (item->expires_ns != kNever) {
          left = std::chrono::ceil<std::chrono::milliseconds>(
              std::chrono::nanoseconds(item->expires_ns - now));
        }
        found.push_back({item->key, item->value, left});
      }
    }
    for (std::size_t at = 0; at < found.size(); at += kScanBatch) {
      const auto first = found.begin() + static_cast<std::ptrdiff_t>(at);
      const auto last =
          found.begin() + static_cast<std::ptrdiff_t>(std::min(at + kScanBatch, found.size()));
      if (!visit({std::make_move_iterator(first), std::make_move_iterator(last)})) {
        co_return Result<void>{};
      }
    }
    co_await boost::asio::post(use_aw);
  }
  co_return Result<void>{};
}

template <class Drop>
std::uint64_t MemoryStore::drop_if(Shard& shard, Drop drop) {
  std::vector<std::unique_ptr<Item>> dropped;  // freed after the lock
  const std::lock_guard lock(shard.mutex);
  for (auto at = shard.index.begin(); at != shard.index.end();) {
    const auto candidate = at++;
    if (drop(*candidate->second)) dropped.push_back(remove(shard, candidate));
  }
  return dropped.size();
}

Task<std::uint64_t> MemoryStore::erase_prefix(std::string prefix) {
  std::uint64_t erased = 0;
  for (const auto& shard : shards_) {
    drop_if(*shard, [this](const Item& item) { return expired(item); });
    erased += drop_if(*shard, [&](const Item& item) { return item.key.starts_with(prefix); });
    co_await boost::asio::post(use_aw);
  }
  co_return erased;
}

Task<std::uint64_t> MemoryStore::sweep() {
  std::uint64_t erased = 0;
  const std::int64_t now = now_ns();
  for (const auto& shard : shards_) {
    erased += drop_if(*shard, [now](const Item& item) { return item.expires_ns <= now; });
    co_await boost::asio::post(use_aw);
  }
  co_return erased;
}

Task<Stats> MemoryStore::stats() {
  co_return Stats{entries_.load(std::memory_order_relaxed), bytes_.load(std::memory_order_relaxed),
                  evictions_.load(std::memory_order_relaxed)};
}

Task<void> MemoryStore::ping() { co_return Result<void>{}; }

}  // namespace asahi::cache
