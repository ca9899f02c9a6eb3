#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/clock.h"
#include "base/file.h"
#include "gateway/events/reader.h"
#include "server/commands/benchmark/oracle.h"
#include "server/commands/benchmark/report.h"
#include "server/commands/client.h"
#include "server/commands/commands.h"

namespace asahi::server {
namespace {

namespace bench = benchmark;
using namespace std::chrono_literals;

struct BenchmarkOptions {
  std::int64_t num_queries = 50;
  double quality = 3.5;
  int latency = 300;
  double repeats = 0.3, reworded = 0.5;
  std::uint64_t seed = 1;
  int concurrency = 1;
  std::string report = "text", output, url, api_key, baseline;
};

/// A folder of its own, gone with its content at the end.
class TempFolder {
 public:
  static Result<TempFolder> make() {
    std::error_code error;
    const auto parent = std::filesystem::temp_directory_path(error);
    std::string path = (parent / "asahi-benchmark-XXXXXX").string();
    if (error || ::mkdtemp(path.data()) == nullptr)
      return fail(Errc::kUnavailable,
                  fmt::format("cannot make a folder below {}; set TMPDIR to one that can be "
                              "written",
                              parent.string()));
    return TempFolder(std::move(path));
  }
  TempFolder(TempFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TempFolder& operator=(TempFolder&&) = delete;
  ~TempFolder() { remove(); }
  void remove() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  explicit TempFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

/// Takes SIGINT and SIGTERM away from every thread that is started while it lives; who waits here
/// gets them.
class Signals {
 public:
  Signals() {
    sigemptyset(&taken_);
    sigaddset(&taken_, SIGINT);
    sigaddset(&taken_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &taken_, &before_);
  }
  ~Signals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  /// True: one came within that time.
  bool wait(std::chrono::milliseconds time) {
    const timespec limit{.tv_sec = time.count() / 1000,
                         .tv_nsec = (time.count() % 1000) * 1'000'000};
    return sigtimedwait(&taken_, nullptr, &limit) > 0;
  }

 private:
  sigset_t taken_, before_;
};

/// On stderr: a bar where somebody watches, else a line every ten requests.
class Progress {
 public:
  Progress(std::string_view run, std::size_t total)
      : run_(run), total_(total), terminal_(::isatty(STDERR_FILENO) == 1) {}

  void show(std::size_t done) {
    if (terminal_) {
      constexpr std::size_t kWidth = 40;
      const std::size_t filled = total_ == 0 ? kWidth : kWidth * done / total_;
      fmt::print(stderr, "\r{:9} [{:#<{}}{:.<{}}] {}/{}", run_, "", filled, "", kWidth - filled,
                 done, total_);
      if (done == total_) fmt::print(stderr, "\n");
      return;
    }
    for (; told_ + 10 <= done; told_ += 10)
      fmt::print(stderr, "{} {}/{}\n", run_, told_ + 10, total_);
    if (done == total_ && told_ != total_) {
      told_ = total_;
      fmt::print(stderr, "{} {}/{}\n", run_, total_, total_);
    }
  }
  void leave() const {
    if (terminal_) fmt::print(stderr, "\n");
  }

 private:
  std::string_view run_;
  std::size_t total_, told_ = 0;
  bool terminal_;
};

int refuse(const Error& error) {
  fmt::print(stderr, "asahi benchmark: {}\n", error.message);
  return error.code == Errc::kInvalidArgument ? kExitUsage : kExitFailure;
}

/// An own server that shares nothing with any other: no Redis, no database server, no index of
/// vectors elsewhere.
void isolate(ServerConfig& config, const std::string& folder,
             std::function<std::string(const llm::ChatRequest&)> answers) {
  gateway::GatewayConfig& gateway = config.gateway;
  gateway.app.data_dir = folder;
  gateway.app.mock_answers = std::move(answers);
  gateway.tracking.log_dir = folder + "/logs";
  gateway.governance.audit_storage_dir = folder + "/audit";
  gateway.database.url = "sqlite:///asahi.db";
  gateway.redis.url.clear();
  gateway.cache.tier1.backend = "memory";
  gateway.batching.backend = "memory";
  gateway.vector_db.provider = "local";
}

json::object baseline_body(const bench::Request& request, const std::string& model) {
  json::object body = bench::body_of(request);
  body["routing_mode"] = "explicit";
  body["model_override"] = model;
  body["bypass_cache"] = true;
  body["optimize_tokens"] = false;
  body["allow_batching"] = false;
  body["enrich_with_features"] = false;
  return body;
}
json::object optimized_body(const bench::Request& request, const BenchmarkOptions& options) {
  json::object body = bench::body_of(request);
  body["routing_mode"] = "autopilot";
  body["quality_threshold"] = options.quality;
  body["latency_budget_ms"] = options.latency;
  return body;
}

class Runner {
 public:
  Runner(const CommonOptions& common, const BenchmarkOptions& options, const std::string& baseline)
      : common_(common), options_(options), baseline_(baseline) {}

  /// Sends the traffic once. An interruption ends it early: `interrupted`.
  Result<std::vector<bench::Reply>> run(std::string_view name,
                                        const std::vector<bench::Request>& traffic,
                                        bool optimized) {
    std::optional<TempFolder> folder;
    GatewayClient::Target target{
        .url = options_.url, .api_key = Secret(options_.api_key), .adjust = {}};
    if (options_.url.empty()) {
      ASAHI_TRY(TempFolder made, TempFolder::make());
      folder.emplace(std::move(made));
      target.adjust = [this, path = folder->path()](ServerConfig& config) {
        isolate(config, path,
                [this](const llm::ChatRequest& request) { return oracle_.answer(request); });
      };
    }
    ASAHI_TRY(auto gateway, GatewayClient::connect(common_, target));
    if (!optimized) {
      if (auto read = read_price(*gateway); !read) return std::unexpected(read.error());
    }
    std::vector<bench::Reply> replies(traffic.size());
    std::atomic<std::size_t> next{0}, done{0};
    std::atomic<int> working{options_.concurrency};
    std::atomic<bool> stop{false};
    const auto work = [&] {
      while (!stop) {
        const std::size_t i = next++;
        if (i >= traffic.size()) break;
        replies[i] = ask(
            *gateway,
            optimized ? optimized_body(traffic[i], options_) : baseline_body(traffic[i], baseline_),
            stop);
        ++done;
      }
      --working;
    };
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < options_.concurrency; ++i) threads.emplace_back(work);
      Progress progress(name, traffic.size());
      while (working > 0) {
        if (signals_.wait(std::chrono::milliseconds(20))) {
          if (stop) {
            if (folder) folder->remove();
            fmt::print(stderr, "\nasahi benchmark: given up\n");
            std::_Exit(kExitFailure);
          }
          stop = interrupted_ = true;
          fmt::print(stderr, "\nstopping after the requests in flight; once more to give up\n");
        }
        progress.show(done);
      }
      progress.show(done);
      if (interrupted_) progress.leave();
    }
    const std::string log_dir = gateway->event_log_dir();
    gateway.reset();  // writes its events
    if (!log_dir.empty()) {
      if (auto read = take_exact_costs(log_dir, replies); !read)
        return std::unexpected(read.error());
    }
    return replies;
  }

