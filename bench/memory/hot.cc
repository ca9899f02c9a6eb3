// The hot tier alone: memories written with a sync, found, started from the log, written over.
#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "base/hash.h"
#include "corpus.h"
#include "memory/dedup/minhash.h"
#include "memory/hot/engine.h"
#include "memory/rank/hot_keyword.h"

namespace {

using namespace asahi;          // NOLINT
using namespace asahi::memory;  // NOLINT
using Steady = std::chrono::steady_clock;

double since(Steady::time_point start) {
  return std::chrono::duration<double>(Steady::now() - start).count();
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// Memories with metadata, and with fingerprints if wanted.
class Source {
 public:
  Source(std::size_t dimensions, bool fingerprints)
      : corpus_(dimensions), fingerprints_(fingerprints) {}

  Memory next(std::uint64_t number, const std::string& id) {
    Memory out = corpus_.memory(number, "system-" + std::to_string(number % 100), id);
    out.metadata = fmt::format(R"({{"project":"p{}","tags":["t{}"],"source":"bench"}})",
                               number % 50, number % 20);
    if (fingerprints_) out.fingerprint = dedup::fingerprint(out.content);
    return out;
  }
  std::vector<float> vector() { return corpus_.vector(); }

 private:
  bench::Corpus corpus_;
  bool fingerprints_;
};

/// Sends batches with at most `writers` under way; returns when all are acknowledged.
void write_all(hot::Engine& engine, std::vector<std::vector<Memory>> batches, std::size_t writers) {
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t under_way = 0;
  for (auto& batch : batches) {
    {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return under_way < writers; });
      ++under_way;
    }
    engine.upsert(std::move(batch), {}, [&](const Result<std::vector<UpsertOutcome>>& outcomes) {
      if (!outcomes) fmt::print("refused: {}\n", outcomes.error().message);
      const std::lock_guard lock(mutex);
      --under_way;
      changed.notify_all();
    });
  }
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return under_way == 0; });
}

void search_all(const hot::Engine& engine, Source& source, const char* name, SearchMode mode,
                bool filtered, std::size_t count) {
  std::vector<double> times;
  std::mt19937_64 random(7);
  std::vector<StoreQuery> queries(count);
  for (StoreQuery& query : queries) {
    query.tenant = "bench";
    query.mode = mode;
    query.text =
        fmt::format("w{} w{} w{}", 20 + random() % 300, 300 + random() % 3000, random() % 29'000);
    query.embedding = source.vector();
    query.embedding_model = "bench";
    if (filtered) query.filter.metadata = {{"project", "p7"}};
  }
  const auto start = Steady::now();
  for (const StoreQuery& query : queries) {
    const auto begin = Steady::now();
    const auto page = engine.search(query);
    if (!page) fmt::print("refused: {}\n", page.error().message);
    times.push_back(since(begin) * 1e3);
  }
  const double all = since(start);
  std::ranges::sort(times);
  fmt::print("search {:<22} {:>8.0f} /s   p50 {:.3f} ms   p99 {:.3f} ms\n", name,
             static_cast<double>(count) / all, times[count / 2], times[count * 99 / 100]);
}

std::uint64_t folder_bytes(const std::string& folder) {
  std::uint64_t sum = 0;
  std::error_code gone;  // a file that is replaced meanwhile
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file(gone)) sum += entry.file_size(gone);
  }
  return sum;
}

struct Plan {
  std::string folder;
  std::size_t count = 100'000, dimensions = 384, batch = 100, writers = 32, singles = 100'000;
  bool fingerprints = true, link = true, search = true, json = false, keep = false, reopen = false;
  bool encrypt = false;
  /// Where text for people goes.
  FILE* text() const { return json ? stderr : stdout; }
};

