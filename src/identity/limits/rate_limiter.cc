#include "identity/limits/rate_limiter.h"

#include <boost/container/small_vector.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/hash.h"
#include "base/ids.h"
#include "base/log.h"
#include "identity/limits/sliding_log.h"

namespace asahi::identity {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr std::size_t kRequestEntries = 65'536;
constexpr std::size_t kTokenEntries = 4'096;
constexpr std::size_t kMaxShards = 64;
/// Below this many counters a shard's chance share would be too far off its bound.
constexpr std::size_t kCountersPerShard = 1'024;
/// How many of the least recently asked counters are looked at for an idle one.
constexpr int kLookForIdle = 8;
/// Idle counters freed by one call in each shard it touches: more than it can add there on average.
constexpr int kFreePerCall = 2;
/// Requests and tokens of key, user, organisation and model: such a call needs no memory of its
/// own.
constexpr std::size_t kUsualAsks = 8;

const Logger& logger() {
  static const Logger instance("identity");
  return instance;
}

milliseconds up_to_ms(std::int64_t ns) {
  return std::chrono::ceil<milliseconds>(nanoseconds(std::max<std::int64_t>(ns, 0)));
}

/// A counter is named by a keyed digest rather than by text: 16 bytes whatever the id, and nobody
/// outside can make two collide.
using CounterName = Digest128;

/// The key of the names: of this process, and nobody else's.
const Digest128& naming_key() {
  static const Digest128 key = [] {
    Digest128 bytes;
    random_bytes(bytes.data(), bytes.size());
    return bytes;
  }();
  return key;
}

/// The names of the limits that a thread asked last. One call names up to a dozen counters, most
/// of them those of the call before: the digests would cost more than the counting.
class RecentNames {
 public:
  const CounterName& of(const Limit& limit) {
    static_assert(kLongestWindow.count() < std::int64_t{1} << 40);
    const std::uint64_t head = static_cast<std::uint64_t>(bounded_window(limit).count()) |
                               static_cast<std::uint64_t>(limit.scope) << 48 |
                               static_cast<std::uint64_t>(limit.unit) << 56;
    Known& known = place_of(limit);
    if (known.head != head || known.org != limit.org || known.id != limit.id) {
      std::array<char, sizeof head> bytes;
      std::memcpy(bytes.data(), &head, sizeof head);
      known.name = keyed_digest(naming_key(), {{bytes.data(), bytes.size()}, limit.org, limit.id});
      known.head = head;
      known.org = limit.org;
      known.id = limit.id;
    }
    return known.name;
  }

 private:
  struct Known {
    std::uint64_t head = 0;  ///< no window is 0
    CounterName name;
    std::string org, id;
  };
  /// By scope and unit first, so that the limits of one call do not push each other out; then by
  /// the end of the id, where ids differ most.
  Known& place_of(const Limit& limit) {
    std::size_t ending = 0;
    for (std::size_t i = limit.id.size(), n = 0; i > 0 && n < 3; ++n)
      ending = ending * 5 + static_cast<unsigned char>(limit.id[--i]);
    const auto kind =
        static_cast<std::size_t>(limit.scope) * 2 + static_cast<std::size_t>(limit.unit);
    return known_[kind][ending % kPerKind];
  }

  static constexpr std::size_t kKinds = 10, kPerKind = 64;
  std::array<std::array<Known, kPerKind>, kKinds> known_;
};

CounterName name_of(const Limit& limit) {
  thread_local const auto names = std::make_unique<RecentNames>();
  return names->of(limit);
}

class MemoryLimiter final : public InProcessLimiter {
 public:
  MemoryLimiter(const Clock& clock, std::size_t max_counters)
      : clock_(clock),
        shard_count_(std::bit_floor(
            std::clamp<std::size_t>(max_counters / kCountersPerShard, 1, kMaxShards))),
        most_per_shard_(std::max<std::size_t>(1, max_counters / shard_count_)),
        shards_(std::make_unique<Shard[]>(shard_count_)) {}

  std::string_view backend() const override { return "memory"; }
  std::optional<LimitVerdict> try_take(std::span<const Ask> asks) override;
  Aw<LimitVerdict> take(std::vector<Ask> asks) override { co_return *try_take(asks); }
  using RateLimiter::adjust;
  void adjust(const Limit& limit, std::int64_t by, LimitStamp taken) override;
  LimitStamp count_from_now(std::span<const Ask> asks, LimitStamp taken) override;

 private:
  using Name = CounterName;
  struct NameHash {
    std::size_t operator()(const Name& name) const {
      std::size_t hash;
      std::memcpy(&hash, name.data(), sizeof hash);
      return hash;
    }
  };
  struct Counter {
    Name name;
    SlidingLog log;
    std::int64_t window_ns = 0;
    Counter* older = nullptr;
    Counter* newer = nullptr;
  };
  struct alignas(64) Shard {
    std::mutex mutex;
    std::unordered_map<Name, Counter, NameHash> counters;
    Counter* oldest = nullptr;  ///< least recently asked
    Counter* newest = nullptr;
  };
  struct Asked {
    const Ask* ask;
    Name name;
    std::size_t shard;
    Counter* counter;
    std::int64_t amount;
  };
  using AskedList = boost::container::small_vector<Asked, kUsualAsks>;

