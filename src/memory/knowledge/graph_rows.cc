#include "memory/knowledge/graph_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "base/json.h"

namespace asahi::memory::knowledge {

namespace {

using graph::Change;
using graph::Graph;
using graph::StoredFact;
using graph::Version;
using sql::Value;

/// Both engines take 32,766 parameters at least.
constexpr std::size_t kMostParameters = 16'000;
constexpr std::size_t kKeysOfDelete = 500;
constexpr std::int64_t kRowsOfPage = 20'000;

std::int64_t ns(graph::Time time) { return time.time_since_epoch().count(); }
graph::Time time_of(std::int64_t count) { return graph::Time{std::chrono::nanoseconds{count}}; }
std::int64_t number(std::uint64_t value) { return static_cast<std::int64_t>(value); }
std::int64_t number(graph::End end) { return static_cast<std::int64_t>(end); }

void add_times(std::vector<Value>& row, const Version& version) {
  row.insert(row.end(), {ns(version.valid_from), ns(version.valid_to), ns(version.recorded_at),
                         ns(version.retracted_at), version.weight_micros, number(version.end),
                         number(version.ended_by), version.properties, version.evidence});
}

/// Entity ids hold nothing that JSON escapes.
std::string id_list(const std::vector<graph::StatedEntity>& entities) {
  std::string out = "[";
  for (const graph::StatedEntity& entity : entities) {
    if (out.size() > 1) out += ',';
    append_json_string(out, entity.id);
  }
  return out + "]";
}

/// Deletes by one column that is a key within the tenant.
class BulkDelete {
 public:
  BulkDelete(std::string table, std::string column, const std::string& tenant)
      : sql_(fmt::format("DELETE FROM {} WHERE tenant = ? AND {} IN (", table, column)),
        tenant_(tenant) {}
  void add(Value key) { keys_.push_back(std::move(key)); }
  void take(std::vector<sql::Statement>& into) {
    for (std::size_t at = 0; at < keys_.size(); at += kKeysOfDelete) {
      const std::size_t end = std::min(keys_.size(), at + kKeysOfDelete);
      sql::Statement one{sql_, {tenant_}};
      for (std::size_t i = at; i < end; ++i) {
        one.sql += i == at ? "?" : ", ?";
        one.params.push_back(std::move(keys_[i]));
      }
      one.sql += ')';
      into.push_back(std::move(one));
    }
    keys_.clear();
  }

