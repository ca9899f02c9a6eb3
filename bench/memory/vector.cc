// Vector search in this process beside hnswlib and sqlite-vec: one JSON object a line, which
// run.mjs makes tables of. Rates are of a core's time, so that a busy machine changes them little.
#include <fmt/format.h>
#include <malloc.h>
#include <pthread.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <thread>

#include "contestants.h"
#include "storage/vector/local/local_index.h"
#include "storage/vector/local/simd.h"

namespace asahi::bench {
namespace {

using Steady = std::chrono::steady_clock;
constexpr std::string_view kTenant = "bench";

double seconds_since(Steady::time_point start) {
  return std::chrono::duration<double>(Steady::now() - start).count();
}

/// Of this thread, or what else the clock counts.
double cpu_seconds(clockid_t clock = CLOCK_THREAD_CPUTIME_ID) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

/// Of this process, in millions of bytes, with what the allocator could give back given back.
double resident_mb() {
  ::malloc_trim(0);
  std::ifstream in("/proc/self/statm");
  std::size_t total = 0, resident = 0;
  in >> total >> resident;
  return static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE)) / 1e6;
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

vector::LocalOptions options_for(const Matrix& vectors, std::size_t build_effort) {
  vector::LocalOptions out;
  out.space = {"bench", vectors.width, {"tenth", "hundredth"}};
  out.max_entries = 2 * vectors.rows();
  out.build_effort = build_effort;
  return out;
}

vector::Item item_of(const Matrix& vectors, std::size_t at) {
  const auto row = vectors.row(at);
  return {std::to_string(at),
          {row.begin(), row.end()},
          {{"tenth", at % 10 == 0}, {"hundredth", at % 100 == 0}}};
}

class Asahi final : public Contestant {
 public:
  explicit Asahi(vector::LocalOptions options) : index(std::move(options)) {}
  std::string_view name() const override { return "asahi"; }
  void build(const Matrix& vectors) override {
    for (std::size_t i = 0; i < vectors.rows(); ++i) {
      const vector::Item item = item_of(vectors, i);
      if (!index.put(kTenant, std::span(&item, 1))) std::abort();
    }
  }
  Ids search(std::span<const float> query, std::size_t effort, std::uint32_t modulus) override {
    return search_in(index, query, effort, modulus);
  }
  static Ids search_in(const vector::LocalIndex& index, std::span<const float> query,
                       std::size_t effort, std::uint32_t modulus) {
    vector::Query one;
    one.vector.assign(query.begin(), query.end());
    one.top_k = kNearest;
    one.with_metadata = false;
    if (modulus != 1) one.filter = {{modulus == 10 ? "tenth" : "hundredth", true}};
    Ids out;
    for (const vector::Hit& hit : *index.search(kTenant, one, effort)) {
      out.push_back(static_cast<std::uint32_t>(std::stoul(hit.id)));
    }
    return out;
  }

