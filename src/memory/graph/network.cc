#include "memory/graph/network.h"

#include <algorithm>
#include <numeric>

namespace asahi::memory::graph {
namespace {

/// Links sorted into lists; those of one pair summed.
Network::Arcs arcs_of(std::size_t nodes, const std::vector<Link>& links, bool both_ways) {
  std::vector<std::uint32_t> begin(nodes + 1, 0);
  for (const Link& link : links) {
    if (link.from == link.to) continue;
    ++begin[link.from + 1];
    if (both_ways) ++begin[link.to + 1];
  }
  std::partial_sum(begin.begin(), begin.end(), begin.begin());
  std::vector<std::pair<std::uint32_t, double>> all(begin.back());
  std::vector<std::uint32_t> next(begin.begin(), begin.end() - 1);
  for (const Link& link : links) {
    if (link.from == link.to) continue;
    all[next[link.from]++] = {link.to, link.weight};
    if (both_ways) all[next[link.to]++] = {link.from, link.weight};
  }
  Network::Arcs out;
  out.first.assign(1, 0);
  out.first.reserve(nodes + 1);
  for (std::size_t node = 0; node < nodes; ++node) {
    const auto from = all.begin() + begin[node], to = all.begin() + begin[node + 1];
    std::sort(from, to);
    for (auto at = from; at != to; ++at) {
      const bool again = out.to.size() > out.first.back() && out.to.back() == at->first;
      if (again) {
        out.weight.back() += at->second;
      } else {
        out.to.push_back(at->first);
        out.weight.push_back(at->second);
      }
    }
    out.first.push_back(static_cast<std::uint32_t>(out.to.size()));
  }
  return out;
}

/// Gives groups their numbers: the largest first, then the one with the smallest node.
Groups numbered(std::vector<std::uint32_t> label) {
  const std::size_t labels =
      label.empty() ? 0 : static_cast<std::size_t>(*std::ranges::max_element(label)) + 1;
  std::vector<std::uint32_t> size(labels, 0), smallest(labels, UINT32_MAX), order;
  for (std::size_t node = 0; node < label.size(); ++node) {
    const std::uint32_t own = label[node];
    if (size[own]++ == 0) {
      smallest[own] = static_cast<std::uint32_t>(node);
      order.push_back(own);
    }
  }
  std::ranges::sort(order, [&](std::uint32_t a, std::uint32_t b) {
    return size[a] != size[b] ? size[a] > size[b] : smallest[a] < smallest[b];
  });
  std::vector<std::uint32_t> number(labels, 0);
  Groups out;
  for (std::size_t i = 0; i < order.size(); ++i) {
    number[order[i]] = static_cast<std::uint32_t>(i);
    out.sizes.push_back(size[order[i]]);
  }
  for (std::uint32_t& own : label) own = number[own];
  out.of = std::move(label);
  return out;
}

/// One level of Louvain: a network whose nodes weigh what lies inside them.
struct Level {
  Network::Arcs arcs;
  std::vector<double> inside;  ///< twice the weight of the links within each node
  std::size_t size() const { return inside.size(); }
};

/// Moves nodes between communities while modularity grows. Returns whether any moved.
bool move_nodes(const Level& level, std::vector<std::uint32_t>& community, double total) {
  constexpr int kMostRounds = 64;
  const std::size_t nodes = level.size();
  std::vector<double> strength(nodes), sum(nodes, 0), to(nodes, 0);
  for (std::size_t node = 0; node < nodes; ++node) {
    strength[node] = level.inside[node];
    for (std::uint32_t i = level.arcs.first[node]; i < level.arcs.first[node + 1]; ++i)
      strength[node] += level.arcs.weight[i];
    sum[community[node]] += strength[node];
  }
  std::vector<std::uint32_t> met;
  bool any = false;
  for (int round = 0; round < kMostRounds; ++round) {
    std::size_t moved = 0;
    for (std::size_t node = 0; node < nodes; ++node) {
      const std::uint32_t own = community[node];
      met.assign(1, own);
      for (std::uint32_t i = level.arcs.first[node]; i < level.arcs.first[node + 1]; ++i) {
        const std::uint32_t other = community[level.arcs.to[i]];
        if (to[other] == 0 && other != own) met.push_back(other);
        to[other] += level.arcs.weight[i];
      }
      sum[own] -= strength[node];
      // What joining gains, up to terms that are the same for all: k_in − Σ_tot · k / 2m.
      std::uint32_t best = own;
      double best_gain = to[own] - sum[own] * strength[node] / total;
      for (const std::uint32_t other : met) {
        const double gain = to[other] - sum[other] * strength[node] / total;
        if (gain > best_gain + 1e-12 ||
            (gain > best_gain - 1e-12 && best != own && other < best && other != own)) {
          best = other;
          best_gain = std::max(gain, best_gain);
        }
      }
      for (const std::uint32_t other : met) to[other] = 0;
      sum[best] += strength[node];
      if (best == own) continue;
      community[node] = best;
      ++moved;
    }
    any = any || moved > 0;
    // The last few go back and forth without gain worth the round.
    if (moved * 1000 <= nodes) break;
  }
  return any;
}

}  // namespace

Network network_of(std::vector<std::string> ids, const std::vector<Link>& links) {
  Network out;
  out.both = arcs_of(ids.size(), links, true);
  out.out = arcs_of(ids.size(), links, false);
  out.ids = std::move(ids);
  return out;
}

Groups components(const Network& network) {
  constexpr std::uint32_t kNone = UINT32_MAX;
  std::vector<std::uint32_t> label(network.size(), kNone), waiting;
  std::uint32_t labels = 0;
  for (std::uint32_t start = 0; start < network.size(); ++start) {
    if (label[start] != kNone) continue;
    label[start] = labels;
    waiting.assign(1, start);
    while (!waiting.empty()) {
      const std::uint32_t node = waiting.back();
      waiting.pop_back();
      for (std::uint32_t i = network.both.first[node]; i < network.both.first[node + 1]; ++i) {
        std::uint32_t& other = label[network.both.to[i]];
        if (other != kNone) continue;
        other = labels;
        waiting.push_back(network.both.to[i]);
      }
    }
    ++labels;
  }
  return numbered(std::move(label));
}

double modularity(const Network& network, const std::vector<std::uint32_t>& group_of) {
  const std::size_t groups =
      group_of.empty() ? 0 : static_cast<std::size_t>(*std::ranges::max_element(group_of)) + 1;
  std::vector<double> inside(groups, 0), strength(groups, 0);
  double total = 0;
  for (std::size_t node = 0; node < network.size(); ++node) {
    for (std::uint32_t i = network.both.first[node]; i < network.both.first[node + 1]; ++i) {
      const double weight = network.both.weight[i];
      total += weight;
      strength[group_of[node]] += weight;
      if (group_of[node] == group_of[network.both.to[i]]) inside[group_of[node]] += weight;
    }
  }
  if (total == 0) return 0;
  double out = 0;
  for (std::size_t group = 0; group < groups; ++group)
    out += inside[group] / total - (strength[group] / total) * (strength[group] / total);
  return out;
}

Communities louvain(const Network& network) {
  constexpr int kMostLevels = 32;
  std::vector<std::uint32_t> of(network.size());
  std::iota(of.begin(), of.end(), 0U);
  Level level{network.both, std::vector<double>(network.size(), 0)};
  const double total = std::accumulate(network.both.weight.begin(), network.both.weight.end(), 0.0);
  for (int depth = 0; depth < kMostLevels && total > 0; ++depth) {
    std::vector<std::uint32_t> community(level.size());
    std::iota(community.begin(), community.end(), 0U);
    if (!move_nodes(level, community, total)) break;
    const Groups groups = numbered(std::move(community));
    for (std::uint32_t& own : of) own = groups.of[own];
    // The next level: communities as nodes.
    const std::size_t nodes = groups.sizes.size();
    std::vector<double> inside(nodes, 0);
    std::vector<Link> links;
    links.reserve(level.arcs.to.size());
    for (std::size_t node = 0; node < level.size(); ++node) {
      const std::uint32_t own = groups.of[node];
      inside[own] += level.inside[node];
      for (std::uint32_t i = level.arcs.first[node]; i < level.arcs.first[node + 1]; ++i) {
        const std::uint32_t other = groups.of[level.arcs.to[i]];
        if (other == own)
          inside[own] += level.arcs.weight[i];
        else
          links.push_back({own, other, level.arcs.weight[i]});
      }
    }
    level.arcs = arcs_of(nodes, links, false);
    level.inside = std::move(inside);
  }
  Communities out{.groups = numbered(std::move(of))};
  out.modularity = modularity(network, out.groups.of);
  return out;
}

Communities label_propagation(const Network& network) {
  constexpr int kMostRounds = 32;
  std::vector<std::uint32_t> label(network.size()), order(network.size()), met;
  std::iota(label.begin(), label.end(), 0U);
  std::iota(order.begin(), order.end(), 0U);
  std::uint64_t state = 0x9E3779B97F4A7C15;
  for (std::size_t i = order.size(); i > 1; --i) {
    state = state * 6364136223846793005 + 1442695040888963407;
    std::swap(order[i - 1], order[(state >> 33) % i]);
  }
  std::vector<double> weight(network.size(), 0);
  for (int round = 0; round < kMostRounds; ++round) {
    bool moved = false;
    for (const std::uint32_t node : order) {
      met.clear();
      for (std::uint32_t i = network.both.first[node]; i < network.both.first[node + 1]; ++i) {
        const std::uint32_t other = label[network.both.to[i]];
        if (weight[other] == 0) met.push_back(other);
        weight[other] += network.both.weight[i];
      }
      std::uint32_t best = label[node];
      double most = weight[best];
      for (const std::uint32_t other : met) {
        if (weight[other] > most ||
            (weight[other] == most && best != label[node] && other < best)) {
          best = other;
          most = weight[other];
        }
      }
      for (const std::uint32_t other : met) weight[other] = 0;
      moved = moved || best != label[node];
      label[node] = best;
    }
    if (!moved) break;
  }
  Communities out{.groups = numbered(std::move(label))};
  out.modularity = modularity(network, out.groups.of);
  return out;
}

}  // namespace asahi::memory::graph
