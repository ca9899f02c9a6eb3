#include "memory/wiring/replicas.h"

#include <fmt/format.h>

#include <utility>

#include "base/log.h"
#include "memory/wiring/buckets.h"

namespace asahi::memory {

Result<std::unique_ptr<object::ReplicatedStore>> with_replicas(
    const MemoryConfig& config, const std::string& place, const std::vector<std::string>& urls,
    std::unique_ptr<object::ObjectStore> first, telemetry::Registry* metrics, const Clock& clock) {
  std::vector<std::unique_ptr<object::ObjectStore>> replicas;
  for (const std::string& url : urls) {
    auto opened = open_replica(config, url);
    if (!opened) {
      return fail(opened.error().code,
                  fmt::format("memory.replicas.{}: {}", place, opened.error().message));
    }
    const std::string name = fmt::format("{}_replica_{}", place, replicas.size() + 1);
    if (metrics == nullptr) {
      replicas.push_back(*std::move(opened));
    } else {
      replicas.push_back(std::make_unique<WatchedStore>(*std::move(opened), name, *metrics, clock));
    }
  }
  object::ReplicatedStore::Options options;
  options.stood_in = [place](const std::string& where, const Error& why) {
    Logger("memory.replicas")
        .warning("a replica answered in the place of the first bucket",
                 {{"place", place}, {"replica", where}, {"error", why.message}});
  };
  return std::make_unique<object::ReplicatedStore>(std::move(first), std::move(replicas), clock,
                                                   std::move(options));
}

}  // namespace asahi::memory
