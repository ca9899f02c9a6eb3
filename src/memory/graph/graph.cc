#include "memory/graph/graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "base/hash.h"
#include "base/json.h"
#include "base/utf8.h"
#include "memory/model/record.h"

namespace asahi::memory::graph {
namespace {

constexpr std::size_t kMostStated = 10'000;

Result<void> check_type(std::string_view type) {
  const bool right = !type.empty() && type.size() <= 64 && std::ranges::all_of(type, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
  if (right) return {};
  return fail_field("type",
                    fmt::format("'{}' is no type of edge: expected 1 to 64 of a-z, 0-9, '_'",
                                type.substr(0, 64)));
}

Result<void> check_properties(std::string_view properties) {
  if (properties == "{}") return {};
  if (properties.size() > kMostProperties)
    return fail_field("properties", fmt::format("{} bytes of properties; at most {} are kept",
                                                properties.size(), kMostProperties));
  const auto value = parse_json(properties, 16);
  if (!value) return fail_field("properties", value.error().message);
  if (!value->is_object()) return fail_field("properties", "expected a JSON object");
  return {};
}

Result<void> check_weight(double weight) {
  // Kept to six decimals: less than that would be nothing.
  if (weight >= 0.000001 && weight <= kMostWeight) return {};
  return fail_field("weight", fmt::format("{} is no weight: expected more than 0, at most {}",
                                          weight, kMostWeight));
}

Result<void> check_interval(Time from, Time to) {
  if (from < to) return {};
  return fail_field("valid_to", "a fact must begin before it ends");
}

}  // namespace

Graph::Graph(Limits limits, Keeping keeping) : limits_(limits), keeping_(keeping) {}

Graph::Number Graph::Words::number(std::string_view text) {
  if (const auto at = numbers.find(text); at != numbers.end()) return at->second;
  const auto number = static_cast<Number>(texts.size());
  texts.emplace_back(text);
  numbers.emplace(text, number);
  return number;
}

Graph::Number Graph::Words::find(std::string_view text) const {
  const auto at = numbers.find(text);
  return at == numbers.end() ? kNone : at->second;
}

Result<void> Graph::check(const Statement& statement) const {
  if (auto ok = check_system_id(statement.source.system_id); !ok) return ok;
  if (auto ok = check_conversation_id(statement.source.conversation_id); !ok) return ok;
  if (statement.entities.size() > kMostStated || statement.facts.size() > kMostStated)
    return fail(Errc::kTooLarge, fmt::format("a memory states at most {} entities and {} facts",
                                             kMostStated, kMostStated));
  for (const StatedEntity& entity : statement.entities) {
    if (auto ok = check_entity_id(entity.id); !ok) return ok;
    if (auto ok = check_properties(entity.properties); !ok) return ok;
  }
  for (const StatedFact& fact : statement.facts) {
    if (auto ok = check_entity_id(fact.from); !ok) return ok;
    if (auto ok = check_entity_id(fact.to); !ok) return ok;
    if (fact.from == fact.to)
      return fail_field("to", fmt::format("'{}' cannot be related to itself", fact.to));
    if (auto ok = check_type(fact.type); !ok) return ok;
    if (auto ok = check_weight(fact.weight); !ok) return ok;
    if (auto ok = check_interval(fact.valid_from, fact.valid_to); !ok) return ok;
    if (auto ok = check_properties(fact.properties); !ok) return ok;
    if (fact.evidence.size() > kMostEvidence || !is_utf8(fact.evidence))
      return fail_field("evidence",
                        fmt::format("expected UTF-8 of at most {} bytes", kMostEvidence));
  }
  return {};
}

Result<void> Graph::check_limits(const Statement& statement) const {
  // Most statements are far from the limits: only near them the new ones are counted.
  const std::size_t facts = statement.facts.size();
  if (entities() + 2 * facts + statement.entities.size() <= limits_.entities &&
      edges() + facts <= limits_.edges && this->facts() + facts <= limits_.facts)
    return {};
  std::set<std::string_view> new_entities;
  std::set<std::tuple<std::string_view, std::string_view, std::string_view>> new_edges;
  const auto known = [&](std::string_view id) {
    const auto at = entity_numbers_.find(id);
    if (at == entity_numbers_.end()) new_entities.insert(id);
    return at == entity_numbers_.end() ? kNone : at->second;
  };
  for (const StatedEntity& entity : statement.entities) known(entity.id);
  for (const StatedFact& fact : statement.facts) {
    const EdgeKey key{known(fact.from), known(fact.to), types_.find(fact.type)};
    if (key.from == kNone || key.to == kNone || key.type == kNone || !edge_numbers_.contains(key))
      new_edges.insert({fact.from, fact.to, fact.type});
  }
  std::set<std::uint64_t> held;
  if (const Number number = find_memory(statement.source); number != kNone) {
    for (const Number row : memories_[number].facts) held.insert(rows_[row].identity);
  }
  std::size_t new_facts = 0;
  for (const StatedFact& fact : statement.facts)
    new_facts += held.insert(identity_of(fact)).second ? 1 : 0;
  const auto over = [](std::string_view what, std::size_t limit, std::string_view setting) {
    return fail(
        Errc::kTooLarge,
        fmt::format("the graph is full: it holds at most {} {}; forget memories or raise {}", limit,
                    what, setting));
  };
  if (entities() + new_entities.size() > limits_.entities)
    return over("entities", limits_.entities, "GRAPH_MAX_ENTITIES");
  if (edges() + new_edges.size() > limits_.edges)
    return over("edges", limits_.edges, "GRAPH_MAX_EDGES");
  if (this->facts() + new_facts > limits_.facts)
    return over("facts", limits_.facts, "GRAPH_MAX_EDGES");
  return {};
}

Time Graph::held(Time now) const { return std::max(last_record_, now); }

void Graph::did(Change change) {
  last_record_ = change.at;
  if (keeping_ == Keeping::kLog) changes_.push_back(std::move(change));
}

std::vector<Change> Graph::take_changes() { return std::exchange(changes_, {}); }

Result<Learned> Graph::learn(const Statement& statement, Time now) {
  if (auto ok = check(statement); !ok) return std::unexpected(ok.error());
  if (auto ok = check_limits(statement); !ok) return std::unexpected(ok.error());
  now = held(now);
  auto [learned, touched] = do_learn(statement, now);
  if (touched) did({.kind = Change::kLearn, .at = now, .statement = statement});
  return learned;
}

Result<Graph::Number> Graph::row_of(FactId fact) const {
  const auto at = fact_rows_.find(fact);
  if (at == fact_rows_.end())
    return fail(Errc::kNotFound, fmt::format("there is no fact {}", fact));
  return at->second;
}

Result<Graph::Number> Graph::standing_row_of(FactId fact) const {
  ASAHI_TRY(const Number row, row_of(fact));
  if (rows_[row].withdrawn != End::kNone)
    return fail(Errc::kConflict, fmt::format("fact {} is not believed any more: {}", fact,
                                             to_string(rows_[row].withdrawn)));
  return row;
}

Result<void> Graph::do_supersede(FactId old, FactId by, Time now) {
  ASAHI_TRY(const Number row, standing_row_of(old));
  ASAHI_TRY(const Number successor, standing_row_of(by));
  if (rows_[successor].valid_from <= rows_[row].valid_from)
    return fail_field("by",
                      "a fact is superseded by one that begins later; one that never held is "
                      "contradicted");
  set_cut(row, by);
  rows_[row].cut_to = rows_[successor].valid_from;
  settle(row, now);
  return {};
}

Result<void> Graph::do_contradict(FactId old, FactId by, Time now) {
  ASAHI_TRY(const Number row, standing_row_of(old));
  if (by != 0) {
    if (by == old) return fail_field("by", "a fact cannot contradict itself");
    if (auto successor = standing_row_of(by); !successor) return std::unexpected(successor.error());
  }
  set_cut(row, by);
  withdraw(row, End::kContradicted, now);
  return {};
}

Result<void> Graph::do_retract(FactId fact, Time now) {
  ASAHI_TRY(const Number row, standing_row_of(fact));
  withdraw(row, End::kRetracted, now);
  return {};
}

Result<void> Graph::do_edit(FactId fact, const Edit& edit, Time now) {
  ASAHI_TRY(const Number number, standing_row_of(fact));
  Row& row = rows_[number];
  const Time from = edit.valid_from.value_or(row.valid_from);
  const Time to = edit.valid_to.value_or(row.stated_to);
  if (auto ok = check_interval(from, to); !ok) return ok;
  if (edit.weight) {
    if (auto ok = check_weight(*edit.weight); !ok) return ok;
  }
  if (edit.properties) {
    if (auto ok = check_properties(*edit.properties); !ok) return ok;
  }
  leave_group(number);
  count(row, -1);
  keep_version(number, now, End::kEdited);
  row.valid_from = from;
  row.stated_to = to;
  if (edit.weight) row.weight_micros = std::llround(*edit.weight * 1e6);
  if (edit.properties) row.text = set_text(row.text, *edit.properties, texts_[row.text].evidence);
  count(row, 1);
  enter_group(number);
  settle(number, now);
  return {};
}

Result<void> Graph::supersede(FactId old, FactId by, Time now) {
  now = held(now);
  if (auto ok = do_supersede(old, by, now); !ok) return ok;
  did({.kind = Change::kSupersede, .at = now, .fact = old, .by = by});
  return {};
}
Result<void> Graph::contradict(FactId old, FactId by, Time now) {
  now = held(now);
  if (auto ok = do_contradict(old, by, now); !ok) return ok;
  did({.kind = Change::kContradict, .at = now, .fact = old, .by = by});
  return {};
}
Result<void> Graph::retract(FactId fact, Time now) {
  now = held(now);
  if (auto ok = do_retract(fact, now); !ok) return ok;
  did({.kind = Change::kRetract, .at = now, .fact = fact});
  return {};
}
Result<void> Graph::edit(FactId fact, const Edit& edit, Time now) {
  now = held(now);
  if (auto ok = do_edit(fact, edit, now); !ok) return ok;
  did({.kind = Change::kEdit, .at = now, .fact = fact, .edit = edit});
  return {};
}

std::size_t Graph::forget(const Source& source, Time now) {
  const Number memory = find_memory(source);
  if (memory == kNone) return 0;
  now = held(now);
  const std::size_t gone = do_forget(memory, now);
  did({.kind = Change::kForget, .at = now, .statement = {.source = source}});
  return gone;
}

std::size_t Graph::do_forget_system(std::string_view system_id, Time now) {
  const Number system = systems_.find(system_id);
  if (system == kNone) return 0;
  std::vector<Number> memories;
  for (auto at = memory_numbers_.lower_bound({system, ""});
       at != memory_numbers_.end() && at->first.first == system; ++at)
    memories.push_back(at->second);
  std::size_t gone = 0;
  for (const Number memory : memories) gone += do_forget(memory, now);
  return gone;
}

std::size_t Graph::forget_system(std::string_view system_id, Time now) {
  now = held(now);
  const std::size_t gone = do_forget_system(system_id, now);
  did({.kind = Change::kForgetSystem,
       .at = now,
       .statement = {.source = {.system_id = std::string(system_id)}}});
  return gone;
}

Result<void> Graph::apply(const Change& change) {
  const auto corrupt = [&](const Result<void>& result) -> Result<void> {
    if (result) return {};
    return fail(Errc::kCorrupt, "the graph's log does not fit: " + result.error().message);
  };
  const Source& source = change.statement.source;
  const bool stored = change.kind >= Change::kStart;
  const Time now = stored ? change.at : held(change.at);
  if (!stored) last_record_ = now;
  switch (change.kind) {
    case Change::kLearn:
      if (auto ok = corrupt(check(change.statement)); !ok) return ok;
      do_learn(change.statement, now);
      return {};
    case Change::kSupersede:
      return corrupt(do_supersede(change.fact, change.by, now));
    case Change::kContradict:
      return corrupt(do_contradict(change.fact, change.by, now));
    case Change::kRetract:
      return corrupt(do_retract(change.fact, now));
    case Change::kEdit:
      return corrupt(do_edit(change.fact, change.edit, now));
    case Change::kForget:
      if (const Number memory = find_memory(source); memory != kNone) do_forget(memory, now);
      return {};
    case Change::kForgetSystem:
      do_forget_system(source.system_id, now);
      return {};
    case Change::kStart:
      *this = Graph(limits_, keeping_);
      next_id_ = std::max<FactId>(change.fact, 1);
      last_record_ = change.at;
      return {};
    case Change::kStoredSource: {
      if (auto ok = corrupt(check(change.statement)); !ok) return ok;
      const Number number = memory(source);
      for (const StatedEntity& stated : change.statement.entities) {
        const Number own = entity(stated.id, now);
        auto& held_by = memories_[number].entities;
        if (std::ranges::find(held_by, own) != held_by.end()) continue;
        held_by.push_back(own);
        declare(own, memories_[number].system, 1);
      }
      return {};
    }
    case Change::kStoredEntity: {
      if (change.statement.entities.size() != 1)
        return fail(Errc::kCorrupt, "the graph's snapshot has an entity without a name");
      const StatedEntity& stated = change.statement.entities[0];
      if (auto ok = corrupt(check_entity_id(stated.id)); !ok) return ok;
      if (auto ok = corrupt(check_properties(stated.properties)); !ok) return ok;
      Entity& own = entities_[entity(stated.id, now)];
      own.first_seen = change.at;
      own.properties = stated.properties;
      own.properties_source = find_memory(source);
      return {};
    }
    case Change::kStoredFact:
      return restore(change.stored);
  }
  return fail(Errc::kCorrupt, "the graph's log has a change of an unknown kind");
}

Change Graph::stored_start() const {
  return {.kind = Change::kStart, .at = last_record_, .fact = next_id_};
}

std::optional<Change> Graph::stored_source(const Source& source) const {
  const Number number = find_memory(source);
  if (number == kNone) return std::nullopt;
  Change change{.kind = Change::kStoredSource, .at = last_record_, .statement = {.source = source}};
  for (const Number entity : memories_[number].entities)
    change.statement.entities.push_back({.id = entities_[entity].id});
  return change;
}

std::optional<Change> Graph::stored_entity(std::string_view id) const {
  const auto at = entity_numbers_.find(id);
  if (at == entity_numbers_.end()) return std::nullopt;
  const Entity& own = entities_[at->second];
  Change change{.kind = Change::kStoredEntity, .at = own.first_seen};
  change.statement.entities.push_back({.id = own.id, .properties = own.properties});
  if (own.properties_source != kNone) {
    const Memory& memory = memories_[own.properties_source];
    change.statement.source = {systems_.texts[memory.system], memory.conversation_id};
  }
  return change;
}

std::optional<Change> Graph::stored_fact(FactId id) const {
  const auto at = fact_rows_.find(id);
  if (at == fact_rows_.end()) return std::nullopt;
  const Row& row = rows_[at->second];
  const Edge& edge = edges_[row.edge];
  const Memory& memory = memories_[row.source];
  Change change{.kind = Change::kStoredFact, .at = row.recorded_at};
  change.stored = {.id = id,
                   .from = entities_[edge.from].id,
                   .to = entities_[edge.to].id,
                   .type = types_.texts[edge.type],
                   .source = {systems_.texts[memory.system], memory.conversation_id},
                   .exclusive = row.exclusive,
                   .identity = row.identity,
                   .stated = row.stated,
                   .stated_to = row.stated_to,
                   .cut_to = row.cut_to,
                   .cut_by = row.cut_by,
                   .withdrawn = row.withdrawn,
                   .versions = history(id)};
  return change;
}

void Graph::snapshot(const std::function<void(const Change&)>& write) const {
  write(stored_start());
  for (const auto& [key, number] : memory_numbers_) {
    write(*stored_source({systems_.texts[key.first], key.second}));
  }
  for (const auto& [id, number] : entity_numbers_) write(*stored_entity(id));
  std::vector<FactId> ids;
  for (const auto& [id, row] : fact_rows_) ids.push_back(id);
  std::ranges::sort(ids);
  for (const FactId id : ids) write(*stored_fact(id));
}

Result<void> Graph::restore(const StoredFact& stored) {
  const auto corrupt = [](const std::string& why) {
    return fail(Errc::kCorrupt, "the graph's snapshot has a fact that cannot be: " + why);
  };
  const Number source = find_memory(stored.source);
  if (source == kNone) return corrupt("no memory states it");
  if (stored.versions.empty()) return corrupt("it has no version");
  if (fact_rows_.contains(stored.id) || stored.id == 0 || stored.id >= next_id_)
    return corrupt("its number is not its own");
  for (const auto& ok :
       {check_entity_id(stored.from), check_entity_id(stored.to), check_type(stored.type),
        check_properties(stored.versions.back().properties)})
    if (!ok) return corrupt(ok.error().message);
  if (stored.from == stored.to) return corrupt("it leads back to where it begins");
  const Version& last = stored.versions.back();
  if (auto ok = check_weight(static_cast<double>(last.weight_micros) / 1e6); !ok)
    return corrupt(ok.error().message);
  // Made as a new one, then given what it was.
  const FactId next = std::exchange(next_id_, stored.id);
  const Number number = new_row({.from = stored.from, .to = stored.to, .type = stored.type}, source,
                                last.recorded_at);
  next_id_ = next;
  Row& row = rows_[number];
  row.identity = stored.identity;
  row.stated = stored.stated;
  row.cut_by = stored.cut_by;
  row.cut_to = stored.cut_to;
  row.stated_to = stored.stated_to;
  row.withdrawn = stored.withdrawn;
  row.exclusive = stored.exclusive;
  row.valid_from = last.valid_from;
  row.valid_to = last.valid_to;
  row.recorded_at = last.recorded_at;
  row.retracted_at = last.retracted_at;
  row.weight_micros = last.weight_micros;
  row.end = last.end;
  row.ended_by = last.ended_by;
  row.text = set_text(0, last.properties, last.evidence);
  count(row, 1);
  if (row.cut_by != 0) cuts_[row.cut_by].push_back(row.id);
  if (row.withdrawn == End::kNone) enter_group(number);
  if (stored.versions.size() > 1)
    past_[row.id].assign(stored.versions.begin(), stored.versions.end() - 1);
  return {};
}

std::vector<Version> Graph::history(FactId id) const {
  const auto at = fact_rows_.find(id);
  if (at == fact_rows_.end()) return {};
  std::vector<Version> out;
  if (const auto past = past_.find(id); past != past_.end()) out = past->second;
  out.push_back(version(rows_[at->second]));
  return out;
}

}  // namespace asahi::memory::graph
