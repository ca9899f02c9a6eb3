#include "memory/graph/sight.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/json.h"

namespace asahi::memory::graph {
namespace {

constexpr std::size_t kNowhere = std::string_view::npos;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) { return lower(c); });
  return out;
}
/// Where `words`, in small letters, stand in `text`.
std::size_t find_lower(std::string_view text, std::string_view words) {
  const auto found = std::ranges::search(text, words, {}, [](char c) { return lower(c); });
  if (found.empty() && !words.empty()) return kNowhere;
  return static_cast<std::size_t>(found.begin() - text.begin());
}
/// The name that properties give, as JSON writes it; empty: none.
std::string_view name_in(std::string_view properties) {
  constexpr std::string_view kName = R"("name":")";
  const std::size_t at = properties.find(kName);
  if (at == kNowhere) return {};
  std::string_view rest = properties.substr(at + kName.size());
  std::size_t end = 0;
  while (end < rest.size() && rest[end] != '"') end += rest[end] == '\\' ? 2 : 1;
  return rest.substr(0, end);
}

}  // namespace

Sight::Sight(const Graph& graph, const View& view)
    : graph_(graph), valid_at_(view.valid_at), recorded_at_(view.recorded_at) {
  if (!view.systems) return;
  all_systems_ = false;
  if (!view.shows_likeness) {
    hidden_type_ = graph.types_.find("memory");
    hidden_edges_ = graph.types_.find("similar_to");
  }
  systems_.assign(graph.systems_.texts.size(), false);
  for (const std::string& system : *view.systems) {
    const Number number = graph.systems_.find(system);
    if (number != Graph::kNone) systems_[number] = true;
  }
}

bool Sight::allowed(Number system) const { return all_systems_ || systems_[system]; }

bool Sight::believed(Time recorded, Time retracted) const {
  return recorded <= recorded_at_ && (retracted == kForever || recorded_at_ < retracted);
}

bool Sight::sees_row(const Graph::Row& row, Seen* into) const {
  if (!allowed(graph_.memories_[row.source].system)) return false;
  if (hidden_edges_ != Graph::kNone && graph_.edges_[row.edge].type == hidden_edges_) return false;
  const auto take = [&](Time from, Time to, std::int64_t weight) {
    if (from > valid_at_ || valid_at_ >= to) return false;
    if (into != nullptr) {
      ++into->live;
      into->weight_micros += weight;
      into->since = std::min(into->since, from);
      into->until = std::max(into->until, to);
    }
    return true;
  };
  if (believed(row.recorded_at, row.retracted_at))
    return take(row.valid_from, row.valid_to, row.weight_micros);
  if (recorded_at_ >= row.recorded_at) return false;
  const auto past = graph_.past_.find(row.id);
  if (past == graph_.past_.end()) return false;
  for (const Version& version : past->second) {
    if (believed(version.recorded_at, version.retracted_at))
      return take(version.valid_from, version.valid_to, version.weight_micros);
  }
  return false;
}

bool Sight::whole(const Graph::Edge& edge) const {
  return all_systems_ && edge.live > 0 && recorded_at_ == kForever &&
         edge.latest_from <= valid_at_ && valid_at_ < edge.earliest_to;
}

bool Sight::sees_edge(const Graph::Edge& edge) const {
  if (whole(edge)) return true;
  for (Number at = edge.first; at != Graph::kNone; at = graph_.rows_[at].next) {
    if (sees_row(graph_.rows_[at], nullptr)) return true;
  }
  return false;
}

Sight::Seen Sight::look(const Graph::Edge& edge) const {
  Seen out;
  for (Number at = edge.first; at != Graph::kNone; at = graph_.rows_[at].next)
    sees_row(graph_.rows_[at], &out);
  return out;
}

bool Sight::sees_entity(const Graph::Entity& entity) const {
  if (entity.first_seen > recorded_at_) return false;
  if (hidden_type_ != Graph::kNone && entity.type == hidden_type_) return false;
  for (const auto& [system, memories] : entity.systems) {
    if (allowed(system)) return true;
  }
  const auto seen = [&](Number edge) { return sees_edge(graph_.edges_[edge]); };
  return std::ranges::any_of(entity.out, seen) || std::ranges::any_of(entity.in, seen);
}

Sight::Number Sight::find(std::string_view id) const {
  const auto at = graph_.entity_numbers_.find(id);
  if (at == graph_.entity_numbers_.end() || !sees_entity(graph_.entities_[at->second]))
    return Graph::kNone;
  return at->second;
}

