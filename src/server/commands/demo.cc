#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <filesystem>
#include <thread>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "gateway/events/event_log.h"
#include "identity/principal.h"
#include "server/commands/client.h"
#include "server/commands/commands.h"
#include "server/commands/demo/month.h"
#include "server/folder_lock.h"

namespace asahi::server {
namespace {

struct DemoOptions {
  std::int64_t events = 120'000;
  int days = 30;
  std::uint64_t seed = 1;
  std::string org{identity::Principal::kDefaultOrg}, end;
  bool force = false;
};

int refuse(const Error& error) {
  fmt::print(stderr, "asahi demo: {}\n", error.message);
  return error.code == Errc::kInvalidArgument ? kExitUsage : kExitFailure;
}

/// The files of the event log, a day each, as the gateway would have written them. In a folder that
/// has some already everything goes behind what is there: the loader never looks back.
class LogWriter {
 public:
  LogWriter(std::string dir, std::string only_day)
      : dir_(std::move(dir)), only_day_(std::move(only_day)) {}

  Result<void> add(const gateway::InferenceEvent& event) {
    std::string day = only_day_.empty() ? format_date(event.timestamp) : only_day_;
    if (day != day_) {
      if (auto written = flush(); !written) return written;
      day_ = std::move(day);
    }
    append_json(lines_, event);
    lines_ += '\n';
    ++events_;
    cost_ += event.cost;
    savings_ += event.savings();
    return lines_.size() < std::size_t{1 << 20} ? Result<void>{} : flush();
  }
  Result<void> flush() {
    if (lines_.empty()) return {};
    const std::string path = fmt::format("{}/events_{}.jsonl", dir_, day_);
    const File file = File::open(path, O_WRONLY | O_CREAT | O_APPEND);
    std::string_view left = lines_;
    while (file && !left.empty()) {
      const ssize_t written = ::write(file.get(), left.data(), left.size());
      if (written < 0 && errno != EINTR) break;
      if (written > 0) left.remove_prefix(static_cast<std::size_t>(written));
    }
    if (!file || !left.empty()) return std::unexpected(file_error("write", path));
    lines_.clear();
    return {};
  }

  std::int64_t events() const { return events_; }
  NanoUsd cost() const { return cost_; }
  NanoUsd savings() const { return savings_; }