 private:
  const std::string sql_;
  const std::string tenant_;
  std::vector<Value> keys_;
};

Version read_version(const sql::Rows& rows, std::size_t i) {
  return {.valid_from = time_of(rows.integer(i, "valid_from_ns")),
          .valid_to = time_of(rows.integer(i, "valid_to_ns")),
          .recorded_at = time_of(rows.integer(i, "recorded_at_ns")),
          .retracted_at = time_of(rows.integer(i, "retracted_at_ns")),
          .weight_micros = rows.integer(i, "weight_micros"),
          .end = static_cast<graph::End>(rows.integer(i, "ended")),
          .ended_by = static_cast<graph::FactId>(rows.integer(i, "ended_by")),
          .properties = rows.text(i, "properties"),
          .evidence = rows.text(i, "evidence")};
}

Result<void> corrupt(std::string_view what) {
  return fail(Errc::kCorrupt, fmt::format("the graph's rows hold {} that cannot be", what));
}

Result<void> check_fact(const sql::Rows& rows, std::size_t i) {
  const auto within = [&](std::string_view column, std::int64_t most) {
    const std::int64_t value = rows.integer(i, column);
    return value >= 0 && value <= most;
  };
  if (within("ended", 5) && within("withdrawn", 5) && within("exclusive", 2)) return {};
  return corrupt(fmt::format("a fact ({})", rows.integer(i, "fact_id")));
}

Result<void> read_sources(sql::Session& session, const std::string& tenant, Graph& graph) {
  std::string system, conversation;
  while (true) {
    ASAHI_TRY(const sql::Rows rows,
              session.query({"SELECT system_id, conversation_id, entities FROM memory_graph_sources"
                             " WHERE tenant = ? AND (system_id, conversation_id) > (?, ?)"
                             " ORDER BY system_id, conversation_id LIMIT ?",
                             {tenant, system, conversation, kRowsOfPage}}));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      system = rows.text(i, "system_id");
      conversation = rows.text(i, "conversation_id");
      Change change{.kind = Change::kStoredSource, .statement = {.source = {system, conversation}}};
      const auto ids = parse_json(rows.text(i, "entities"), 4);
      if (!ids || !ids->is_array()) return corrupt("a source");
      for (const json::value& id : ids->get_array()) {
        if (!id.is_string()) return corrupt("a source");
        change.statement.entities.push_back({.id = std::string(id.get_string())});
      }
      if (auto ok = graph.apply(change); !ok) return ok;
    }
    if (rows.size() < static_cast<std::size_t>(kRowsOfPage)) return {};
  }
}

Change entity_of(const sql::Rows& rows, std::size_t i) {
  Change change{.kind = Change::kStoredEntity, .at = time_of(rows.integer(i, "first_seen_ns"))};
  change.statement.source = {rows.text(i, "system_id"), rows.text(i, "conversation_id")};
  change.statement.entities.push_back(
      {.id = rows.text(i, "entity_id"), .properties = rows.text(i, "properties")});
  return change;
}

Result<void> read_entities(sql::Session& session, const std::string& tenant, Graph& graph) {
  std::string last;
  while (true) {
    ASAHI_TRY(const sql::Rows rows,
              session.query({"SELECT entity_id, first_seen_ns, properties, system_id,"
                             " conversation_id FROM memory_graph_entities"
                             " WHERE tenant = ? AND entity_id > ? ORDER BY entity_id LIMIT ?",
                             {tenant, last, kRowsOfPage}}));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (auto ok = graph.apply(entity_of(rows, i)); !ok) return ok;
    }
    if (!rows.empty()) last = rows.text(rows.size() - 1, "entity_id");
    if (rows.size() < static_cast<std::size_t>(kRowsOfPage)) return {};
  }
}

/// `past`: its versions before the present one, oldest first.
Result<void> apply_fact(const sql::Rows& rows, std::size_t i, std::vector<Version> past,
                        Graph& graph) {
  if (auto ok = check_fact(rows, i); !ok) return ok;
  Change change{.kind = Change::kStoredFact, .at = time_of(rows.integer(i, "recorded_at_ns"))};
  StoredFact& fact = change.stored;
  fact.id = static_cast<graph::FactId>(rows.integer(i, "fact_id"));
  fact.from = rows.text(i, "from_id");
  fact.to = rows.text(i, "to_id");
  fact.type = rows.text(i, "type");
  fact.source = {rows.text(i, "system_id"), rows.text(i, "conversation_id")};
  fact.exclusive = static_cast<graph::Exclusive>(rows.integer(i, "exclusive"));
  fact.identity = static_cast<std::uint64_t>(rows.integer(i, "identity"));
  fact.stated = static_cast<std::uint64_t>(rows.integer(i, "stated"));
  fact.stated_to = time_of(rows.integer(i, "stated_to_ns"));
  fact.cut_to = time_of(rows.integer(i, "cut_to_ns"));
  fact.cut_by = static_cast<graph::FactId>(rows.integer(i, "cut_by"));
  fact.withdrawn = static_cast<graph::End>(rows.integer(i, "withdrawn"));
  fact.versions = std::move(past);
  fact.versions.push_back(read_version(rows, i));
  return graph.apply(change);
}

Result<void> read_facts(sql::Session& session, const std::string& tenant, Graph& graph) {
  std::int64_t last = 0;
  while (true) {
    ASAHI_TRY(const sql::Rows rows, session.query({"SELECT * FROM memory_graph_facts"
                                                   " WHERE tenant = ? AND fact_id > ?"
                                                   " ORDER BY fact_id LIMIT ?",
                                                   {tenant, last, kRowsOfPage}}));
    if (rows.empty()) return {};
    const std::int64_t first = last;
    last = rows.integer(rows.size() - 1, "fact_id");
    ASAHI_TRY(const sql::Rows past,
              session.query({"SELECT * FROM memory_graph_versions WHERE tenant = ? AND fact_id > ?"
                             " AND fact_id <= ? ORDER BY fact_id, version",
                             {tenant, first, last}}));
    std::size_t at = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const std::int64_t id = rows.integer(i, "fact_id");
      std::vector<Version> before;
      for (; at < past.size() && past.integer(at, "fact_id") <= id; ++at) {
        if (past.integer(at, "fact_id") == id) before.push_back(read_version(past, at));
      }
      if (auto ok = apply_fact(rows, i, std::move(before), graph); !ok) return ok;
    }
  }
}

}  // namespace

