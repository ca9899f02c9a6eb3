#pragma once

#include <chrono>

#include "storage/cache/store.h"

namespace asahi::cache {

/// Far beyond any use, and far below where nanoseconds in 64 bits end.
inline constexpr std::chrono::milliseconds kLongestTtl = std::chrono::hours(24 * 365 * 100);

/// What every backend refuses, in the same words.
inline Result<void> check_ttl(std::chrono::milliseconds ttl) {
  if (ttl.count() >= 0 && ttl <= kLongestTtl) return {};
  return fail(Errc::kInvalidArgument,
              "a cache entry's time to live must be 0 (no expiry) to 100 years of milliseconds");
}

inline Result<void> check_entry(const Bytes& value, std::chrono::milliseconds ttl) {
  if (value == nullptr) return fail(Errc::kInvalidArgument, "a cache entry needs a value");
  return check_ttl(ttl);
}

inline std::unexpected<Error> not_a_counter() {
  return fail(Errc::kInvalidArgument,
              "the cache entry to add to is not a decimal integer; use a key of its own");
}

inline std::unexpected<Error> counter_overflow() {
  return fail(Errc::kInvalidArgument,
              "the sum does not fit in 64 bits; the counter stays as it was");
}

}  // namespace asahi::cache
