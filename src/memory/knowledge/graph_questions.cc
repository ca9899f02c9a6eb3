#include "memory/knowledge/graph_questions.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "memory/graph/network.h"
#include "memory/knowledge/arguments.h"

namespace asahi::memory::knowledge {

namespace {

using graph::Graph;
using graph::Sight;
using graph::View;

constexpr std::int64_t kMostListed = 1'000;
constexpr std::int64_t kMostFound = 100;

/// Nobody knows when, or not yet: null.
json::value time_json(graph::Time time) {
  if (time == graph::kAlways || time == graph::kForever) return nullptr;
  return json::value(format_rfc3339(time));
}

json::value properties_json(const std::string& text) {
  auto parsed = parse_json(text, 16);
  return parsed ? std::move(*parsed) : json::value(json::object{});
}

json::object version_json(const graph::Version& version) {
  json::object out{
      {"valid_from", time_json(version.valid_from)},
      {"valid_to", time_json(version.valid_to)},
      {"recorded_at", time_json(version.recorded_at)},
      {"retracted_at", time_json(version.retracted_at)},
      {"weight", static_cast<double>(version.weight_micros) / 1e6},
      {"ended", version.end == graph::End::kNone ? json::value(nullptr)
                                                 : json::value(graph::to_string(version.end))},
      {"ended_by", version.ended_by == 0 ? json::value(nullptr) : json::value(version.ended_by)},
      {"properties", properties_json(version.properties)}};
  out["evidence"] = version.evidence.empty() ? json::value(nullptr) : json::value(version.evidence);
  return out;
}

json::object fact_json(const graph::Fact& fact) {
  json::object out{{"fact_id", fact.id},
                   {"from", fact.from},
                   {"to", fact.to},
                   {"type", fact.type},
                   {"source", json::object{{"system_id", fact.source.system_id},
                                           {"conversation_id", fact.source.conversation_id}}}};
  for (auto& member : version_json(fact.version)) out[member.key()] = std::move(member.value());
  return out;
}

json::value name_json(const Sight& sight, const std::string& id) {
  auto name = sight.name(id);
  return name ? json::value(*name) : json::value(nullptr);
}

/// How one looks, and what identifies that look among answers that are kept.
struct Look {
  View view;
  std::string name;
};

Look read_look(Knowledge& knowledge, const Reach& reach, Arguments& arguments) {
  Look out;
  const auto as_of = arguments.time("as_of");
  const auto known_at = arguments.time("known_at");
  const std::string system = arguments.system_within(reach);
  out.view.valid_at = as_of.value_or(knowledge.clock().now());
  out.view.recorded_at = known_at.value_or(graph::kForever);
  out.view.systems = reach.systems();
  out.view.shows_likeness = reach.is_whole();
  if (!system.empty()) out.view.systems = std::vector{system};
  out.name = fmt::format("{} {} {} {}",
                         as_of ? fmt::format("{}", as_of->time_since_epoch().count()) : "now",
                         out.view.recorded_at.time_since_epoch().count(), system, reach.name());
  return out;
}

json::object seen_json(const graph::SeenEntity& seen) {
  json::array systems;
  for (const std::string& system : seen.systems) systems.emplace_back(system);
  return {{"entity_id", seen.id},
          {"type", seen.type},
          {"properties", properties_json(seen.properties)},
          {"systems", std::move(systems)}};
}

json::array facts_json(const Sight& sight, const std::string& entity, std::int64_t most,
                       graph::Which which = graph::Which::kHeld) {
  json::array out;
  for (const graph::Fact& fact : sight.facts(entity, static_cast<std::size_t>(most), which)) {
    json::object one = fact_json(fact);
    one["holds"] = sight.holds(fact.version);
    one["from_name"] = name_json(sight, fact.from);
    one["to_name"] = name_json(sight, fact.to);
    out.push_back(std::move(one));
  }
  return out;
}

/// A network of what the look shows, in memory of its own: algorithms hold up no writer.
Result<graph::Network> network_of(Knowledge& knowledge, const std::string& tenant,
                                  const View& view) {
  return knowledge.graph().read(tenant, [&](const Graph& graph) -> Result<graph::Network> {
    const Knowledge::Options& most = knowledge.options();
    if (graph.entities() > most.most_entities || graph.edges() > most.most_edges) {
      return fail(
          Errc::kTooLarge,
          fmt::format("the graph has {} entities and {} edges; this looks at {} and {} at "
                      "most",
                      graph.entities(), graph.edges(), most.most_entities, most.most_edges));
    }
    return Sight(graph, view).network();
  });
}

/// The answer made of the look's network, or the one kept for this epoch.
Result<json::object> of_network(Knowledge& knowledge, const Reach& reach, const Look& look,
                                const std::string& question,
                                const std::function<json::object(const graph::Network&)>& make) {
  ASAHI_TRY(const std::uint64_t epoch, knowledge.graph().epoch(reach.tenant()));
  return knowledge.answer(fmt::format("{}\n{}\n{}\n{}", reach.tenant(), epoch, question, look.name),
                          [&]() -> Result<json::object> {
                            ASAHI_TRY(const graph::Network network,
                                      network_of(knowledge, reach.tenant(), look.view));
                            return make(network);
                          });
}

json::array groups_json(const graph::Network& network, const graph::Groups& groups,
                        std::size_t limit, std::size_t members) {
  const std::size_t listed = std::min(limit, groups.sizes.size());
  std::vector<json::array> lists(listed);
  for (std::size_t node = 0; node < network.size(); ++node) {
    const std::size_t group = groups.of[node];
    if (group < listed && lists[group].size() < members)
      lists[group].emplace_back(network.ids[node]);
  }
  json::array out;
  for (std::size_t i = 0; i < listed; ++i) {
    out.push_back(
        json::object{{"id", i}, {"size", groups.sizes[i]}, {"members", std::move(lists[i])}});
  }
  return out;
}

graph::FactId read_fact_id(Arguments& arguments, std::string_view name) {
  if (!arguments.has(name)) arguments.fault(name, fmt::format("{} is missing", name));
  return static_cast<graph::FactId>(
      arguments.whole(name, 1, 1, std::numeric_limits<std::int64_t>::max()));
}

std::unexpected<Error> no_fact(graph::FactId id) {
  return fail(Errc::kNotFound, fmt::format("there is no fact {}", id));
}

/// Facts are their memory's, which may be of a system that the caller does not see.
Result<void> check_fact(Knowledge& knowledge, const Reach& reach, graph::FactId id) {
  if (reach.is_whole() || id == 0) return {};
  return knowledge.graph().read(reach.tenant(), [&](const Graph& graph) -> Result<void> {
    const auto row = graph.stored_fact(id);
    if (!row || !reach.has(row->stored.source.system_id)) return no_fact(id);
    return {};
  });
}

json::object changed_json(const graph::Fact& fact) {
  return {{"status", "success"}, {"fact", fact_json(fact)}};
}

json::object too_few(json::object answer, std::size_t entities) {
  answer["error"] = fmt::format("too little data: {} entities; at least 1 is needed", entities);
  return answer;
}

}  // namespace

namespace {

struct AskedNeighbours {
  std::string id, type;
  std::size_t limit = 50;
  std::int64_t facts = 0;
  Look look;
};

Result<AskedNeighbours> read_neighbours(Knowledge& knowledge, const Reach& reach,
                                        const json::object& given) {
  Arguments arguments(given);
  AskedNeighbours asked;
  asked.id = arguments.entity("entity_id");
  asked.type = arguments.text("edge_type", {}, 64);
  asked.limit = static_cast<std::size_t>(arguments.whole("limit", 50, 1, 10'000));
  asked.facts = arguments.whole("facts", 0, 0, kMostListed);
  asked.look = read_look(knowledge, reach, arguments);
  if (auto ok = arguments.done(); !ok) return std::unexpected(ok.error());
  return asked;
}

json::object neighbours_json(const Sight& sight, const AskedNeighbours& asked) {
  const auto found = sight.neighbours(asked.id, asked.type, asked.limit);
  json::array list;
  for (const graph::Neighbour& each : found.list) {
    list.push_back(json::object{{"entity_id", each.id},
                                {"name", name_json(sight, each.id)},
                                {"edge_type", each.edge_type},
                                {"direction", each.outgoing ? "out" : "in"},
                                {"weight", each.weight},
                                {"facts", each.facts},
                                {"since", time_json(each.since)},
                                {"until", time_json(each.until)}});
  }
  json::object answer{
      {"entity_id", asked.id},
      {"edge_type", asked.type.empty() ? json::value(nullptr) : json::value(asked.type)},
      {"known", sight.entity(asked.id).has_value()},
      {"total_neighbors", found.total},
      {"neighbors", std::move(list)}};
  if (asked.facts > 0) answer["facts"] = facts_json(sight, asked.id, asked.facts);
  return answer;
}

}  // namespace

Result<json::object> neighbours(Knowledge& knowledge, const Reach& reach,
                                const json::object& given) {
  ASAHI_TRY(const AskedNeighbours asked, read_neighbours(knowledge, reach, given));
  return knowledge.graph().read(reach.tenant(), [&](const Graph& graph) -> Result<json::object> {
    return neighbours_json(Sight(graph, asked.look.view), asked);
  });
}

Result<std::optional<json::object>> neighbours_around(Knowledge& knowledge, const Reach& reach,
                                                      const json::object& given,
                                                      const Graph& around) {
  ASAHI_TRY(const AskedNeighbours asked, read_neighbours(knowledge, reach, given));
  const Sight sight(around, asked.look.view);
  if (!sight.entity(asked.id) && around.stored_entity(asked.id)) return std::nullopt;
  return neighbours_json(sight, asked);
}

Result<json::object> entity(Knowledge& knowledge, const Reach& reach, const json::object& given) {
  Arguments arguments(given);
  const std::string id = arguments.entity("entity_id");
  const std::int64_t facts = arguments.whole("facts", 50, 0, kMostListed);
  const std::string which = arguments.one_of("which", "held", {"held", "ever"});
  const Look look = read_look(knowledge, reach, arguments);
  if (auto ok = arguments.done(); !ok) return std::unexpected(ok.error());
  return knowledge.graph().read(reach.tenant(), [&](const Graph& graph) -> Result<json::object> {
    const Sight sight(graph, look.view);
    const auto seen = sight.entity(id);
    if (!seen) return fail(Errc::kNotFound, fmt::format("no entity '{}'", id));
    json::object answer = seen_json(*seen);
    answer["total_neighbors"] = sight.neighbours(id, "", 1).total;
    answer["facts"] =
        facts_json(sight, id, facts, which == "ever" ? graph::Which::kEver : graph::Which::kHeld);
    return answer;
  });
}

Result<json::object> entities(Knowledge& knowledge, const Reach& reach, const json::object& given) {
  Arguments arguments(given);
  const std::string words = arguments.text("q", {}, 200);
  const auto limit = static_cast<std::size_t>(arguments.whole("limit", 20, 1, kMostFound));
  const Look look = read_look(knowledge, reach, arguments);
  if (auto ok = arguments.done(); !ok) return std::unexpected(ok.error());
  return knowledge.graph().read(reach.tenant(), [&](const Graph& graph) -> Result<json::object> {
    const auto found = Sight(graph, look.view).find_entities(words, limit);
    json::array list;
    for (const auto& [seen, edges] : found.list) {
      json::object one = seen_json(seen);
      one["total_neighbors"] = edges;
      list.push_back(std::move(one));
    }
    return json::object{{"total", found.total}, {"entities", std::move(list)}};
  });
}

Result<json::object> path(Knowledge& knowledge, const Reach& reach, const json::object& given) {
  Arguments arguments(given);
  const std::string from = arguments.entity("source_id");
  const std::string to = arguments.entity("target_id");
  const auto hops = static_cast<std::size_t>(arguments.whole("max_hops", 3, 1, 10));
  const Look look = read_look(knowledge, reach, arguments);
  if (!from.empty() && from == to)
    arguments.fault("target_id", fmt::format("'{}' is the source as well: expected another", to));
  if (auto ok = arguments.done(); !ok) return std::unexpected(ok.error());
  return knowledge.graph().read(reach.tenant(), [&](const Graph& graph) -> Result<json::object> {
    const Sight sight(graph, look.view);
    const auto found = sight.path(from, to, hops);
    json::object answer{{"source_id", from},     {"target_id", to},
                        {"max_hops", hops},      {"path_found", found.has_value()},
                        {"path", nullptr},       {"names", nullptr},
                        {"edge_types", nullptr}, {"hops", nullptr}};
    if (!found) return answer;
    json::array entities, names, types;
    for (const std::string& id : found->entities) {
      entities.emplace_back(id);
      names.push_back(name_json(sight, id));
    }
    for (const std::string& type : found->edge_types) types.emplace_back(type);
    answer["path"] = std::move(entities);
    answer["names"] = std::move(names);
    answer["edge_types"] = std::move(types);
    answer["hops"] = found->hops();
    return answer;
  });
}

Result<json::object> statistics(Knowledge& knowledge, const Reach& reach,
                                const json::object& given) {
  Arguments arguments(given);
  const Look look = read_look(knowledge, reach, arguments);
  if (auto ok = arguments.done(); !ok) return std::unexpected(ok.error());
  return knowledge.graph().read(reach.tenant(), [&](const Graph& graph) -> Result<json::object> {
    const graph::Statistics counts = Sight(graph, look.view).statistics();
    json::object entities, edges;
    for (const auto& [type, count] : counts.entities_by_type) entities[type] = count;
    for (const auto& [type, count] : counts.edges_by_type) edges[type] = count;
    return json::object{{"total_entities", counts.entities},
                        {"total_edges", counts.edges},
                        {"total_facts", counts.facts},
                        {"entities_by_type", std::move(entities)},
                        {"edges_by_type", std::move(edges)}};
  });
}

Result<json::object> communities(Knowledge& knowledge, const Reach& reach,
                                 const json::object& given) {
  Arguments arguments(given);
  const std::string method =
      arguments.one_of("method", "louvain", {"louvain", "label_propagation"});
  const auto limit = static_cast<std::size_t>(arguments.whole("limit", 20, 1, kMostListed));
  const auto members = static_cast<std::size_t>(arguments.whole("members", 50, 1, kMostListed));
  const Look look = read_look(knowledge, reach, arguments);
  if (auto ok = arguments.done(); !ok) return std::unexpected(ok.error());
  return of_network(
      knowledge, reach, look, fmt::format("communities {} {} {}", method, limit, members),
      [&](const graph::Network& network) {
        json::object answer{{"method", method}, {"total_entities", network.size()}};
        if (network.size() == 0) return too_few(std::move(answer), 0);
        const graph::Communities found =
            method == "louvain" ? graph::louvain(network) : graph::label_propagation(network);
        answer["total_communities"] = found.groups.sizes.size();
        answer["modularity"] = found.modularity;
        answer["communities"] = groups_json(network, found.groups, limit, members);
        return answer;
      });
}

Result<json::object> components(Knowledge& knowledge, const Reach& reach,
                                const json::object& given) {
  Arguments arguments(given);
  const auto limit = static_cast<std::size_t>(arguments.whole("limit", 20, 1, kMostListed));
  const auto members = static_cast<std::size_t>(arguments.whole("members", 50, 1, kMostListed));
  const Look look = read_look(knowledge, reach, arguments);
  if (auto ok = arguments.done(); !ok) return std::unexpected(ok.error());
  return of_network(knowledge, reach, look, fmt::format("components {} {}", limit, members),
                    [&](const graph::Network& network) {
                      const graph::Groups found = graph::components(network);
                      return json::object{
                          {"total_entities", network.size()},
                          {"total_components", found.sizes.size()},
                          {"components", groups_json(network, found, limit, members)}};
                    });
}

Result<json::object> centrality(Knowledge& knowledge, const Reach& reach,
                                const json::object& given) {
  Arguments arguments(given);
  const std::string method =
      arguments.one_of("method", "pagerank", {"betweenness", "closeness", "pagerank", "degree"});
  const auto top = static_cast<std::size_t>(arguments.whole("top_k", 20, 1, kMostListed));
  const Look look = read_look(knowledge, reach, arguments);
  if (auto ok = arguments.done(); !ok) return std::unexpected(ok.error());
  return of_network(
      knowledge, reach, look, fmt::format("centrality {} {}", method, top),
      [&](const graph::Network& network) {
        json::object answer{{"method", method}, {"total_entities", network.size()}};
        if (network.size() == 0) return too_few(std::move(answer), 0);
        const graph::Centrality found = method == "betweenness" ? graph::betweenness(network)
                                        : method == "closeness" ? graph::closeness(network)
                                        : method == "degree"    ? graph::degree_centrality(network)
                                                                : graph::pagerank(network);
        std::vector<std::size_t> order(network.size());
        std::iota(order.begin(), order.end(), std::size_t{0});
        const std::size_t kept = std::min(top, order.size());
        std::ranges::partial_sort(order, order.begin() + static_cast<std::ptrdiff_t>(kept),
                                  [&](std::size_t a, std::size_t b) {
                                    return found.of[a] != found.of[b] ? found.of[a] > found.of[b]
                                                                      : a < b;
                                  });
        json::array rankings;
        for (std::size_t i = 0; i < kept; ++i) {
          rankings.push_back(
              json::object{{"entity_id", network.ids[order[i]]}, {"score", found.of[order[i]]}});
        }
        answer["sampled"] = found.sampled > 0;
        answer["rankings"] = std::move(rankings);
        return answer;
      });
}

Result<json::object> fact(Knowledge& knowledge, const Reach& reach, const json::object& given) {
  Arguments arguments(given);
  const graph::FactId id = read_fact_id(arguments, "fact_id");
  if (auto ok = arguments.done(); !ok) return std::unexpected(ok.error());
  return knowledge.graph().read(reach.tenant(), [&](const Graph& graph) -> Result<json::object> {
    auto row = graph.stored_fact(id);
    if (!row || !reach.has(row->stored.source.system_id)) return no_fact(id);
    graph::StoredFact& stored = row->stored;
    json::array versions;
    for (const graph::Version& version : stored.versions) versions.push_back(version_json(version));
    json::object answer = fact_json({.id = id,
                                     .from = stored.from,
                                     .to = stored.to,
                                     .type = stored.type,
                                     .source = stored.source,
                                     .version = stored.versions.back()});
    answer["versions"] = std::move(versions);
    return answer;
  });
}

Result<json::object> edit_fact(Knowledge& knowledge, const Reach& reach,
                               const json::object& given) {
  Arguments arguments(given);
  const graph::FactId id = read_fact_id(arguments, "fact_id");
  graph::Edit edit;
  edit.weight = arguments.number("weight", 0.000'001, graph::kMostWeight);
  edit.valid_from = arguments.time("valid_from");
  edit.valid_to = arguments.time("valid_to");
  edit.properties = arguments.object("properties", graph::kMostProperties);
  if (edit == graph::Edit{})
    arguments.fault("weight",
                    "nothing to change: expected weight, valid_from, valid_to or "
                    "properties");
  if (auto ok = arguments.done(); !ok) return std::unexpected(ok.error());
  if (auto ok = check_fact(knowledge, reach, id); !ok) return std::unexpected(ok.error());
  ASAHI_TRY(const graph::Fact changed, knowledge.graph().edit(reach.tenant(), id, edit));
  return changed_json(changed);
}

Result<json::object> retract_fact(Knowledge& knowledge, const Reach& reach,
                                  const json::object& given) {
  Arguments arguments(given);
  const graph::FactId id = read_fact_id(arguments, "fact_id");
  if (auto ok = arguments.done(); !ok) return std::unexpected(ok.error());
  if (auto ok = check_fact(knowledge, reach, id); !ok) return std::unexpected(ok.error());
  ASAHI_TRY(const graph::Fact changed, knowledge.graph().retract(reach.tenant(), id));
  return changed_json(changed);
}

Result<json::object> supersede_fact(Knowledge& knowledge, const Reach& reach,
                                    const json::object& given) {
  Arguments arguments(given);
  const graph::FactId id = read_fact_id(arguments, "fact_id");
  const graph::FactId by = read_fact_id(arguments, "by");
  if (auto ok = arguments.done(); !ok) return std::unexpected(ok.error());
  if (auto ok = check_fact(knowledge, reach, id); !ok) return std::unexpected(ok.error());
  if (auto ok = check_fact(knowledge, reach, by); !ok) return std::unexpected(ok.error());
  ASAHI_TRY(const graph::Fact changed, knowledge.graph().supersede(reach.tenant(), id, by));
  return changed_json(changed);
}

Result<json::object> contradict_fact(Knowledge& knowledge, const Reach& reach,
                                     const json::object& given) {
  Arguments arguments(given);
  const graph::FactId id = read_fact_id(arguments, "fact_id");
  const graph::FactId by = arguments.has("by") ? read_fact_id(arguments, "by") : 0;
  if (auto ok = arguments.done(); !ok) return std::unexpected(ok.error());
  if (auto ok = check_fact(knowledge, reach, id); !ok) return std::unexpected(ok.error());
  if (auto ok = check_fact(knowledge, reach, by); !ok) return std::unexpected(ok.error());
  ASAHI_TRY(const graph::Fact changed, knowledge.graph().contradict(reach.tenant(), id, by));
  return changed_json(changed);
}

}  // namespace asahi::memory::knowledge
