#include <fmt/format.h>
#include <unistd.h>

#include "base/log.h"
#include "server/app.h"
#include "server/commands/commands.h"
#include "server/commands/daemon.h"
#include "server/memory.h"

namespace asahi::server {
namespace {

/// Where a newcomer goes next; on stderr, so that stdout stays one JSON object a line.
void greet(const gateway::GatewayConfig& config, std::uint16_t port) {
  fmt::print(
      stderr,
      "\n  Asahi {} is ready{}\n\n"
      "    dashboard   http://localhost:{}/\n"
      "    API docs    http://localhost:{}/docs\n"
      "    metrics     http://localhost:{}/metrics\n\n"
      "    curl http://localhost:{}/v1/chat/completions -H 'content-type: application/json' \\\n"
      "      -d '{{\"model\":\"auto\",\"messages\":[{{\"role\":\"user\",\"content\":\"What is a "
      "cache?\"}}]}}'\n\n",
      config.app.version,
      config.app.mock ? " (mock vendor: no key needed, answers are made up)" : "", port, port, port,
      port);
}

int serve(const CommonOptions& common) {
  begin_thrift();
  LoadedConfig loaded = load_config(common);
  if (!loaded.faults.empty()) return print_faults(loaded.faults);
  const gateway::GatewayConfig& config = loaded.gateway;
  const ServiceSignals signals;
  begin_logging(config);
  const Logger logger("server");
  for (const std::string& warning : loaded.warnings) logger.warning(warning);

  auto app = App::start(loaded, App::Listeners::kAsConfigured);
  if (!app) {
    logger.critical("cannot start", {{"error", app.error().message}});
    flush_logging();
    fmt::print(stderr, "asahi: cannot start: {}\n", app.error().message);
    return app.error().code == Errc::kInvalidArgument ? kExitUsage : kExitFailure;
  }
  logger.info("listening", {{"host", config.api.host},
                            {"port", (*app)->port()},
                            {"mock", config.app.mock},
                            {"environment", config.app.environment},
                            {"pid", ::getpid()}});
  greet(config, (*app)->port());
  end_thrift();
  for (;;) {
    const int signal = signals.wait();
    if (signal == SIGHUP) {
      logger.info("reading models and secrets again");
      // What Vault says it says by itself.
      const LoadedConfig fresh = load_config(common, VaultUse::kLeave);
      const bool good =
          !fresh.own_secrets.empty() && (loaded.vault.has_value() || fresh.faults.empty());
      if (!good) logger.error("the settings have faults; the secrets in use stay");
      (*app)->reload(good ? &fresh : nullptr);
      continue;
    }
    logger.info("stopping", {{"signal", signal == SIGTERM ? "SIGTERM" : "SIGINT"}});
    (*app)->stop();
    logger.info("stopped");
    return kExitOk;
  }
}

}  // namespace

void add_common(CLI::App& command, CommonOptions& common) {
  command.add_option("--config", common.config_path, "Configuration file")->capture_default_str();
  command.add_option("--env-file", common.env_path, "File of environment variables")
      ->capture_default_str();
  command.add_flag("--mock", common.mock, "Answer from the built-in vendor: no key, no network");
  command.add_option("--log-level", common.log_level, "DEBUG, INFO, WARNING, ERROR or CRITICAL");
}

void add_serve(CLI::App& app, CommonOptions& common, Command& chosen) {
  for (const auto& [name, about] :
       {std::pair{"serve", "Start every module: gateway, API and dashboard"},
        std::pair{"gateway", "Start the gateway alone"}, std::pair{"api", "The same as gateway"}}) {
    CLI::App* command = app.add_subcommand(name, about);
    add_common(*command, common);
    command->add_option("--host", common.host, "Address to listen on (default 0.0.0.0)");
    command->add_option("--port", common.port, "Port, 0 for any free one (default 8000)")
        ->check(CLI::Range(0, 65535));
    command->add_option("--workers", common.workers, "Event loops, 0 for one per CPU")
        ->check(CLI::Range(0, 1024));
    command->footer(
        "Settings: environment over .env over the configuration file; see "
        "docs/operate/configuration.md.\n"
        "SIGTERM finishes the requests in flight and stops; SIGHUP reads the models file and the "
        "secrets of .env again.");
    command->callback([&] { chosen = [&common] { return serve(common); }; });
  }
}

}  // namespace asahi::server
