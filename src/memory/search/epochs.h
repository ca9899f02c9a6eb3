#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "storage/cache/store.h"

namespace asahi::memory {

/// A number per tenant that grows with each change of its memories: part of the key of every cached
/// search, so that nothing old is found again. Shared through Redis where there is one; while that
/// is away this process's own number serves. Any loop.
class Epochs {
 public:
  /// `shared` outlives this; null: one process.
  explicit Epochs(cache::Store* shared) : shared_(shared) {}

  Aw<std::string> current(std::string tenant);
  Aw<void> bump(std::string tenant);

 private:
  std::int64_t own(const std::string& tenant, std::int64_t by);

  cache::Store* const shared_;
  std::mutex mutex_;
  std::map<std::string, std::int64_t> numbers_;
};

}  // namespace asahi::memory
