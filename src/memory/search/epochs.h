#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>

#include "storage/cache/store.h"

namespace asahi::memory {

/// A number per tenant that grows with each change of its memories: part of the key of every cached
/// search, so that nothing old is found again. Shared through Redis where there is one; while that
/// is away this process's own number serves. This process's numbers are as many as there are
/// places, however many tenants come: tenants that share a place forget cached searches when either
/// changes, never too late. Any loop.
class Epochs {
 public:
  /// `shared` outlives this; null: one process.
  explicit Epochs(cache::Store* shared) : shared_(shared) {}

  Aw<std::string> current(std::string tenant);
  Aw<void> bump(std::string tenant);

 private:
  static constexpr std::size_t kPlaces = 8192;  ///< 64 KiB
  std::int64_t own(const std::string& tenant, std::int64_t by);

  cache::Store* const shared_;
  std::array<std::atomic<std::int64_t>, kPlaces> numbers_{};
};

}  // namespace asahi::memory
