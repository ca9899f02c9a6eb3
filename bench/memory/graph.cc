// The knowledge graph at size: learning, paths, neighbours, communities, centrality.
//   bench_graph [--nodes N] [--edges N] [--json]
#include <fmt/format.h>
#include <time.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "memory/graph/extract.h"
#include "memory/graph/sight.h"

namespace asahi::memory::graph {
namespace {

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

struct Row {
  std::string what;
  double milliseconds = 0;
  std::string note;
};

int run(std::size_t nodes, std::size_t edges, bool json) {
  std::mt19937_64 random(20'261'122);
  const Time now{std::chrono::days{20'000}};
  std::vector<Row> rows;
  const auto measure = [&](std::string what, auto&& work) {
    const double start = cpu_seconds();
    std::string note = work();
    rows.push_back({std::move(what), (cpu_seconds() - start) * 1e3, std::move(note)});
  };

  // Clusters with hubs, as memories of many systems make them: most links within a cluster, the
  // smaller numbers of a cluster more often.
  const std::size_t clusters = std::max<std::size_t>(nodes / 200, 1);
  const auto id = [](std::size_t node) { return "concept:n" + std::to_string(node); };
  const auto pick = [&](std::size_t cluster) {
    const double u = std::uniform_real_distribution<>(0, 1)(random);
    const auto place = static_cast<std::size_t>(static_cast<double>(nodes / clusters) * u * u);
    return std::min(cluster + place * clusters, nodes - 1);
  };
  std::vector<Statement> statements;
  for (std::size_t i = 0; i < edges; i += 4) {
    Statement statement{.source = {"s" + std::to_string(random() % 100), "m" + std::to_string(i)}};
    for (std::size_t k = i; k < std::min(i + 4, edges); ++k) {
      // The first links hang every node on one of its cluster, or a cluster on the one before.
      std::size_t from = k, to = k < clusters ? (k + clusters - 1) % clusters : pick(k % clusters);
      if (k >= nodes) {
        from = pick(random() % clusters);
        to = pick(random() % 20 == 0 ? random() % clusters : from % clusters);
      }
      if (from == to) continue;
      statement.facts.push_back({.from = id(from),
                                 .to = id(to),
                                 .type = k % 3 == 0 ? "related_to" : "mentioned",
                                 .valid_from = now});
    }
    statements.push_back(std::move(statement));
  }
  Graph graph;
  measure("learn", [&] {
    for (const Statement& statement : statements) static_cast<void>(graph.learn(statement, now));
    return fmt::format("{} memories, {} entities, {} edges, {} facts", statements.size(),
                       graph.entities(), graph.edges(), graph.facts());
  });
  rows.back().note += fmt::format(", {:.0f} memories/s", static_cast<double>(statements.size()) /
                                                             rows.back().milliseconds * 1e3);
  std::vector<std::string> log;
  measure("log: encode", [&] {
    for (const Change& change : graph.take_changes()) log.push_back(encode(change));
    return fmt::format("{} lines", log.size());
  });
  measure("log: replay", [&] {
    Graph again;
    for (const std::string& line : log) {
      const auto change = decode(line);
      if (change) static_cast<void>(again.apply(*change));
    }
    return fmt::format("{} facts", again.facts());
  });

  const Sight sight(graph, {.valid_at = now});
  const auto random_id = [&] { return id(random() % nodes); };
  std::vector<double> each;
  std::size_t found = 0, hops = 0;
  for (const auto& [what, most] :
       {std::pair{"path, 10 hops at most", 10}, {"path, 5 hops at most", 5}}) {
    each.clear();
    found = hops = 0;
    for (int i = 0; i < 200; ++i) {
      const double start = cpu_seconds();
      const auto path = sight.path(random_id(), random_id(), static_cast<std::size_t>(most));
      each.push_back((cpu_seconds() - start) * 1e3);
      found += path ? 1 : 0;
      hops += path ? path->hops() : 0;
    }
    std::ranges::sort(each);
    rows.push_back(
        {what, each[each.size() / 2],
         fmt::format(
             "median of 200; slowest {:.2f} ms; {} found, {:.1f} hops on average", each.back(),
             found,
             static_cast<double>(hops) / static_cast<double>(std::max<std::size_t>(found, 1)))});
  }
  each.clear();
  for (int i = 0; i < 200; ++i) {
    const double start = cpu_seconds();
    static_cast<void>(sight.neighbours(id(random() % clusters), "", 100));
    each.push_back((cpu_seconds() - start) * 1e3);
  }
  std::ranges::sort(each);
  rows.push_back({"neighbours of a hub", each[each.size() / 2],
                  fmt::format("median of 200; slowest {:.2f} ms", each.back())});
  measure("statistics", [&] { return fmt::format("{} edges", sight.statistics().edges); });
  Network network;
  measure("network for the algorithms", [&] {
    network = sight.network();
    return fmt::format("{} nodes, {} links", network.size(), network.both.to.size() / 2);
  });
  measure("communities, Louvain", [&] {
    const Communities out = louvain(network);
    return fmt::format("{} groups, modularity {:.3f}", out.groups.sizes.size(), out.modularity);
  });
  measure("communities, label propagation", [&] {
    const Communities out = label_propagation(network);
    return fmt::format("{} groups, modularity {:.3f}", out.groups.sizes.size(), out.modularity);
  });
  measure("components", [&] { return fmt::format("{} parts", components(network).sizes.size()); });
  measure("pagerank", [&] { return fmt::format("{} nodes", pagerank(network).of.size()); });
  measure("betweenness",
          [&] { return fmt::format("from {} nodes (0: all)", betweenness(network).sampled); });
  measure("closeness",
          [&] { return fmt::format("from {} nodes (0: all)", closeness(network).sampled); });

  Memory memory;
  memory.key = {"acme", "buddy", "m"};
  memory.timestamp = now;
  memory.metadata = R"({"user_id":"ana","project":"gateway","tags":["cache","redis"]})";
  memory.content =
      "We looked at the cache today. Redis was slow because of TimeoutError in src/cache/redis.cc. "
      "Ana Ruiz is "
      "the head of Storage. Bob moved to Lisbon on 3 May 2024. The pool was raised to 200 "
      "connections and all is well.";
  measure("extraction, 10,000 memories of 220 bytes", [&] {
    std::size_t facts = 0;
    for (int i = 0; i < 10'000; ++i) facts += extract(memory, now).facts.size();
    return fmt::format("{} facts each", facts / 10'000);
  });

  if (json) {
    fmt::print("{{");
    for (std::size_t i = 0; i < rows.size(); ++i)
      fmt::print("{}\"{}\":{:.3f}", i == 0 ? "" : ",", rows[i].what, rows[i].milliseconds);
    fmt::print("}}\n");
    return 0;
  }
  fmt::print("| What | CPU ms | |\n|---|---|---|\n");
  for (const Row& row : rows)
    fmt::print("| {} | {:.2f} | {} |\n", row.what, row.milliseconds, row.note);
  return 0;
}

}  // namespace
}  // namespace asahi::memory::graph

int main(int argc, char** argv) {
  CLI::App app{"The knowledge graph at size"};
  std::size_t nodes = 100'000, edges = 400'000;
  bool json = false;
  app.add_option("--nodes", nodes)->check(CLI::Range(1'000, 1'000'000));
  app.add_option("--edges", edges)->check(CLI::Range(1'000, 5'000'000));
  app.add_flag("--json", json);
  CLI11_PARSE(app, argc, argv);
  return asahi::memory::graph::run(nodes, edges, json);
}