BulkInsert::BulkInsert(std::string head, std::string tail, std::size_t columns)
    : head_(std::move(head)), tail_(std::move(tail)), columns_(columns) {}

void BulkInsert::add(std::vector<Value> row) {
  values_.insert(values_.end(), std::make_move_iterator(row.begin()),
                 std::make_move_iterator(row.end()));
}

void BulkInsert::take(std::vector<sql::Statement>& into) {
  // Full statements have one text, which engines keep prepared.
  const std::size_t most = kMostParameters / columns_;
  const std::size_t rows = values_.size() / columns_;
  for (std::size_t at = 0; at < rows; at += most) {
    const std::size_t count = std::min(most, rows - at);
    sql::Statement one{head_ + " VALUES "};
    for (std::size_t i = 0; i < count; ++i) {
      one.sql += i == 0 ? "(" : ", (";
      for (std::size_t k = 0; k < columns_; ++k) one.sql += k == 0 ? "?" : ", ?";
      one.sql += ')';
    }
    one.sql += ' ' + tail_;
    const auto first = values_.begin() + static_cast<std::ptrdiff_t>(at * columns_);
    one.params.assign(
        std::make_move_iterator(first),
        std::make_move_iterator(first + static_cast<std::ptrdiff_t>(count * columns_)));
    into.push_back(std::move(one));
  }
  values_.clear();
}

