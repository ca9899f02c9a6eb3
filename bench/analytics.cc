// What the event writer carries and how long the dashboard's queries take with millions of events,
// on SQLite and on PostgreSQL (a cluster of its own in a temporary folder). Times of the writer are
// processor time, so that a busy machine measures the same.
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <optional>
#include <random>
#include <stop_token>
#include <thread>

#include "base/ids.h"
#include "gateway/analytics/export/event_export.h"
#include "gateway/analytics/store.h"
#include "gateway/events/loader.h"
#include "gateway/events/recorder.h"
#include "gateway/migrations/migrations.h"
#include "net/blocking.h"
#include "net/loop.h"
#include "storage/sql/migrations.h"
#include "storage/sql/testing/postgres_server.h"

namespace {

using namespace asahi;
using namespace asahi::gateway;
using namespace std::chrono_literals;
using analytics::Dimension;
using Steady = std::chrono::steady_clock;
namespace fs = std::filesystem;

struct Settings {
  std::int64_t rows = 1'000'000;
  int days = 30;
  std::uint64_t users = 100'000;
  std::int64_t per_batch = 50'000;
  std::int64_t rush = 1'000'000;
  int repeats = 100;
  bool export_all = false, keep = false;
  std::string only, postgres;
  std::int64_t live = 0;
  std::string work = fs::temp_directory_path() / "asahi_bench_analytics";
  std::vector<std::string> engines{"sqlite", "postgres"};
};

template <class T>
T must(Result<T> result) {
  if (!result) {
    std::cerr << "bench_analytics: " << result.error().message << '\n';
    std::exit(1);
  }
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

/// Requests as a busy gateway sees them: a few models and tasks, many users of which some ask much.
class Traffic {
 public:
  explicit Traffic(std::uint64_t users) : users_(users) {}

  InferenceEvent at(Clock::Time time) {
    static constexpr std::array kModels = {
        "gpt-4o",         "gpt-4o-mini",      "claude-3-5-sonnet",
        "claude-3-haiku", "gemini-1.5-flash", "llama-3.1-70b"};
    static constexpr std::array kProviders = {"openai",    "openai", "anthropic",
                                              "anthropic", "google", "ollama"};
    static constexpr std::array kTasks = {
        "faq",        "code",        "summarization", "classification",
        "extraction", "translation", "chat",          "reasoning"};
    InferenceEvent event;
    event.event_id = make_ulid(time);
    event.request_id = random_id("req_", 12);
    event.timestamp = time;
    event.org_id = "default";
    // Half of the requests come from everybody alike, half from a hundredth of the users.
    const std::uint64_t user = random_() % 2 == 0 ? random_() % users_ : random_() % (users_ / 100);
    event.user_id = fmt::format("user-{}", user);
    event.api_key_prefix = fmt::format("ask_{:08x}", user % 500);
    const auto model = random_() % kModels.size();
    event.model_selected = kModels[model];
    event.provider = kProviders[model];
    event.task_type = kTasks[random_() % kTasks.size()];
    event.routing_mode = random_() % 4 == 0 ? "explicit" : "autopilot";
    event.routing_reason = event.routing_mode == "explicit"
                               ? "the request names the model"
                               : "the cheapest model that is good enough for the task";
    event.latency_ms = std::exp(normal_(random_));
    event.quality_score = 4.2;
    event.baseline_cost = {static_cast<std::int64_t>(random_() % 20'000'000)};
    if (random_() % 5 < 2) {
      event.cache_hit = true;
      event.cache_tier = 1 + static_cast<int>(random_() % 3);
      event.latency_ms /= 100;
      event.tokens_saved = 400;
      event.routing_reason = "answered from the cache";
    } else {
      event.cost = {event.baseline_cost.nanos / 3};
      event.input_tokens = static_cast<std::int64_t>(random_() % 1'500);
      event.output_tokens = static_cast<std::int64_t>(random_() % 600);
    }
    if (random_() % 100 == 0) {
      event.error_code = random_() % 5'000 == 0 ? "all_providers_failed" : "timeout";
      event.event_type = "error";
      event.cost = event.baseline_cost = {};
    }
    return event;
  }

 private:
  std::uint64_t users_;
  std::mt19937_64 random_{42};
  std::normal_distribution<double> normal_{6, 0.8};
};

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}
double own_cpu() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}
/// Of all processes that this one started, and theirs.
double children_cpu() {
  std::map<int, std::pair<int, double>> processes;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    int pid = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), pid).ec != std::errc{}) continue;
    std::ifstream in(entry.path() / "stat");
    std::string line;
    std::getline(in, line);
    const auto end = line.rfind(')');
    if (end == std::string::npos) continue;
    std::istringstream fields(line.substr(end + 2));
    std::vector<std::string> all{std::istream_iterator<std::string>(fields), {}};
    if (all.size() < 15) continue;
    // utime, stime, and those of its own children that have ended
    double ticks = 0;
    for (const std::size_t field : {11U, 12U, 13U, 14U}) ticks += std::stod(all[field]);
    processes[pid] = {std::stoi(all[1]), ticks / static_cast<double>(sysconf(_SC_CLK_TCK))};
  }
  double sum = 0;
  for (const auto& [pid, process] : processes) {
    for (int parent = process.first; parent > 1;) {
      if (parent == getpid()) {
        sum += process.second;
        break;
      }
      const auto up = processes.find(parent);
      if (up == processes.end()) break;
      parent = up->second.first;
    }
  }
  return sum;
}

