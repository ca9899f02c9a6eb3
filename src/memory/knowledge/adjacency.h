#pragma once

#include <chrono>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/log.h"
#include "base/task.h"
#include "memory/knowledge/graph_store.h"
#include "net/background.h"
#include "storage/cache/store.h"
#include "telemetry/metrics.h"

namespace asahi::memory::knowledge {

/// What stands around entities (GraphStore::around), kept in a cache that all processes share: one
/// that has not loaded a tenant's graph answers for neighbours without doing so, and what one has
/// read of the rows the others need not read (spec/memory §6.2).
///
/// A key names the tenant, the state of its graph and the entity, so that nothing stale is found
/// and nobody's but the tenant's; which systems and moments a caller sees is decided when it is
/// read, by Sight. Where memories are forgotten, what was kept of the tenant is erased a moment
/// later: no question that began before it is left then.
///
/// A cache that is away is a miss, counted: akosha_graph_adjacency_total{outcome}: hit, miss,
/// error (away, or what it holds is broken), kept, too_large, erased, whole (an entity with very
/// many facts, or one that only the whole graph can tell of). `find` and `keep` on loops, the rest
/// anywhere.
class Adjacency {
 public:
  struct Options {
    std::chrono::milliseconds life = std::chrono::hours(24);
    std::size_t most_bytes = 1 << 20;  ///< of one entity; larger ones are not kept
    /// Longer than a process may be behind (GraphStore) and a question lasts.
    std::chrono::milliseconds erase_after{10'000};
    std::chrono::milliseconds again_after{60'000};  ///< where the cache was away
    int erase_tries = 10;
  };
  /// All outlive it. `store` counts its own errors.
  Adjacency(cache::Store& store, net::Loop& loop, telemetry::Registry& metrics, Options options);
  ~Adjacency();

  /// The lines of a graph. Null: not kept, or the cache is away.
  Aw<cache::Bytes> find(std::string tenant, GraphStore::State state, std::string entity);
  /// They were of no graph: they are read anew and replaced.
  void broken(const Error& error);
  /// The whole graph was needed, and is loaded.
  void needed_all() { count("whole"); }
  /// Keeps what was read. Failing is no error to anybody.
  Aw<void> keep(std::string tenant, std::string entity, GraphStore::State state, std::string lines);
  /// Erases what is kept of the tenant, soon.
  void forget(const std::string& tenant);
  /// Erasures that wait are done now. Ordinary thread, while the loops run.
  void stop();

  /// Begins the keys of a tenant, and of no other.
  static std::string prefix(std::string_view tenant);

 private:
  Aw<void> erase(std::string tenant, net::Background::Sleep sleep);
  void count(const char* outcome);

  cache::Store& store_;
  telemetry::Registry& metrics_;
  const Options options_;
  Logger logger_{"memory.adjacency"};
  std::mutex mutex_;
  std::set<std::string> erasing_;  ///< under the mutex
  net::Background background_;
};

/// A graph as text, and text as a graph. Errors: corrupt.
std::string to_lines(const graph::Graph& graph);
Result<graph::Graph> from_lines(std::string_view lines);

}  // namespace asahi::memory::knowledge
