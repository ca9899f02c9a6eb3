// Shards of 10,000 systems on the nodes of the hot tier: balance, moves, the cost of a search. One
// JSON object a line.
#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "corpus.h"
#include "memory/hot/engine.h"
#include "memory/hot/hot_store.h"
#include "memory/placement/placement.h"
#include "memory/rank/hot_keyword.h"
#include "memory/search/merge.h"
#include "memory/testing/on_loop.h"
#include "memory/testing/remote_pair.h"

namespace {

using namespace asahi;          // NOLINT
using namespace asahi::memory;  // NOLINT
using Steady = std::chrono::steady_clock;

double since(Steady::time_point start) {
  return std::chrono::duration<double>(Steady::now() - start).count();
}
double cpu_seconds(int who = RUSAGE_SELF) {
  rusage usage{};
  ::getrusage(who, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}
double percentile(std::vector<double> values, double share) {
  std::ranges::sort(values);
  return values[std::min(values.size() - 1,
                         static_cast<std::size_t>(share * static_cast<double>(values.size())))];
}

// ---- On paper: loads of shards and nodes ----

/// Systems whose sizes follow Zipf's law: the i-th has 1 / i^exponent of the first; sums to 1.
struct Systems {
  std::vector<std::uint32_t> shard;
  std::vector<double> load;
};
Systems zipf(std::size_t count, double exponent, std::uint32_t shards) {
  Systems out;
  double sum = 0;
  for (std::size_t i = 0; i < count; ++i) {
    out.shard.push_back(shard_of(fmt::format("system-{}", i), shards));
    out.load.push_back(std::pow(static_cast<double>(i + 1), -exponent));
    sum += out.load.back();
  }
  for (double& load : out.load) load /= sum;
  return out;
}
std::vector<Node> cluster(std::size_t count, std::size_t trial) {
  std::vector<Node> nodes;
  for (std::size_t i = 0; i < count; ++i) nodes.push_back({fmt::format("t{}-hot-{}", trial, i)});
  return nodes;
}
double most_over_mean(const std::vector<double>& loads) {
  double sum = 0;
  for (const double load : loads) sum += load;
  return *std::ranges::max_element(loads) * static_cast<double>(loads.size()) / sum;
}
std::vector<double> loads_of(const Placement& placement, const Systems& systems) {
  std::vector<double> loads(placement.nodes().size(), 0);
  for (std::size_t i = 0; i < systems.load.size(); ++i)
    loads[placement.owner(systems.shard[i])] += systems.load[i];
  return loads;
}

constexpr std::size_t kTrials = 200;

void balance(std::size_t systems, std::uint32_t shards) {
  const Systems even = zipf(systems, 0, shards), skewed = zipf(systems, 1, shards);
  for (const std::size_t nodes : {4, 16, 64}) {
    std::vector<double> by_shards, by_even, by_zipf;
    for (std::size_t trial = 0; trial < kTrials; ++trial) {
      const auto placement = *Placement::make(cluster(nodes, trial), shards);
      std::vector<double> counts(nodes, 0);
      for (std::uint32_t shard = 0; shard < shards; ++shard) ++counts[placement.owner(shard)];
      by_shards.push_back(most_over_mean(counts));
      by_even.push_back(most_over_mean(loads_of(placement, even)));
      by_zipf.push_back(most_over_mean(loads_of(placement, skewed)));
    }
    const double mean = static_cast<double>(shards) / static_cast<double>(nodes);
    // The mean of the most of n nearly normal numbers: about sqrt(2 ln n) standard deviations.
    const double expected = 1 + std::sqrt(2 * std::log(static_cast<double>(nodes)) *
                                          (1 - 1 / static_cast<double>(nodes)) / mean);
    fmt::print(
        R"({{"kind":"balance","systems":{},"shards":{},"nodes":{},"shards_max_mean":{:.3f},)"
        R"("formula":{:.3f},"even_max_mean":{:.3f},"zipf_max_mean":{:.3f},"zipf_worst":{:.3f},)"
        R"("largest_system_share":{:.4f}}})"
        "\n",
        systems, shards, nodes, percentile(by_shards, 0.5), expected, percentile(by_even, 0.5),
        percentile(by_zipf, 0.5), percentile(by_zipf, 1), skewed.load[0]);
  }
}

void moves(std::size_t systems, std::uint32_t shards) {
  const Systems skewed = zipf(systems, 1, shards);
  std::vector<double> shard_load(shards, 0);
  for (std::size_t i = 0; i < systems; ++i) shard_load[skewed.shard[i]] += skewed.load[i];
  for (const std::size_t nodes : {4, 16, 64}) {
    for (const bool joins : {true, false}) {
      std::vector<double> moved, load, modulo;
      std::uint64_t others = 0;
      for (std::size_t trial = 0; trial < kTrials; ++trial) {
        const auto few = *Placement::make(cluster(nodes, trial), shards);
        const auto many = *Placement::make(cluster(nodes + 1, trial), shards);
        const std::string changed = fmt::format("t{}-hot-{}", trial, nodes);
        const auto list = joins ? moves_between(few, many) : moves_between(many, few);
        double sum = 0;
        for (const ShardMove& move : list) {
          sum += shard_load[move.shard];
          if ((joins ? move.to : move.from) != changed) ++others;
        }
        moved.push_back(static_cast<double>(list.size()));
        load.push_back(sum);
        double by_modulo = 0;
        for (std::uint32_t shard = 0; shard < shards; ++shard)
          by_modulo += shard % nodes != shard % (nodes + 1) ? 1 : 0;
        modulo.push_back(by_modulo);
      }
      double mean = 0;
      for (const double each : moved) mean += each / static_cast<double>(kTrials);
      fmt::print(
          R"({{"kind":"move","from":{},"to":{},"shards":{},"moved_mean":{:.2f},"least":{:.2f},)"
          R"("moved_worst":{:.0f},"load_p50":{:.4f},"load_worst":{:.4f},"between_others":{},)"
          R"("by_modulo":{:.0f}}})"
          "\n",
          joins ? nodes : nodes + 1, joins ? nodes + 1 : nodes, shards, mean,
          static_cast<double>(shards) / static_cast<double>(nodes + 1), percentile(moved, 1),
          percentile(load, 0.5), percentile(load, 1), others, percentile(modulo, 0.5));
    }
  }
}

// ---- Measured: what a node does for a search ----

/// Memories as bench_hot has them, and searches for them.
class Source {
 public:
  explicit Source(std::size_t dimensions) : corpus_(dimensions) {}
  Memory next(std::uint64_t number) {
    return corpus_.memory(number, "system-" + std::to_string(number % 10'000),
                          fmt::format("conversation-{:08}", number));
  }
  StoreQuery query() {
    std::mt19937_64& random = corpus_.random();
    StoreQuery out;
    out.tenant = "bench";
    out.text =
        fmt::format("w{} w{} w{}", 20 + random() % 300, 300 + random() % 3000, random() % 29'000);
    out.embedding = corpus_.vector();
    out.embedding_model = "bench";
    return out;
  }

 private:
  bench::Corpus corpus_;
};

std::unique_ptr<hot::Engine> node_of(std::size_t rows, Source& source) {
  hot::EngineOptions options;
  options.make_keyword = [] { return rank::make_keyword_index(system_clock()); };
  auto engine = std::move(*hot::Engine::open(std::move(options)));
  constexpr std::size_t kBatch = 500;
  std::mutex mutex;
  std::condition_variable changed;
  for (std::size_t from = 0; from < rows; from += kBatch) {
    std::vector<Memory> batch;
    for (std::size_t i = from; i < std::min(rows, from + kBatch); ++i)
      batch.push_back(source.next(i));
    bool done = false;
    engine->upsert(std::move(batch), {.deduplicate = false}, [&](const auto&) {
      const std::lock_guard lock(mutex);
      done = true;
      changed.notify_all();
    });
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return done; });
  }
  engine->wait_until_linked();
  return engine;
}

/// What a call costs beside the search: bytes, signatures, HTTP, both sides of it.
double call_cpu_us(const StoreQuery& query) {
  testing::OnLoop on;
  const auto empty = HotStore::open({}).value();
  testing::RemotePair pair(on.loops(), *empty, system_clock());
  const auto remote = pair.connect(pair.options());
  constexpr int kCalls = 3000;
  const auto calls = [&](int count) -> Task<int> {
    for (int i = 0; i < count; ++i) {
      ASAHI_CO_TRY([[maybe_unused]] const StorePage page, co_await remote->search(query));
    }
    co_return count;
  };
  (void)on.wait<int>([&] { return calls(200); });
  const double cpu = cpu_seconds();
  (void)on.wait<int>([&] { return calls(kCalls); });
  return (cpu_seconds() - cpu) * 1e6 / kCalls;
}

double merge_cpu_us(const StorePage& page, std::size_t nodes) {
  constexpr int kTimes = 200;
  double sum = 0;
  for (int i = 0; i < kTimes; ++i) {
    std::vector<TierHits> lists;
    for (std::size_t node = 0; node < nodes; ++node) {
      lists.push_back(page.hits);
      for (StoreHit& hit : lists.back()) hit.key.system_id += std::to_string(node);
    }
    const auto start = Steady::now();
    const auto merged = merge_tiers(std::move(lists), SearchMode::kHybrid, 1);
    sum += since(start);
    if (merged.empty()) fmt::print(stderr, "nothing merged\n");
  }
  return sum * 1e6 / kTimes;
}

void costs(std::size_t count, std::size_t dimensions, std::size_t searches) {
  Source source(dimensions);
  const double call = call_cpu_us(source.query());
  fmt::print(R"({{"kind":"call","cpu_us":{:.1f}}})"
             "\n",
             call);
  double alone = 0;
  std::mt19937_64 random(9);
  for (const std::size_t nodes : {1, 4, 16, 64}) {
    const auto engine = node_of(count / nodes, source);
    std::vector<StoreQuery> queries;
    for (std::size_t i = 0; i < searches; ++i) queries.push_back(source.query());
    std::vector<double> times;
    StorePage page;
    for (std::size_t i = 0; i < searches / 10; ++i) (void)engine->search(queries[i]);
    const double cpu = cpu_seconds(RUSAGE_THREAD);
    for (const StoreQuery& query : queries) {
      const auto start = Steady::now();
      page = engine->search(query).value();
      times.push_back(since(start) * 1e6);
    }
    const double each = (cpu_seconds(RUSAGE_THREAD) - cpu) * 1e6 / static_cast<double>(searches);
    // A search waits for the slowest: as many draws from the times as there are nodes.
    std::vector<double> slowest;
    for (int i = 0; i < 20'000; ++i) {
      double most = 0;
      for (std::size_t node = 0; node < nodes; ++node)
        most = std::max(most, times[random() % times.size()]);
      slowest.push_back(most);
    }
    const double merge = nodes == 1 ? 0 : merge_cpu_us(page, nodes);
    const double total = static_cast<double>(nodes) * (each + call) + merge;
    if (nodes == 1) alone = total;
    fmt::print(
        R"({{"kind":"cost","rows":{},"nodes":{},"rows_per_node":{},"node_cpu_us":{:.1f},)"
        R"("node_p50_us":{:.1f},"node_p99_us":{:.1f},"slowest_p50_us":{:.1f},)"
        R"("slowest_p99_us":{:.1f},"merge_us":{:.1f},"all_cpu_us":{:.1f},"times_one":{:.2f},)"
        R"("one_system_cpu_us":{:.1f}}})"
        "\n",
        count, nodes, count / nodes, each, percentile(times, 0.5), percentile(times, 0.99),
        percentile(slowest, 0.5), percentile(slowest, 0.99), merge, total, total / alone,
        each + call);
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t systems = 10'000, count = 100'000, dimensions = 384, searches = 2000;
  bool measure = true;
  CLI::App app("Shards of many systems on few nodes: balance, moves, cost of a search");
  app.add_option("--systems", systems);
  app.add_option("--count", count, "memories of the whole tier")
      ->check(CLI::Range(6400, 10'000'000));
  app.add_option("--dimensions", dimensions);
  app.add_option("--searches", searches)->check(CLI::Range(100, 1'000'000));
  app.add_flag("!--paper", measure, "only what needs no measuring");
  CLI11_PARSE(app, argc, argv);
  for (const std::uint32_t shards : {kShards, 1024U, 4096U}) balance(systems, shards);
  moves(systems, kShards);
  if (measure) costs(count, dimensions, searches);
  return 0;
}
