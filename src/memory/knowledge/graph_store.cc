#include "memory/knowledge/graph_store.h"

#include <fmt/format.h>

#include <algorithm>

#include "memory/knowledge/graph_rows.h"

namespace asahi::memory::knowledge {

namespace {

constexpr int kTries = 4;
/// Tenants whose state is remembered without their graph; small.
constexpr std::size_t kMostSeen = 10'000;

sql::Statement start_row(const std::string& tenant) {
  return {
      "INSERT INTO memory_graphs (tenant, epoch, next_fact, last_record_ns)"
      " VALUES (?, 0, 1, 0) ON CONFLICT (tenant) DO NOTHING",
      {tenant}};
}

}  // namespace

GraphStore::GraphStore(sql::Database& db, const Clock& clock, Options options)
    : db_(db), clock_(clock), options_(options) {}

std::int64_t GraphStore::steady_ns() const {
  return std::chrono::nanoseconds(clock_.steady_now().time_since_epoch()).count();
}

GraphStore::Handle GraphStore::cached(const std::string& tenant) {
  const std::lock_guard lock(cache_mutex_);
  const auto at = cache_.find(tenant);
  if (at == cache_.end()) return nullptr;
  const auto place = std::ranges::find(used_, tenant);
  used_.splice(used_.begin(), used_, place);
  return at->second;
}

void GraphStore::keep(const std::string& tenant, const Handle& loaded) {
  const std::lock_guard lock(cache_mutex_);
  if (!cache_.contains(tenant)) used_.push_front(tenant);
  cache_[tenant] = loaded;
  std::size_t facts = 0;
  for (const auto& [name, each] : cache_) facts += each->facts;
  while (cache_.size() > 1 &&
         (cache_.size() > options_.most_loaded || facts > options_.most_facts)) {
    const auto last = cache_.find(used_.back());
    facts -= last->second->facts;
    cache_.erase(last);
    used_.pop_back();
  }
}

void GraphStore::drop(const std::string& tenant) {
  const std::lock_guard lock(cache_mutex_);
  cache_.erase(tenant);
  used_.remove(tenant);
}

Result<GraphStore::Handle> GraphStore::load(const std::string& tenant) {
  const std::lock_guard one(load_mutex_);
  if (Handle known = cached(tenant)) return known;
  for (int attempt = 0; attempt < kTries; ++attempt) {
    Handle loaded;
    std::uint64_t after = 0;
    const auto read = db_.transaction_blocking([&](sql::Session& session) -> Result<void> {
      loaded = std::make_shared<Loaded>(options_.limits);
      ASAHI_TRY(loaded->epoch, read_rows(session, tenant, loaded->graph));
      ASAHI_TRY(after, read_epoch(session, tenant));
      return {};
    });
    if (!read) {
      // Rows of two moments fit together only by chance.
      if (read.error().code == Errc::kCorrupt && attempt + 1 < kTries) continue;
      return std::unexpected(read.error());
    }
    if (loaded->epoch != after) continue;
    loaded->checked_ns = steady_ns();
    loaded->facts = loaded->graph.facts();
    keep(tenant, loaded);
    return loaded;
  }
  return fail(Errc::kUnavailable,
              "the graph changes faster than it can be read here; try again in a moment");
}

Result<GraphStore::Handle> GraphStore::find(const std::string& tenant) {
  if (Handle known = cached(tenant)) {
    const std::int64_t now = steady_ns();
    if (now - known->checked_ns < std::chrono::nanoseconds(options_.check_every).count())
      return known;
    ASAHI_TRY(const sql::Rows rows,
              db_.query_blocking({"SELECT epoch FROM memory_graphs WHERE tenant = ?", {tenant}}));
    const std::uint64_t epoch =
        rows.empty() ? 0 : static_cast<std::uint64_t>(rows.integer(0, "epoch"));
    // A change of this process may have been written since: then it is ahead, never behind.
    if (known->epoch >= epoch) {
      known->checked_ns = now;
      return known;
    }
    drop(tenant);
  }
  return load(tenant);
}

std::optional<GraphStore::Seen> GraphStore::seen(const std::string& tenant) {
  const std::lock_guard lock(cache_mutex_);
  const auto at = seen_.find(tenant);
  return at == seen_.end() ? std::nullopt : std::optional(at->second);
}

void GraphStore::note_seen(const std::string& tenant, const Seen& seen) {
  const std::lock_guard lock(cache_mutex_);
  // Whoever is forgotten here is asked for once more.
  if (seen_.size() >= kMostSeen && !seen_.contains(tenant)) seen_.clear();
  seen_[tenant] = seen;
}

void GraphStore::forget_seen(const std::string& tenant) {
  const std::lock_guard lock(cache_mutex_);
  seen_.erase(tenant);
}

Result<GraphStore::State> GraphStore::state(const std::string& tenant) {
  const std::int64_t now = steady_ns();
  const std::int64_t fresh_for = std::chrono::nanoseconds(options_.check_every).count();
  const Handle known = cached(tenant);
  if (known && now - known->checked_ns < fresh_for)
    return State{.epoch = known->epoch, .loaded = true};
  std::optional<Seen> last = seen(tenant);
  if (!last || now - last->checked_ns >= fresh_for) {
    ASAHI_TRY(const sql::Rows rows,
              db_.query_blocking(
                  {"SELECT epoch, last_record_ns FROM memory_graphs WHERE tenant = ?", {tenant}}));
    State rows_have;
    if (!rows.empty()) {
      rows_have.epoch = static_cast<std::uint64_t>(rows.integer(0, "epoch"));
      rows_have.last_record =
          graph::Time{std::chrono::nanoseconds{rows.integer(0, "last_record_ns")}};
    }
    last = Seen{rows_have, now};
    note_seen(tenant, *last);
  }
  State out = last->state;
  // A change of this process may have been written since: then the graph here is ahead.
  if (known && known->epoch >= out.epoch) {
    if (known->checked_ns < last->checked_ns) known->checked_ns = last->checked_ns;
    out.loaded = true;
  }
  return out;
}

Result<std::optional<GraphStore::Around>> GraphStore::around(const std::string& tenant,
                                                             const std::string& entity) {
  for (int attempt = 0; attempt < kTries; ++attempt) {
    Around out{{}, graph::Graph(options_.limits, graph::Keeping::kRows)};
    bool all = false;
    std::uint64_t after = 0;
    const auto read = db_.transaction_blocking([&](sql::Session& session) -> Result<void> {
      out.graph = graph::Graph(options_.limits, graph::Keeping::kRows);
      ASAHI_TRY(const std::optional<std::uint64_t> epoch,
                read_around(session, tenant, entity, options_.most_around, out.graph));
      all = epoch.has_value();
      out.state = {.epoch = epoch.value_or(0), .last_record = out.graph.stored_start().at};
      ASAHI_TRY(after, read_epoch(session, tenant));
      return {};
    });
    if (!read) {
      // Rows of two moments fit together only by chance.
      if (read.error().code == Errc::kCorrupt && attempt + 1 < kTries) continue;
      return std::unexpected(read.error());
    }
    if (!all) return std::nullopt;
    if (out.state.epoch == after) return out;
  }
  return fail(Errc::kUnavailable,
              "the graph changes faster than it can be read here; try again in a moment");
}

Result<std::uint64_t> GraphStore::epoch(const std::string& tenant) {
  ASAHI_TRY(const Handle loaded, find(tenant));
  return loaded->epoch.load();
}

Result<void> GraphStore::write_once(const Changes& changes, const Beside& also, bool& stale) {
  struct Prepared {
    std::string tenant;
    Handle loaded;
    std::uint64_t epoch = 0;
    std::vector<sql::Statement> statements;
  };
  std::vector<Prepared> prepared;
  const auto give_up = [&] {
    for (const Prepared& each : prepared) drop(each.tenant);
  };
  for (const auto& [tenant, change] : changes) {
    auto loaded = cached(tenant);
    if (!loaded) {
      auto fresh = load(tenant);
      if (!fresh) {
        give_up();
        return std::unexpected(fresh.error());
      }
      loaded = *fresh;
    }
    const std::unique_lock lock(loaded->mutex);
    auto done = change(loaded->graph, clock_.now());
    const graph::Touched touched = loaded->graph.take_touched();
    if (!done) {
      // What it did before it failed is not kept.
      if (!touched.empty()) drop(tenant);
      give_up();
      return done;
    }
    if (touched.empty()) continue;
    loaded->facts = loaded->graph.facts();
    const graph::Change start = loaded->graph.stored_start();
    Prepared one{tenant, loaded, loaded->epoch, rows_to_write(tenant, loaded->graph, touched)};
    one.statements.push_back(
        {"UPDATE memory_graphs SET next_fact = ?, last_record_ns = ?, entities = ?, edges = ?,"
         " facts = ? WHERE tenant = ?",
         {static_cast<std::int64_t>(start.fact), start.at.time_since_epoch().count(),
          static_cast<std::int64_t>(loaded->graph.entities()),
          static_cast<std::int64_t>(loaded->graph.edges()),
          static_cast<std::int64_t>(loaded->graph.facts()), tenant}});
    prepared.push_back(std::move(one));
  }
  if (prepared.empty() && also.empty()) return {};
  const auto written = db_.transaction_blocking([&](sql::Session& session) -> Result<void> {
    stale = false;
    for (const Prepared& each : prepared) {
      if (auto ok = session.query(start_row(each.tenant)); !ok) return std::unexpected(ok.error());
      ASAHI_TRY(const sql::Rows raised,
                session.query({"UPDATE memory_graphs SET epoch = epoch + 1"
                               " WHERE tenant = ? AND epoch = ?",
                               {each.tenant, static_cast<std::int64_t>(each.epoch)}}));
      if (raised.affected() == 0) {
        stale = true;
        return fail(Errc::kUnavailable, "another process changed the graph meanwhile; try again");
      }
      for (const sql::Statement& statement : each.statements) {
        if (auto ok = session.query(statement); !ok) return std::unexpected(ok.error());
      }
    }
    for (const sql::Statement& statement : also.statements) {
      if (auto ok = session.query(statement); !ok) return std::unexpected(ok.error());
    }
    if (!also.condition) return {};
    ASAHI_TRY(const sql::Rows held, session.query(*also.condition));
    if (held.affected() == 0)
      return fail(Errc::kConflict, "another process was faster: look where it is now");
    return {};
  });
  if (!written) {
    give_up();
    return written;
  }
  for (const Prepared& each : prepared) {
    each.loaded->epoch = each.epoch + 1;
    each.loaded->checked_ns = steady_ns();
    forget_seen(each.tenant);
  }
  return {};
}

Result<void> GraphStore::write(const Changes& changes, const Beside& also) {
  const std::lock_guard one(write_mutex_);
  for (int attempt = 1;; ++attempt) {
    bool stale = false;
    auto written = write_once(changes, also, stale);
    if (written || !stale || attempt == kTries) return written;
  }
}

Result<LearnedCounts> GraphStore::learn(std::span<const TenantStatement> statements,
                                        const Beside& also) {
  std::map<std::string, std::vector<const graph::Statement*>> by_tenant;
  for (const TenantStatement& each : statements) by_tenant[each.tenant].push_back(&each.statement);
  // By tenant: a change that is made again counts again from nothing.
  std::map<std::string, LearnedCounts> counts;
  Changes changes;
  for (const auto& [tenant, list] : by_tenant) {
    changes[tenant] = [&list, &mine = counts[tenant]](graph::Graph& graph,
                                                      graph::Time now) -> Result<void> {
      mine = {};
      for (const graph::Statement* statement : list) {
        ++mine.statements;
        const auto learned = graph.learn(*statement, now);
        if (!learned) {
          ++mine.refused;
          mine.refusal = learned.error().message;
          continue;
        }
        mine.added += learned->added;
        mine.changed += learned->changed;
        mine.withdrawn += learned->withdrawn;
      }
      return {};
    };
  }
  if (auto ok = write(changes, also); !ok) return std::unexpected(ok.error());
  LearnedCounts all;
  for (const auto& [tenant, mine] : counts) {
    all.statements += mine.statements;
    all.added += mine.added;
    all.changed += mine.changed;
    all.withdrawn += mine.withdrawn;
    all.refused += mine.refused;
    if (!mine.refusal.empty()) all.refusal = mine.refusal;
  }
  return all;
}

Result<std::size_t> GraphStore::forget(const std::string& tenant,
                                       const std::vector<graph::Source>& sources) {
  std::size_t gone = 0;
  const Changes changes{{tenant, [&](graph::Graph& graph, graph::Time now) -> Result<void> {
                           gone = 0;
                           for (const graph::Source& source : sources)
                             gone += graph.forget(source, now);
                           return {};
                         }}};
  if (auto ok = write(changes, {}); !ok) return std::unexpected(ok.error());
  if (gone > 0 && options_.forgotten) options_.forgotten(tenant);
  return gone;
}

Result<std::size_t> GraphStore::forget_system(const std::string& tenant,
                                              const std::string& system_id) {
  std::size_t gone = 0;
  const Changes changes{{tenant, [&](graph::Graph& graph, graph::Time now) -> Result<void> {
                           gone = graph.forget_system(system_id, now);
                           return {};
                         }}};
  if (auto ok = write(changes, {}); !ok) return std::unexpected(ok.error());
  if (gone > 0 && options_.forgotten) options_.forgotten(tenant);
  return gone;
}

Result<graph::Fact> GraphStore::change_fact(const std::string& tenant, graph::FactId fact,
                                            Change change) {
  graph::Fact out;
  const Changes changes{{tenant, [&](graph::Graph& graph, graph::Time now) -> Result<void> {
                           if (auto ok = change(graph, now); !ok) return ok;
                           auto row = graph.stored_fact(fact);
                           if (!row)
                             return fail(Errc::kNotFound, fmt::format("there is no fact {}", fact));
                           graph::StoredFact& stored = row->stored;
                           out = {.id = fact,
                                  .from = std::move(stored.from),
                                  .to = std::move(stored.to),
                                  .type = std::move(stored.type),
                                  .source = std::move(stored.source),
                                  .version = std::move(stored.versions.back())};
                           return {};
                         }}};
  if (auto ok = write(changes, {}); !ok) return std::unexpected(ok.error());
  return out;
}

Result<graph::Fact> GraphStore::edit(const std::string& tenant, graph::FactId fact,
                                     const graph::Edit& edit) {
  return change_fact(tenant, fact, [&](graph::Graph& graph, graph::Time now) {
    return graph.edit(fact, edit, now);
  });
}
Result<graph::Fact> GraphStore::retract(const std::string& tenant, graph::FactId fact) {
  return change_fact(
      tenant, fact, [&](graph::Graph& graph, graph::Time now) { return graph.retract(fact, now); });
}
Result<graph::Fact> GraphStore::supersede(const std::string& tenant, graph::FactId old,
                                          graph::FactId by) {
  return change_fact(tenant, old, [&](graph::Graph& graph, graph::Time now) {
    return graph.supersede(old, by, now);
  });
}
Result<graph::Fact> GraphStore::contradict(const std::string& tenant, graph::FactId old,
                                           graph::FactId by) {
  return change_fact(tenant, old, [&](graph::Graph& graph, graph::Time now) {
    return graph.contradict(old, by, now);
  });
}

Result<std::vector<graph::Source>> GraphStore::sources(const std::string& tenant,
                                                       const graph::Source& after,
                                                       std::size_t limit) {
  ASAHI_TRY(const sql::Rows rows,
            db_.query_blocking({"SELECT system_id, conversation_id FROM memory_graph_sources"
                                " WHERE tenant = ? AND (system_id, conversation_id) > (?, ?)"
                                " ORDER BY system_id, conversation_id LIMIT ?",
                                {tenant, after.system_id, after.conversation_id,
                                 static_cast<std::int64_t>(limit)}}));
  std::vector<graph::Source> out;
  for (std::size_t i = 0; i < rows.size(); ++i)
    out.push_back({rows.text(i, "system_id"), rows.text(i, "conversation_id")});
  return out;
}

Result<std::vector<std::string>> GraphStore::tenants(const std::string& after, std::size_t limit) {
  ASAHI_TRY(const sql::Rows rows,
            db_.query_blocking({"SELECT tenant FROM memory_graphs WHERE tenant > ?"
                                " ORDER BY tenant LIMIT ?",
                                {after, static_cast<std::int64_t>(limit)}}));
  std::vector<std::string> out;
  for (std::size_t i = 0; i < rows.size(); ++i) out.push_back(rows.text(i, "tenant"));
  return out;
}

Result<GraphSize> GraphStore::size() {
  ASAHI_TRY(const sql::Rows rows,
            db_.query_blocking({"SELECT CAST(COALESCE(SUM(entities), 0) AS BIGINT) AS entities,"
                                " CAST(COALESCE(SUM(edges), 0) AS BIGINT) AS edges,"
                                " CAST(COALESCE(SUM(facts), 0) AS BIGINT) AS facts"
                                " FROM memory_graphs"}));
  const auto of = [&](std::string_view column) {
    return static_cast<std::size_t>(rows.integer(0, column));
  };
  return GraphSize{of("entities"), of("edges"), of("facts")};
}

}  // namespace asahi::memory::knowledge
