#include "storage/cache/open_store.h"

#include <utility>

#include "storage/cache/redis_store.h"

namespace asahi::cache {

Result<std::unique_ptr<Store>> open_store(StoreOptions options, net::LoopPool& loops,
                                          const Clock& clock) {
  if (options.url.empty()) return std::make_unique<MemoryStore>(options.memory, clock);
  ASAHI_TRY(options.redis.endpoint, parse_redis_url(options.url));
  return std::make_unique<RedisStore>(make_redis_clients(loops, options.redis));
}

}  // namespace asahi::cache