std::optional<SeenEntity> Sight::entity(std::string_view id) const {
  const Number number = find(id);
  if (number == Graph::kNone) return std::nullopt;
  const Graph::Entity& own = graph_.entities_[number];
  SeenEntity out{.id = own.id, .type = graph_.types_.texts[own.type], .properties = "{}"};
  for (const auto& [system, memories] : own.systems) {
    if (allowed(system)) out.systems.push_back(graph_.systems_.texts[system]);
  }
  std::ranges::sort(out.systems);
  out.properties = properties(own);
  return out;
}

std::string_view Sight::properties(const Graph::Entity& entity) const {
  const bool shown = entity.properties_source != Graph::kNone &&
                     allowed(graph_.memories_[entity.properties_source].system);
  return shown ? std::string_view(entity.properties) : "{}";
}

std::optional<std::string> Sight::name(std::string_view id) const {
  const auto at = graph_.entity_numbers_.find(id);
  if (at == graph_.entity_numbers_.end()) return std::nullopt;
  const std::string_view written = name_in(properties(graph_.entities_[at->second]));
  if (written.empty()) return std::nullopt;
  const auto read = parse_json(fmt::format("\"{}\"", written), 1);
  if (!read || !read->is_string()) return std::nullopt;
  return std::string(read->get_string());
}

FoundEntities Sight::find_entities(std::string_view words, std::size_t limit) const {
  std::string key_words = lower(words);
  std::string name_words = key_words;
  std::ranges::replace(key_words, ' ', '-');
  struct Match {
    Number number;
    bool begins;
    std::size_t edges;
  };
  std::vector<Match> matches;
  for (Number number = 0; number < graph_.entities_.size(); ++number) {
    const Graph::Entity& own = graph_.entities_[number];
    if (own.id.empty()) continue;
    const std::string_view id = own.id, key = id.substr(id.find(':') + 1);
    const std::size_t in_id = find_lower(id, key_words), in_key = find_lower(key, key_words);
    const std::size_t in_name = find_lower(name_in(properties(own)), name_words);
    if (in_id == kNowhere && in_name == kNowhere) continue;
    if (!sees_entity(own)) continue;
    matches.push_back(
        {number, in_id == 0 || in_key == 0 || in_name == 0, own.out.size() + own.in.size()});
  }
  FoundEntities out;
  out.total = matches.size();
  const std::size_t kept = std::min(limit, matches.size());
  std::partial_sort(matches.begin(), matches.begin() + static_cast<std::ptrdiff_t>(kept),
                    matches.end(), [&](const Match& a, const Match& b) {
                      if (a.begins != b.begins) return a.begins;
                      if (a.edges != b.edges) return a.edges > b.edges;
                      return graph_.entities_[a.number].id < graph_.entities_[b.number].id;
                    });
  const auto seen = [&](Number edge) { return sees_edge(graph_.edges_[edge]); };
  for (std::size_t i = 0; i < kept; ++i) {
    const Graph::Entity& own = graph_.entities_[matches[i].number];
    out.list.push_back({.entity = *entity(own.id),
                        .edges = static_cast<std::size_t>(std::ranges::count_if(own.out, seen) +
                                                          std::ranges::count_if(own.in, seen))});
  }
  return out;
}

Neighbours Sight::neighbours(std::string_view id, std::string_view edge_type,
                             std::size_t limit) const {
  Neighbours out;
  const Number number = find(id);
  if (number == Graph::kNone) return out;
  const Number type = edge_type.empty() ? Graph::kNone : graph_.types_.find(edge_type);
  if (!edge_type.empty() && type == Graph::kNone) return out;
  struct Met {
    Number edge;
    bool outgoing;
    Seen seen;
  };
  std::vector<Met> met;
  const Graph::Entity& own = graph_.entities_[number];
  for (const bool outgoing : {true, false}) {
    for (const Number edge : outgoing ? own.out : own.in) {
      if (!edge_type.empty() && graph_.edges_[edge].type != type) continue;
      const Seen seen = look(graph_.edges_[edge]);
      if (seen.live > 0) met.push_back({edge, outgoing, seen});
    }
  }
  out.total = met.size();
  const auto far_end = [&](const Met& one) -> const std::string& {
    const Graph::Edge& edge = graph_.edges_[one.edge];
    return graph_.entities_[one.outgoing ? edge.to : edge.from].id;
  };
  const std::size_t kept = std::min(limit, met.size());
  std::partial_sort(met.begin(), met.begin() + static_cast<std::ptrdiff_t>(kept), met.end(),
                    [&](const Met& a, const Met& b) {
                      if (a.seen.weight_micros != b.seen.weight_micros)
                        return a.seen.weight_micros > b.seen.weight_micros;
                      if (const int order = far_end(a).compare(far_end(b)); order != 0)
                        return order < 0;
                      const auto& types = graph_.types_.texts;
                      const auto& type_a = types[graph_.edges_[a.edge].type];
                      const auto& type_b = types[graph_.edges_[b.edge].type];
                      return type_a != type_b ? type_a < type_b : a.outgoing > b.outgoing;
                    });
  for (std::size_t i = 0; i < kept; ++i) {
    out.list.push_back({.id = far_end(met[i]),
                        .edge_type = graph_.types_.texts[graph_.edges_[met[i].edge].type],
                        .outgoing = met[i].outgoing,
                        .weight = static_cast<double>(met[i].seen.weight_micros) / 1e6,
                        .facts = met[i].seen.live,
                        .since = met[i].seen.since,
                        .until = met[i].seen.until});
  }
  return out;
}

