#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/task.h"
#include "storage/cache/memory_store.h"
#include "storage/cache/store.h"

namespace asahi::identity {

/// Slows down whoever guesses passwords (spec §9.1): after `max_failures` failed attempts each
/// further one locks for 2^(n - max_failures) seconds, up to `longest`. Counted per address and per
/// account, in a store that replicas share; while that is away, in this process. An attempt counts
/// from its beginning, so that many at once gain nothing.
class Lockout {
 public:
  struct Options {
    int max_failures = 10;
    std::chrono::seconds longest{900};
    std::chrono::seconds memory{3'600};  ///< failures are forgotten this long after the first
  };
  /// An attempt under way: end it with `succeeded` or `failed`.
  struct Attempt {
    std::vector<std::string> subjects;
    std::vector<std::int64_t> counts;  ///< this attempt included
  };

  /// `store` and `clock` outlive it.
  Lockout(Options options, cache::Store& store, const Clock& clock);

  /// `subjects`: whose attempts are counted together, "ip:10.0.0.1", "account:…". Errors:
  /// rate_limited with reason "auth_locked_out" and retry_after.
  Task<Attempt> begin(std::vector<std::string> subjects);
  /// Clears `forgive` (the account); an address keeps its earlier failures, or one good account
  /// would cover guesses.
  Aw<void> succeeded(Attempt attempt, std::string forgive);
  Aw<void> failed(Attempt attempt);

 private:
  /// Runs on the shared store, or on the local one while that is away.
  template <class Value, class Body>
  Aw<Value> stored(Body body, Value otherwise);
  Aw<std::optional<std::chrono::milliseconds>> locked(std::string subject);
  Aw<void> lock(std::string subject, std::chrono::seconds time);
  std::chrono::seconds lock_time(std::int64_t failures) const;

  const Options options_;
  cache::Store& store_;
  const Clock& clock_;
  cache::MemoryStore local_;
};

}  // namespace asahi::identity
