#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "base/money.h"
#include "gateway/events/reader.h"
#include "server/commands/client.h"
#include "server/commands/commands.h"
#include "server/test_queries.h"

namespace asahi::server {
namespace {

struct TestOptions {
  int num_queries = 50;
  int passes = 1;
  double quality = 3.5;
  int latency = 300;
  std::string queries, field = "text", url, out = "data/test_results.json";
  bool quiet = false;
};

/// Texts of a JSON array of objects, a JSON array of strings, or JSON lines.
Result<std::vector<std::string>> read_queries(const std::string& path, const std::string& field) {
  std::ifstream in(path);
  if (!in) return fail(Errc::kNotFound, fmt::format("cannot read {}", path));
  std::string text((std::istreambuf_iterator<char>(in)), {});
  std::vector<std::string> queries;
  const auto take = [&](const json::value& item) {
    const json::object* object = item.if_object();
    const json::value* value = object != nullptr ? object->if_contains(field) : &item;
    if (value != nullptr && value->is_string()) queries.emplace_back(value->get_string());
  };
  if (auto whole = parse_json(text); whole && whole->is_array()) {
    for (const json::value& item : whole->get_array()) take(item);
  } else {
    std::size_t begin = 0;
    while (begin < text.size()) {
      const std::size_t end = std::min(text.find('\n', begin), text.size());
      if (auto line = parse_json(std::string_view(text).substr(begin, end - begin))) take(*line);
      begin = end + 1;
    }
  }
  if (queries.empty()) {
    return fail(Errc::kInvalidArgument,
                fmt::format("{} holds no text in the field '{}'; give the field with --field", path,
                            field));
  }
  return queries;
}

double number_at(const json::value& value, std::string_view key) {
  const json::value* found = value.is_object() ? value.get_object().if_contains(key) : nullptr;
  return found != nullptr && found->is_number() ? found->to_number<double>() : 0;
}

struct Sums {
  NanoUsd cost, baseline;
  std::size_t count = 0;
};

void print_sums(std::string_view of, const Sums& sums) {
  fmt::print("{:40} cost ${:.6f}  baseline ${:.6f}  saved ${:.6f}  requests {}\n", of,
             shown_dollars(sums.cost), shown_dollars(sums.baseline),
             shown_dollars(sums.baseline - sums.cost), sums.count);
}

/// What the events of these requests say that they cost.
Result<Sums> sums_of_events(const std::string& log_dir,
                            const std::set<std::string, std::less<>>& request_ids) {
  Sums sums;
  const auto read = gateway::each_event(
      log_dir,
      [&](const gateway::InferenceEvent& event) {
        if (!request_ids.contains(event.request_id)) return;
        sums.cost += event.cost;
        sums.baseline += event.baseline_cost;
        ++sums.count;
      },
      [](const gateway::UnreadableLine&) {});
  if (!read) return std::unexpected(read.error());
  return sums;
}

int run_queries(const CommonOptions& common, const TestOptions& options) {
  std::string path = options.queries;
  std::vector<std::string> queries;
  if (path.empty() && std::filesystem::exists("data/test_queries.json"))
    path = "data/test_queries.json";
  if (path.empty()) {
    queries = built_in_queries();
  } else {
    auto read = read_queries(path, options.field);
    if (!read) {
      fmt::print(stderr, "asahi test: {}\n", read.error().message);
      return kExitUsage;
    }
    queries = std::move(*read);
  }
  auto gateway = GatewayClient::connect(common, options.url);
  if (!gateway) {
    fmt::print(stderr, "asahi test: {}\n", gateway.error().message);
    return gateway.error().code == Errc::kInvalidArgument ? kExitUsage : kExitFailure;
  }
  auto before = (*gateway)->call_json(http::Method::kGet, "/metrics", "");
  if (!before) {
    fmt::print(stderr, "asahi test: {}\n", before.error().message);
    return kExitFailure;
  }
  int failures = 0;
  json::array rows;
  NanoUsd cost, baseline;
  std::set<std::string, std::less<>> answered;
  for (int pass = 1; pass <= options.passes; ++pass) {
    int hits = 0;
    for (int i = 0; i < options.num_queries; ++i) {
      const std::string& query = queries[static_cast<std::size_t>(i) % queries.size()];
      const json::object body{{"prompt", query},
                              {"quality_threshold", options.quality},
                              {"latency_budget_ms", options.latency}};
      auto answer = (*gateway)->call_json(http::Method::kPost, "/infer", json::serialize(body));
      if (!answer) {
        ++failures;
        fmt::print("{:4}  FAILED  {}\n", i + 1, answer.error().message);
        continue;
      }
      const bool hit = answer->at("cache_hit").as_bool();
      hits += hit ? 1 : 0;
      answered.emplace(answer->at("request_id").as_string());
      cost += nano_usd_from_dollars(number_at(*answer, "cost"));
      baseline += nano_usd_from_dollars(number_at(*answer, "cost_original"));
      if (!options.quiet) {
        fmt::print("{:4}  {:24}  ${:.6f}  {:4}  {}\n", i + 1,
                   std::string(answer->at("model_used").as_string()), number_at(*answer, "cost"),
                   hit ? "HIT" : "MISS", query.substr(0, 60));
      }
      rows.push_back(json::object{{"query", query},
                                  {"model", answer->at("model_used")},
                                  {"cost", number_at(*answer, "cost")},
                                  {"cache_hit", hit},
                                  {"latency_ms", number_at(*answer, "latency_ms")}});
    }
    fmt::print("pass {}: {} queries, {} hits, {} failures\n", pass, options.num_queries, hits,
               failures);
  }
  auto metrics = (*gateway)->call_json(http::Method::kGet, "/metrics", "");
  if (!metrics) {
    fmt::print(stderr, "asahi test: {}\n", metrics.error().message);
    return kExitFailure;
  }
  print_sums("replies, each rounded to 6 digits", {cost, baseline, answered.size()});
  if (const std::string log = (*gateway)->event_log_dir(); !log.empty()) {
    const auto events = sums_of_events(log, answered);
    if (!events) {
      fmt::print(stderr, "asahi test: {}\n", events.error().message);
      return kExitFailure;
    }
    print_sums("their events, exact to 9 digits", *events);
  }
  const auto of_this_run = [&](std::string_view key) {
    return number_at(*metrics, key) - number_at(*before, key);
  };
  const double saved = of_this_run("absolute_savings"), all = of_this_run("gpt4_equivalent_cost");
  fmt::print("{:40} cost ${:.6f}  baseline ${:.6f}  saved ${:.6f}  requests {}  ({:.1f} % saved)\n",
             "the server's metrics", of_this_run("total_cost"), all, saved,
             static_cast<std::int64_t>(of_this_run("total_requests")),
             all > 0 ? 100 * saved / all : 0.0);
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(options.out).parent_path(), ignored);
  std::ofstream(options.out) << json::serialize(json::object{{"metrics", *metrics},
                                                             {"queries", std::move(rows)}})
                             << '\n';
  return failures == 0 ? kExitOk : kExitFailure;
}

int show_metrics(const CommonOptions& common, const std::string& url, const std::string& saved) {
  const LoadedConfig loaded = load_config(common);
  const std::string target =
      url.empty() ? fmt::format("http://127.0.0.1:{}", loaded.gateway.api.port) : url;
  auto gateway = GatewayClient::connect(common, target);
  if (gateway) {
    auto live = (*gateway)->call_json(http::Method::kGet, "/metrics", "");
    if (live) {
      fmt::print("{}\n", json::serialize(*live));
      return kExitOk;
    }
  }
  std::ifstream in(saved);
  if (!url.empty() || !in) {
    fmt::print(stderr,
               "asahi metrics: nothing answers at {} and there are no saved results in {}\n",
               target, saved);
    return kExitFailure;
  }
  auto results = parse_json(std::string((std::istreambuf_iterator<char>(in)), {}));
  if (!results || !results->is_object() || !results->get_object().contains("metrics")) {
    fmt::print(stderr, "asahi metrics: {} cannot be read\n", saved);
    return kExitFailure;
  }
  fmt::print("{}\n", json::serialize(results->at("metrics")));
  return kExitOk;
}

}  // namespace

