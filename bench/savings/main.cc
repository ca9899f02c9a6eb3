// `bench_savings [--json FILE] [--data FOLDER] [--docs FOLDER]... [--questions N] [--seeds N]
// [--entries N] [--only ROWS] [--delta D]... [--show]`: the goals of the semantic cache, with the
// local embedder and no model file; beside it with a real one where ASAHI_BENCH_EMBEDDER names it.
// Evaluation data is read where it lies and skipped visibly where it does not.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <map>

#include "savings/cache.h"
#include "savings/generate.h"
#include "savings/measures.h"
#include "savings/streams.h"

namespace {

using namespace asahi;
using namespace asahi::savings;

struct Options : MeasureOptions {
  std::string json;
  std::size_t questions = 50'000;
  std::size_t entries = 100'000;
  std::uint64_t seeds = 3;
  std::string only;
  std::vector<double> deltas;
};

void streams(Table& table, const Options& options) {
  for (const double delta : options.deltas) {
    std::map<std::string, StreamResult> worst;
    std::map<std::string, double> hit_rate;
    std::vector<std::string> order;
    for (std::uint64_t seed = 1; seed <= options.seeds; ++seed) {
      bound_streams(options.questions, delta, seed, [&](const StreamResult& result) {
        const auto [at, first] = worst.emplace(result.name, result);
        if (first) order.push_back(result.name);
        if (result.of_questions() > at->second.of_questions()) at->second = result;
        hit_rate[result.name] += result.hit_rate() / static_cast<double>(options.seeds);
      });
    }
    double most = 0;
    for (const auto& [name, result] : worst) most = std::max(most, result.of_questions());
    table.row(fmt::format("bound {:.1f} %: {} streams of {}, {} seeds each", 100 * delta,
                          worst.size(), options.questions, options.seeds),
              fmt::format("wrong <= {:.1f} %", 100 * delta),
              fmt::format("at worst {:.3f} % of questions", 100 * most), most <= delta,
              {{"delta", delta}, {"worst", most}});
    for (const std::string& name : order) {
      const StreamResult& result = worst.at(name);
      table.row(
          "  " + name, "",
          fmt::format("worst {:.3f} % of questions, {:.3f} % of hits; {:.1f} % hits",
                      100 * result.of_questions(), 100 * result.of_hits(), 100 * hit_rate[name]),
          {},
          {{"of_questions", result.of_questions()},
           {"of_hits", result.of_hits()},
           {"hit_rate", hit_rate[name]}});
    }
  }
}

double resident_mib() {
  std::ifstream in("/proc/self/statm");
  std::size_t total = 0, resident = 0;
  in >> total >> resident;
  return static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE)) / (1 << 20);
}

double thread_us() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) * 1e-3;
}