bool Sight::holds(const Version& version) const {
  return believed(version.recorded_at, version.retracted_at) && version.valid_from <= valid_at_ &&
         valid_at_ < version.valid_to;
}

bool Sight::was_recorded(const Graph::Row& row) const {
  if (!allowed(graph_.memories_[row.source].system)) return false;
  const auto past = graph_.past_.find(row.id);
  const Time first = past == graph_.past_.end() || past->second.empty()
                         ? row.recorded_at
                         : past->second.front().recorded_at;
  return first <= recorded_at_;
}

std::vector<Fact> Sight::facts(std::string_view id, std::size_t limit, Which which) const {
  std::vector<Fact> out;
  const Number number = find(id);
  if (number == Graph::kNone) return out;
  std::vector<Number> rows;
  const Graph::Entity& own = graph_.entities_[number];
  for (const auto* edges : {&own.out, &own.in}) {
    for (const Number edge : *edges) {
      for (Number at = graph_.edges_[edge].first; at != Graph::kNone; at = graph_.rows_[at].next) {
        const Graph::Row& row = graph_.rows_[at];
        if (which == Which::kEver ? was_recorded(row) : sees_row(row, nullptr)) rows.push_back(at);
      }
    }
  }
  const std::size_t kept = std::min(limit, rows.size());
  std::partial_sort(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(kept), rows.end(),
                    [&](Number a, Number b) {
                      const Graph::Row &x = graph_.rows_[a], &y = graph_.rows_[b];
                      return x.valid_from != y.valid_from ? x.valid_from > y.valid_from
                                                          : x.id > y.id;
                    });
  for (std::size_t i = 0; i < kept; ++i) {
    const View view{.valid_at = valid_at_, .recorded_at = recorded_at_};
    const FactId fact_id = graph_.rows_[rows[i]].id;
    auto fact = which == Which::kEver ? graph_.last_fact(fact_id, recorded_at_)
                                      : graph_.fact(fact_id, view);
    if (fact) out.push_back(std::move(*fact));
  }
  return out;
}

std::optional<Path> Sight::path(std::string_view from, std::string_view to,
                                std::size_t max_hops) const {
  const Number start = find(from), goal = find(to);
  if (start == Graph::kNone || goal == Graph::kNone) return std::nullopt;
  if (start == goal) return Path{.entities = {std::string(from)}};
  // By entity: the edge it was reached by, from either side.
  struct Side {
    std::vector<Number> by;
    std::vector<Number> frontier, next;
  };
  const std::size_t entities = graph_.entities_.size();
  constexpr Number kRoot = Graph::kNone - 1;
  Side sides[2];
  for (Side& side : sides) side.by.assign(entities, Graph::kNone);
  sides[0].by[start] = kRoot;
  sides[1].by[goal] = kRoot;
  sides[0].frontier = {start};
  sides[1].frontier = {goal};
  Number meeting = Graph::kNone;
  // As long as no node is reached from both sides, the ends are further apart than the levels done;
  // so the first level that meets the other side gives a shortest path.
  for (std::size_t hops = 0; hops < max_hops && meeting == Graph::kNone; ++hops) {
    const bool first = sides[0].frontier.size() <= sides[1].frontier.size();
    Side& side = sides[first ? 0 : 1];
    const Side& other = sides[first ? 1 : 0];
    side.next.clear();
    for (const Number node : side.frontier) {
      const Graph::Entity& own = graph_.entities_[node];
      for (const bool outgoing : {true, false}) {
        for (const Number edge_number : outgoing ? own.out : own.in) {
          const Graph::Edge& edge = graph_.edges_[edge_number];
          const Number far = outgoing ? edge.to : edge.from;
          if (side.by[far] != Graph::kNone || !sees_edge(edge)) continue;
          side.by[far] = edge_number;
          side.next.push_back(far);
          if (other.by[far] != Graph::kNone) {
            meeting = far;
            break;
          }
        }
        if (meeting != Graph::kNone) break;
      }
      if (meeting != Graph::kNone) break;
    }
    side.frontier.swap(side.next);
    if (side.frontier.empty()) break;
  }
  if (meeting == Graph::kNone) return std::nullopt;
  Path out;
  for (Number node = meeting; sides[0].by[node] != kRoot;) {
    const Graph::Edge& edge = graph_.edges_[sides[0].by[node]];
    out.entities.push_back(graph_.entities_[node].id);
    out.edge_types.push_back(graph_.types_.texts[edge.type]);
    node = edge.from == node ? edge.to : edge.from;
  }
  out.entities.emplace_back(from);
  std::ranges::reverse(out.entities);
  std::ranges::reverse(out.edge_types);
  for (Number node = meeting; sides[1].by[node] != kRoot;) {
    const Graph::Edge& edge = graph_.edges_[sides[1].by[node]];
    node = edge.from == node ? edge.to : edge.from;
    out.entities.push_back(graph_.entities_[node].id);
    out.edge_types.push_back(graph_.types_.texts[edge.type]);
  }
  return out;
}

