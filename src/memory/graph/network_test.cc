#include "memory/graph/network.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>

namespace asahi::memory::graph {
namespace {

Network make(std::size_t nodes, const std::vector<std::pair<int, int>>& edges) {
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < nodes; ++i) ids.push_back("n:" + std::to_string(1000 + i));
  std::vector<Link> links;
  for (const auto& [a, b] : edges)
    links.push_back({static_cast<std::uint32_t>(a), static_cast<std::uint32_t>(b), 1});
  return network_of(std::move(ids), links);
}

Network random_network(std::mt19937& random, std::size_t nodes, std::size_t edges) {
  std::vector<std::pair<int, int>> all;
  for (std::size_t i = 0; i < edges; ++i) all.emplace_back(random() % nodes, random() % nodes);
  return make(nodes, all);
}

/// Zachary's karate club (1977).
Network karate() {
  return make(
      34, {{1, 0},   {2, 0},   {2, 1},   {3, 0},   {3, 1},   {3, 2},   {4, 0},   {5, 0},   {6, 0},
           {6, 4},   {6, 5},   {7, 0},   {7, 1},   {7, 2},   {7, 3},   {8, 0},   {8, 2},   {9, 2},
           {10, 0},  {10, 4},  {10, 5},  {11, 0},  {12, 0},  {12, 3},  {13, 0},  {13, 1},  {13, 2},
           {13, 3},  {16, 5},  {16, 6},  {17, 0},  {17, 1},  {19, 0},  {19, 1},  {21, 0},  {21, 1},
           {25, 23}, {25, 24}, {27, 2},  {27, 23}, {27, 24}, {28, 2},  {29, 23}, {29, 26}, {30, 1},
           {30, 8},  {31, 0},  {31, 24}, {31, 25}, {31, 28}, {32, 2},  {32, 8},  {32, 14}, {32, 15},
           {32, 18}, {32, 20}, {32, 22}, {32, 23}, {32, 29}, {32, 30}, {32, 31}, {33, 8},  {33, 9},
           {33, 13}, {33, 14}, {33, 15}, {33, 18}, {33, 19}, {33, 20}, {33, 22}, {33, 23}, {33, 26},
           {33, 27}, {33, 28}, {33, 29}, {33, 30}, {33, 31}, {33, 32}});
}

TEST(Network, SumsParallelLinksAndLeavesLoopsOut) {
  const Network network = make(3, {{0, 1}, {1, 0}, {0, 1}, {2, 2}});
  EXPECT_EQ(network.degree(0), 1U);
  EXPECT_EQ(network.degree(2), 0U);
  EXPECT_DOUBLE_EQ(network.both.weight[0], 3);
  EXPECT_DOUBLE_EQ(network.out.weight[0], 2);
}

TEST(Components, AreNumberedBySize) {
  const Network network = make(7, {{5, 6}, {0, 1}, {1, 2}});
  const Groups groups = components(network);
  EXPECT_EQ(groups.sizes, (std::vector<std::uint32_t>{3, 2, 1, 1}));
  EXPECT_EQ(groups.of, (std::vector<std::uint32_t>{0, 0, 0, 2, 3, 1, 1}));
  EXPECT_TRUE(components(make(0, {})).sizes.empty());
}

TEST(Communities, OfTwoCliquesWithABridgeAreTheCliques) {
  std::vector<std::pair<int, int>> edges{{4, 5}};
  for (int clique = 0; clique < 2; ++clique)
    for (int i = 0; i < 5; ++i)
      for (int k = 0; k < i; ++k) edges.emplace_back(clique * 5 + i, clique * 5 + k);
  const Network network = make(10, edges);
  for (const Communities& found : {louvain(network), label_propagation(network)}) {
    EXPECT_EQ(found.groups.sizes, (std::vector<std::uint32_t>{5, 5}));
    for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(found.groups.of[i], i / 5);
    // 20 of 21 links inside: 20/21 − 2 · (21/42)².
    EXPECT_NEAR(found.modularity, 20.0 / 21 - 0.5, 1e-12);
  }
}

TEST(Communities, OfTheKarateClubAreAsGoodAsIsKnown) {
  const Network network = karate();
  EXPECT_EQ(network.both.to.size(), 2 * 78U);
  const Communities found = louvain(network);
  EXPECT_GT(found.modularity, 0.40) << "the best known is 0.4198";
  EXPECT_EQ(louvain(network).groups.of, found.groups.of) << "the same every time";
}

TEST(Communities, AreNeverWorseThanLeavingAllApart) {
  std::mt19937 random(5);
  for (int round = 0; round < 30; ++round) {
    const Network network = random_network(random, 40, 10 + random() % 120);
    std::vector<std::uint32_t> apart(40);
    std::iota(apart.begin(), apart.end(), 0U);
    const Communities found = louvain(network);
    EXPECT_GE(found.modularity, modularity(network, apart));
    EXPECT_GE(found.modularity, modularity(network, components(network).of) - 1e-9);
    EXPECT_EQ(std::accumulate(found.groups.sizes.begin(), found.groups.sizes.end(), 0U), 40U);
  }
  EXPECT_TRUE(louvain(make(0, {})).groups.of.empty());
  EXPECT_EQ(louvain(make(3, {})).groups.sizes.size(), 3U);
}

/// Distances and numbers of shortest paths by Floyd and counting.
struct Oracle {
  std::vector<std::vector<double>> distance, paths;
};
Oracle oracle(const Network& network) {
  const std::size_t n = network.size();
  Oracle out{std::vector(n, std::vector<double>(n, INFINITY)),
             std::vector(n, std::vector<double>(n, 0))};
  const auto linked = [&](std::size_t a, std::size_t b) {
    for (std::uint32_t i = network.both.first[a]; i < network.both.first[a + 1]; ++i)
      if (network.both.to[i] == b) return true;
    return false;
  };
  for (std::size_t a = 0; a < n; ++a) {
    out.distance[a][a] = 0;
    for (std::size_t b = 0; b < n; ++b)
      if (linked(a, b)) out.distance[a][b] = 1;
  }
  for (std::size_t k = 0; k < n; ++k)
    for (std::size_t a = 0; a < n; ++a)
      for (std::size_t b = 0; b < n; ++b)
        out.distance[a][b] = std::min(out.distance[a][b], out.distance[a][k] + out.distance[k][b]);
  for (std::size_t a = 0; a < n; ++a) {
    out.paths[a][a] = 1;
    for (double d = 1; d < static_cast<double>(n); ++d)
      for (std::size_t b = 0; b < n; ++b) {
        if (out.distance[a][b] != d) continue;
        for (std::size_t c = 0; c < n; ++c)
          if (out.distance[a][c] == d - 1 && linked(c, b)) out.paths[a][b] += out.paths[a][c];
      }
  }
  return out;
}

TEST(Centrality, BetweennessAndClosenessAreWhatTheirDefinitionsSay) {
  std::mt19937 random(8);
  for (int round = 0; round < 20; ++round) {
    const std::size_t n = 3 + random() % 20;
    const Network network = random_network(random, n, random() % (3 * n));
    const Oracle truth = oracle(network);
    const Centrality between = betweenness(network), close = closeness(network);
    EXPECT_EQ(between.sampled, 0U);
    for (std::size_t v = 0; v < n; ++v) {
      double through = 0, sum = 0, reached = 0;
      for (std::size_t s = 0; s < n; ++s) {
        if (s != v && std::isfinite(truth.distance[v][s])) {
          sum += truth.distance[v][s];
          ++reached;
        }
        for (std::size_t t = 0; t < n; ++t) {
          if (s == t || s == v || t == v || !std::isfinite(truth.distance[s][t])) continue;
          if (truth.distance[s][v] + truth.distance[v][t] == truth.distance[s][t])
            through += truth.paths[s][v] * truth.paths[v][t] / truth.paths[s][t];
        }
      }
      const double m = static_cast<double>(n);
      EXPECT_NEAR(between.of[v], through / ((m - 1) * (m - 2)), 1e-9);
      EXPECT_NEAR(close.of[v], sum == 0 ? 0 : reached / sum * reached / (m - 1), 1e-9);
    }
  }
}

TEST(Centrality, SamplesSayThatTheyAreAndComeClose) {
  std::mt19937 random(9);
  const Network network = random_network(random, 400, 1600);
  const Centrality exact = betweenness(network);
  const Centrality sampled = betweenness(network, 400 * 1000);
  EXPECT_GT(sampled.sampled, 0U);
  EXPECT_LT(sampled.sampled, 400U);
  double off = 0, all = 0;
  for (std::size_t i = 0; i < 400; ++i) {
    off += std::abs(exact.of[i] - sampled.of[i]);
    all += exact.of[i];
  }
  EXPECT_LT(off / all, 0.25);
  const Centrality close = closeness(network), few = closeness(network, 400 * 1000);
  EXPECT_GT(few.sampled, 0U);
  for (std::size_t i = 0; i < 400; ++i)
    EXPECT_NEAR(few.of[i], close.of[i], 0.15 * close.of[i] + 0.01);
}

TEST(Centrality, PageRankSumsToOneAndIsAtRest) {
  std::mt19937 random(10);
  for (int round = 0; round < 10; ++round) {
    const Network network = random_network(random, 50, 30 + random() % 200);
    const std::vector<double> rank = pagerank(network).of;
    EXPECT_NEAR(std::accumulate(rank.begin(), rank.end(), 0.0), 1, 1e-9);
    std::vector<double> next(50, 0);
    double lost = 0;
    for (std::size_t i = 0; i < 50; ++i) {
      double total = 0;
      for (std::uint32_t k = network.out.first[i]; k < network.out.first[i + 1]; ++k)
        total += network.out.weight[k];
      if (total == 0) lost += rank[i];
      for (std::uint32_t k = network.out.first[i]; k < network.out.first[i + 1]; ++k)
        next[network.out.to[k]] += rank[i] * network.out.weight[k] / total;
    }
    for (std::size_t i = 0; i < 50; ++i)
      EXPECT_NEAR(rank[i], 0.15 / 50 + 0.85 * (next[i] + lost / 50), 1e-9);
  }
  EXPECT_TRUE(pagerank(make(0, {})).of.empty());
}

TEST(Centrality, DegreeIsTheShareOfOthersThatAreNeighbours) {
  const auto degree = degree_centrality(make(4, {{0, 1}, {0, 2}, {0, 1}})).of;
  EXPECT_DOUBLE_EQ(degree[0], 2.0 / 3);
  EXPECT_DOUBLE_EQ(degree[3], 0);
  EXPECT_EQ(degree_centrality(make(1, {})).of, std::vector<double>{0});
}

}  // namespace
}  // namespace asahi::memory::graph