  /// The shards of one call, locked in order of their places so that no two calls wait in a circle.
  class Locks {
   public:
    Locks(Shard* shards, const AskedList& asked) : shards_(shards) {
      for (const Asked& one : asked) places_.push_back(one.shard);
      std::ranges::sort(places_);
      places_.erase(std::ranges::unique(places_).begin(), places_.end());
      for (const std::size_t place : places_) shards_[place].mutex.lock();
    }
    ~Locks() {
      for (const std::size_t place : places_) shards_[place].mutex.unlock();
    }
    Locks(const Locks&) = delete;
    Locks& operator=(const Locks&) = delete;
    const auto& places() const { return places_; }

   private:
    Shard* shards_;
    boost::container::small_vector<std::size_t, kUsualAsks> places_;
  };

  std::size_t shard_of(const Name& name) const { return name[15] & (shard_count_ - 1); }

  /// Read while the counters are locked: entries of a counter are then in order of time. Never 0,
  /// which means unknown in a stamp.
  std::int64_t now_ns() const {
    return nanoseconds(clock_.steady_now().time_since_epoch()).count() + 1;
  }
  static std::int64_t span_of(const Limit& limit) {
    const bool requests = limit.unit == Limit::Unit::kRequests;
    return merge_span(limit, requests ? kRequestEntries : kTokenEntries).count();
  }
  static bool idle(const Counter& counter, std::int64_t now) {
    return counter.log.empty() || counter.log.newest() <= now - counter.window_ns;
  }

  AskedList list(std::span<const Ask> asks) const {
    AskedList asked;
    for (const Ask& ask : asks) {
      const Name name = name_of(ask.limit);
      asked.push_back({&ask, name, shard_of(name), nullptr,
                       std::clamp<std::int64_t>(ask.amount, 0, kMostPerWindow)});
    }
    return asked;
  }
  static Counter* find(Shard& shard, const Name& name) {
    const auto at = shard.counters.find(name);
    return at == shard.counters.end() ? nullptr : &at->second;
  }
  static Counter& make(Shard& shard, const Name& name, const Limit& limit);
  static void touch(Shard& shard, Counter& counter);
  static void link_newest(Shard& shard, Counter& counter);
  static void unlink(Shard& shard, Counter& counter);
  static void drop(Shard& shard, Counter& counter);
  void make_room(Shard& shard, std::int64_t now);

