// Vector search in this process beside hnswlib: searches a second on one core, recall of the ten
// nearest against comparing all, 99th percentile, memory. Clustered data of a fixed seed.
#include "vector.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <fstream>

#include "storage/vector/local/local_index.h"
#include "storage/vector/local/simd.h"
#include "storage/vector/testing/vectors.h"

namespace asahi::bench {
namespace {

using Steady = std::chrono::steady_clock;

double seconds_since(Steady::time_point start) {
  return std::chrono::duration<double>(Steady::now() - start).count();
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

  void build(const Matrix& data) override {
    vector::Item item;
    for (std::size_t i = 0; i < data.rows(); ++i) {
      item.id = std::to_string(i);
      item.vector.assign(data.row(i).begin(), data.row(i).end());
      if (!index_.put("bench", std::span(&item, 1))) std::abort();
    }
  }
  std::vector<std::size_t> search(std::span<const float> query, std::size_t effort) override {
    vector::Query one;
    one.vector.assign(query.begin(), query.end());
    one.top_k = 10;
    one.with_metadata = false;
    std::vector<std::size_t> out;
    for (const vector::Hit& hit : *index_.search("bench", one, effort)) {
      out.push_back(std::stoul(hit.id));
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

Matrix make_data(vector_testing::Clusters& clusters, std::size_t width, std::size_t count) {
  Matrix out{width, {}};
  out.numbers.reserve(width * count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto row = clusters.next();
    out.numbers.insert(out.numbers.end(), row.begin(), row.end());
  }
  return out;
}

float product(std::span<const float> a, std::span<const float> b) {
#pragma clang fp reassociate(on)
  float sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

std::vector<std::vector<std::size_t>> exact(const Matrix& data, const Matrix& queries) {
  std::vector<std::vector<std::size_t>> out;
  std::vector<std::pair<float, std::size_t>> all(data.rows());
  for (std::size_t q = 0; q < queries.rows(); ++q) {
    for (std::size_t i = 0; i < data.rows(); ++i)
      all[i] = {-product(queries.row(q), data.row(i)), i};
    std::ranges::partial_sort(all, all.begin() + 10);
    std::vector<std::size_t>& best = out.emplace_back();
    for (int i = 0; i < 10; ++i) best.push_back(all[static_cast<std::size_t>(i)].second);
  }
  return out;
}

void measure(Contestant& contestant, const std::string& name, const Matrix& data,
             const Matrix& queries, const std::vector<std::vector<std::size_t>>& truth,
             const std::vector<std::size_t>& efforts, double build_seconds, double memory) {
  for (const std::size_t effort : efforts) {
    double found = 0;
    std::vector<double> times;
    const auto start = Steady::now();
    for (std::size_t q = 0; q < queries.rows(); ++q) {
      const auto before = Steady::now();
      const auto hits = contestant.search(queries.row(q), effort);
      times.push_back(seconds_since(before) * 1e6);
      for (const std::size_t hit : hits) found += std::ranges::count(truth[q], hit) > 0 ? 1 : 0;
    }
    const double total = seconds_since(start);
    std::ranges::sort(times);
    fmt::print(
        "| {} × {} | {} | {} | {:.3f} | {:.0f} | {:.0f} | {:.0f} | {:.0f} | {:.0f} |\n",
        data.rows(), data.width, name, effort, found / (10.0 * static_cast<double>(queries.rows())),
        static_cast<double>(queries.rows()) / total, times[times.size() / 2],
        times[times.size() * 99 / 100], memory, static_cast<double>(data.rows()) / build_seconds);
    std::fflush(stdout);
  }
}

void run(std::size_t width, std::size_t count, std::size_t query_count) {
  vector_testing::Clusters clusters(width, 2000, 42);
  const Matrix data = make_data(clusters, width, count);
  const Matrix queries = make_data(clusters, width, query_count);
  const auto truth = exact(data, queries);
  const auto take = [&](std::unique_ptr<Contestant> contestant, const std::string& name,
                        const std::vector<std::size_t>& efforts) {
    if (!contestant) return;
    const double before = resident_mib();
    const auto start = Steady::now();
    contestant->build(data);
    const double seconds = seconds_since(start);
    measure(*contestant, name, data, queries, truth, efforts, seconds, resident_mib() - before);
  };
  // An empty index reserves nothing, so that all of its memory is counted.
  take(std::make_unique<Asahi>(width, count, vector::Precision::kWord), "asahi, 2 bytes a number",
       {32, 64, 128, 256});
  take(std::make_unique<Asahi>(width, count, vector::Precision::kByte), "asahi, 1 byte a number",
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