void measure_recorder(const Settings& settings) {
  constexpr std::int64_t kEvents = 500'000;
  const std::string dir = settings.work + "/recorder";
  ManualClock clock(Clock::Time{std::chrono::seconds{1'795'003'200}});
  auto recorder = must(EventRecorder::start({.dir = dir, .max_queued = 10'000'000}, clock, {}));
  Traffic traffic(settings.users);
  std::vector<InferenceEvent> events;
  for (std::int64_t i = 0; i < kEvents; ++i) events.push_back(traffic.at(clock.now()));
  const double cpu = own_cpu();
  const auto start = Steady::now();
  for (InferenceEvent& event : events) recorder->record(std::move(event));
  recorder->flush(10min);
  const double took = std::chrono::duration<double>(Steady::now() - start).count();
  fmt::print("recorder, to the log: {:.0f} events per processor second ({:.0f}/s here)\n",
             kEvents / (own_cpu() - cpu), kEvents / took);
  recorder.reset();
  fs::remove_all(dir);
}

/// Events through log and loader, one every `gap`.
void load(const Settings& settings, const std::string& engine, std::string_view what,
          sql::Database& database, ManualClock& clock, std::int64_t all,
          std::chrono::nanoseconds gap) {
  const std::string dir = settings.work + "/log_" + engine;
  EventLoader loader({.dir = dir, .node_id = "bench", .clock = &clock}, database);
  loader.start();
  Traffic traffic(settings.users);
  double own = 0, server = 0, wall = 0;
  std::int64_t late_rows = 0;
  double late = 0;
  for (std::int64_t done = 0; done < all;) {
    std::string lines;
    const std::int64_t until = std::min(all, done + settings.per_batch);
    const std::int64_t batch = until - done;
    for (; done < until; ++done) {
      clock.advance(gap);
      append_json(lines, traffic.at(clock.now()));
      lines += '\n';
    }
    {
      EventLog log = must(EventLog::open(dir, clock));
      must(log.append(lines));
    }
    const double own_before = own_cpu(), server_before = children_cpu();
    const auto start = Steady::now();
    if (!loader.catch_up(10min)) {
      std::cerr << "bench_analytics: the loader stands still\n";
      std::exit(1);
    }
    const double own_took = own_cpu() - own_before, server_took = children_cpu() - server_before;
    own += own_took;
    server += server_took;
    wall += std::chrono::duration<double>(Steady::now() - start).count();
    if (done > all / 10 * 9) {
      late += own_took + server_took;
      late_rows += batch;
    }
    auto files = log_files(dir);
    for (std::size_t i = 0; i + 1 < files.size(); ++i) fs::remove(dir + "/" + files[i]);
    if (done % 500'000 < settings.per_batch)
      fmt::print(stderr, "{}: {} rows, {:.1f} µs of processor each\n", engine, done,
                 (own + server) / static_cast<double>(done) * 1e6);
  }
  const auto rows = static_cast<double>(all);
  fmt::print(
      "{} loader, {}: {:.0f} events per processor second "
      "({:.1f} µs here, {:.1f} µs in the server; the last tenth {:.0f}/s), {:.0f}/s here\n",
      engine, what, rows / (own + server), own / rows * 1e6, server / rows * 1e6,
      static_cast<double>(late_rows) / late, rows / wall);
  fs::remove_all(dir);
}

/// Bytes of this process that are in memory now.
std::int64_t resident_bytes() {
  std::ifstream in("/proc/self/statm");
  std::int64_t all = 0, resident = 0;
  in >> all >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

/// A client that takes all it is given at once.
struct Client final : http::BodyWriter {
  Task<void> write(std::string piece) override {
    bytes += piece.size();
    lines += std::ranges::count(piece, '\n');
    most_resident = std::max(most_resident, resident_bytes());
    co_return Result<void>{};
  }
  std::size_t bytes = 0;
  std::int64_t lines = 0, most_resident = 0;
};

/// All events of the table, as GET /analytics/export streams them.
void measure_export(const std::string& engine, sql::Database& database) {
  net::LoopPool loops(1);
  loops.start();
  boost::asio::thread_pool text(1);
  for (const auto& [name, format] : {std::pair{"CSV", analytics::ExportFormat::kCsv},
                                     {"NDJSON", analytics::ExportFormat::kNdjson}}) {
    Client client;
    const std::int64_t before = resident_bytes();
    const double own_before = own_cpu(), server_before = children_cpu();
    const auto start = Steady::now();
    must(net::run_sync<Result<void>>(loops.at(0), [&]() -> Aw<Result<void>> {
      co_return co_await analytics::export_events(
          database, text, {.org_id = "default", .format = format}, client, nullptr);
    }));
    const double took = std::chrono::duration<double>(Steady::now() - start).count();
    const double cpu = own_cpu() - own_before + children_cpu() - server_before;
    const auto rows = static_cast<double>(client.lines);
    fmt::print(
        "{} export, {}: {} lines, {:.0f} MB, {:.0f} per processor second ({:.0f}/s here); memory "
        "grew by at most {:.1f} MiB\n",
        engine, name, client.lines, static_cast<double>(client.bytes) / 1e6, rows / cpu,
        rows / took, static_cast<double>(client.most_resident - before) / 1024 / 1024);
  }
  text.join();
}

void remove_files(const Settings& settings, const std::string& database) {
  for (const auto& entry : fs::directory_iterator(settings.work)) {
    if (entry.path().filename().string().starts_with(database + ".db")) fs::remove(entry);
  }
}

/// Events that come in all the time, `rate` a second, as long as it lives.
class Arrivals {
 public:
  Arrivals(const Settings& settings, const std::string& engine, sql::Database& database,
           ManualClock& clock, std::int64_t rate)
      : dir_(settings.work + "/live_" + engine),
        clock_(clock),
        rate_(rate),
        traffic_(settings.users),
        // Its log begins anew with each run, so its position in a kept database must, too.
        loader_({.dir = dir_, .node_id = random_id("live_", 8), .clock = &clock}, database),
        thread_([this](const std::stop_token& stop) { run(stop); }) {}
  ~Arrivals() {
    thread_.request_stop();
    thread_.join();
    const auto stopped = Steady::now();
    const bool done = loader_.catch_up(10min);
    const std::chrono::duration<double> rest = Steady::now() - stopped;
    fmt::print(
        "{} events came in meanwhile, {} a second; the loader {}\n", came_, rate_,
        done ? fmt::format("had the last of them {:.2f} s later", rest.count()) : "stands still");
  }

 private:
  void run(const std::stop_token& stop) {
    constexpr auto kTick = 20ms;
    const std::int64_t each = rate_ * kTick.count() / 1'000;
    EventLog log = must(EventLog::open(dir_, clock_));
    loader_.start();
    for (auto next = Steady::now(); !stop.stop_requested(); next += kTick) {
      std::string lines;
      for (std::int64_t i = 0; i < each; ++i, ++came_) {
        clock_.advance(std::chrono::nanoseconds(1s) / rate_);
        append_json(lines, traffic_.at(clock_.now()));
        lines += '\n';
      }
      must(log.append(lines));
      loader_.wake();
      std::this_thread::sleep_until(next + kTick);
    }
  }

  std::string dir_;
  ManualClock& clock_;
  std::int64_t rate_, came_ = 0;
  Traffic traffic_;
  EventLoader loader_;
  std::jthread thread_;
};

/// When the last event that the database was given happened; nothing where it has none.
std::optional<Clock::Time> last_event(sql::Database& database) {
  const sql::Rows rows = must(database.query_blocking(
      {"SELECT timestamp FROM inference_events ORDER BY id DESC LIMIT 1", {}}));
  if (rows.empty()) return std::nullopt;
  return must(parse_rfc3339(rows.text(0, "timestamp")));
}

struct Times {
  double p50 = 0, p99 = 0, cpu = 0;  ///< milliseconds; cpu: mean of this process's
  std::size_t answers = 0;
};
using Table = std::vector<std::pair<std::string, Times>>;

Table measure_queries(const Settings& settings, sql::Database& database, const Clock& clock) {
  net::LoopPool loops(1);
  loops.start();
  analytics::Store store(database, clock);
  std::mt19937_64 random(7);
  Table table;
  const auto measure = [&](std::string name, auto query) {
    if (name.find(settings.only) == std::string::npos) return;
    std::vector<double> times;
    Times found;
    const double cpu = own_cpu();
    for (int i = 0; i < settings.repeats; ++i) {
      const auto start = Steady::now();
      found.answers = query();
      times.push_back(std::chrono::duration<double, std::milli>(Steady::now() - start).count());
    }
    found.cpu = (own_cpu() - cpu) * 1'000 / settings.repeats;
    std::ranges::sort(times);
    found.p50 = times[times.size() / 2];
    found.p99 = times[std::min(times.size() - 1, times.size() * 99 / 100)];
    table.emplace_back(std::move(name), found);
  };
  const auto sums = [&](Dimension by, std::chrono::seconds back, std::chrono::seconds step,
                        std::size_t max_keys = 1'000) {
    return [&, by, back, step, max_keys] {
      const Clock::Time to = clock.now() - std::chrono::seconds(random() % 600);
      analytics::SumsQuery query{.org_id = "default",
                                 .from = to - back,
                                 .to = to,
                                 .by = by,
                                 .key = {},
                                 .step = step,
                                 .max_keys = max_keys};
      return must(net::run_sync<Result<std::vector<analytics::Bucket>>>(
                      loops.at(0),
                      [&]() -> Aw<Result<std::vector<analytics::Bucket>>> {
                        co_return co_await store.sums(query);
                      }))
          .size();
    };
  };
  const auto events = [&](auto make) {
    return [&, make] {
      analytics::EventsQuery query = make();
      query.org_id = "default";
      return must(net::run_sync<Result<analytics::EventsPage>>(
                      loops.at(0),
                      [&]() -> Aw<Result<analytics::EventsPage>> {
                        co_return co_await store.events(query);
                      }))
          .events.size();
    };
  };
  struct Window {
    std::string_view name;
    std::chrono::seconds back;
  };
  constexpr Window kWindows[] = {
      {"hour", 1h}, {"day", 24h}, {"week", 7 * 24h}, {"month", 30 * 24h}};
  struct By {
    std::string_view name;
    Dimension dimension;
  };
  constexpr By kBy[] = {{"model", Dimension::kModel},    {"task", Dimension::kTaskType},
                        {"tier", Dimension::kTier},      {"provider", Dimension::kProvider},
                        {"API key", Dimension::kApiKey}, {"model and task", Dimension::kModelTask},
                        {"user", Dimension::kUser}};
  for (const By& by : kBy) {
    for (const Window& window : kWindows)
      measure(fmt::format("costs by {}, {}", by.name, window.name),
              sums(by.dimension, window.back, 0s));
  }
  measure("user leaderboard, first 20 of a month", sums(Dimension::kUser, 30 * 24h, 0s, 20));
  measure("trend, 30 days", sums(Dimension::kNone, 30 * 24h, 24h));
  measure("trend, 720 hours", sums(Dimension::kNone, 30 * 24h, 1h));
  measure("trend, 1,000 intervals of a minute", sums(Dimension::kNone, 1'000min, 1min));
  measure("trend by model, 720 hours", sums(Dimension::kModel, 30 * 24h, 1h));
  using Query = analytics::EventsQuery;
  const auto user = [&] { return fmt::format("user-{}", random() % settings.users); };
  const auto middle = [&] {
    const auto back =
        std::chrono::seconds(random() % (86'400ULL * static_cast<unsigned>(settings.days)));
    const auto at = std::chrono::floor<std::chrono::milliseconds>(clock.now() - back);
    return fmt::format("{}-{}", at.time_since_epoch().count(), 1);
  };
  measure("recent inferences, first page", events([] { return Query{}; }));
  measure("recent inferences, deep page", events([&] { return Query{.cursor = middle()}; }));
  measure("recent inferences of a model", events([] { return Query{.model = "gpt-4o"}; }));
  measure("a user's inferences", events([&] { return Query{.user_id = user()}; }));
  measure("rare error", events([] { return Query{.error_code = "all_providers_failed"}; }));
  measure("failed ones of a model, deep",
          events([&] { return Query{.model = "gpt-4o", .failed = true, .cursor = middle()}; }));
  measure("nothing has both filters",
          events([] { return Query{.model = "gpt-4o", .provider = "anthropic"}; }));
  measure("text: a common word", events([] { return Query{.text = "gpt"}; }));
  measure("text: one user", events([&] { return Query{.text = user()}; }));
  measure("text: a beginning", events([&] { return Query{.text = user().substr(0, 7)}; }));
  measure("text: two words", events([] { return Query{.text = "timeout translation"}; }));
  measure("text: two words that never meet", events([] { return Query{.text = "gpt claude"}; }));
  measure("text: part of a request id", events([&] { return Query{.text = random_id("", 5)}; }));
  measure("text: a word that nobody has", events([] { return Query{.text = "zzzz"}; }));
  return table;
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  CLI::App app{"Event writer and dashboard queries over many events"};
  app.add_option("--rows", settings.rows, "Events to load")->capture_default_str();
  app.add_option("--days", settings.days, "Days they are spread over")->capture_default_str();
  app.add_option("--users", settings.users, "Users they come from")->capture_default_str();
  app.add_option("--rush", settings.rush, "Events at 50,000 a second, into a database of their own")
      ->capture_default_str();
  app.add_option("--repeats", settings.repeats, "Runs of each query")->capture_default_str();
  app.add_option("--live", settings.live, "Events a second that come in during the queries")
      ->capture_default_str();
  app.add_option("--work", settings.work, "Folder for databases and logs")->capture_default_str();
  app.add_option("--engine", settings.engines, "sqlite, postgres or both")->capture_default_str();
  app.add_flag("--export", settings.export_all, "Measure an export of all events as well");
  app.add_option("--only", settings.only, "Only queries whose name has this");
  app.add_flag("--keep", settings.keep,
               "Leave the month on SQLite for the next run, which then takes it as it is");
  app.add_option("--postgres", settings.postgres,
                 "URL of an empty database to use instead of a server of its own; it keeps the "
                 "month, which the next run takes as it is");
  CLI11_PARSE(app, argc, argv);
  if (!settings.keep) fs::remove_all(settings.work);
  fs::create_directories(settings.work);
  const bool kept = fs::exists(settings.work + "/analytics.db");
  if (!kept) measure_recorder(settings);
  std::map<std::string, Table> tables;
  for (const std::string& engine : settings.engines) {
    std::unique_ptr<sql::testing::PostgresServer> server;
    const bool given = engine == "postgres" && !settings.postgres.empty();
    if (engine == "postgres" && !given) {
      // As a server of its own is set up; the tests' shares a small machine with many.
      server = must(sql::testing::PostgresServer::launch(
          {"shared_buffers=512MB", "max_wal_size=4GB", "wal_buffers=16MB"}));
    }
    const auto make = [&](const std::string& name) {
      sql::DatabaseOptions options{.url = "sqlite:///" + name + ".db", .data_dir = settings.work};
      if (server) options.url = server->url(must(server->create_database()));
      if (given) options.url = settings.postgres;
      auto made = must(sql::open_database(options));
      must(sql::Migrator(*made, migrations()).upgrade());
      return made;
    };
    // Ends in the middle of a day, as days do.
    constexpr Clock::Time kEnd{std::chrono::seconds{1'795'003'200}};
    if (settings.rush > 0 && !given) {
      auto database = make("rush");
      ManualClock clock(kEnd);
      load(settings, engine, "50,000 a second", *database, clock, settings.rush, 20us);
      database.reset();
      remove_files(settings, "rush");
    }
    auto database = make("analytics");
    const std::chrono::days days(settings.days);
    ManualClock clock(kEnd - days);
    if (const auto last = last_event(*database)) {
      clock.advance(*last - clock.now());
    } else {
      load(settings, engine, fmt::format("{} in {} days", settings.rows, settings.days), *database,
           clock, settings.rows, std::chrono::nanoseconds(days) / settings.rows);
    }
    if (engine == "postgres") must(database->query_blocking({"ANALYZE", {}}));
    {
      std::optional<Arrivals> arrivals;
      if (settings.live > 0) arrivals.emplace(settings, engine, *database, clock, settings.live);
      tables[engine] = measure_queries(settings, *database, clock);
    }
    if (settings.export_all) measure_export(engine, *database);
    database.reset();
    server.reset();
    if (engine == "sqlite") {
      fmt::print("sqlite: {:.0f} bytes an event on disk\n",
                 static_cast<double>(fs::file_size(settings.work + "/analytics.db")) /
                     static_cast<double>(settings.rows));
      if (!settings.keep) remove_files(settings, "analytics");
    }
  }
  if (!settings.keep) fs::remove_all(settings.work);
  fmt::print("\n| Query, {} events | answers |", settings.rows);
  for (const std::string& engine : settings.engines)
    fmt::print(" {0} p50 ms | {0} p99 ms | {0} CPU ms |", engine);
  fmt::print("\n|---|---:|");
  for (std::size_t i = 0; i < settings.engines.size(); ++i) fmt::print("---:|---:|---:|");
  const Table& first = tables[settings.engines.front()];
  for (std::size_t i = 0; i < first.size(); ++i) {
    fmt::print("\n| {} | {} |", first[i].first, first[i].second.answers);
    for (const std::string& engine : settings.engines) {
      const Times& times = tables[engine][i].second;
      fmt::print(" {:.1f} | {:.1f} | {:.1f} |", times.p50, times.p99, times.cpu);
    }
  }
  fmt::print("\n");
}
