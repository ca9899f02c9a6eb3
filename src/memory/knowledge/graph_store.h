#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "memory/graph/graph.h"
#include "memory/graph/sight.h"
#include "storage/sql/database.h"

namespace asahi::memory::knowledge {

/// What one memory states, and whose it is.
struct TenantStatement {
  std::string tenant;
  graph::Statement statement;
};
struct LearnedCounts {
  std::size_t statements = 0, added = 0, changed = 0, withdrawn = 0;
  std::size_t refused = 0;  ///< the graph is full, or the statement breaks a rule
  std::string refusal;      ///< why, of the last one
};
struct GraphSize {
  std::size_t entities = 0, edges = 0, facts = 0;
};

/// The graphs of all tenants: rows in SQL, which are the truth, and those asked for of late in
/// memory. Each change of a tenant raises its epoch in the same transaction; a process whose graph
/// has another epoch than the rows reads them anew, so that several processes may write.
///
/// Blocking: ordinary threads and pools only. Thread-safe; changes wait for each other, reads run
/// beside each other. Errors of all: those of the database; corrupt (rows that no graph has).
class GraphStore {
 public:
  struct Options {
    graph::Limits limits;
    std::size_t most_loaded = 64;         ///< tenants in memory
    std::size_t most_facts = 20'000'000;  ///< of all tenants in memory; those not used of late go
    /// How long a graph in memory may be behind what another process wrote.
    std::chrono::milliseconds check_every{2'000};
    /// An entity with more facts is asked of the whole graph.
    std::size_t most_around = 5'000;
    /// Told, by any thread, when what memories stated is gone from the rows.
    std::function<void(const std::string& tenant)> forgotten = {};
  };
  GraphStore(sql::Database& db, const Clock& clock, Options options);

  /// What goes with a change, in the same transaction.
  struct Beside {
    std::vector<sql::Statement> statements;
    /// Where it changes no row, nothing at all is written: conflict.
    std::optional<sql::Statement> condition;
    bool empty() const { return statements.empty() && !condition; }
  };
  /// Learns them all or nothing; a statement that is refused is counted, the others are learned.
  Result<LearnedCounts> learn(std::span<const TenantStatement> statements, const Beside& also = {});
  /// How many facts went.
  Result<std::size_t> forget(const std::string& tenant, const std::vector<graph::Source>& sources);
  Result<std::size_t> forget_system(const std::string& tenant, const std::string& system_id);
  /// Errors: see Graph. The fact as it is then.
  Result<graph::Fact> edit(const std::string& tenant, graph::FactId fact, const graph::Edit& edit);
  Result<graph::Fact> retract(const std::string& tenant, graph::FactId fact);
  Result<graph::Fact> supersede(const std::string& tenant, graph::FactId old, graph::FactId by);
  Result<graph::Fact> contradict(const std::string& tenant, graph::FactId old, graph::FactId by);

  /// Reads a tenant's graph; no change runs meanwhile, so be quick.
  template <class Read>
  auto read(const std::string& tenant, Read read) -> decltype(read(std::declval<graph::Graph&>())) {
    auto loaded = find(tenant);
    if (!loaded) return std::unexpected(loaded.error());
    const std::shared_lock lock((*loaded)->mutex);
    return read(std::as_const((*loaded)->graph));
  }
  /// The number that grows with each change of the tenant's graph.
  Result<std::uint64_t> epoch(const std::string& tenant);

  /// Which state of a tenant's graph the rows have, and whether it is in memory here.
  struct State {
    std::uint64_t epoch = 0;
    /// With the epoch it tells states apart even where rows were put back from a backup.
    graph::Time last_record = graph::kAlways;
    bool loaded = false;
  };
  /// Asks the rows at most once per `check_every`, and loads nothing.
  Result<State> state(const std::string& tenant);
  struct Around {
    State state;  ///< of which the graph is
    graph::Graph graph;
  };
  /// What stands around one entity, from its rows alone (read_around). Nothing: it has too many
  /// facts. Errors: also unavailable (the graph changes faster than it can be read).
  Result<std::optional<Around>> around(const std::string& tenant, const std::string& entity);

  /// The sources of a tenant after `after`, in order: for comparing with what the stores have.
  Result<std::vector<graph::Source>> sources(const std::string& tenant, const graph::Source& after,
                                             std::size_t limit);
  /// Tenants with a graph after `after`, in order.
  Result<std::vector<std::string>> tenants(const std::string& after, std::size_t limit);
  /// Of all tenants' rows.
  Result<GraphSize> size();

 private:
  struct Loaded {
    explicit Loaded(graph::Limits limits) : graph(limits, graph::Keeping::kRows) {}
    std::shared_mutex mutex;
    graph::Graph graph;
    std::atomic<std::uint64_t> epoch{0};
    std::atomic<std::int64_t> checked_ns{0};  ///< steady time at which rows had that epoch
    std::atomic<std::size_t> facts{0};
  };
  using Handle = std::shared_ptr<Loaded>;
  using Change = std::function<Result<void>(graph::Graph&, graph::Time now)>;
  using Changes = std::map<std::string, Change>;

  Result<Handle> find(const std::string& tenant);
  Result<Handle> load(const std::string& tenant);
  Handle cached(const std::string& tenant);
  /// What the rows said last, for tenants that are not in memory.
  struct Seen {
    State state;
    std::int64_t checked_ns = 0;
  };
  std::optional<Seen> seen(const std::string& tenant);
  void note_seen(const std::string& tenant, const Seen& seen);
  void forget_seen(const std::string& tenant);
  void keep(const std::string& tenant, const Handle& loaded);
  void drop(const std::string& tenant);
  std::int64_t steady_ns() const;
  /// Makes the changes and their rows durable together.
  Result<void> write(const Changes& changes, const Beside& also);
  Result<void> write_once(const Changes& changes, const Beside& also, bool& stale);
  Result<graph::Fact> change_fact(const std::string& tenant, graph::FactId fact, Change change);

  sql::Database& db_;
  const Clock& clock_;
  const Options options_;
  std::mutex write_mutex_;  ///< one change at a time: rows follow the graph's order
  std::mutex load_mutex_;   ///< one load at a time: they are large
  std::mutex cache_mutex_;
  std::map<std::string, Handle> cache_;
  std::list<std::string> used_;  ///< latest first
  std::map<std::string, Seen> seen_;
};

}  // namespace asahi::memory::knowledge