Statistics Sight::statistics() const {
  Statistics out;
  for (const Graph::Entity& entity : graph_.entities_) {
    if (entity.id.empty() || !sees_entity(entity)) continue;
    ++out.entities;
    ++out.entities_by_type[graph_.types_.texts[entity.type]];
  }
  for (const Graph::Edge& edge : graph_.edges_) {
    if (edge.from == Graph::kNone) continue;
    const std::size_t seen = whole(edge) ? edge.live : look(edge).live;
    if (seen == 0) continue;
    ++out.edges;
    out.facts += seen;
    ++out.edges_by_type[graph_.types_.texts[edge.type]];
  }
  return out;
}

Network Sight::network() const {
  std::vector<Number> seen;
  for (Number number = 0; number < graph_.entities_.size(); ++number) {
    const Graph::Entity& entity = graph_.entities_[number];
    if (!entity.id.empty() && sees_entity(entity)) seen.push_back(number);
  }
  std::ranges::sort(
      seen, {}, [&](Number number) -> const std::string& { return graph_.entities_[number].id; });
  std::vector<Number> node(graph_.entities_.size(), Graph::kNone);
  std::vector<std::string> ids;
  ids.reserve(seen.size());
  for (std::size_t i = 0; i < seen.size(); ++i) {
    node[seen[i]] = static_cast<Number>(i);
    ids.push_back(graph_.entities_[seen[i]].id);
  }
  std::vector<Link> links;
  for (const Graph::Edge& edge : graph_.edges_) {
    if (edge.from == Graph::kNone) continue;
    const std::int64_t weight = whole(edge) ? edge.weight_micros : look(edge).weight_micros;
    if (weight > 0)
      links.push_back({node[edge.from], node[edge.to], static_cast<double>(weight) / 1e6});
  }
  return network_of(std::move(ids), links);
}

Fact Graph::fact_of(const Row& row, Version version) const {
  const Edge& edge = edges_[row.edge];
  const Memory& memory = memories_[row.source];
  return {.id = row.id,
          .from = entities_[edge.from].id,
          .to = entities_[edge.to].id,
          .type = types_.texts[edge.type],
          .source = {systems_.texts[memory.system], memory.conversation_id},
          .version = std::move(version)};
}

std::optional<Fact> Graph::fact(FactId id, const View& view) const {
  const auto at = fact_rows_.find(id);
  if (at == fact_rows_.end()) return std::nullopt;
  const Row& row = rows_[at->second];
  const std::string& system = systems_.texts[memories_[row.source].system];
  if (view.systems && std::ranges::find(*view.systems, system) == view.systems->end())
    return std::nullopt;
  for (Version& version : history(id)) {
    const bool believed =
        version.recorded_at <= view.recorded_at &&
        (version.retracted_at == kForever || view.recorded_at < version.retracted_at);
    if (believed) return fact_of(row, std::move(version));
  }
  return std::nullopt;
}

std::optional<Fact> Graph::last_fact(FactId id, Time recorded_at) const {
  const auto at = fact_rows_.find(id);
  if (at == fact_rows_.end()) return std::nullopt;
  std::optional<Fact> last;
  for (Version& version : history(id)) {
    if (version.recorded_at <= recorded_at) last = fact_of(rows_[at->second], std::move(version));
  }
  return last;
}

}  // namespace asahi::memory::graph