  bool interrupted() const { return interrupted_; }
  const bench::BaselinePrice& price() const { return price_; }

 private:
  /// One request. A gateway that limits the rate is waited for: what it refuses is no measurement.
  static bench::Reply ask(GatewayClient& gateway, const json::object& body,
                          const std::atomic<bool>& stop) {
    constexpr int kMostWaits = 5;
    const std::string sent = write_json(body);
    for (int waits = 0;; ++waits) {
      const auto started = std::chrono::steady_clock::now();
      const auto answer = gateway.call(http::Method::kPost, "/infer", sent);
      const double ms =
          std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - started)
              .count();
      if (answer && answer->status == 429 && waits < kMostWaits && wait_as_told(*answer, stop))
        continue;
      if (answer && answer->status == 429 && stop) return {};  // neither answered nor failed
      auto reply = read(answer, ms);
      if (reply) return std::move(*reply);
      bench::Reply failed;
      failed.asked = true;
      failed.error = reply.error().message;
      failed.total_ms = ms;
      return failed;
    }
  }
  static Result<bench::Reply> read(const Result<http::ClientResponse>& answer, double ms) {
    if (!answer) return std::unexpected(answer.error());
    if (answer->status != 200)
      return fail(Errc::kUpstream,
                  fmt::format("/infer answered {}: {}", answer->status, message_of(*answer)));
    ASAHI_TRY(const json::value body, parse_json(answer->body));
    return bench::read_reply(body, ms);
  }
  /// False: it says nothing, or names a time too far away (a budget that is spent), or the run
  /// ends.
  static bool wait_as_told(const http::ClientResponse& answer, const std::atomic<bool>& stop) {
    constexpr int kLongest = 90;
    const std::string_view told = answer.headers.get("retry-after");
    int seconds = 0;
    const auto [end, error] = std::from_chars(told.data(), told.data() + told.size(), seconds);
    if (error != std::errc{} || end != told.data() + told.size() || seconds < 0 ||
        seconds > kLongest)
      return false;
    if (seconds > 1)
      fmt::print(stderr, "the gateway limits the rate: waiting {} s as it says\n", seconds);
    const auto until =
        std::chrono::steady_clock::now() + std::max(std::chrono::seconds(seconds), 1s);
    while (!stop && std::chrono::steady_clock::now() < until)
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    return !stop;
  }