  vector::LocalIndex index;
};

struct Timed {
  std::vector<Ids> found;
  double per_second = 0;
  double p50_us = 0, p99_us = 0;
};

template <class Search>
Timed time_queries(const Matrix& queries, std::size_t count, Search search) {
  Timed out;
  std::vector<double> times;
  out.found.reserve(count);
  const double start = cpu_seconds();
  for (std::size_t q = 0; q < count; ++q) {
    const auto before = Steady::now();
    out.found.push_back(search(queries.row(q)));
    times.push_back(seconds_since(before) * 1e6);
  }
  out.per_second = static_cast<double>(count) / (cpu_seconds() - start);
  std::ranges::sort(times);
  out.p50_us = times[times.size() / 2];
  out.p99_us = times[times.size() * 99 / 100];
  return out;
}

/// Medians over the rounds; the contestants take turns within each.
void searches(std::span<const std::unique_ptr<Contestant>> contestants, const Dataset& data,
              std::size_t rounds, std::span<const std::size_t> efforts) {
  constexpr std::size_t kFewQueries = 20;  // for who compares all
  for (const std::size_t effort : efforts) {
    std::vector<std::vector<Timed>> runs(contestants.size());
    for (std::size_t round = 0; round < rounds; ++round) {
      for (std::size_t i = 0; i < contestants.size(); ++i) {
        Contestant& each = *contestants[i];
        if (!each.has_graph() && effort != efforts.front()) continue;
        const std::size_t count =
            each.has_graph() ? data.queries.rows() : std::min(kFewQueries, data.queries.rows());
        runs[i].push_back(time_queries(data.queries, count, [&](std::span<const float> query) {
          return each.search(query, effort, 1);
        }));
      }
    }
    for (std::size_t i = 0; i < contestants.size(); ++i) {
      if (runs[i].empty()) continue;
      std::vector<double> rates, p50, p99;
      for (const Timed& run : runs[i]) {
        rates.push_back(run.per_second);
        p50.push_back(run.p50_us);
        p99.push_back(run.p99_us);
      }
      fmt::print(
          "{{\"kind\":\"search\",\"engine\":\"{}\",\"effort\":{},\"recall\":{:.4f},"
          "\"per_second\":{:.0f},\"p50_us\":{:.1f},\"p99_us\":{:.1f}}}\n",
          contestants[i]->name(), effort, recall(data.truth, runs[i].front().found), median(rates),
          median(p50), median(p99));
      std::fflush(stdout);
    }
  }
}

void filters(std::span<const std::unique_ptr<Contestant>> contestants, const Dataset& data,
             std::size_t rounds) {
  constexpr std::size_t kEffort = 64;
  for (const std::uint32_t modulus : {100U, 10U}) {
    for (const auto& each : contestants) {
      if (!each->can_filter()) continue;
      const std::size_t count =
          std::min<std::size_t>(each->has_graph() ? 300 : 20, data.queries.rows());
      const auto truth = data.truth_of(modulus, count);
      std::vector<double> rates;
      double found = 0;
      for (std::size_t round = 0; round < rounds; ++round) {
        const Timed run = time_queries(data.queries, count, [&](std::span<const float> query) {
          return each->search(query, kEffort, modulus);
        });
        rates.push_back(run.per_second);
        found = recall(truth, run.found);
      }
      fmt::print(
          "{{\"kind\":\"filter\",\"engine\":\"{}\",\"passes\":{},\"recall\":{:.4f},"
          "\"per_second\":{:.0f}}}\n",
          each->name(), 1.0 / modulus, found, median(rates));
      std::fflush(stdout);
    }
  }
}

/// Written to a file and read into a new index, which must answer the same.
void reload(Asahi& built, vector::LocalOptions options, const Dataset& data, std::size_t rounds) {
  const auto start_of_save = Steady::now();
  if (!built.index.save_now()) std::abort();
  const double save = seconds_since(start_of_save);
  std::vector<double> wall, cpu;
  std::size_t same = 0, asked = std::min<std::size_t>(200, data.queries.rows());
  for (std::size_t round = 0; round < rounds; ++round) {
    vector::LocalIndex again(options);
    const auto start = Steady::now();
    const double cpu_start = cpu_seconds();
    if (!again.load()) std::abort();
    cpu.push_back(cpu_seconds() - cpu_start);
    wall.push_back(seconds_since(start));
    same = 0;
    for (std::size_t q = 0; q < asked; ++q) {
      const auto query = data.queries.row(q);
      if (Asahi::search_in(again, query, 0, 1) == built.search(query, 0, 1)) ++same;
    }
  }
  fmt::print(
      "{{\"kind\":\"reload\",\"engine\":\"asahi\",\"load_s\":{:.3f},\"load_cpu_s\":{:.3f},"
      "\"save_s\":{:.3f},\"file_mb\":{:.1f},\"same_answers\":{:.3f}}}\n",
      median(wall), median(cpu), save,
      static_cast<double>(std::filesystem::file_size(options.file)) / 1e6,
      static_cast<double>(same) / static_cast<double>(asked));
}

/// A third erased and as many put in their places under other ids, and another third replaced.
void turnover(Asahi& built, const Dataset& data, std::size_t effort) {
  const std::size_t rows = data.vectors.rows();
  const double start = cpu_seconds();
  std::vector<std::string> erased;
  for (std::size_t i = 0; i < rows; i += 3) erased.push_back(std::to_string(i));
  built.index.remove(kTenant, erased);
  for (std::size_t i = 0; i < rows; ++i) {
    if (i % 3 == 2) continue;
    const vector::Item item = item_of(data.vectors, i);
    if (!built.index.put(kTenant, std::span(&item, 1))) std::abort();
  }
  const double seconds = cpu_seconds() - start;
  const Timed run =
      time_queries(data.queries, data.queries.rows(),
                   [&](std::span<const float> query) { return built.search(query, effort, 1); });
  fmt::print(
      "{{\"kind\":\"turnover\",\"engine\":\"asahi\",\"effort\":{},\"recall\":{:.4f},"
      "\"per_second\":{:.0f},\"writes_per_second\":{:.0f}}}\n",
      effort, recall(data.truth, run.found), run.per_second,
      static_cast<double>(rows / 3 * 2) / seconds);
}

/// Items that are taken in without their links, then linked, while someone searches.
void tail(vector::LocalOptions options, const Dataset& data, std::size_t build_effort) {
  options.build_effort = build_effort;
  options.max_unlinked = 20'000;
  options.file.clear();
  vector::LocalIndex index(options);
  const std::size_t base = data.vectors.rows() / 2;
  const std::size_t late = std::min<std::size_t>(10'000, base);
  std::vector<vector::Item> items;
  for (std::size_t i = 0; i < base; ++i) items.push_back(item_of(data.vectors, i));
  if (!index.put(kTenant, items)) std::abort();
  while (index.link(1000)) {
  }
  items.clear();
  for (std::size_t i = base; i < base + late; ++i) items.push_back(item_of(data.vectors, i));

  std::atomic<bool> stop = false;
  std::vector<double> times;
  std::thread searcher([&] {
    for (std::size_t q = 0; !stop.load(std::memory_order_relaxed); ++q) {
      const auto before = Steady::now();
      Asahi::search_in(index, data.queries.row(q % data.queries.rows()), 0, 1);
      times.push_back(seconds_since(before) * 1e6);
    }
  });
  constexpr std::size_t kBatch = 1000;
  const double put_start = cpu_seconds();
  std::size_t found = 0, asked = 0;
  double asking = 0;
  for (std::size_t from = 0; from < late; from += kBatch) {
    if (!index.put(kTenant, std::span(items).subspan(from, kBatch))) std::abort();
    const double asking_start = cpu_seconds();
    for (std::size_t i = from; i < from + kBatch; i += 100, ++asked) {
      const Ids ids = Asahi::search_in(index, data.vectors.row(base + i), 0, 1);
      found += std::ranges::count(ids, base + i) > 0 ? 1 : 0;
    }
    asking += cpu_seconds() - asking_start;
  }
  const double put = cpu_seconds() - put_start - asking;
  // The index's own thread links them, beside the searches.
  const std::size_t left = index.unlinked();
  clockid_t searching{};
  if (::pthread_getcpuclockid(searcher.native_handle(), &searching) != 0) std::abort();
  const double link_start = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu_seconds(searching);
  while (index.unlinked() > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const double linked = static_cast<double>(left) / (cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) -
                                                     cpu_seconds(searching) - link_start);
  stop = true;
  searcher.join();
  std::ranges::sort(times);
  fmt::print(
      "{{\"kind\":\"tail\",\"engine\":\"asahi\",\"put_per_second\":{:.0f},"
      "\"found_at_once\":{:.3f},\"left_unlinked\":{},\"linked_per_second\":{:.0f},"
      "\"search_p50_us\":{:.0f},\"search_p99_us\":{:.0f}}}\n",
      static_cast<double>(late) / put, static_cast<double>(found) / static_cast<double>(asked),
      left, linked, times[times.size() / 2], times[times.size() * 99 / 100]);
}

}  // namespace
}  // namespace asahi::bench

