#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "net/loop.h"
#include "storage/cache/memory_store.h"
#include "storage/cache/redis/options.h"
#include "storage/cache/store.h"

namespace asahi::cache {

struct StoreOptions {
  std::string url;       ///< redis://…, rediss://…, unix://…; empty: in this process
  MemoryOptions memory;  ///< when the URL is empty
  RedisOptions redis;    ///< otherwise; its endpoint comes from the URL
};

/// Opens the store that the URL names. Redis is connected on first use, so that its absence does
/// not keep anything from starting: ask `ping`. Whoever wants the clients for commands of their own
/// makes a RedisStore over `make_redis_clients` instead. The store goes before `loops`; `clock`
/// outlives it. Errors: invalid_argument (the URL).
Result<std::unique_ptr<Store>> open_store(StoreOptions options, net::LoopPool& loops,
                                          const Clock& clock);

}  // namespace asahi::cache
