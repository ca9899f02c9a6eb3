// How facts are kept, and how they end each other; graph.cc has what is done from outside.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/hash.h"
#include "memory/graph/graph.h"

namespace asahi::memory::graph {
namespace {

std::uint64_t digest(const std::string& text) {
  const Digest256 all = sha256(text);
  std::uint64_t out = 0;
  for (int i = 0; i < 8; ++i) out |= std::uint64_t{all[static_cast<std::size_t>(i)]} << 8 * i;
  return out;
}

bool has(const std::vector<std::uint32_t>& numbers, std::uint32_t number) {
  return std::ranges::find(numbers, number) != numbers.end();
}

std::string number_text(std::int64_t number) { return std::to_string(number) + '\n'; }

}  // namespace

std::uint64_t Graph::identity_of(const StatedFact& fact) {
  // Ids and types hold no line's end.
  return digest(fact.from + '\n' + fact.to + '\n' + fact.type + '\n' +
                number_text(fact.valid_from.time_since_epoch().count()));
}

std::uint64_t Graph::stated_of(const StatedFact& fact) {
  return digest(number_text(std::llround(fact.weight * 1e6)) +
                number_text(static_cast<int>(fact.exclusive)) +
                number_text(fact.valid_to.time_since_epoch().count()) +
                number_text(static_cast<std::int64_t>(fact.properties.size())) + fact.properties +
                fact.evidence);
}

void Graph::touch(const Row& row) {
  if (keeping_ == Keeping::kRows) touched_.facts.insert(row.id);
}
void Graph::touch_entity(const Entity& entity) {
  if (keeping_ == Keeping::kRows) touched_.entities.insert(entity.id);
}
void Graph::touch_memory(const Memory& memory) {
  if (keeping_ == Keeping::kRows)
    touched_.sources.insert({systems_.texts[memory.system], memory.conversation_id});
}

Graph::Number Graph::entity(std::string_view id, Time now) {
  if (const auto at = entity_numbers_.find(id); at != entity_numbers_.end()) return at->second;
  Number number;
  if (free_entities_.empty()) {
    number = static_cast<Number>(entities_.size());
    entities_.emplace_back();
  } else {
    number = free_entities_.back();
    free_entities_.pop_back();
    entities_[number] = {};
  }
  Entity& own = entities_[number];
  own.id = id;
  own.type = types_.number(entity_type(id));
  own.first_seen = now;
  entity_numbers_.emplace(id, number);
  touch_entity(own);
  return number;
}

void Graph::declare(Number entity, Number system, int by) {
  auto& systems = entities_[entity].systems;
  const auto at = std::ranges::find(systems, system, &std::pair<Number, Number>::first);
  if (at == systems.end()) {
    systems.emplace_back(system, 1);
    return;
  }
  at->second += static_cast<Number>(by);
  if (at->second == 0) systems.erase(at);
}

void Graph::drop_unused(Number number) {
  Entity& own = entities_[number];
  if (own.id.empty() || !own.systems.empty() || !own.out.empty() || !own.in.empty()) return;
  touch_entity(own);
  entity_numbers_.erase(own.id);
  own = {};
  free_entities_.push_back(number);
}

Graph::Number Graph::find_memory(const Source& source) const {
  const Number system = systems_.find(source.system_id);
  if (system == kNone) return kNone;
  const auto at = memory_numbers_.find({system, source.conversation_id});
  return at == memory_numbers_.end() ? kNone : at->second;
}

Graph::Number Graph::memory(const Source& source) {
  const Number system = systems_.number(source.system_id);
  const auto [at, fresh] =
      memory_numbers_.try_emplace({system, source.conversation_id}, static_cast<Number>(0));
  if (!fresh) return at->second;
  if (free_memories_.empty()) {
    at->second = static_cast<Number>(memories_.size());
    memories_.emplace_back();
  } else {
    at->second = free_memories_.back();
    free_memories_.pop_back();
  }
  memories_[at->second] = {.system = system, .conversation_id = source.conversation_id};
  touch_memory(memories_[at->second]);
  return at->second;
}

void Graph::drop_unused_memory(Number number) {
  Memory& own = memories_[number];
  if (!own.facts.empty() || !own.entities.empty()) return;
  touch_memory(own);
  memory_numbers_.erase({own.system, own.conversation_id});
  own = {};
  free_memories_.push_back(number);
}

Graph::Number Graph::edge(Number from, Number to, Number type) {
  const EdgeKey key{from, to, type};
  if (const auto at = edge_numbers_.find(key); at != edge_numbers_.end()) return at->second;
  Number number;
  if (free_edges_.empty()) {
    number = static_cast<Number>(edges_.size());
    edges_.emplace_back();
  } else {
    number = free_edges_.back();
    free_edges_.pop_back();
  }
  auto& out = entities_[from].out;
  auto& in = entities_[to].in;
  edges_[number] = {.from = from,
                    .to = to,
                    .type = type,
                    .place_out = static_cast<Number>(out.size()),
                    .place_in = static_cast<Number>(in.size())};
  out.push_back(number);
  in.push_back(number);
  edge_numbers_.emplace(key, number);
  return number;
}

void Graph::drop_unused_edge(Number number) {
  const Edge own = edges_[number];
  if (own.first != kNone) return;
  auto& out = entities_[own.from].out;
  edges_[out.back()].place_out = own.place_out;
  out[own.place_out] = out.back();
  out.pop_back();
  auto& in = entities_[own.to].in;
  edges_[in.back()].place_in = own.place_in;
  in[own.place_in] = in.back();
  in.pop_back();
  edge_numbers_.erase({own.from, own.to, own.type});
  edges_[number] = {};
  free_edges_.push_back(number);
  drop_unused(own.from);
  drop_unused(own.to);
}

void Graph::count(const Row& row, int by) {
  touch(row);
  if (!row.live()) return;
  Edge& edge = edges_[row.edge];
  edge.live += static_cast<Number>(by);
  edge.weight_micros += by * row.weight_micros;
  if (edge.live == 0 || (by > 0 && edge.live == 1)) {
    edge.latest_from = kAlways;
    edge.earliest_to = kForever;
  }
  if (by > 0) {
    edge.latest_from = std::max(edge.latest_from, row.valid_from);
    edge.earliest_to = std::min(edge.earliest_to, row.valid_to);
  }
}

Graph::Number Graph::set_text(Number text, std::string properties, std::string evidence) {
  const bool none = properties == "{}" && evidence.empty();
  if (text != 0 && none) {
    texts_[text] = {};
    free_texts_.push_back(text);
    return 0;
  }
  if (none) return 0;
  if (text == 0) {
    if (free_texts_.empty()) {
      text = static_cast<Number>(texts_.size());
      texts_.emplace_back();
    } else {
      text = free_texts_.back();
      free_texts_.pop_back();
    }
  }
  texts_[text] = {std::move(properties), std::move(evidence)};
  return text;
}

Version Graph::version(const Row& row) const {
  const Text& text = texts_[row.text];
  return {.valid_from = row.valid_from,
          .valid_to = row.valid_to,
          .recorded_at = row.recorded_at,
          .retracted_at = row.retracted_at,
          .weight_micros = row.weight_micros,
          .end = row.end,
          .ended_by = row.ended_by,
          .properties = row.text == 0 ? "{}" : text.properties,
          .evidence = text.evidence};
}

Graph::Number Graph::new_row(const StatedFact& fact, Number source, Time now) {
  Number number;
  if (free_rows_.empty()) {
    number = static_cast<Number>(rows_.size());
    rows_.emplace_back();
  } else {
    number = free_rows_.back();
    free_rows_.pop_back();
  }
  const Number from = entity(fact.from, now), to = entity(fact.to, now);
  const Number own_edge = edge(from, to, types_.number(fact.type));
  Edge& edge = edges_[own_edge];
  rows_[number] = {.id = next_id_++, .edge = own_edge, .source = source, .next = edge.first};
  if (edge.first != kNone) rows_[edge.first].previous = number;
  edge.first = number;
  memories_[source].facts.push_back(number);
  fact_rows_.emplace(rows_[number].id, number);
  return number;
}

Graph::Number Graph::add_row(const StatedFact& fact, Number source, Time now) {
  const Number number = new_row(fact, source, now);
  Row& row = rows_[number];
  row.identity = identity_of(fact);
  row.stated = stated_of(fact);
  row.valid_from = fact.valid_from;
  row.valid_to = row.stated_to = fact.valid_to;
  row.recorded_at = now;
  row.retracted_at = kForever;
  row.weight_micros = std::llround(fact.weight * 1e6);
  row.exclusive = fact.exclusive;
  row.text = set_text(0, fact.properties, fact.evidence);
  count(row, 1);
  enter_group(number);
  settle(number, now);
  return number;
}

void Graph::erase_row(Number number, Time now) {
  Row row = rows_[number];
  count(row, -1);
  leave_group(number);
  if (row.next != kNone) rows_[row.next].previous = row.previous;
  if (row.previous != kNone)
    rows_[row.previous].next = row.next;
  else
    edges_[row.edge].first = row.next;
  past_.erase(row.id);
  fact_rows_.erase(row.id);
  set_text(row.text, "{}", "");
  rows_[number] = {};
  free_rows_.push_back(number);
  if (row.exclusive != Exclusive::kNone) settle_group(group_of(row), now);
  lift(row.id, now);
  drop_unused_edge(row.edge);
}

std::uint64_t Graph::group_of(const Row& row) const {
  const Edge& edge = edges_[row.edge];
  const bool by_origin = row.exclusive == Exclusive::kOneTarget;
  return std::uint64_t{by_origin ? edge.from : edge.to} << 32 | std::uint64_t{edge.type} << 1 |
         (by_origin ? 1 : 0);
}

Graph::Number Graph::other_end(const Row& row) const {
  const Edge& edge = edges_[row.edge];
  return row.exclusive == Exclusive::kOneTarget ? edge.to : edge.from;
}

void Graph::enter_group(Number number) {
  const Row& row = rows_[number];
  if (row.exclusive == Exclusive::kNone || row.withdrawn != End::kNone) return;
  auto& group = groups_[group_of(row)];
  const auto at = std::ranges::lower_bound(
      group, std::pair(row.valid_from, row.id), {},
      [&](Number other) { return std::pair(rows_[other].valid_from, rows_[other].id); });
  group.insert(at, number);
}

void Graph::leave_group(Number number) {
  const Row& row = rows_[number];
  if (row.exclusive == Exclusive::kNone) return;
  const auto at = groups_.find(group_of(row));
  if (at == groups_.end()) return;
  std::erase(at->second, number);
  if (at->second.empty()) groups_.erase(at);
}

void Graph::keep_version(Number number, Time now, End why) {
  Row& row = rows_[number];
  Version old = version(row);
  if (row.live()) {
    old.retracted_at = now;
    old.end = why;
    old.ended_by = 0;
  }
  // What was believed for no time was never seen.
  if (old.recorded_at < old.retracted_at) past_[row.id].push_back(std::move(old));
  row.recorded_at = now;
  row.retracted_at = kForever;
}

Graph::Target Graph::own_target(const Row& row) const {
  if (row.withdrawn != End::kNone)
    return {.live = false,
            .end = row.withdrawn,
            .ended_by = row.withdrawn == End::kContradicted ? row.cut_by : 0};
  if (row.cut_to < row.stated_to)
    return {.valid_to = row.cut_to, .end = End::kSuperseded, .ended_by = row.cut_by};
  return {.valid_to = row.stated_to};
}

void Graph::update(Number number, const Target& target, Time now) {
  Row& row = rows_[number];
  const bool same_end = row.end == target.end && row.ended_by == target.ended_by;
  if (!target.live) {
    if (row.live() || !same_end) touch(row);
    if (row.live()) {
      count(row, -1);
      row.retracted_at = now;
    }
    row.end = target.end;
    row.ended_by = target.ended_by;
    return;
  }
  if (row.live() && row.valid_to == target.valid_to && same_end) return;
  count(row, -1);
  keep_version(number, now, target.end == End::kNone ? End::kEdited : target.end);
  row.valid_to = target.valid_to;
  row.end = target.end;
  row.ended_by = target.ended_by;
  count(row, 1);
}

void Graph::settle(Number number, Time now) {
  const Row& row = rows_[number];
  if (row.exclusive == Exclusive::kNone || row.withdrawn != End::kNone)
    update(number, own_target(row), now);
  else
    settle_group(group_of(row), now);
}

void Graph::settle_group(std::uint64_t key, Time now) {
  const auto at = groups_.find(key);
  if (at == groups_.end()) return;
  const std::vector<Number>& group = at->second;
  // From the latest beginning back: the next believed fact, and the first after it of another end.
  Number next = kNone, next_other = kNone;
  for (std::size_t last = group.size(); last > 0;) {
    const Number winner = group[last - 1];
    const Time from = rows_[winner].valid_from;
    std::size_t first = last;
    while (first > 0 && rows_[group[first - 1]].valid_from == from) --first;
    const Number end = other_end(rows_[winner]);
    const Number cut = next != kNone && other_end(rows_[next]) == end ? next_other : next;
    for (std::size_t i = first; i < last; ++i) {
      const Row& row = rows_[group[i]];
      Target target = own_target(row);
      if (other_end(row) != end) {
        target = {.live = false, .end = End::kContradicted, .ended_by = rows_[winner].id};
      } else if (cut != kNone && rows_[cut].valid_from < target.valid_to) {
        target = {
            .valid_to = rows_[cut].valid_from, .end = End::kSuperseded, .ended_by = rows_[cut].id};
      }
      update(group[i], target, now);
    }
    if (next != kNone && other_end(rows_[next]) != end) next_other = next;
    next = winner;
    last = first;
  }
}

void Graph::set_cut(Number number, FactId by) {
  Row& row = rows_[number];
  touch(row);
  if (row.cut_by != 0) {
    auto& others = cuts_[row.cut_by];
    std::erase(others, row.id);
    if (others.empty()) cuts_.erase(row.cut_by);
  }
  row.cut_by = by;
  row.cut_to = kForever;
  if (by != 0) cuts_[by].push_back(row.id);
}

void Graph::withdraw(Number number, End why, Time now) {
  leave_group(number);
  touch(rows_[number]);
  rows_[number].withdrawn = why;
  update(number, own_target(rows_[number]), now);
  if (rows_[number].exclusive != Exclusive::kNone) settle_group(group_of(rows_[number]), now);
  lift(rows_[number].id, now);
}

void Graph::lift(FactId by, Time now) {
  const auto at = cuts_.find(by);
  if (at == cuts_.end()) return;
  const std::vector<FactId> ended = std::move(at->second);
  cuts_.erase(at);
  for (const FactId id : ended) {
    const auto found = fact_rows_.find(id);
    if (found == fact_rows_.end()) continue;
    Row& row = rows_[found->second];
    touch(row);
    row.cut_by = 0;
    row.cut_to = kForever;
    if (row.withdrawn == End::kContradicted) {
      row.withdrawn = End::kNone;
      enter_group(found->second);
    }
    settle(found->second, now);
  }
}

std::pair<Learned, bool> Graph::do_learn(const Statement& statement, Time now) {
  const Number number = memory(statement.source);
  Learned out;
  bool touched = false;

  std::vector<Number> stated;
  for (const StatedEntity& one : statement.entities) {
    const Number own = entity(one.id, now);
    if (has(stated, own)) continue;
    stated.push_back(own);
    if (!has(memories_[number].entities, own)) {
      declare(own, memories_[number].system, 1);
      touched = true;
    }
    Entity& row = entities_[own];
    if (one.properties != "{}" && one.properties != row.properties) {
      row.properties = one.properties;
      row.properties_source = number;
      touch_entity(row);
      touched = true;
    }
  }
  const std::vector<Number> before = std::exchange(memories_[number].entities, stated);
  if (before != stated) touch_memory(memories_[number]);

  boost::unordered_flat_map<std::uint64_t, Number> held;
  for (const Number row : memories_[number].facts) held.emplace(rows_[row].identity, row);
  boost::unordered_flat_map<std::uint64_t, FactId> done;
  for (const StatedFact& fact : statement.facts) {
    const std::uint64_t identity = identity_of(fact);
    if (const auto at = done.find(identity); at != done.end()) {
      out.facts.push_back(at->second);
      continue;
    }
    const auto known = held.find(identity);
    const Number row_number = known == held.end() ? add_row(fact, number, now) : known->second;
    Row& row = rows_[row_number];
    done.emplace(identity, row.id);
    out.facts.push_back(row.id);
    if (known == held.end()) {
      ++out.added;
      continue;
    }
    const bool returns = row.withdrawn == End::kReplaced;
    if (!returns && (row.withdrawn != End::kNone || row.stated == stated_of(fact))) {
      ++out.unchanged;
      continue;
    }
    ++out.changed;
    leave_group(row_number);
    const std::uint64_t group = row.exclusive == Exclusive::kNone ? 0 : group_of(row);
    count(row, -1);
    keep_version(row_number, now, End::kReplaced);
    row.withdrawn = End::kNone;
    row.stated = stated_of(fact);
    row.valid_from = fact.valid_from;
    row.valid_to = row.stated_to = fact.valid_to;
    row.end = End::kNone;
    row.ended_by = 0;
    row.weight_micros = std::llround(fact.weight * 1e6);
    const bool moves = row.exclusive != fact.exclusive;
    row.exclusive = fact.exclusive;
    row.text = set_text(row.text, fact.properties, fact.evidence);
    count(row, 1);
    enter_group(row_number);
    settle(row_number, now);
    if (moves && group != 0) settle_group(group, now);
  }
  // Rows may go on changing others; the list itself stays.
  const std::vector<Number> all = memories_[number].facts;
  for (const Number row : all) {
    if (rows_[row].withdrawn != End::kNone || done.contains(rows_[row].identity)) continue;
    withdraw(row, End::kReplaced, now);
    ++out.withdrawn;
  }
  for (const Number old : before) {
    if (has(stated, old)) continue;
    if (entities_[old].properties_source == number) {
      touch_entity(entities_[old]);
      entities_[old].properties = "{}";
      entities_[old].properties_source = kNone;
    }
    declare(old, memories_[number].system, -1);
    drop_unused(old);
    touched = true;
  }
  drop_unused_memory(number);
  return {std::move(out), touched || out.added + out.changed + out.withdrawn > 0};
}

std::size_t Graph::do_forget(Number number, Time now) {
  const std::vector<Number> facts = std::exchange(memories_[number].facts, {});
  const std::vector<Number> entities = std::exchange(memories_[number].entities, {});
  const Number system = memories_[number].system;
  for (const Number entity : entities) {
    if (entities_[entity].properties_source == number) {
      touch_entity(entities_[entity]);
      entities_[entity].properties = "{}";
      entities_[entity].properties_source = kNone;
    }
    declare(entity, system, -1);
  }
  for (const Number row : facts) erase_row(row, now);
  for (const Number entity : entities) drop_unused(entity);
  drop_unused_memory(number);
  return facts.size();
}

}  // namespace asahi::memory::graph
