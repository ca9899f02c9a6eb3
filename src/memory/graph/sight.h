#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "memory/graph/graph.h"
#include "memory/graph/network.h"

namespace asahi::memory::graph {

struct Neighbour {
  std::string id;
  std::string edge_type;
  bool outgoing = true;  ///< whether the edge leads to it
  double weight = 0;     ///< sum of the facts seen
  std::size_t facts = 0;
  Time since = kAlways, until = kForever;  ///< of all facts seen: first beginning, last end
};
struct Neighbours {
  std::vector<Neighbour> list;  ///< heaviest first, then by id and type
  std::size_t total = 0;        ///< before the limit
};
struct Path {
  std::vector<std::string> entities;    ///< both ends included
  std::vector<std::string> edge_types;  ///< one less
  std::size_t hops() const { return edge_types.size(); }
};
struct SeenEntity {
  std::string id, type, properties;
  std::vector<std::string> systems;  ///< that state it, sorted; those that may be seen
};
struct FoundEntities {
  struct One {
    SeenEntity entity;
    std::size_t edges = 0;  ///< that are seen
  };
  std::vector<One> list;
  std::size_t total = 0;  ///< before the limit
};
/// Which facts of an entity are listed.
enum class Which : std::uint8_t {
  kHeld,  ///< those that hold
  kEver   ///< all that were recorded until then: also ended, contradicted, taken back, yet to hold
};
struct Statistics {
  std::size_t entities = 0, edges = 0, facts = 0;
  std::map<std::string, std::size_t> entities_by_type, edges_by_type;
};

/// The graph as one view shows it. The graph must stay as it is meanwhile.
class Sight {
 public:
  Sight(const Graph& graph, const View& view);

  /// Nothing: unknown here. An entity is seen where an allowed system states it or a fact that is
  /// seen leads to it.
  std::optional<SeenEntity> entity(std::string_view id) const;
  /// The name that memories give it. Nothing: none, or unknown here.
  std::optional<std::string> name(std::string_view id) const;
  /// Both ways. `edge_type` empty: any.
  Neighbours neighbours(std::string_view id, std::string_view edge_type, std::size_t limit) const;
  /// Entities whose key or name has `words` in it; ASCII letters in either case, a blank is as good
  /// as '-'. Empty: every one. Those that begin with it first, then those with the most edges.
  /// Looks at each entity: linear.
  FoundEntities find_entities(std::string_view words, std::size_t limit) const;
  /// What is seen of an entity, latest beginning first, then latest recorded.
  std::vector<Fact> facts(std::string_view id, std::size_t limit, Which which = Which::kHeld) const;
  /// Whether it holds and is believed.
  bool holds(const Version& version) const;
  /// A shortest path along edges in either direction: no other has fewer edges. Nothing: an end is
  /// unknown, or there is none of at most `max_hops`. Breadth first from both ends.
  std::optional<Path> path(std::string_view from, std::string_view to, std::size_t max_hops) const;
  Statistics statistics() const;
  Network network() const;

 private:
  using Number = Graph::Number;
  struct Seen {
    Number live = 0;
    std::int64_t weight_micros = 0;
    Time since = kForever, until = kAlways;
  };
  bool allowed(Number system) const;
  bool believed(Time recorded, Time retracted) const;
  bool was_recorded(const Graph::Row& row) const;
  std::string_view properties(const Graph::Entity& entity) const;
  /// The version of a row that is seen, if any, by its weight and times.
  bool sees_row(const Graph::Row& row, Seen* into) const;
  bool sees_edge(const Graph::Edge& edge) const;
  Seen look(const Graph::Edge& edge) const;
  bool sees_entity(const Graph::Entity& entity) const;
  Number find(std::string_view id) const;
  bool whole(const Graph::Edge& edge) const;

  const Graph& graph_;
  const Time valid_at_, recorded_at_;
  bool all_systems_ = true;
  Number hidden_type_ = Graph::kNone, hidden_edges_ = Graph::kNone;  ///< none: all are shown
  std::vector<bool> systems_;
};

}  // namespace asahi::memory::graph