std::vector<sql::Statement> rows_to_write(const std::string& tenant, const Graph& graph,
                                          const graph::Touched& touched) {
  std::vector<sql::Statement> out;
  BulkInsert sources(
      "INSERT INTO memory_graph_sources (tenant, system_id, conversation_id, entities)",
      "ON CONFLICT (tenant, system_id, conversation_id) DO UPDATE SET entities = excluded.entities",
      4);
  for (const graph::Source& source : touched.sources) {
    if (const auto row = graph.stored_source(source)) {
      sources.add(
          {tenant, source.system_id, source.conversation_id, id_list(row->statement.entities)});
    } else {
      out.push_back(
          {"DELETE FROM memory_graph_sources WHERE tenant = ? AND system_id = ?"
           " AND conversation_id = ?",
           {tenant, source.system_id, source.conversation_id}});
    }
  }
  sources.take(out);

  BulkInsert entities(
      "INSERT INTO memory_graph_entities (tenant, entity_id, first_seen_ns, properties, system_id,"
      " conversation_id)",
      "ON CONFLICT (tenant, entity_id) DO UPDATE SET first_seen_ns = excluded.first_seen_ns,"
      " properties = excluded.properties, system_id = excluded.system_id,"
      " conversation_id = excluded.conversation_id",
      6);
  BulkDelete no_entities("memory_graph_entities", "entity_id", tenant);
  for (const std::string& id : touched.entities) {
    if (const auto row = graph.stored_entity(id)) {
      const graph::Source& source = row->statement.source;
      entities.add({tenant, id, ns(row->at), row->statement.entities[0].properties,
                    source.system_id, source.conversation_id});
    } else {
      no_entities.add(id);
    }
  }
  no_entities.take(out);
  entities.take(out);

  BulkInsert facts(
      "INSERT INTO memory_graph_facts (tenant, fact_id, from_id, to_id, type, system_id,"
      " conversation_id, exclusive, identity, stated, stated_to_ns, cut_to_ns, cut_by, withdrawn,"
      " valid_from_ns, valid_to_ns, recorded_at_ns, retracted_at_ns, weight_micros, ended,"
      " ended_by, properties, evidence)",
      "ON CONFLICT (tenant, fact_id) DO UPDATE SET exclusive = excluded.exclusive,"
      " stated = excluded.stated, stated_to_ns = excluded.stated_to_ns,"
      " cut_to_ns = excluded.cut_to_ns, cut_by = excluded.cut_by, withdrawn = excluded.withdrawn,"
      " valid_from_ns = excluded.valid_from_ns, valid_to_ns = excluded.valid_to_ns,"
      " recorded_at_ns = excluded.recorded_at_ns, retracted_at_ns = excluded.retracted_at_ns,"
      " weight_micros = excluded.weight_micros, ended = excluded.ended,"
      " ended_by = excluded.ended_by, properties = excluded.properties,"
      " evidence = excluded.evidence",
      23);
  // What was believed once does not change any more.
  BulkInsert versions(
      "INSERT INTO memory_graph_versions (tenant, fact_id, version, valid_from_ns, valid_to_ns,"
      " recorded_at_ns, retracted_at_ns, weight_micros, ended, ended_by, properties, evidence)",
      "ON CONFLICT (tenant, fact_id, version) DO NOTHING", 12);
  BulkDelete no_facts("memory_graph_facts", "fact_id", tenant);
  BulkDelete no_versions("memory_graph_versions", "fact_id", tenant);
  for (const graph::FactId id : touched.facts) {
    const auto change = graph.stored_fact(id);
    if (!change) {
      no_facts.add(number(id));
      no_versions.add(number(id));
      continue;
    }
    const StoredFact& fact = change->stored;
    std::vector<Value> row{tenant,
                           number(id),
                           fact.from,
                           fact.to,
                           fact.type,
                           fact.source.system_id,
                           fact.source.conversation_id,
                           static_cast<std::int64_t>(fact.exclusive),
                           number(fact.identity),
                           number(fact.stated),
                           ns(fact.stated_to),
                           ns(fact.cut_to),
                           number(fact.cut_by),
                           number(fact.withdrawn)};
    add_times(row, fact.versions.back());
    facts.add(std::move(row));
    for (std::size_t i = 0; i + 1 < fact.versions.size(); ++i) {
      std::vector<Value> past{tenant, number(id), static_cast<std::int64_t>(i)};
      add_times(past, fact.versions[i]);
      versions.add(std::move(past));
    }
  }
  no_facts.take(out);
  no_versions.take(out);
  facts.take(out);
  versions.take(out);
  return out;
}

Result<std::uint64_t> read_epoch(sql::Session& session, const std::string& tenant) {
  ASAHI_TRY(const sql::Rows rows,
            session.query({"SELECT epoch FROM memory_graphs WHERE tenant = ?", {tenant}}));
  return rows.empty() ? 0 : static_cast<std::uint64_t>(rows.integer(0, "epoch"));
}

namespace {

/// The epoch; 0: there is no graph.
Result<std::uint64_t> read_start(sql::Session& session, const std::string& tenant, Graph& graph) {
  ASAHI_TRY(const sql::Rows rows,
            session.query({"SELECT epoch, next_fact, last_record_ns FROM memory_graphs"
                           " WHERE tenant = ?",
                           {tenant}}));
  if (rows.empty()) return 0;
  Change start{.kind = Change::kStart, .at = time_of(rows.integer(0, "last_record_ns"))};
  start.fact = static_cast<graph::FactId>(rows.integer(0, "next_fact"));
  if (auto ok = graph.apply(start); !ok) return std::unexpected(ok.error());
  return static_cast<std::uint64_t>(rows.integer(0, "epoch"));
}

/// Calls `each` with statements "head (?, …) tail" for so many keys at a time.
Result<void> for_keys(sql::Session& session, const std::string& head, const std::string& tenant,
                      const std::vector<Value>& keys, const std::string& tail,
                      const std::function<Result<void>(const sql::Rows&)>& each) {
  for (std::size_t at = 0; at < keys.size(); at += kKeysOfDelete) {
    const std::size_t end = std::min(keys.size(), at + kKeysOfDelete);
    sql::Statement one{head + " (", {tenant}};
    for (std::size_t i = at; i < end; ++i) {
      one.sql += i == at ? "?" : ", ?";
      one.params.push_back(keys[i]);
    }
    one.sql += ')' + tail;
    ASAHI_TRY(const sql::Rows rows, session.query(one));
    if (auto ok = each(rows); !ok) return ok;
  }
  return {};
}

/// A memory as the source of facts and properties; what else it states is left out.
Result<void> apply_source(Graph& graph, const graph::Source& source) {
  if (source.system_id.empty()) return {};
  return graph.apply({.kind = Change::kStoredSource, .statement = {.source = source}});
}

}  // namespace