/// Upserts one by one over a tenth of the memories: what files then take, beside what lives.
void write_over(hot::Engine& engine, Source& source, const Plan& what) {
  // Made once and varied, so that ten millions fit into memory and making them takes little.
  constexpr std::size_t kPool = 20'000;
  const std::size_t over = std::max<std::size_t>(what.count / 10, 1);
  std::mt19937_64 random(3);
  std::vector<Memory> pool;
  for (std::size_t i = 0; i < std::min(kPool, what.singles); ++i) {
    pool.push_back(source.next(what.count + i, ""));
  }
  double took = 0, cpu = 0, most = 0;
  std::size_t done = 0;
  while (done < what.singles) {
    std::vector<std::vector<Memory>> batches;
    for (std::size_t i = 0; i < kPool && done < what.singles; ++i, ++done) {
      const std::uint64_t which = random() % over;
      Memory memory = pool[i];
      memory.key.system_id = "system-" + std::to_string(which % 100);
      memory.key.conversation_id = fmt::format("conversation-{:08}", which);
      memory.content += fmt::format(" {}", done);
      memory.content_hash = sha256(memory.content);
      memory.timestamp += std::chrono::seconds(done);
      memory.uploaded_at = memory.timestamp;
      batches.push_back({std::move(memory)});
    }
    const auto begin = Steady::now();
    const double before = cpu_seconds();
    write_all(engine, std::move(batches), 256);
    took += since(begin);
    cpu += cpu_seconds() - before;
    const auto stats = engine.engine_stats();
    most = std::max(most,
                    static_cast<double>(stats.file_bytes) / static_cast<double>(stats.live_bytes));
  }
  engine.wait_until_compact();
  const auto stats = engine.engine_stats();
  const double per_second = static_cast<double>(done) / took;
  const double compacted =
      static_cast<double>(stats.file_bytes) / static_cast<double>(stats.live_bytes);
  const double whole =
      static_cast<double>(folder_bytes(what.folder)) / static_cast<double>(stats.live_bytes);
  if (what.json) {
    fmt::print(
        R"({{"kind":"space","memories":{},"upserts":{},"over":{},"per_second":{:.0f},"cpu_us_each":{:.1f},)"
        R"("most":{:.3f},"compacted":{:.3f},"with_checkpoint":{:.3f},"compactions":{}}})"
        "\n",
        what.count, done, over, per_second, cpu * 1e6 / static_cast<double>(done), most, compacted,
        whole, stats.compactions);
    return;
  }
  fmt::print(
      "single {} upserts over {} memories: {:.0f} /s; log at most {:.3f} x live, {:.3f} when "
      "compacted ({} compactions), {:.3f} with the checkpoint\n",
      done, over, per_second, most, compacted, stats.compactions, whole);
}

/// In slices, so that a million need not lie ready at once; making them is not counted.
void write_in_batches(hot::Engine& engine, Source& source, const Plan& plan) {
  constexpr std::size_t kSlice = 100'000;
  double took = 0, cpu = 0;
  for (std::size_t from = 0; from < plan.count; from += kSlice) {
    std::vector<std::vector<Memory>> batches;
    for (std::size_t i = from; i < std::min(plan.count, from + kSlice); ++i) {
      if (i % plan.batch == 0 || batches.empty()) batches.emplace_back();
      batches.back().push_back(source.next(i, fmt::format("conversation-{:08}", i)));
    }
    const auto start = Steady::now();
    const double before = cpu_seconds();
    write_all(engine, std::move(batches), plan.writers);
    took += since(start);
    cpu += cpu_seconds() - before;
  }
  const auto stats = engine.engine_stats();
  fmt::print(plan.text(),
             "write  {} memories in batches of {}: {:.0f} /s, {:.1f} us of CPU each (all threads), "
             "{} syncs; {} vectors wait for the graph\n",
             plan.count, plan.batch, static_cast<double>(plan.count) / took,
             cpu * 1e6 / static_cast<double>(plan.count), stats.groups, stats.unlinked);
  const auto linking = Steady::now();
  engine.wait_until_linked();
  const double linked = since(linking);
  if (stats.unlinked > 0) {
    fmt::print(plan.text(), "link   {:.0f} vectors/s\n",
               static_cast<double>(stats.unlinked) / linked);
  }
}

