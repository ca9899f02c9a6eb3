#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "memory/search/frequent_rows.h"
#include "memory/search/search.h"
#include "telemetry/metrics.h"

namespace asahi::memory {

/// Fills the caches of searches (spec/memory §5.6): asks again what is asked most, each search with
/// the rights of who asked it. What is asked most is remembered in the database, so that a new
/// process begins with it.
///
/// It is in nobody's way: one search at a time, after each a rest four times as long as it took,
/// and it ends at the first sign that a tier has no room. Any loop.
///
/// | Name | Type; labels |
/// |---|---|
/// | akosha_cache_warming_searches_total | counter; trigger (start, demand, latency), outcome
/// (refilled, cached, failed) |
class CacheWarmer {
 public:
  enum class Trigger : std::uint8_t { kStart, kDemand, kLatency };
  struct Options {
    std::size_t most = 100;    ///< searches of a tenant
    std::size_t in_all = 500;  ///< of one run: more would push out what it brought in
    /// No run goes on for longer.
    std::chrono::nanoseconds longest = std::chrono::seconds(25);
  };
  /// All outlive it.
  struct Parts {
    Search& search;
    sql::Database& database;
    const Clock& clock;
    telemetry::Registry& metrics;
    /// How a run waits; empty: on the loop where it goes.
    std::function<Aw<void>(std::chrono::nanoseconds)> rest = {};
  };
  CacheWarmer(Parts parts, Options options);

  struct Warmed {
    std::size_t refilled = 0;  ///< had to be looked for
    std::size_t cached = 0;    ///< were there
    std::size_t failed = 0;
  };
  /// The searches of this tenant, or of all. Errors: unavailable while another run is under way;
  /// invalid_argument where answers are not cached.
  Task<Warmed> warm(std::optional<std::string> tenant, Trigger trigger);
  /// Takes over what was asked before this process began.
  Task<void> load();
  /// Keeps what was asked since the last time.
  Task<void> save();
  /// Runs end after the search they are at.
  void stop() { stopped_ = true; }

 private:
  struct Counters {
    telemetry::Counter *refilled, *cached, *failed;
  };
  Aw<void> rest(std::chrono::nanoseconds took) const;

  const Parts parts_;
  const Options options_;
  FrequentRows rows_;
  std::array<Counters, 3> counters_{};
  std::atomic<bool> running_{false}, stopped_{false};
  std::atomic<std::int64_t> swept_{0};  ///< the period in which rows were last swept
};

}  // namespace asahi::memory