 private:
  const std::string dir_, only_day_;
  std::string day_, lines_;
  std::int64_t events_ = 0;
  NanoUsd cost_, savings_;
};

Result<std::int64_t> count_rows(sql::Database& database) {
  ASAHI_TRY(const sql::Rows rows,
            database.query_blocking({"SELECT count(*) AS n FROM inference_events", {}}));
  return rows.integer(0, "n");
}

Result<std::shared_ptr<const gateway::Registry>> models_of(const gateway::GatewayConfig& config) {
  if (config.app.models_file.empty() || !std::filesystem::exists(config.app.models_file))
    return gateway::default_registry();
  auto loaded = gateway::load_registry(config.app.models_file);
  if (loaded.registry == nullptr)
    return fail(
        Errc::kInvalidArgument,
        fmt::format("{} has faults; asahi config --validate lists them", config.app.models_file));
  return std::move(loaded.registry);
}

/// Writes the log; the folder is locked against a server meanwhile.
Result<LogWriter> write_log(const gateway::GatewayConfig& config, const DemoOptions& options,
                            Clock::Time end, sql::Database& database) {
  ASAHI_TRY([[maybe_unused]] const FolderLock lock, FolderLock::take(config.app.data_dir));
  ASAHI_TRY([[maybe_unused]] auto applied, sql::Migrator(database, all_migrations()).upgrade());
  ASAHI_TRY(const std::int64_t rows, count_rows(database));
  const bool has_log = !gateway::log_files(config.tracking.log_dir).empty();
  if ((has_log || rows > 0) && !options.force) {
    return fail(Errc::kInvalidArgument,
                fmt::format("{} holds events already; choose an empty data folder "
                            "(ASAHI_DATA_DIR=…) and database, or add invented events to the real "
                            "ones with --force: they cannot be told apart afterwards",
                            rows > 0 ? "the database" : config.tracking.log_dir));
  }
  ASAHI_TRY(const auto models, models_of(config));
  std::error_code error;
  std::filesystem::create_directories(config.tracking.log_dir, error);
  LogWriter log(config.tracking.log_dir, has_log ? format_date(system_clock().now()) : "");
  Result<void> written;
  demo::each_event_of_month({.events = options.events,
                             .days = options.days,
                             .seed = options.seed,
                             .org = options.org,
                             .end = end},
                            *models,
                            {TokenPrice::per_1k(config.tracking.baseline_input_rate),
                             TokenPrice::per_1k(config.tracking.baseline_output_rate)},
                            [&](const gateway::InferenceEvent& event) {
                              if (written) written = log.add(event);
                            });
  if (written) written = log.flush();
  if (!written) return std::unexpected(written.error());
  return log;
}

/// What the pages about governance show, made as an administrator would make it.
Result<void> govern(GatewayClient& gateway, const DemoOptions& options, NanoUsd cost) {
  const double a_day = cost.dollars() / options.days;
  const json::object policy = {
      {"max_cost_per_day", std::ceil(a_day * 4)},
      {"max_cost_per_month", std::ceil(cost.dollars() * 1.3)},
      {"max_requests_per_day", std::max<std::int64_t>(1'000, 5 * options.events / options.days)},
      {"require_audit_log", false},
      {"blocked_models", json::array{"gpt-4-turbo"}}};
  ASAHI_TRY([[maybe_unused]] auto set,
            gateway.call_json(http::Method::kPut, "/governance/policies/" + options.org,
                              write_json(policy)));
  const std::tuple<const char*, const char*, json::array, int> keys[] = {
      {"Web chat", "maria.lopez", {"infer"}, 90},
      {"Support bot", "support-bot", {"infer"}, 365},
      {"Code review", "dev.ahmed", {"infer", "analytics"}, 30},
      {"Month-end report", "l.dubois", {"analytics"}, 7}};
  for (const auto& [name, user, scopes, days] : keys) {
    const json::object key = {{"name", name},
                              {"user_id", user},
                              {"org_id", options.org},
                              {"scopes", scopes},
                              {"expires_in_days", days}};
    ASAHI_TRY([[maybe_unused]] auto made,
              gateway.call_json(http::Method::kPost, "/governance/api-keys", write_json(key)));
  }
  return {};
}

int fill(const CommonOptions& common, const DemoOptions& options) {
  const LoadedConfig loaded = load_config(common);
  if (!loaded.faults.empty()) return print_faults(loaded.faults);
  configure_logging({.level = LogLevel::kWarning, .format = LogFormat::kText, .descriptor = 2});
  const gateway::GatewayConfig& config = loaded.gateway;
  // The last hour is full: anomalies compare it with the day before.
  Clock::Time end = std::chrono::floor<std::chrono::minutes>(system_clock().now());
  if (!options.end.empty()) {
    const auto given = parse_rfc3339(options.end);
    if (!given)
      return refuse(
          fail(Errc::kInvalidArgument, fmt::format("--end is '{}'; it must be a time such as "
                                                   "2026-11-21T10:00:00Z",
                                                   options.end))
              .error());
    end = *given;
  }
  auto database = open_configured_database(config);
  if (!database) return refuse(database.error());
  const auto log = write_log(config, options, end, **database);
  if (!log) return refuse(log.error());

  // A gateway on the same folder carries the log into the database, as it does with its own.
  const auto gateway = GatewayClient::connect(
      common, {.url = {}, .api_key = {}, .adjust = [&](ServerConfig& settings) {
                 settings.gateway.app.data_dir = config.app.data_dir;
                 settings.gateway.app.mock = true;
                 settings.gateway.tracking.log_dir = config.tracking.log_dir;
                 settings.gateway.governance.audit_storage_dir =
                     config.governance.audit_storage_dir;
                 settings.identity.auth_required = loaded.identity.auth_required;
               }});
  if (!gateway) return refuse(gateway.error());
  const bool open =
      !loaded.identity.auth_required && options.org == identity::Principal::kDefaultOrg;
  if (open) {
    if (auto made = govern(**gateway, options, log->cost()); !made) return refuse(made.error());
  }
  const bool terminal = ::isatty(STDERR_FILENO) == 1;
  std::int64_t before = -1;
  for (int still = 0; still < 300;) {
    const auto rows = count_rows(**database);
    if (!rows) return refuse(rows.error());
    if (terminal) fmt::print(stderr, "\r{} of {} events in the database", *rows, log->events());
    if (*rows >= log->events()) break;
    still = *rows > before ? 0 : still + 1;
    before = *rows;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  if (terminal) fmt::print(stderr, "\n");
  fmt::print("{} invented events of {} days in {}: ${:.2f} spent, ${:.2f} saved\n", log->events(),
             options.days, config.app.data_dir, log->cost().dollars(), log->savings().dollars());
  if (open) {
    fmt::print("A policy and four API keys were made for the organisation {}.\n", options.org);
  } else {
    fmt::print(
        "No policy and no keys were made: that needs an open gateway and the "
        "organisation {}.\n",
        identity::Principal::kDefaultOrg);
  }
  fmt::print("Look at them: asahi serve --mock, then http://localhost:{}/\n", config.api.port);
  return kExitOk;
}

}  // namespace

void add_demo(CLI::App& app, CommonOptions& common, Command& chosen) {
  auto options = std::make_shared<DemoOptions>();
  CLI::App* command = app.add_subcommand(
      "demo", "Fill an empty data folder with a month of invented traffic, for every chart");
  add_common(*command, common);
  command->add_option("--events", options->events, "How many")
      ->capture_default_str()
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{100'000'000}));
  command->add_option("--days", options->days, "Of so many days")
      ->capture_default_str()
      ->check(CLI::Range(1, 3650));
  command->add_option("--seed", options->seed, "The same seed, end and models: the same events")
      ->capture_default_str();
  command->add_option("--end", options->end, "When the last day ends (default: now), UTC");
  command->add_option("--org", options->org, "Whose traffic it is")->capture_default_str();
  command->add_flag("--force", options->force,
                    "Also where there are events already; there is no way back");
  command->footer(
      "Nothing is sent anywhere. Example:\n"
      "  ASAHI_DATA_DIR=demo asahi demo && ASAHI_DATA_DIR=demo asahi serve --mock");
  command->callback([&common, &chosen, options] {
    chosen = [&common, options] { return fill(common, *options); };
  });
}

}  // namespace asahi::server