  /// What the baseline model costs, as the gateway says.
  Result<void> read_price(GatewayClient& gateway) {
    ASAHI_TRY(const json::value listed, gateway.call_json(http::Method::kGet, "/models", ""));
    const json::object* object = listed.if_object();
    const json::value* models = object == nullptr ? nullptr : object->if_contains("models");
    if (models == nullptr || !models->is_array())
      return fail(Errc::kUpstream, "GET /models answered without a list of models");
    for (const json::value& model : models->get_array()) {
      const json::object* fields = model.if_object();
      if (fields == nullptr) continue;
      const auto field = [&](std::string_view key) { return fields->if_contains(key); };
      const json::value *name = field("name"), *input = field("cost_per_1k_input_tokens"),
                        *output = field("cost_per_1k_output_tokens");
      if (name == nullptr || !name->is_string() || name->get_string() != baseline_) continue;
      if (input == nullptr || !input->is_number() || output == nullptr || !output->is_number())
        break;
      price_ = {TokenPrice::per_1k(input->to_number<double>()),
                TokenPrice::per_1k(output->to_number<double>())};
      return {};
    }
    return fail(Errc::kInvalidArgument,
                fmt::format("the gateway has no model '{}' with a price; name the baseline model "
                            "with --baseline, see GET /models",
                            baseline_));
  }

  /// Replies show six digits; events have nine.
  static Result<void> take_exact_costs(const std::string& log_dir,
                                       std::vector<bench::Reply>& replies) {
    std::unordered_map<std::string_view, bench::Reply*> by_id;
    for (bench::Reply& reply : replies) {
      if (reply.answered) by_id.emplace(reply.request_id, &reply);
    }
    return gateway::each_event(
        log_dir,
        [&](const gateway::InferenceEvent& event) {
          const auto found = by_id.find(event.request_id);
          if (found != by_id.end() && event.error_code.empty()) found->second->cost = event.cost;
        },
        [](const gateway::UnreadableLine&) {});
  }