Result<std::uint64_t> read_rows(sql::Session& session, const std::string& tenant, Graph& graph) {
  ASAHI_TRY(const std::uint64_t epoch, read_start(session, tenant, graph));
  if (epoch == 0) return 0;
  if (auto ok = read_sources(session, tenant, graph); !ok) return std::unexpected(ok.error());
  if (auto ok = read_entities(session, tenant, graph); !ok) return std::unexpected(ok.error());
  if (auto ok = read_facts(session, tenant, graph); !ok) return std::unexpected(ok.error());
  // Reading is no change.
  graph.take_touched();
  return epoch;
}

Result<std::optional<std::uint64_t>> read_around(sql::Session& session, const std::string& tenant,
                                                 const std::string& entity, std::size_t most_facts,
                                                 Graph& graph) {
  ASAHI_TRY(const std::uint64_t epoch, read_start(session, tenant, graph));
  if (epoch == 0) return epoch;
  // One index each: an OR of both ends would walk the tenant's facts.
  ASAHI_TRY(const sql::Rows facts,
            session.query({"SELECT * FROM memory_graph_facts WHERE tenant = ? AND from_id = ?"
                           " UNION ALL"
                           " SELECT * FROM memory_graph_facts WHERE tenant = ? AND to_id = ?"
                           " ORDER BY fact_id LIMIT ?",
                           {tenant, entity, tenant, entity, number(most_facts + 1)}}));
  if (facts.size() > most_facts) return std::nullopt;
  std::vector<Value> ids;
  std::set<std::string> ends{entity};
  for (std::size_t i = 0; i < facts.size(); ++i) {
    ids.emplace_back(facts.integer(i, "fact_id"));
    ends.insert(facts.text(i, "from_id"));
    ends.insert(facts.text(i, "to_id"));
    if (auto ok =
            apply_source(graph, {facts.text(i, "system_id"), facts.text(i, "conversation_id")});
        !ok)
      return std::unexpected(ok.error());
  }
  const std::vector<Value> names(ends.begin(), ends.end());
  if (auto ok = for_keys(session,
                         "SELECT entity_id, first_seen_ns, properties, system_id, conversation_id"
                         " FROM memory_graph_entities WHERE tenant = ? AND entity_id IN",
                         tenant, names, "",
                         [&](const sql::Rows& rows) -> Result<void> {
                           for (std::size_t i = 0; i < rows.size(); ++i) {
                             const Change change = entity_of(rows, i);
                             if (auto known = apply_source(graph, change.statement.source); !known)
                               return known;
                             if (auto applied = graph.apply(change); !applied) return applied;
                           }
                           return {};
                         });
      !ok)
    return std::unexpected(ok.error());
  std::map<std::int64_t, std::vector<Version>> past;
  if (auto ok =
          for_keys(session, "SELECT * FROM memory_graph_versions WHERE tenant = ? AND fact_id IN",
                   tenant, ids, " ORDER BY fact_id, version",
                   [&](const sql::Rows& rows) -> Result<void> {
                     for (std::size_t i = 0; i < rows.size(); ++i)
                       past[rows.integer(i, "fact_id")].push_back(read_version(rows, i));
                     return {};
                   });
      !ok)
    return std::unexpected(ok.error());
  for (std::size_t i = 0; i < facts.size(); ++i) {
    if (auto ok = apply_fact(facts, i, std::move(past[facts.integer(i, "fact_id")]), graph); !ok)
      return std::unexpected(ok.error());
  }
  graph.take_touched();
  return epoch;
}

}  // namespace asahi::memory::knowledge
