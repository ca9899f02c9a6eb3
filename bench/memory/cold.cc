// The cold tier's row of the memory table: rows per second to Parquet on one core, bytes per
// vector, look-ups by key in one file; beside plain DuckDB (a table with float vectors, and its own
// Parquet writer) in the same run.
//   bench_memory_cold [--rows 1000000] [--duckdb build/release/libduckdb.so] [--folder /dev/shm]
//   [--json]
// Text for people goes to stderr with --json, a line for each measure to stdout.
#include <fmt/format.h>
#include <sys/resource.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "memory/cold/rows.h"
#include "storage/columnar/database.h"
#include "storage/columnar/private_folder.h"

namespace {

namespace fs = std::filesystem;
namespace cold = asahi::memory::cold;
namespace pq = asahi::columnar::parquet;
using asahi::memory::Memory;
using Steady = std::chrono::steady_clock;

double cpu_seconds() {
  rusage use{};
  ::getrusage(RUSAGE_SELF, &use);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(use.ru_utime) + seconds(use.ru_stime);
}

struct Timer {
  Steady::time_point wall = Steady::now();
  double cpu = cpu_seconds();
  double wall_seconds() const {
    return std::chrono::duration<double>(Steady::now() - wall).count();
  }
  double used() const { return cpu_seconds() - cpu; }
};

template <class T>
T must(asahi::Result<T> result) {
  if (result) {
    if constexpr (std::is_void_v<T>) {
      return;
    } else {
      return *std::move(result);
    }
  }
  fmt::print(stderr, "{}\n", result.error().message);
  std::exit(1);
}

std::string id_of(std::size_t row) { return fmt::format("conversation-{:010}", row); }

/// Memories as ageing leaves them: a sentence, a bit of metadata, a fingerprint, 384 numbers. A
/// pool of them is repeated with ids, times and hashes of their own.
class Rows {
 public:
  explicit Rows(std::size_t pool) {
    std::mt19937_64 random(7);
    std::normal_distribution<float> normal;
    const std::vector<std::string> words = {
        "deploy",  "error", "cache",  "token",  "vector",  "index",  "search",  "memory", "agent",
        "session", "fixed", "bug",    "user",   "project", "config", "timeout", "retry",  "queue",
        "worker",  "shard", "schema", "update", "restart", "metric", "policy",  "the",    "a",
        "of",      "in",    "was",    "and",    "for",     "with",   "after",   "before", "on"};
    for (std::size_t i = 0; i < pool; ++i) {
      Memory& m = pool_.emplace_back();
      m.key = {.tenant = "org_bench", .system_id = "agent-1", .conversation_id = ""};
      for (int w = 0; w < 14; ++w) m.content += words[random() % words.size()] + " ";
      m.content += fmt::format("{}.", random() % 100'000);
      m.metadata = fmt::format(
          R"({{"project":"p{}","user_id":"u{}","tags":["t{}"],"source":"session-buddy","language":"en","upload_id":"up-{}"}})",
          random() % 50, random() % 500, random() % 9, random() % 100'000);
      for (auto& part : m.fingerprint) part = static_cast<std::uint32_t>(random());
      for (auto& byte : m.content_hash) byte = static_cast<std::uint8_t>(random());
      m.embedding.resize(384);
      float sum = 0;
      for (float& value : m.embedding) {
        value = normal(random);
        sum += value * value;
      }
      for (float& value : m.embedding) value /= std::sqrt(sum);
      m.embedding_model = "all-MiniLM-L6-v2";
    }
  }

  /// The row, until the next call.
  const Memory& at(std::size_t row) {
    Memory& m = pool_[row % pool_.size()];
    m.key.conversation_id = id_of(row);
    m.timestamp = asahi::Clock::Time(std::chrono::seconds(1'700'000'000) +
                                     std::chrono::microseconds(row * 1'013));
    m.uploaded_at = m.timestamp + std::chrono::seconds(3);
    for (int i = 0; i < 8; ++i)
      m.content_hash[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(row >> (8 * i));
    return m;
  }

  void set(bool fingerprints, bool vectors) {
    for (Memory& m : pool_) {
      if (!fingerprints) m.fingerprint.fill(0);
      if (!vectors) {
        m.embedding.clear();
        m.embedding_model.clear();
      }
    }
  }

 private:
  std::vector<Memory> pool_;
};

double percentile(std::vector<double> values, double share) {
  std::ranges::sort(values);
  return values[std::min(values.size() - 1,
                         static_cast<std::size_t>(share * static_cast<double>(values.size())))];
}

struct Measured {
  double rows_per_second = 0, rows_per_cpu_second = 0, bytes_per_row = 0;
};

Measured write_file(Rows& source, std::size_t rows, const std::string& path,
                    const cold::FileOptions& options) {
  const Timer timer;
  auto writer = must(cold::RowWriter::create(path, options));
  for (std::size_t row = 0; row < rows; ++row) must(writer.add(source.at(row)));
  const auto written = must(writer.finish());
  return {static_cast<double>(rows) / timer.wall_seconds(),
          static_cast<double>(rows) / timer.used(),
          static_cast<double>(written.bytes) / static_cast<double>(rows)};
}

/// Where text for people goes; `kind` names a measure in the JSON lines.
struct Report {
  bool json = false;
  FILE* text() const { return json ? stderr : stdout; }

  void print(const char* kind, const std::string& name, const Measured& m) const {
    fmt::print(text(), "{:<58} {:>9.0f} {:>9.0f} {:>9.1f}\n", name, m.rows_per_second,
               m.rows_per_cpu_second, m.bytes_per_row);
    if (!json) return;
    fmt::print(
        R"({{"kind":"{}","rows_per_second":{:.0f},"rows_per_cpu_second":{:.0f},"bytes_per_row":{:.1f}}})"
        "\n",
        kind, m.rows_per_second, m.rows_per_cpu_second, m.bytes_per_row);
  }
  void print_times(const char* kind, const std::string& name, const std::vector<double>& ms) const {
    fmt::print(text(), "{:<58} p50 {:.2f} ms, p99 {:.2f} ms\n", name, percentile(ms, 0.5),
               percentile(ms, 0.99));
    if (!json) return;
    fmt::print(R"({{"kind":"{}","p50_ms":{:.3f},"p99_ms":{:.3f}}})"
               "\n",
               kind, percentile(ms, 0.5), percentile(ms, 0.99));
  }
};

void lookups(const Report& report, const std::string& path, std::size_t rows) {
  std::mt19937_64 random(3);
  std::vector<double> first, next;
  std::shared_ptr<const pq::Layout> layout;
  for (int i = 0; i < 220; ++i) {
    const bool fresh = i < 20;
    const std::size_t row = random() % rows;
    const Timer timer;
    auto local = must(pq::LocalSource::open(path));
    auto file = must(cold::RowFile::open(std::make_unique<pq::LocalSource>(std::move(local)),
                                         fresh ? nullptr : layout));
    layout = file.layout();
    const auto found = must(
        file.find({.tenant = "org_bench", .system_id = "agent-1", .conversation_id = id_of(row)}));
    (fresh ? first : next).push_back(timer.wall_seconds() * 1e3);
    if (!found || found->key.conversation_id != id_of(row)) {
      fmt::print(stderr, "row {} is not found\n", row);
      std::exit(1);
    }
  }
  report.print_times("lookup", "look-up of a whole memory by key", next);
  report.print_times("lookup_fresh", "… of a file not looked at before", first);
}

void duckdb(const Report& report, Rows& source, std::size_t rows, const std::string& library,
            asahi::columnar::PrivateFolder& folder) {
  using namespace asahi::columnar;
  const std::string table = folder.file(".duckdb"), parquet = folder.file(".parquet");
  auto database = must(Database::open({.library = library,
                                       .path = table,
                                       .other_files = true,
                                       .memory_bytes = 4ULL << 30,
                                       .temp_folder = folder.path()}));
  const auto far = Steady::now() + std::chrono::hours(1);
  const auto run = [&](const std::string& sql) {
    return must(database->run_here(far, [&](Connection& c) { return c.execute(sql); }));
  };
  run("create table m (conversation_id varchar, timestamp timestamp_ns, ultra_summary varchar, "
      "metadata varchar, content_hash blob, fingerprint blob, vector float[384])");
  const Timer timer;
  must(database->run_here(far, [&](Connection& c) -> asahi::Result<void> {
    ASAHI_TRY(Appender out, c.append("m"));
    for (std::size_t row = 0; row < rows;) {
      const std::size_t count = std::min(Appender::kRows, rows - row);
      const auto times = out.values<std::int64_t>(1);
      const auto vectors = out.floats_of_array(6);
      for (std::size_t i = 0; i < count; ++i, ++row) {
        const Memory& m = source.at(row);
        const auto bytes = [](const auto& array) {
          return std::string_view(reinterpret_cast<const char*>(array.data()),
                                  array.size() * sizeof array[0]);
        };
        out.text(0, i, m.key.conversation_id);
        times[i] = m.timestamp.time_since_epoch().count();
        out.text(2, i, m.content);
        out.text(3, i, m.metadata);
        out.text(4, i, bytes(m.content_hash));
        out.text(5, i, bytes(m.fingerprint));
        std::ranges::copy(m.embedding, vectors.begin() + static_cast<long>(i * 384));
      }
      if (auto ok = out.add(count); !ok) return ok;
    }
    return out.finish();
  }));
  run("checkpoint");
  report.print(
      "duckdb_table", "DuckDB: table with fingerprint and float vector",
      {static_cast<double>(rows) / timer.wall_seconds(), static_cast<double>(rows) / timer.used(),
       static_cast<double>(fs::file_size(table)) / static_cast<double>(rows)});
  const auto copy = [&](const char* kind, const std::string& name, const std::string& columns) {
    std::error_code ignored;
    fs::remove(parquet, ignored);
    const Timer copying;
    run("copy (select " + columns + " from m) to '" + parquet +
        "' (format parquet, compression zstd, compression_level 1, row_group_size 10000)");
    report.print(kind, name,
                 {static_cast<double>(rows) / copying.wall_seconds(),
                  static_cast<double>(rows) / copying.used(),
                  static_cast<double>(fs::file_size(parquet)) / static_cast<double>(rows)});
  };
  copy("duckdb_text", "DuckDB: COPY to Parquet, texts only",
       "conversation_id, timestamp, ultra_summary, metadata, content_hash");
  copy("duckdb_plain", "DuckDB: COPY to Parquet, with fingerprint",
       "conversation_id, timestamp, ultra_summary, metadata, content_hash, fingerprint");
  copy("duckdb_full", "DuckDB: COPY to Parquet, with fingerprint and float vector", "*");
  const auto find = [&](const char* kind, const std::string& name, const std::string& from) {
    std::mt19937_64 random(3);
    std::vector<double> times;
    for (int i = 0; i < 30; ++i) {
      const std::string id = id_of(random() % rows);
      const Timer looking;
      const auto found =
          must(database->run_here(far, [&](Connection& c) -> asahi::Result<std::size_t> {
            ASAHI_TRY(Statement * statement,
                      c.prepare("select * from " + from + " where conversation_id = ?"));
            ASAHI_TRY(asahi::columnar::Rows result, statement->query_with(std::string_view(id)));
            Chunk chunk;
            std::size_t seen = 0;
            for (;;) {
              ASAHI_TRY(const bool more, result.next(chunk));
              if (!more) return seen;
              seen += chunk.rows();
            }
          }));
      times.push_back(looking.wall_seconds() * 1e3);
      if (found != 1) std::exit(1);
    }
    report.print_times(kind, name, times);
  };
  find("duckdb_lookup", "DuckDB: look-up by key in the table", "m");
  find("duckdb_lookup_parquet", "DuckDB: look-up by key in its Parquet", "'" + parquet + "'");
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t rows = 1'000'000;
  std::string library =
      (fs::read_symlink("/proc/self/exe").parent_path() / "../libduckdb.so").string();
  cold::FileOptions options;
  CLI::App app(
      "Rows per second to the cold tier's Parquet, bytes per vector, look-ups; beside DuckDB");
  app.add_option("--rows", rows, "rows of the file")->check(CLI::Range(1'000, 10'000'000));
  app.add_option("--duckdb", library, "libduckdb.so; without it DuckDB is left out");
  app.add_option("--group", options.group_rows, "rows of a row group");
  app.add_option("--page", options.page_rows, "rows of a page");
  app.add_option("--level", options.level, "of zstd");
  std::string parent;
  app.add_option("--folder", parent, "where files go; a memory file system leaves the disk out");
  Report report;
  app.add_flag("--json", report.json);
  CLI11_PARSE(app, argc, argv);

  auto folder = must(asahi::columnar::PrivateFolder::make(parent));
  fmt::print(report.text(), "{} rows, one thread\n{:<58} {:>9} {:>9} {:>9}\n", rows, "", "rows/s",
             "per CPU s", "bytes/row");
  Rows source(20'000);
  const std::string whole = folder.file(".parquet");
  const Measured full = write_file(source, rows, whole, options);
  report.print("full", "cold file: text, fingerprint, int8 vector", full);
  lookups(report, whole, rows);
  if (fs::exists(library)) {
    duckdb(report, source, rows, library, folder);
  } else {
    fmt::print(report.text(), "DuckDB is left out: {} is missing (target duckdb_library)\n",
               library);
  }
  fs::remove(whole);
  source.set(true, false);
  const Measured plain = write_file(source, rows, folder.file(".parquet"), options);
  report.print("plain", "cold file: text, fingerprint (the columns of spec 4.2)", plain);
  source.set(false, false);
  report.print("text", "cold file: text only",
               write_file(source, rows, folder.file(".parquet"), options));
  const double vector = full.bytes_per_row - plain.bytes_per_row;
  fmt::print(report.text(), "{:<58} {:.1f} bytes\n", "a vector of 384 (int8 and scale) takes",
             vector);
  if (report.json) {
    fmt::print(R"({{"kind":"vector","rows":{},"bytes":{:.1f}}})"
               "\n",
               rows, vector);
  }
  return 0;
}