  const CommonOptions& common_;
  const BenchmarkOptions& options_;
  const std::string baseline_;
  const bench::Oracle oracle_;
  Signals signals_;
  bench::BaselinePrice price_;
  bool interrupted_ = false;
};

/// Says before anything is paid that a file cannot be written.
Result<void> check_writable(const std::string& path) {
  std::error_code ignored;
  const auto parent = std::filesystem::path(path).parent_path();
  if (!parent.empty()) std::filesystem::create_directories(parent, ignored);
  const bool existed = std::filesystem::exists(path, ignored);
  if (!File::open(path, O_WRONLY | O_CREAT)) return file_error("write", path);
  if (!existed) std::filesystem::remove(path, ignored);
  return {};
}

std::string written_as(const bench::Report& report, const std::string& format) {
  if (format == "json") return bench::as_json(report);
  if (format == "csv") return bench::as_csv(report);
  if (format == "html") return bench::as_html(report);
  return bench::as_text(report);
}

int run_benchmark(const CommonOptions& common, const BenchmarkOptions& options) {
  const LoadedConfig loaded = load_config(common);
  if (!loaded.faults.empty()) return print_faults(loaded.faults);
  const std::string baseline_model =
      options.baseline.empty() ? loaded.gateway.tracking.baseline_model : options.baseline;
  const std::string baseline_file = loaded.gateway.app.data_dir + "/baseline_results.json";
  const std::string optimized_file = loaded.gateway.app.data_dir + "/optimized_results.json";
  for (const std::string& path : {options.output, baseline_file, optimized_file}) {
    if (path.empty()) continue;
    if (auto good = check_writable(path); !good) return refuse(good.error());
  }

  bench::Setting setting;
  setting.mock = options.url.empty() && loaded.gateway.app.mock;
  setting.fresh_cache = setting.exact_costs = options.url.empty();
  setting.gateway = options.url.empty() ? "a gateway of its own" : options.url;
  setting.version = loaded.gateway.app.version;
  setting.started = format_rfc3339(system_clock().now());
  setting.baseline_model = baseline_model;
  setting.quality = options.quality;
  setting.latency_ms = options.latency;
  setting.concurrency = static_cast<std::size_t>(options.concurrency);
  setting.traffic = {.requests = static_cast<std::size_t>(options.num_queries),
                     .repeats = options.repeats,
                     .reworded = options.reworded,
                     .seed = options.seed};
  const std::vector<bench::Request> traffic = bench::plan_traffic(setting.traffic);

  Runner runner(common, options, baseline_model);
  auto baseline = runner.run("baseline", traffic, false);
  if (!baseline) return refuse(baseline.error());
  std::vector<bench::Reply> optimized(traffic.size());
  if (!runner.interrupted()) {
    auto replies = runner.run("optimised", traffic, true);
    if (!replies) return refuse(replies.error());
    optimized = std::move(*replies);
  }
  setting.interrupted = runner.interrupted();
  const bench::Report report =
      bench::make_report(setting, traffic, *baseline, optimized, runner.price());

  bool written = true;
  const auto write = [&](const std::string& path, const std::string& content) {
    if (auto done = replace_file(path, content, 0644); !done) {
      fmt::print(stderr, "asahi benchmark: {}\n", done.error().message);
      written = false;
    }
  };
  const std::string content = written_as(report, options.report);
  if (options.output.empty()) {
    if (std::fwrite(content.data(), 1, content.size(), stdout) != content.size() ||
        std::fflush(stdout) != 0) {
      fmt::print(stderr, "asahi benchmark: the report could not be written whole\n");
      written = false;
    }
  } else {
    write(options.output, content);
    fmt::print(stderr, "saved {:.1f} %, {} wrong hits; report in {}\n", report.saved_percent(),
               report.wrong.size(), options.output);
  }
  write(baseline_file, bench::results_json(report, report.baseline, traffic, *baseline));
  write(optimized_file, bench::results_json(report, report.optimized, traffic, optimized));
  const bool good =
      !report.setting.interrupted && report.baseline.failed == 0 && report.optimized.failed == 0;
  return good && written ? kExitOk : kExitFailure;
}

}  // namespace

void add_benchmark(CLI::App& app, CommonOptions& common, Command& chosen) {
  auto options = std::make_shared<BenchmarkOptions>();
  CLI::App* command = app.add_subcommand(
      "benchmark",
      "Run the same traffic with and without savings; print what was saved by what, "
      "hits, wrong hits and added latency");
  add_common(*command, common);
  command->add_option("--num_queries,--num-queries", options->num_queries, "Requests in each run")
      ->capture_default_str()
      ->check(CLI::Range(1, 100'000));
  command->add_option("--report", options->report, "text, json, csv or html")
      ->capture_default_str()
      ->check(CLI::IsMember({"text", "json", "csv", "html"}));
  command->add_option("--output", options->output,
                      "File for the report (default: standard output)");
  command
      ->add_option("--repeats", options->repeats,
                   "Share of requests that were asked before, 0 to 0.95")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 0.95));
  command
      ->add_option("--reworded", options->reworded, "Share of the repeats in other words, 0 to 1")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  command->add_option("--seed", options->seed, "Which requests, and their order")
      ->capture_default_str();
  command->add_option("--concurrency", options->concurrency, "Requests at a time, 1 to 64")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
  command->add_option("--quality", options->quality, "Least quality of the optimised run, 0 to 5")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 5.0));
  command->add_option("--latency", options->latency, "Its latency budget in ms")
      ->capture_default_str()
      ->check(CLI::Range(50, 30'000));
  command->add_option("--baseline", options->baseline,
                      "Model of the baseline run (default: tracking.baseline_model)");
  command->add_option("--url", options->url,
                      "A running gateway, whose cache is not fresh; without it one is started for "
                      "each run");
  command->add_option("--api-key", options->api_key, "Key for --url (default: ASAHI_API_KEY)")
      ->envname("ASAHI_API_KEY");
  command->footer(
      "Example: asahi benchmark --mock --num_queries 200 --report html --output benchmark.html\n"
      "Without --mock and --url the configured vendors are called, and paid, twice per request.\n"
      "Also written: baseline_results.json and optimized_results.json below app.data_dir.\n"
      "Ctrl-C ends the run with a report of what there is, and exit code 1.");
  command->callback([&common, &chosen, options] {
    chosen = [&common, options] { return run_benchmark(common, *options); };
  });
}

}  // namespace asahi::server