  const Clock& clock_;
  const std::size_t shard_count_;  ///< power of two
  const std::size_t most_per_shard_;
  std::unique_ptr<Shard[]> shards_;
  RateLimited crowded_{std::chrono::minutes(1)};
};

std::optional<LimitVerdict> MemoryLimiter::try_take(std::span<const Ask> asks) {
  if (asks.empty()) return LimitVerdict{};
  AskedList asked = list(asks);
  const Locks locks(shards_.get(), asked);
  const std::int64_t now = now_ns();

  std::optional<LimitVerdict> worst;
  const auto consider = [&worst](const LimitVerdict& verdict) {
    if (!worst || stricter(verdict, *worst)) worst = verdict;
  };
  for (std::size_t i = 0; i < asked.size(); ++i) {
    Asked& one = asked[i];
    const Limit& limit = one.ask->limit;
    const milliseconds window = bounded_window(limit);
    LimitVerdict verdict;
    verdict.scope = limit.scope;
    verdict.unit = limit.unit;
    verdict.max = bounded_max(limit);
    std::int64_t used = 0;
    one.counter = find(shards_[one.shard], one.name);
    if (one.counter != nullptr) {
      touch(shards_[one.shard], *one.counter);
      one.counter->log.drop_until(now - one.counter->window_ns);
      used = one.counter->log.used();
      if (used > 0)
        verdict.reset = up_to_ms(one.counter->log.newest() + one.counter->window_ns - now);
    }
    // The same counter may be asked twice in one call.
    std::int64_t also = 0;
    for (std::size_t j = 0; j < i; ++j) {
      if (asked[j].name == one.name) also += asked[j].amount;
    }
    const std::int64_t over = used + also + one.amount - verdict.max;
    if (over > 0 && one.amount > 0) {
      verdict.allowed = false;
      verdict.remaining = std::max<std::int64_t>(0, verdict.max - used);
      verdict.retry_after =
          over > used ? window
                      : up_to_ms(one.counter->log.leaves_with(over) + one.counter->window_ns - now);
    } else {
      verdict.remaining = std::max<std::int64_t>(0, -over);
      if (one.amount > 0) verdict.reset = window;
    }
    consider(verdict);
  }
  if (worst->allowed) {
    for (Asked& one : asked) {
      if (one.amount == 0) continue;
      Shard& shard = shards_[one.shard];
      if (one.counter == nullptr) one.counter = find(shard, one.name);
      if (one.counter == nullptr) one.counter = &make(shard, one.name, one.ask->limit);
      one.counter->log.add(now, one.amount, span_of(one.ask->limit));
    }
    worst->taken.process = now;
  }
  for (const std::size_t place : locks.places()) make_room(shards_[place], now);
  return worst;
}

LimitStamp MemoryLimiter::count_from_now(std::span<const Ask> asks, LimitStamp taken) {
  const AskedList asked = list(asks);
  const Locks locks(shards_.get(), asked);
  const std::int64_t now = now_ns();
  for (const Asked& one : asked) {
    if (one.amount == 0) continue;
    Shard& shard = shards_[one.shard];
    const Limit& limit = one.ask->limit;
    const std::int64_t span = span_of(limit);
    Counter* counter = find(shard, one.name);
    if (counter == nullptr) counter = &make(shard, one.name, limit);
    if (taken.process > now - counter->window_ns) {
      counter->log.correct(taken.process, -one.amount, span);
    }
    counter->log.add(now, one.amount, span);
  }
  for (const std::size_t place : locks.places()) make_room(shards_[place], now);
  return {now, taken.shared};
}

void MemoryLimiter::adjust(const Limit& limit, std::int64_t by, LimitStamp taken) {
  by = std::clamp(by, -kMostPerWindow, kMostPerWindow);
  if (by == 0) return;
  const Name name = name_of(limit);
  Shard& shard = shards_[shard_of(name)];
  const std::lock_guard lock(shard.mutex);
  const std::int64_t now = now_ns();
  Counter* counter = find(shard, name);
  if (counter != nullptr) counter->log.drop_until(now - counter->window_ns);
  if (taken.process != 0) {
    if (counter == nullptr || taken.process <= now - counter->window_ns) return;
    counter->log.correct(taken.process, by, span_of(limit));
  } else if (by < 0) {
    if (counter != nullptr) counter->log.give_back_oldest(-by);
  } else {
    if (counter == nullptr) counter = &make(shard, name, limit);
    // Corrections may exceed the maximum, which bounds the entries otherwise.
    const auto span = nanoseconds(bounded_window(limit)) / std::int64_t{kTokenEntries};
    counter->log.add(now, std::min(by, kMostPerWindow - counter->log.used()), span.count());
    make_room(shard, now);
  }
}

MemoryLimiter::Counter& MemoryLimiter::make(Shard& shard, const Name& name, const Limit& limit) {
  Counter& counter = shard.counters[name];
  counter.name = name;
  counter.window_ns = nanoseconds(bounded_window(limit)).count();
  link_newest(shard, counter);
  return counter;
}

void MemoryLimiter::touch(Shard& shard, Counter& counter) {
  if (shard.newest == &counter) return;
  unlink(shard, counter);
  link_newest(shard, counter);
}

void MemoryLimiter::link_newest(Shard& shard, Counter& counter) {
  counter.older = shard.newest;
  counter.newer = nullptr;
  (shard.newest != nullptr ? shard.newest->newer : shard.oldest) = &counter;
  shard.newest = &counter;
}

void MemoryLimiter::unlink(Shard& shard, Counter& counter) {
  (counter.older != nullptr ? counter.older->newer : shard.oldest) = counter.newer;
  (counter.newer != nullptr ? counter.newer->older : shard.newest) = counter.older;
}

void MemoryLimiter::drop(Shard& shard, Counter& counter) {
  unlink(shard, counter);
  const Name name = counter.name;  // the key that erase compares with must not be what it destroys
  shard.counters.erase(name);
}

void MemoryLimiter::make_room(Shard& shard, std::int64_t now) {
  for (int i = 0; i < kFreePerCall && shard.oldest != nullptr && idle(*shard.oldest, now); ++i) {
    drop(shard, *shard.oldest);
  }
  while (shard.counters.size() > most_per_shard_) {
    Counter* leaves = shard.oldest;
    for (int i = 0; i < kLookForIdle && leaves != nullptr && !idle(*leaves, now); ++i)
      leaves = leaves->newer;
    if (leaves == nullptr || !idle(*leaves, now)) {
      leaves = shard.oldest;
      if (const auto held_back = crowded_.pass(clock_.steady_now())) {
        logger().warning(
            "more rate-limit counters are busy than fit; the least recently asked start anew",
            {{"max_counters", most_per_shard_ * shard_count_}, {"suppressed", *held_back}});
      }
    }
    drop(shard, *leaves);
  }
}

}  // namespace

std::unique_ptr<InProcessLimiter> make_memory_limiter(const Clock& clock,
                                                      std::size_t max_counters) {
  return std::make_unique<MemoryLimiter>(clock, max_counters);
}

}  // namespace asahi::identity
