#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/task.h"
#include "identity/limits/limit.h"
#include "storage/cache/redis_client.h"

namespace asahi::identity {

/// Sliding-window limits, exact in one process; over replicas that share Redis within 1 %. All
/// limits of one call are taken together or not at all, and a refused call takes nothing. Callable
/// from any loop.
class RateLimiter {
 public:
  /// A limit and how much of it this call takes: 1 request, or an estimate of tokens.
  struct Ask {
    Limit limit;
    std::int64_t amount = 1;
  };

  virtual ~RateLimiter() = default;
  virtual std::string_view backend() const = 0;  ///< "memory" or "redis"
  /// Decides without suspending when the backend can (memory, and Redis for none at all); empty:
  /// use `take`.
  virtual std::optional<LimitVerdict> try_take(std::span<const Ask> asks) = 0;
  /// Redis away: counts in process instead and says so once in the log (spec §6: failure allows,
  /// but stays bounded). No later than Redis's time-out. All asks are of one organisation, or one
  /// of an address.
  virtual Aw<LimitVerdict> take(std::vector<Ask> asks) = 0;
  /// Corrects tokens taken by estimate once the real number is known; negative gives back. `taken`
  /// is the verdict's: the correction lands where the estimate was, and nowhere when that has left
  /// the window. Unknown: more counts from now, less is given back by the oldest. May exceed `max`.
  /// Never fails a request.
  virtual void adjust(const Limit& limit, std::int64_t by, LimitStamp taken) = 0;
  void adjust(const Limit& limit, std::int64_t by) { adjust(limit, by, LimitStamp{}); }
};

/// A limiter that always decides at once, and can stand before a shared one.
class InProcessLimiter : public RateLimiter {
 public:
  /// Counts what was taken at `taken` from now on instead, and returns the new stamp: a shared
  /// counter took it a moment later, and nothing here may leave before it leaves there.
  virtual LimitStamp count_from_now(std::span<const Ask> asks, LimitStamp taken) = 0;
};

/// In process, exact, bounded: beyond `max_counters` those idle for a window leave first, then the
/// least recently asked. Requests are a log of single timestamps up to 65,536 a window and tokens
/// up to 4,096; larger limits share entries of window / 65,536 (0.9 ms of a minute) and window /
/// 4,096 (15 ms), see `merge_span`. A counter takes 16 bytes for each entry in its window and about
/// 150 for itself.
std::unique_ptr<InProcessLimiter> make_memory_limiter(const Clock& clock,
                                                      std::size_t max_counters = 1'000'000);

/// Over Redis, keys `{prefix}:{scope}:{id}` as sorted sets, one Lua call per decision (spec §6), in
/// the server's own time. `local` is asked first: what this process alone has used up is refused
/// without asking Redis, and when Redis goes away or comes back empty, this process's limits go on
/// where they were. While Redis is away `local` decides alone, and Redis is tried again in the
/// background every 250 ms; an outage is logged once. Single entries up to 10,000 requests and
/// 2,000 token takes a window, shared ones beyond (see `merge_span`). Decisions and corrections run
/// on the loops of `redis`; `clock` times pauses and outlives the limiter.
std::unique_ptr<RateLimiter> make_redis_limiter(std::shared_ptr<cache::RedisClients> redis,
                                                std::string prefix,
                                                std::unique_ptr<InProcessLimiter> local,
                                                const Clock& clock);

}  // namespace asahi::identity
