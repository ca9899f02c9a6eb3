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

/// Sliding-window limits, exact in one process; over replicas that share Redis within 1 %. All limits of one call are
/// taken together or not at all, and a refused call takes nothing. Callable from any loop.
class RateLimiter {
 public:
  /// A limit and how much of it this call takes: 1 request, or an estimate of tokens.
  struct Ask {
    Limit limit;
    std::int64_t amount = 1;
  };

  virtual ~RateLimiter() = default;
  virtual std::string_view backend() const = 0;  ///< "memory" or "redis"
  /// Decides without suspending when the backend can (memory, and Redis for none at all); empty: use `take`.
  virtual std::optional<LimitVerdict> try_take(std::span<const Ask> asks) = 0;
  /// Redis away: counts in process instead and says so once in the log (spec §6: failure allows, but stays bounded).
  virtual Aw<LimitVerdict> take(std::vector<Ask> asks) = 0;
  /// Corrects tokens taken by estimate once the real number is known; negative gives back. Never fails a request.
  virtual void adjust(const Limit& limit, std::int64_t by) = 0;
};

/// In process, exact, bounded: beyond `max_counters` those idle for a window leave first.
std::unique_ptr<RateLimiter> make_memory_limiter(const Clock& clock, std::size_t max_counters = 1'000'000);

/// Over Redis, keys `{prefix}:{scope}:{id}` as sorted sets, one Lua call per decision (spec §6), falling back to `local`
/// while Redis is away.
std::unique_ptr<RateLimiter> make_redis_limiter(std::shared_ptr<cache::RedisClients> redis, std::string prefix,
                                                std::unique_ptr<RateLimiter> local, const Clock& clock);

}  // namespace asahi::identity
