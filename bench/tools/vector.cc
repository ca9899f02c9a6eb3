// Vector search in this process beside hnswlib: searches a second of a core's time, recall of the
// ten nearest against comparing all, 99th percentile, memory. Clustered data of a fixed seed.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <ctime>
#include <fstream>

#include "../memory/contestants.h"
#include "storage/vector/local/local_index.h"
#include "storage/vector/local/simd.h"

namespace asahi::bench {
namespace {

using Steady = std::chrono::steady_clock;

double seconds_since(Steady::time_point start) {
  return std::chrono::duration<double>(Steady::now() - start).count();
}

/// Of this thread: what is asked is how much a core does, on a busy machine, too.
double cpu_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

double resident_mib() {
  std::ifstream in("/proc/self/statm");
  std::size_t total = 0, resident = 0;
  in >> total >> resident;
  return static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE)) / (1 << 20);
}

class Asahi final : public Contestant {
 public:
  Asahi(std::size_t width, std::size_t count, vector::Precision precision)
      : index_(options(width, count, precision)) {}

  std::string_view name() const override { return "asahi"; }
  bool can_filter() const override { return false; }  // not measured here
  void build(const Matrix& data) override {
    vector::Item item;
    for (std::size_t i = 0; i < data.rows(); ++i) {
      item.id = std::to_string(i);
      item.vector.assign(data.row(i).begin(), data.row(i).end());
      if (!index_.put("bench", std::span(&item, 1))) std::abort();
    }
  }
  Ids search(std::span<const float> query, std::size_t effort, std::uint32_t) override {
    vector::Query one;
    one.vector.assign(query.begin(), query.end());
    one.top_k = kNearest;
    one.with_metadata = false;
    Ids out;
    for (const vector::Hit& hit : *index_.search("bench", one, effort)) {
      out.push_back(static_cast<std::uint32_t>(std::stoul(hit.id)));
    }
    return out;
  }

 private:
  static vector::LocalOptions options(std::size_t width, std::size_t count,
                                      vector::Precision precision) {
    vector::LocalOptions out;
    out.space = {"bench", width, {}};
    out.max_entries = count;
    out.precision = precision;
    return out;
  }
  vector::LocalIndex index_;
};

void measure(Contestant& contestant, const std::string& name, const Dataset& data,
             const std::vector<std::size_t>& efforts, double build_seconds, double memory) {
  const std::size_t queries = data.queries.rows();
  for (const std::size_t effort : efforts) {
    std::vector<Ids> found;
    std::vector<double> times;
    const double start = cpu_seconds();
    for (std::size_t q = 0; q < queries; ++q) {
      const auto before = Steady::now();
      found.push_back(contestant.search(data.queries.row(q), effort, 1));
      times.push_back(seconds_since(before) * 1e6);
    }
    const double total = cpu_seconds() - start;
    std::ranges::sort(times);
    fmt::print("| {} × {} | {} | {} | {:.3f} | {:.0f} | {:.0f} | {:.0f} | {:.0f} | {:.0f} |\n",
               data.vectors.rows(), data.vectors.width, name, effort, recall(data.truth, found),
               static_cast<double>(queries) / total, times[times.size() / 2],
               times[times.size() * 99 / 100], memory,
               static_cast<double>(data.vectors.rows()) / build_seconds);
    std::fflush(stdout);
  }
}

void run(std::size_t width, std::size_t count, std::size_t query_count) {
  const Dataset data = make_dataset(width, count, query_count);
  const auto take = [&](std::unique_ptr<Contestant> contestant, const std::string& name,
                        const std::vector<std::size_t>& efforts) {
    if (!contestant) return;
    const double before = resident_mib();
    const double start = cpu_seconds();
    contestant->build(data.vectors);
    const double seconds = cpu_seconds() - start;
    measure(*contestant, name, data, efforts, seconds, resident_mib() - before);
  };
  // An empty index reserves nothing, so that all of its memory is counted.
  take(std::make_unique<Asahi>(width, count, vector::Precision::kTwelveBits),
       "asahi, 12 bits a number", {32, 64, 128, 256});
  take(std::make_unique<Asahi>(width, count, vector::Precision::kByte), "asahi, 8 bits a number",
       {64, 128});
  take(make_hnswlib(width, count), "hnswlib, floats", {32, 64, 128, 256});
}

}  // namespace
}  // namespace asahi::bench

int main(int argc, char** argv) {
  CLI::App app{"Vector search in this process beside hnswlib"};
  std::vector<std::size_t> widths{256, 1024};
  std::size_t count = 100'000, queries = 500;
  app.add_option("--width", widths, "numbers in a vector");
  app.add_option("--count", count, "vectors");
  app.add_option("--queries", queries, "searches");
  CLI11_PARSE(app, argc, argv);
  fmt::print("instructions: {}\n\n", asahi::vector::simd::target());
  fmt::print(
      "| vectors | index | effort (ef) | recall@10 | searches/s | p50 µs | p99 µs | MiB | "
      "inserts/s |\n|---|---|---|---|---|---|---|---|---|\n");
  for (const std::size_t width : widths) asahi::bench::run(width, count, queries);
}