void search_in_all_ways(const hot::Engine& engine, Source& source) {
  const std::size_t searches = 2000;
  search_all(engine, source, "semantic", SearchMode::kSemantic, false, searches);
  search_all(engine, source, "keyword", SearchMode::kKeyword, false, searches);
  search_all(engine, source, "hybrid", SearchMode::kHybrid, false, searches);
  search_all(engine, source, "hybrid, filter of 2 %", SearchMode::kHybrid, true, searches);
}

std::unique_ptr<hot::Engine> timed_start(const hot::EngineOptions& options, const Plan& plan) {
  const auto start = Steady::now();
  const double cpu = cpu_seconds();
  auto engine = std::move(*hot::Engine::open(options));
  const double took = since(start), worked = cpu_seconds() - cpu;
  const auto stats = engine->engine_stats();
  fmt::print(plan.text(),
             "start  {:.2f} s, {:.2f} s of CPU, for {} records; words of {} and links of {} from "
             "the checkpoint\n",
             took, worked, stats.opened.records, stats.restored_rows, stats.restored_links);
  if (plan.json) {
    fmt::print(R"({{"kind":"start","records":{},"seconds":{:.2f},"cpu_s":{:.2f}}})"
               "\n",
               stats.opened.records, took, worked);
  }
  return engine;
}

void run(const Plan& plan) {
  hot::EngineOptions options;
  options.folder = plan.folder;
  // As the server has it.
  options.make_keyword = [] { return rank::make_keyword_index(system_clock()); };
  if (!plan.link) options.vectors.exact_rows = SIZE_MAX;
  if (plan.encrypt) options.log.key = sha256("a key of the benchmark");
  if (plan.reopen) {
    timed_start(options, plan);
    return;
  }
  std::filesystem::remove_all(plan.folder);
  auto engine = std::move(*hot::Engine::open(options));
  Source source(plan.dimensions, plan.fingerprints);
  write_in_batches(*engine, source, plan);
  if (plan.search && !plan.json) search_in_all_ways(*engine, source);
  const auto stats = engine->engine_stats();
  fmt::print(plan.text(), "memory {:.0f} bytes a memory; files {:.0f}, {:.3f} x live\n",
             static_cast<double>(stats.table_bytes) / static_cast<double>(plan.count),
             static_cast<double>(stats.file_bytes) / static_cast<double>(plan.count),
             static_cast<double>(stats.file_bytes) / static_cast<double>(stats.live_bytes));
  const auto ending = Steady::now();
  engine.reset();
  fmt::print(plan.text(), "end    {:.2f} s, checkpoint written\n", since(ending));
  engine = timed_start(options, plan);
  if (plan.singles > 0) write_over(*engine, source, plan);
  engine.reset();
  if (!plan.keep) std::filesystem::remove_all(plan.folder);
}

}  // namespace

int main(int argc, char** argv) {
  Plan plan;
  plan.folder = (std::filesystem::temp_directory_path() / "asahi-bench-hot").string();
  CLI::App app("The hot tier: writes with a sync, searches, start, space after writing over");
  app.add_option("--folder", plan.folder, "emptied first");
  app.add_option("--count", plan.count);
  app.add_option("--dimensions", plan.dimensions);
  app.add_option("--batch", plan.batch);
  app.add_option("--writers", plan.writers, "batches under way at once");
  app.add_option("--singles", plan.singles, "upserts one by one, over a tenth of the memories");
  app.add_flag("!--no-fingerprints", plan.fingerprints);
  app.add_flag("!--no-link", plan.link, "no graph: what the writing thread takes alone");
  app.add_flag("!--no-search", plan.search);
  app.add_flag("--json", plan.json, "a line for each of start and space; text goes to stderr");
  app.add_flag("--keep", plan.keep, "leave the folder, for --reopen");
  app.add_flag("--encrypt", plan.encrypt, "files by AES-256-GCM, as with ENCRYPTION_KEY");
  app.add_flag("--reopen", plan.reopen, "only start on the folder of an earlier --keep");
  CLI11_PARSE(app, argc, argv);
  run(plan);
  return 0;
}
