// The memory over HTTP: batches in, found by the next query, searched plain and filtered. One JSON
// line for each measure; bench/memory/http.mjs starts the server and prints the table.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <functional>
#include <mutex>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "../tools/process_use.h"
#include "../tools/wire.h"
#include "dataset.h"

namespace asahi::bench {
namespace {

constexpr std::size_t kWidth = 384;
/// Memories whose requests lie ready before they are sent; the time of making them is not counted.
constexpr std::size_t kPrepared = 50'000;
/// One project in a hundred memories.
constexpr std::uint32_t kProjects = 100;

struct Options {
  std::uint16_t port = 0;
  int pid = 0;
  std::size_t count = 100'000, batch = 100, connections = 8, queries = 1000, rounds = 3;
};

double resident_mb(int pid) {
  std::ifstream file(fmt::format("/proc/{}/statm", pid));
  double all = 0, resident = 0;
  file >> all >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE)) / 1e6;
}

/// One kept-open connection; blocks.
class Connection {
 public:
  explicit Connection(std::uint16_t port) : file_(connect_local(port)) {
    if (file_ < 0) throw std::runtime_error("cannot connect to the server");
    ::fcntl(file_, F_SETFL, ::fcntl(file_, F_GETFL) & ~O_NONBLOCK);
  }
  ~Connection() { ::close(file_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// The reply's body. Throws for any status but 200.
  std::string ask(std::string_view path, std::string_view body) { return need(post(path, body)); }
  /// The same of a server that may ask to be left alone for a while (503); so many times it did.
  std::string ask_patiently(std::string_view path, std::string_view body,
                            std::atomic<std::size_t>& refusals) {
    for (auto wait = kWait; wait <= kLongestWait; wait = wait * 3 / 2) {
      Reply reply = post(path, body);
      if (reply.status != 503) return need(std::move(reply));
      ++refusals;
      std::this_thread::sleep_for(wait);
    }
    throw std::runtime_error("the server refuses for too long");
  }
  std::string get(std::string_view path) {
    out_ = fmt::format("GET /memory{} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", path);
    return need(exchange());
  }

 private:
  struct Reply {
    int status = 0;
    std::string body;
  };
  static constexpr std::chrono::milliseconds kWait{50}, kLongestWait{60'000};

  Reply post(std::string_view path, std::string_view body) {
    out_ = fmt::format(
        "POST /memory{} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        "Content-Length: {}\r\n\r\n",
        path, body.size());
    out_ += body;
    return exchange();
  }

  static std::string need(Reply reply) {
    if (reply.status == 200) return std::move(reply.body);
    throw std::runtime_error(fmt::format("status {}: {}", reply.status, reply.body.substr(0, 400)));
  }

  Reply exchange() {
    for (std::string_view rest = out_; !rest.empty();) {
      const ssize_t sent = ::send(file_, rest.data(), rest.size(), MSG_NOSIGNAL);
      if (sent <= 0) throw std::runtime_error("the server closed the connection");
      rest.remove_prefix(static_cast<std::size_t>(sent));
    }
    ResponseReader reader;
    std::string body, in;
    char buffer[64 * 1024];
    while (!reader.done()) {
      const ssize_t got = ::recv(file_, buffer, sizeof buffer, 0);
      if (got <= 0) throw std::runtime_error("the server closed the connection");
      in.append(buffer, static_cast<std::size_t>(got));
      in.erase(0, reader.feed(in, body));
      if (reader.broken()) throw std::runtime_error("unreadable answer");
    }
    return {static_cast<int>(reader.status()), std::move(body)};
  }

  int file_;
  std::string out_;
};

/// Calls `work(connection, i)` for i below `count` from so many connections at once; microseconds
/// of each.
std::vector<double> side_by_side(const Options& options, std::size_t connections, std::size_t count,
                                 const std::function<void(Connection&, std::size_t)>& work) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::vector<double> all;
  std::string failure;
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < connections; ++i) {
    threads.emplace_back([&] {
      std::vector<double> own;
      try {
        Connection connection(options.port);
        for (std::size_t at = next++; at < count; at = next++) {
          const std::int64_t begin = now_ns();
          work(connection, at);
          own.push_back(static_cast<double>(now_ns() - begin) / 1e3);
        }
      } catch (const std::exception& error) {
        const std::lock_guard lock(mutex);
        failure = error.what();
      }
      const std::lock_guard lock(mutex);
      all.insert(all.end(), own.begin(), own.end());
    });
  }
  threads.clear();
  if (!failure.empty()) throw std::runtime_error(failure);
  std::ranges::sort(all);
  return all;
}

double at_share(const std::vector<double>& sorted, double share) {
  if (sorted.empty()) return 0;
  return sorted[std::min(sorted.size() - 1,
                         static_cast<std::size_t>(share * static_cast<double>(sorted.size())))];
}

std::string numbers(std::span<const float> row) { return fmt::format("[{}]", fmt::join(row, ",")); }

/// Texts of some 300 bytes whose words are as unequally frequent as a language's.
class Texts {
 public:
  std::string next(std::size_t number) {
    std::uniform_real_distribution<double> uniform(0, 1);
    std::string out;
    while (out.size() < 290) {
      out += fmt::format("w{} ", static_cast<int>(std::exp(uniform(random_) * 10.3)));
    }
    return out + std::to_string(number);
  }

