#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "gateway/answer.h"
#include "gateway/cache/seal.h"
#include "storage/cache/store.h"

namespace asahi::gateway {

/// Tier 1: the same request of the same organisation gives the same answer, until its time is over.
/// Entries live in a Store (memory or Redis). When that store is away, lookups and writes go to a
/// small local store and `degraded` turns true: the cache never fails a request. Callable from any
/// loop.
class ExactCache {
 public:
  struct Options {
    bool enabled = true;
    std::string prefix = "asahi:cache";  ///< keys are `{prefix}:{tier}:{org}:{digest}`
    std::string tier = "t1";             ///< tier 3 keeps its steps the same way
    Digest128 digest_key{};              ///< the same on every replica that shares the store
    const identity::Live<KeyRing>* ring = nullptr;  ///< for sealed entries; see Seal
  };
  struct Hit {
    std::shared_ptr<const Answer> answer;
    cache::Bytes bytes;  ///< identity of the stored form: the same pointer means the same entry
  };

  /// `primary` may be the same object as `local`. Both outlive the cache.
  ExactCache(Options options, cache::Store& primary, cache::Store& local, const Clock& clock);

  /// The storage key of a request: a 128-bit keyed digest of its shape and canonical JSON, under
  /// its organisation.
  std::string key(std::string_view org, std::string_view shape, std::string_view canonical) const;

  /// The entry's stored form when the store answers without waiting; empty outer optional: use
  /// `get`.
  std::optional<std::optional<cache::Bytes>> peek(std::string_view key);
  /// A miss is an empty optional; so is a store that is away.
  Aw<std::optional<Hit>> get(std::string key);
  /// `sealed`: encrypted wherever it is stored, in process too; without a key it is not stored.
  Aw<void> put(std::string key, std::shared_ptr<const Answer> answer, std::chrono::milliseconds ttl,
               bool sealed = false);
  const Seal& seal() const { return seal_; }

  struct Removed {
    std::uint64_t tier_1 = 0;
  };
  /// What the keys of one organisation begin with.
  std::string prefix_of(std::string_view org) const;
  /// Entries whose key begins so, or is that key; in the local store too. How many were removed.
  Task<std::uint64_t> erase_prefix(std::string prefix);
  Task<std::uint64_t> erase_key(std::string key);
  /// Everything of one organisation.
  Task<Removed> clear(std::string org);
  /// Entries past their time only.
  Task<Removed> clear_expired();
  /// Visits the organisation's entries in batches until `visit` returns false.
  Task<void> each(std::string org, std::function<bool(const cache::Entry&, const Answer&)> visit);
  Task<cache::Stats> stats();

  bool enabled() const { return options_.enabled; }
  bool degraded() const { return degraded_.load(std::memory_order_relaxed); }
  /// "redis" or "memory".
  std::string_view backend() const { return primary_.backend(); }
  /// Asks the store whether it is there and updates `degraded`.
  Aw<void> probe();

 private:
  cache::Store& reachable() { return degraded() ? local_ : primary_; }
  void note(const Error* error);
  /// The answer of a stored form; empty: sealed, and not to be opened.
  std::optional<Result<Answer>> read(std::string_view key, const std::string& stored) const;

  Options options_;
  cache::Store& primary_;
  cache::Store& local_;
  const Clock& clock_;
  Logger logger_{"cache"};
  std::atomic<bool> degraded_{false};
  Seal seal_;
};

/// The request as its cache key sees it: canonical JSON without what cannot change the answer
/// (stream, user, tracking ids, gateway switches).
std::string canonical_request(const json::object& body);

}  // namespace asahi::gateway