int main(int argc, char** argv) {
  using namespace asahi;
  using namespace asahi::bench;
  CLI::App app{"Vector search in this process beside hnswlib and sqlite-vec"};
  std::size_t width = 384, count = 100'000, query_count = 1000, rounds = 3, build_effort = 64;
  std::string sqlite_vec, folder, reuse;
  bool alone = false;
  std::vector<std::size_t> efforts{10, 12, 15, 18, 21, 24, 28, 32, 40, 48, 64, 96, 128, 192, 256};
  app.add_option("--width", width, "numbers in a vector");
  app.add_option("--count", count, "vectors");
  app.add_option("--queries", query_count, "searches of a round");
  app.add_option("--rounds", rounds, "of which medians are taken");
  app.add_option("--efforts", efforts, "ef of searches");
  app.add_option("--build-effort", build_effort, "ef of insertions of asahi");
  app.add_option("--sqlite-vec", sqlite_vec, "vec0.so");
  app.add_option("--folder", folder, "where the index and the data for other programs are written")
      ->required();
  app.add_flag("--alone", alone, "asahi only");
  app.add_option("--reuse", reuse,
                 "an index's file: it is read instead of being built, or written");
  CLI11_PARSE(app, argc, argv);

  const Dataset data = make_dataset(width, count, query_count);
  if (!data.write(folder)) {
    fmt::print(stderr, "bench: cannot write the data to {}\n", folder);
    return 1;
  }
  fmt::print(
      "{{\"kind\":\"setup\",\"width\":{},\"count\":{},\"queries\":{},\"rounds\":{},"
      "\"instructions\":\"{}\"}}\n",
      width, count, query_count, rounds, vector::simd::target());
  std::fflush(stdout);

  vector::LocalOptions options = options_for(data.vectors, build_effort);
  options.file = reuse.empty() ? folder + "/asahi.bin" : reuse;
  std::vector<std::unique_ptr<Contestant>> contestants;
  // Memory is counted from before it is made: hnswlib takes all of its own then.
  const auto take = [&](std::string_view name, auto make) {
    const double memory = resident_mb();
    std::unique_ptr<Contestant> made = make();
    if (made == nullptr) {
      fmt::print("{{\"kind\":\"absent\",\"engine\":\"{}\"}}\n", name);
      return;
    }
    const double start = cpu_seconds();
    auto* const known = dynamic_cast<Asahi*>(made.get());
    if (known == nullptr || reuse.empty() || !known->index.load()) made->build(data.vectors);
    const double seconds = cpu_seconds() - start;
    fmt::print(
        "{{\"kind\":\"build\",\"engine\":\"{}\",\"cpu_s\":{:.2f},\"per_second\":{:.0f},"
        "\"resident_mb\":{:.1f}}}\n",
        name, seconds, static_cast<double>(count) / seconds, resident_mb() - memory);
    std::fflush(stdout);
    contestants.push_back(std::move(made));
  };
  take("asahi", [&] { return std::make_unique<Asahi>(options); });
  if (!alone) {
    take("hnswlib", [&] { return make_hnswlib(width, count); });
    take("sqlite-vec", [&] { return make_sqlite_vec(sqlite_vec, width); });
  }
  auto& asahi = dynamic_cast<Asahi&>(*contestants.front());
  searches(contestants, data, rounds, efforts);
  filters(contestants, data, rounds);
  reload(asahi, options, data, rounds);
  tail(options, data, build_effort);
  turnover(asahi, data, 32);
  return 0;
}