 private:
  std::mt19937_64 random_{42};
};

std::string item(std::size_t number, const std::string& text, std::span<const float> row,
                 const std::string& model) {
  return fmt::format(
      R"({{"memory_id":"m{}","system_id":"system-{}","text":"{}","timestamp":"2026-01-{:02}T10:00:00Z",)"
      R"("metadata":{{"project":"p{}","tags":["t{}"],"source":"bench"}},)"
      R"("embedding_model":"{}","embedding":{}}})",
      number, number % 7, text, 1 + number % 28, number % kProjects, number % 20, model,
      numbers(row));
}

/// The numbers of the memories that a reply names, best first.
Ids ids_of(std::string_view reply) {
  constexpr std::string_view kMark = R"("conversation_id":"m)";
  Ids out;
  for (std::size_t at = reply.find(kMark); at != std::string_view::npos;
       at = reply.find(kMark, at + 1)) {
    const auto id =
        static_cast<std::uint32_t>(std::strtoul(reply.data() + at + kMark.size(), nullptr, 10));
    // Metadata names the systems that said the same: the same number once more.
    if (std::ranges::find(out, id) == out.end()) out.push_back(id);
  }
  return out;
}

/// A whole number behind `"name":`; 0 when there is none.
std::uint64_t number_of(std::string_view json, std::string_view name) {
  const std::string mark = fmt::format("\"{}\":", name);
  const std::size_t at = json.find(mark);
  return at == std::string_view::npos ? 0
                                      : std::strtoull(json.data() + at + mark.size(), nullptr, 10);
}

std::string search_body(std::span<const float> row, std::string_view more = "") {
  return fmt::format(
      R"({{"mode":"semantic","threshold":-1,"limit":10,"include_content":false,"fresh":true,{}"embedding":{}}})",
      more, numbers(row));
}

