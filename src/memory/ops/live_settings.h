#pragma once

#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/config/loader.h"
#include "base/json.h"
#include "base/result.h"
#include "memory/config.h"

namespace asahi::memory {

/// The memory's settings as they stand, and the few that can change while the process runs. What is
/// changed holds until the process ends: what shall stay belongs into the configuration. Any
/// thread.
class LiveSettings {
 public:
  /// `effective`: all settings of the process with where they came from, those of the memory are
  /// taken out of them. `apply` takes over the values of a changed configuration.
  LiveSettings(MemoryConfig config, const std::vector<config::Binder::Effective>& effective,
               std::function<void(const MemoryConfig&)> apply);

  /// {"settings": [{path, value, origin, live, help}]}; secrets stand as "***". `all`: also where
  /// stores are and how the process is reached.
  json::object show(bool all) const;
  /// `changes`: {"memory.query.max_results": 50, …}, all or none. Answers {path: {"from", "to"}}.
  /// Errors: invalid_argument naming the path and its rule.
  Result<json::object> change(const json::object& changes);

  static bool is_live(std::string_view path);

 private:
  const std::function<void(const MemoryConfig&)> apply_;
  mutable std::mutex mutex_;
  MemoryConfig config_;
  std::vector<config::Binder::Effective> effective_;
};

}  // namespace asahi::memory
