#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace asahi::memory::graph {

/// A graph as algorithms take it: nodes by number in the order of their ids, neighbours in the
/// order of their numbers, weights above 0. No node is its own neighbour.
struct Network {
  /// Neighbours of node i: [first[i], first[i + 1]) of the others.
  struct Arcs {
    std::vector<std::uint32_t> first{0};
    std::vector<std::uint32_t> to;
    std::vector<double> weight;
  };
  std::vector<std::string> ids;
  Arcs both;  ///< without direction: every pair stands in both lists, its weights summed
  Arcs out;   ///< along the edges, types summed

  std::size_t size() const { return ids.size(); }
  std::uint32_t degree(std::size_t node) const { return both.first[node + 1] - both.first[node]; }
};

struct Link {
  std::uint32_t from = 0, to = 0;
  double weight = 1;
};
/// Of `count` nodes; ends below it, loops left out, repeats summed.
Network network_of(std::vector<std::string> ids, const std::vector<Link>& links);

/// Which group each node is in: numbered from 0 by size, then by the smallest node.
struct Groups {
  std::vector<std::uint32_t> of;
  std::vector<std::uint32_t> sizes;
};
Groups components(const Network& network);

struct Communities {
  Groups groups;
  double modularity = 0;  ///< −0.5 to 1: Newman and Girvan 2004, with weights
};
/// Louvain (Blondel et al. 2008) with nodes in their order, so that equal networks give equal
/// communities; at most 32 levels.
Communities louvain(const Network& network);
/// Label propagation (Raghavan et al. 2007) in a fixed shuffled order, ties to the label held, then
/// to the smallest; at most 32 rounds.
Communities label_propagation(const Network& network);
double modularity(const Network& network, const std::vector<std::uint32_t>& group_of);

/// How central each node is; `sampled`: estimated from that many starts of paths, 0: exact.
struct Centrality {
  std::vector<double> of;
  std::size_t sampled = 0;
};
/// Steps along edges that a centrality may take before it samples.
inline constexpr std::uint64_t kStepBudget = 100'000'000;
/// Neighbours over all others: 0 to 1.
Centrality degree_centrality(const Network& network);
/// Share of shortest paths between others that lead through (Brandes 2001), without direction and
/// weights, 0 to 1. Past the budget from evenly spread starts, scaled up (Brandes, Pich 2007).
Centrality betweenness(const Network& network, std::uint64_t budget = kStepBudget);
/// Others reached over the sum of their distances, times the share reached (Wasserman, Faust 1994),
/// without direction and weights. Past the budget by distances to evenly spread starts.
Centrality closeness(const Network& network, std::uint64_t budget = kStepBudget);
/// Along the edges with weights, damping 0.85; sums to 1 (Page et al. 1999). Stops at a change
/// below 1e-10 or after 200 rounds.
Centrality pagerank(const Network& network);

}  // namespace asahi::memory::graph
