#include <algorithm>
#include <cmath>

#include "memory/graph/network.h"

namespace asahi::memory::graph {
namespace {

constexpr std::uint32_t kFar = UINT32_MAX;

/// Nodes that paths start from: all where the budget allows, else evenly spread over the numbers.
std::vector<std::uint32_t> starts(const Network& network, std::uint64_t budget) {
  const std::uint64_t nodes = network.size();
  const std::uint64_t one = nodes + network.both.to.size();
  const std::uint64_t most = std::max<std::uint64_t>(budget / std::max<std::uint64_t>(one, 1), 16);
  std::vector<std::uint32_t> out;
  if (nodes <= most) {
    for (std::uint32_t i = 0; i < nodes; ++i) out.push_back(i);
    return out;
  }
  for (std::uint64_t i = 0; i < most; ++i)
    out.push_back(static_cast<std::uint32_t>((2 * i + 1) * nodes / (2 * most)));
  return out;
}

/// Distances from `start` without weights, and the nodes in the order they are reached.
void reach(const Network& network, std::uint32_t start, std::vector<std::uint32_t>& distance,
           std::vector<std::uint32_t>& order) {
  for (const std::uint32_t node : order) distance[node] = kFar;
  order.assign(1, start);
  distance[start] = 0;
  for (std::size_t at = 0; at < order.size(); ++at) {
    const std::uint32_t node = order[at];
    for (std::uint32_t i = network.both.first[node]; i < network.both.first[node + 1]; ++i) {
      const std::uint32_t other = network.both.to[i];
      if (distance[other] != kFar) continue;
      distance[other] = distance[node] + 1;
      order.push_back(other);
    }
  }
}

}  // namespace

Centrality degree_centrality(const Network& network) {
  Centrality out{.of = std::vector<double>(network.size(), 0)};
  if (network.size() < 2) return out;
  for (std::size_t node = 0; node < network.size(); ++node)
    out.of[node] = network.degree(node) / static_cast<double>(network.size() - 1);
  return out;
}

Centrality betweenness(const Network& network, std::uint64_t budget) {
  const std::size_t nodes = network.size();
  Centrality out{.of = std::vector<double>(nodes, 0)};
  if (nodes < 3) return out;
  const auto from = starts(network, budget);
  if (from.size() < nodes) out.sampled = from.size();
  std::vector<std::uint32_t> distance(nodes, kFar), order;
  std::vector<double> paths(nodes, 0), through(nodes, 0);
  for (const std::uint32_t start : from) {
    reach(network, start, distance, order);
    for (const std::uint32_t node : order) paths[node] = through[node] = 0;
    paths[start] = 1;
    for (const std::uint32_t node : order) {
      for (std::uint32_t i = network.both.first[node]; i < network.both.first[node + 1]; ++i) {
        const std::uint32_t other = network.both.to[i];
        if (distance[other] == distance[node] + 1) paths[other] += paths[node];
      }
    }
    for (std::size_t at = order.size(); at > 1; --at) {
      const std::uint32_t node = order[at - 1];
      const double share = (1 + through[node]) / paths[node];
      for (std::uint32_t i = network.both.first[node]; i < network.both.first[node + 1]; ++i) {
        const std::uint32_t other = network.both.to[i];
        if (distance[other] + 1 == distance[node]) through[other] += paths[other] * share;
      }
      out.of[node] += through[node];
    }
  }
  const double n = static_cast<double>(nodes);
  const double scale = n / static_cast<double>(from.size()) / ((n - 1) * (n - 2));
  for (double& value : out.of) value *= scale;
  return out;
}

Centrality closeness(const Network& network, std::uint64_t budget) {
  const std::size_t nodes = network.size();
  Centrality out{.of = std::vector<double>(nodes, 0)};
  if (nodes < 2) return out;
  const auto from = starts(network, budget);
  if (from.size() < nodes) out.sampled = from.size();
  // Distances are the same both ways: what a start is from a node, a node is from the start.
  std::vector<std::uint32_t> distance(nodes, kFar), order;
  std::vector<double> sum(nodes, 0), met(nodes, 0);
  for (const std::uint32_t start : from) {
    reach(network, start, distance, order);
    for (const std::uint32_t node : order) {
      if (node == start) continue;
      sum[node] += distance[node];
      met[node] += 1;
    }
  }
  const Groups parts = components(network);
  const double others = static_cast<double>(nodes - 1);
  for (std::size_t node = 0; node < nodes; ++node) {
    if (met[node] == 0) continue;
    const double reached = static_cast<double>(parts.sizes[parts.of[node]] - 1);
    out.of[node] = met[node] / sum[node] * (reached / others);
  }
  return out;
}

Centrality pagerank(const Network& network) {
  constexpr double kDamping = 0.85, kSmallest = 1e-10;
  constexpr int kMostRounds = 200;
  const std::size_t nodes = network.size();
  if (nodes == 0) return {};
  const double even = 1.0 / static_cast<double>(nodes);
  std::vector<double> rank(nodes, even), next(nodes), total(nodes, 0);
  for (std::size_t node = 0; node < nodes; ++node) {
    for (std::uint32_t i = network.out.first[node]; i < network.out.first[node + 1]; ++i)
      total[node] += network.out.weight[i];
  }
  for (int round = 0; round < kMostRounds; ++round) {
    double lost = 0;  // by nodes that lead nowhere
    std::ranges::fill(next, 0);
    for (std::size_t node = 0; node < nodes; ++node) {
      if (total[node] == 0) {
        lost += rank[node];
        continue;
      }
      const double share = rank[node] / total[node];
      for (std::uint32_t i = network.out.first[node]; i < network.out.first[node + 1]; ++i)
        next[network.out.to[i]] += share * network.out.weight[i];
    }
    double change = 0;
    for (std::size_t node = 0; node < nodes; ++node) {
      next[node] = (1 - kDamping) * even + kDamping * (next[node] + lost * even);
      change += std::abs(next[node] - rank[node]);
    }
    rank.swap(next);
    if (change < kSmallest) break;
  }
  return {.of = std::move(rank)};
}

}  // namespace asahi::memory::graph