/// Three words, of which one is frequent and one rare, and the vector.
std::string hybrid_body(std::span<const float> row, std::size_t q) {
  return fmt::format(
      R"({{"mode":"hybrid","query":"w{} w{} w{}","limit":10,"fresh":true,"embedding":{}}})",
      20 + q * 7 % 300, 300 + q * 37 % 3000, q * 101 % 29'000, numbers(row));
}

class Bench {
 public:
  Bench(const Options& options, const Dataset& data) : options_(options), data_(data) {
    Connection connection(options_.port);
    const std::string made = connection.ask("/embeddings", R"({"text":"which model is this"})");
    const std::size_t at = made.find(R"("model":")") + 9;
    model_ = made.substr(at, made.find('"', at) - at);
  }

  void ingest() {
    Texts texts;
    double wall = 0, cpu = 0, own = 0;
    std::vector<double> took;
    std::atomic<std::size_t> looked{0}, found{0}, stored{0}, refusals{0};
    for (std::size_t from = 0; from < options_.count; from += kPrepared) {
      const std::size_t until = std::min(options_.count, from + kPrepared);
      std::vector<std::string> bodies;
      for (std::size_t i = from; i < until; ++i) {
        if ((i - from) % options_.batch == 0) bodies.push_back(R"({"memories":[)");
        if ((i - from) % options_.batch != 0) bodies.back() += ',';
        bodies.back() += item(i, texts.next(i), data_.vectors.row(i), model_);
      }
      for (std::string& body : bodies) body += "]}";
      const double cpu_before = cpu_seconds(options_.pid), own_before = cpu_seconds(::getpid());
      const std::int64_t begin = now_ns();
      const auto batches = side_by_side(
          options_, options_.connections, bodies.size(),
          [&](Connection& connection, std::size_t b) {
            const std::string reply =
                connection.ask_patiently("/memories/batch", bodies[b], refusals);
            stored += number_of(reply, "stored");
            // Its own last memory, right after the acknowledgement.
            if (b % 20 != 0) return;
            const std::size_t last = std::min(from + (b + 1) * options_.batch, until) - 1;
            ++looked;
            const Ids ids = ids_of(connection.ask("/search", search_body(data_.vectors.row(last))));
            if (!ids.empty() && ids.front() == last) ++found;
          });
      wall += static_cast<double>(now_ns() - begin) / 1e9;
      cpu += cpu_seconds(options_.pid) - cpu_before;
      own += cpu_seconds(::getpid()) - own_before;
      took.insert(took.end(), batches.begin(), batches.end());
    }
    std::ranges::sort(took);
    const std::size_t unlinked = waiting();
    fmt::print(
        R"({{"kind":"ingest","count":{},"stored":{},"per_second":{:.0f},"cpu_us_each":{:.1f},)"
        R"("load_cpu_us_each":{:.1f},"batch_p50_ms":{:.2f},"batch_p99_ms":{:.2f},"looked":{},"found":{},"unlinked":{},"refusals":{},"resident_mb":{:.0f}}})"
        "\n",
        options_.count, stored.load(), static_cast<double>(options_.count) / wall,
        cpu * 1e6 / static_cast<double>(options_.count),
        own * 1e6 / static_cast<double>(options_.count), at_share(took, 0.5) / 1e3,
        at_share(took, 0.99) / 1e3, looked.load(), found.load(), unlinked, refusals.load(),
        resident_mb(options_.pid));
    catch_up(unlinked);
    repeat();
  }

  /// `truth`: empty where there is none to compare with.
  void search(const char* kind, std::size_t connections, const std::vector<std::string>& bodies,
              const std::vector<Ids>& truth) {
    std::vector<Ids> answers(options_.queries);
    std::vector<double> rates, p50, p99, cpus;
    for (std::size_t round = 0; round <= options_.rounds; ++round) {
      const double cpu_before = cpu_seconds(options_.pid);
      const std::int64_t begin = now_ns();
      const std::size_t count = options_.queries * 4;
      const auto took =
          side_by_side(options_, connections, count, [&](Connection& connection, std::size_t i) {
            const std::string reply = connection.ask("/search", bodies[i % bodies.size()]);
            if (i < bodies.size()) answers[i] = ids_of(reply);
          });
      const double wall = static_cast<double>(now_ns() - begin) / 1e9;
      if (round == 0) continue;  // warms up
      rates.push_back(static_cast<double>(count) / wall);
      cpus.push_back((cpu_seconds(options_.pid) - cpu_before) * 1e6 / static_cast<double>(count));
      p50.push_back(at_share(took, 0.5) / 1e3);
      p99.push_back(at_share(took, 0.99) / 1e3);
    }
    answers.resize(truth.size());
    const auto median = [](std::vector<double> values) {
      std::ranges::sort(values);
      return values[values.size() / 2];
    };
    fmt::print(
        R"({{"kind":"{}","connections":{},"per_second":{:.0f},"cpu_us_each":{:.1f},"p50_ms":{:.3f},"p99_ms":{:.3f},"recall":{:.4f}}})"
        "\n",
        kind, connections, median(rates), median(cpus), median(p50), median(p99),
        recall(truth, answers));
    std::fflush(stdout);
  }

 private:
  std::size_t waiting() {
    Connection connection(options_.port);
    return number_of(connection.get("/storage/status"), "unlinked");
  }

  void catch_up(std::size_t unlinked) {
    const double cpu_before = cpu_seconds(options_.pid);
    const std::int64_t begin = now_ns();
    while (waiting() > 0) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    const double wall = static_cast<double>(now_ns() - begin) / 1e9;
    const double cpu = cpu_seconds(options_.pid) - cpu_before;
    fmt::print(R"({{"kind":"catch_up","count":{},"seconds":{:.2f},"per_cpu_second":{:.0f}}})"
               "\n",
               unlinked, wall, cpu > 0 ? static_cast<double>(unlinked) / cpu : 0);
  }

  /// The same texts from another system are seen, not stored.
  void repeat() {
    Texts texts;
    std::string body = R"({"memories":[)";
    const std::size_t many = std::min(options_.batch, options_.count);
    for (std::size_t i = 0; i < many; ++i) {
      std::string one = item(i, texts.next(i), data_.vectors.row(i), model_);
      const std::string system = fmt::format("system-{}", i % 7);
      one.replace(one.find(system), system.size(), "another");
      body += (i > 0 ? "," : "") + one;
    }
    Connection connection(options_.port);
    const std::string reply = connection.ask("/memories/batch", body + "]}");
    fmt::print(R"({{"kind":"repeated","sent":{},"duplicates":{}}})"
               "\n",
               many, number_of(reply, "duplicates"));
  }

  const Options& options_;
  const Dataset& data_;
  std::string model_;
};

void run(const Options& options) {
  const Dataset data = make_dataset(kWidth, options.count, options.queries);
  Bench bench(options, data);
  bench.ingest();
  std::vector<std::string> plain, filtered, hybrid;
  for (std::size_t q = 0; q < options.queries; ++q) {
    plain.push_back(search_body(data.queries.row(q)));
    filtered.push_back(search_body(data.queries.row(q), R"("project":"p0",)"));
    hybrid.push_back(hybrid_body(data.queries.row(q), q));
  }
  bench.search("search", 1, plain, data.truth);
  bench.search("search", 4, plain, data.truth);
  bench.search("hybrid", 1, hybrid, {});
  bench.search("hybrid", 4, hybrid, {});
  bench.search("filter", 4, filtered, data.truth_of(kProjects, options.queries));
}

}  // namespace
}  // namespace asahi::bench

int main(int argc, char** argv) {
  asahi::bench::Options options;
  CLI::App app("The memory over HTTP: the server must be running and empty");
  app.add_option("--port", options.port)->required();
  app.add_option("--pid", options.pid, "the server's, for its CPU time")->required();
  app.add_option("--count", options.count, "memories of 384 numbers");
  app.add_option("--batch", options.batch, "memories a request");
  app.add_option("--connections", options.connections, "that send batches");
  app.add_option("--queries", options.queries);
  app.add_option("--rounds", options.rounds, "of which medians are taken");
  CLI11_PARSE(app, argc, argv);
  try {
    asahi::bench::run(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench_memory_http: {}\n", error.what());
    return 1;
  }
}