void add_test(CLI::App& app, CommonOptions& common, Command& chosen) {
  auto options = std::make_shared<TestOptions>();
  CLI::App* command =
      app.add_subcommand("test", "Run stored queries and print what they cost and saved");
  add_common(*command, common);
  command
      ->add_option("--num_queries,--num-queries", options->num_queries,
                   "How many, repeated when there are fewer")
      ->capture_default_str()
      ->check(CLI::Range(1, 1'000'000));
  command->add_option("--passes", options->passes, "Times over")
      ->capture_default_str()
      ->check(CLI::Range(1, 1'000));
  command->add_option("--quality", options->quality, "Least quality, 0 to 5")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 5.0));
  command->add_option("--latency", options->latency, "Latency budget in ms")
      ->capture_default_str()
      ->check(CLI::Range(50, 30'000));
  command->add_option("--queries", options->queries,
                      "JSON or JSONL file instead of the built-in set");
  command->add_option("--field", options->field, "Field of that file with the text")
      ->capture_default_str();
  command->add_option("--url", options->url,
                      "A running gateway; without it one is started for the run");
  command->add_option("--out", options->out, "Where results are saved for `asahi metrics`")
      ->capture_default_str();
  command->add_flag("--quiet", options->quiet, "Only the sums");
  command->footer("Example: asahi test --mock --num_queries 100 --passes 2");
  command->callback([&common, &chosen, options] {
    chosen = [&common, options] { return run_queries(common, *options); };
  });
}

void add_metrics(CLI::App& app, CommonOptions& common, Command& chosen) {
  auto url = std::make_shared<std::string>();
  auto saved = std::make_shared<std::string>("data/test_results.json");
  CLI::App* command = app.add_subcommand(
      "metrics", "Print a running gateway's metrics, or those of the last `asahi test`");
  add_common(*command, common);
  command->add_option("--url", *url, "The gateway (default: the configured port on this machine)");
  command->add_option("--results", *saved, "Saved results to show when nothing answers")
      ->capture_default_str();
  command->callback([&common, &chosen, url, saved] {
    chosen = [&common, url, saved] { return show_metrics(common, *url, *saved); };
  });
}

}  // namespace asahi::server