/// Embed, search, verify, decide: the path of one lookup, on one thread, as the gateway goes it.
void lookup(Table& table, const Options& options) {
  using Steady = std::chrono::steady_clock;
  const double before = resident_mib();
  const auto embedding = local_embedding();
  IndexSearch index(embedding->traits(), options.entries);
  Cache cache(*embedding, index);
  const double fill_begin = thread_us();
  for (std::size_t i = 0; i < options.entries; ++i) cache.put(topic_question(i, i % 6), i);
  const double fill_us = thread_us() - fill_begin;
  const double memory = resident_mib() - before;
  Random random(8);
  gateway::semantic::Bound bound;
  std::vector<double> wall, cpu;
  std::size_t hits = 0;
  for (std::size_t i = 0; i < 20'000; ++i) {
    const std::string query = topic_question(random.below(2 * options.entries), random.below(6));
    const double draw = random.unit(), cpu_begin = thread_us();
    const auto begin = Steady::now();
    hits += cache.ask(query, bound, draw).decision.action == gateway::semantic::Action::kHit;
    wall.push_back(std::chrono::duration<double, std::micro>(Steady::now() - begin).count());
    cpu.push_back(thread_us() - cpu_begin);
  }
  const auto at = [](std::vector<double>& times, double share) {
    std::ranges::sort(times);
    return times[static_cast<std::size_t>(static_cast<double>(times.size() - 1) * share)];
  };
  const double p50 = at(wall, 0.5), p99 = at(wall, 0.99), cpu99 = at(cpu, 0.99);
  table.row(fmt::format("lookup at {} entries, one thread", options.entries), "p99 <= 1 ms",
            fmt::format("p50 {:.0f} us, p99 {:.0f} us (CPU time: {:.0f}); {:.0f} % hits", p50, p99,
                        cpu99, static_cast<double>(hits) / 200),
            p99 <= 1'000, {{"p50_us", p50}, {"p99_us", p99}, {"p99_cpu_us", cpu99}});
  table.row("  memory: index, texts, evidence", "<= 200 MiB",
            fmt::format("{:.0f} MiB resident, {:.0f} MiB by the index's own count", memory,
                        static_cast<double>(index.bytes()) / (1 << 20)),
            memory <= 200, {{"resident_mib", memory}});
  table.row("  filling it", "",
            fmt::format("{:.0f} us an entry", fill_us / static_cast<double>(options.entries)), {});
}

bool read_options(int argc, char** argv, Options& options) {
  if (const char* data = std::getenv("ASAHI_EVAL_DATA")) options.data = data;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    const auto value = [&] { return i + 1 < argc ? std::string(argv[++i]) : std::string(); };
    const auto number = [&] { return std::strtoul(value().c_str(), nullptr, 10); };
    if (name == "--json")
      options.json = value();
    else if (name == "--data")
      options.data = value();
    else if (name == "--docs")
      options.docs.push_back(value());
    else if (name == "--questions")
      options.questions = number();
    else if (name == "--seeds")
      options.seeds = number();
    else if (name == "--entries")
      options.entries = number();
    else if (name == "--delta")
      options.deltas.push_back(std::strtod(value().c_str(), nullptr));
    else if (name == "--only")
      options.only = value();
    else if (name == "--show")
      options.show = true;
    else
      return false;
  }
  if (options.deltas.empty()) options.deltas = {0.005, 0.01, 0.03};
  if (options.docs.empty()) options.docs = {"docs", "src", "/usr/share/doc"};
  return options.entries > 0 && options.questions > 0 && options.seeds > 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  Options options;
  if (!read_options(argc, argv, options)) {
    fmt::print(stderr,
               "bench_savings [--json FILE] [--data FOLDER] [--docs FOLDER]... [--questions N] "
               "[--seeds N] [--entries N] [--delta D]... [--show] [--only "
               "paraphrases,pairs,intents,negatives,streams,lookup]\n");
    return 2;
  }
  const auto other = embedding_from_environment();
  if (!other) {
    fmt::print(stderr, "bench_savings: {}\n", other.error().message);
    return 2;
  }
  const auto wanted = [&](std::string_view name) {
    return options.only.empty() || options.only.find(name) != std::string::npos;
  };
  Table table;
  table.head();
  const auto local = local_embedding();
  using Measure = void (*)(Table&, Embedding&, const MeasureOptions&);
  for (const auto& [name, measure] :
       {std::pair<std::string_view, Measure>{"paraphrases", measure_paraphrases},
        {"pairs", measure_pairs},
        {"intents", measure_intents}}) {
    if (!wanted(name)) continue;
    measure(table, *local, options);
    if (*other == nullptr) continue;
    table.beside((*other)->traits().tag);
    measure(table, **other, options);
    table.beside("");
  }
  if (wanted("negatives")) measure_negatives(table, options);
  if (wanted("streams")) streams(table, options);
  if (wanted("lookup")) lookup(table, options);
  table.sum();
  if (!options.json.empty())
    std::ofstream(options.json) << json::serialize(json::object{{"rows", table.json()}}) << "\n";
  return 0;
}
