#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include "base/hash.h"
#include "base/ids.h"
#include "base/log.h"
#include "memory/wiring/roles.h"
#include "server/commands/client.h"
#include "server/commands/commands.h"
#include "server/commands/daemon.h"
#include "server/memory.h"
#include "server/memory_process.h"

namespace asahi::server {
namespace {

struct Mode {
  std::string_view name, needs, listens, credentials, caches;
};
/// Spec §7; files are kept in both (docs/operate/memory-roles.md).
constexpr std::array<Mode, 2> kModes = {{
    {"lite", "nothing", "127.0.0.1", "as configured", "in the process"},
    {"standard", "Redis and a bucket, each with a fallback", "0.0.0.0", "needed",
     "in the process and in Redis"},
}};

struct RoleOptions {
  std::string component, mode, host, instance_id, url;
  std::optional<int> port;
  bool verbose = false;
  bool once = false;
};

/// What the command line says, as the variables that say the same.
CommonOptions with_options(const CommonOptions& common, const RoleOptions& options) {
  CommonOptions all = common;
  const auto say = [&](const char* name, const std::string& value) {
    if (!value.empty()) all.variables[name] = value;
  };
  say("AKOSHA_COMPONENT", options.component);
  say("AKOSHA_MODE", options.mode);
  say("AKOSHA_HOST", options.host);
  say("AKOSHA_INSTANCE_ID", options.instance_id);
  if (options.port) say("AKOSHA_API_PORT", std::to_string(*options.port));
  if (options.verbose) all.log_level = "DEBUG";
  return all;
}

/// Nobody has said whether callers need a credential.
bool says_nothing_of_credentials(const LoadedConfig& loaded) {
  return std::ranges::none_of(loaded.effective, [](const config::Binder::Effective& setting) {
    return (setting.path == "governance.auth_api_key_required" ||
            setting.path == "security.api_key_required") &&
           setting.origin != "default";
  });
}

LoadedConfig load_role(const CommonOptions& common, const RoleOptions& options) {
  CommonOptions all = with_options(common, options);
  LoadedConfig loaded = load_config(all);
  if (loaded.memory.mode != "standard" || !says_nothing_of_credentials(loaded)) return loaded;
  all.variables["AKOSHA_AUTH_ENABLED"] = "true";
  return load_config(all);
}

const memory::Role& role_in(const LoadedConfig& loaded) {
  const auto component = memory::parse_component(loaded.memory.component);
  return memory::role_of(component.value_or(memory::Component::kAll));
}

int unknown_mode(const std::string& mode) {
  std::string valid;
  for (const Mode& known : kModes)
    valid += fmt::format("{}{}", valid.empty() ? "" : ", ", known.name);
  fmt::print(stderr, "akosha: unknown mode '{}'; valid modes: {}\n", mode, valid);
  return kExitFailure;
}

/// A signal ends it at once: a run may end anywhere, the next one goes on.
int age_once(const LoadedConfig& loaded) {
  begin_logging(loaded.gateway);
  const auto aged = MemoryProcess::age_once(loaded);
  flush_logging();
  if (aged) return kExitOk;
  fmt::print(stderr, "akosha: {}\n", aged.error().message);
  return aged.error().code == Errc::kInvalidArgument ? kExitUsage : kExitFailure;
}

int start(const CommonOptions& common, const RoleOptions& options) {
  if (!options.mode.empty() && std::ranges::find(kModes, options.mode, &Mode::name) == kModes.end())
    return unknown_mode(options.mode);
  begin_thrift();
  const LoadedConfig loaded = load_role(common, options);
  if (!loaded.faults.empty()) return print_faults(loaded.faults);
  if (options.once) return age_once(loaded);
  const ServiceSignals signals;
  begin_logging(loaded.gateway);
  const Logger logger("server");
  for (const std::string& warning : loaded.warnings) logger.warning(warning);
  auto process = MemoryProcess::start(loaded);
  if (!process) {
    const Error& error = process.error();
    const std::string what =
        error.field.empty() ? error.message : fmt::format("{}: {}", error.field, error.message);
    logger.critical("cannot start", {{"error", what}});
    flush_logging();
    fmt::print(stderr, "akosha: cannot start: {}\n", what);
    return error.code == Errc::kInvalidArgument ? kExitUsage : kExitFailure;
  }
  logger.info("listening", {{"component", loaded.memory.component},
                            {"mode", loaded.memory.mode},
                            {"host", loaded.memory.api.host},
                            {"port", (*process)->port()},
                            {"metrics_port", (*process)->metrics_port()},
                            {"instance", loaded.memory.instance_id},
                            {"pid", ::getpid()}});
  end_thrift();
  for (;;) {
    const int signal = signals.wait();
    if (signal == SIGHUP) {
      logger.warning("settings of the memory are read at its start only; restart it");
      continue;
    }
    logger.info("stopping", {{"signal", signal == SIGTERM ? "SIGTERM" : "SIGINT"}});
    (*process)->stop();
    logger.info("stopped");
    return kExitOk;
  }
}

int version(const CommonOptions&, const RoleOptions&) {
  fmt::print("akosha {}\n", ASAHI_VERSION);
  return kExitOk;
}

/// Where a folder comes from: its own setting, or the one above it.
std::string origin_of(const LoadedConfig& loaded, std::string_view path, std::string_view above) {
  const auto found = std::ranges::find(loaded.effective, path, &config::Binder::Effective::path);
  if (found != loaded.effective.end() && found->origin != "default") return found->origin;
  return above.empty() ? "default" : fmt::format("below {}", above);
}

void print_paths(const LoadedConfig& loaded) {
  const memory::MemoryConfig& config = loaded.memory;
  const bool postgres = config.hot.backend == "pgvector";
  struct Row {
    std::string_view name, path, setting, above;
  };
  const Row rows[] = {
      {"data folder", loaded.gateway.app.data_dir, "app.data_dir", ""},
      {"memory", config.data_path, "memory.data_path", "app.data_dir"},
      {"hot and log", postgres ? "(in PostgreSQL)" : std::string_view(config.hot.path),
       postgres ? "memory.hot.backend" : "memory.hot.path", "memory.data_path"},
      {"warm", config.warm.path, "memory.warm.path", "memory.data_path"},
      {"cold", config.cold.path, "memory.cold.path", "memory.data_path"},
      {"models", config.embedding.model_path, "memory.embedding.model_path", "memory.data_path"},
      {"backups", config.backup.bucket, "memory.backup.bucket", "memory.data_path"},
  };
  fmt::print("paths\n");
  for (const Row& row : rows) {
    fmt::print("  {:<12}{}  ({})\n", row.name, row.path, origin_of(loaded, row.setting, row.above));
  }
}

int info(const CommonOptions& common, const RoleOptions& options) {
  const LoadedConfig loaded = load_role(common, options);
  if (!loaded.faults.empty()) return print_faults(loaded.faults);
  const memory::Role& role = role_in(loaded);
  const bool postgres = loaded.gateway.database.url.starts_with("postgres");
  fmt::print(
      "akosha {}\n"
      "component     {}: {}\n"
      "mode          {}\n"
      "vector_db     asahi-hnsw (in process, int8 codes, float32 rescoring)\n"
      "graph_db      {}\n"
      "analytics     {}\n"
      "alerting      prometheus rules (deploy/prometheus)\n"
      "ledger        {}\n"
      "hot store     {}\n",
      ASAHI_VERSION, role.name, role.about, loaded.memory.mode, postgres ? "postgresql" : "sqlite",
      postgres ? "postgresql" : "sqlite", postgres ? "postgresql" : "sqlite",
      role.keeps_store || role.component == memory::Component::kAll ? loaded.memory.hot.path
                                                                    : loaded.memory.stores.hot_url);
  print_paths(loaded);
  for (const std::string& warning : loaded.warnings) fmt::print(stderr, "warning: {}\n", warning);
  return kExitOk;
}

int modes(const CommonOptions&, const RoleOptions&) {
  fmt::print("{:<10}{:<44}{:<12}{:<15}{}\n", "mode", "needs", "listens on", "credentials",
             "caches");
  for (const Mode& mode : kModes) {
    fmt::print("{:<10}{:<44}{:<12}{:<15}{}\n", mode.name, mode.needs, mode.listens,
               mode.credentials, mode.caches);
  }
  return kExitOk;
}

/// A GET of the process that runs here as configured, or at --url.
Result<http::ClientResponse> ask(const CommonOptions& common, const RoleOptions& options,
                                 const std::string& path) {
  std::string url = options.url;
  if (url.empty()) {
    const LoadedConfig loaded = load_role(common, options);
    const memory::Role& role = role_in(loaded);
    const std::uint16_t own = role.api_port != 0 ? role.api_port : role.metrics_port;
    url = fmt::format("http{}://127.0.0.1:{}",
                      loaded.memory.api.tls_certificate_file.empty() ? "" : "s",
                      loaded.memory.api.port > 0 ? loaded.memory.api.port : own);
  }
  ASAHI_TRY(const auto client, GatewayClient::connect(common, url));
  return client->call(http::Method::kGet, path, "");
}

int healthcheck(const CommonOptions& common, const RoleOptions& options) {
  const auto ready = ask(common, options, "/ready");
  if (!ready || ready->status != 200) {
    fmt::print(stderr, "not ready: {}\n", ready ? ready->body : ready.error().message);
    return kExitFailure;
  }
  fmt::print("ready\n");
  return kExitOk;
}

int metrics(const CommonOptions& common, const RoleOptions& options) {
  const auto shown = ask(common, options, "/metrics");
  if (!shown || shown->status != 200) {
    fmt::print(stderr, "akosha metrics: {}\n", shown ? shown->body : shown.error().message);
    return kExitFailure;
  }
  fmt::print("{}", shown->body);
  return kExitOk;
}

int generate_secret(const CommonOptions&, const RoleOptions&) {
  std::array<char, 32> bytes{};
  random_bytes(bytes.data(), bytes.size());
  fmt::print("{}\n", base64url_encode({bytes.data(), bytes.size()}));
  return kExitOk;
}

using Work = int (*)(const CommonOptions&, const RoleOptions&);

void add_role_options(CLI::App& command, CommonOptions& common, RoleOptions& options) {
  add_common(command, common);
  command.add_option("--component", options.component, "Role: " + memory::component_names());
  command.add_option("--mode", options.mode, "lite (default) or standard");
  command.add_option("--host", options.host, "Address to listen on (default: by mode)");
  command.add_option("--port", options.port, "Port, 0 for any free one (default: the role's)")
      ->check(CLI::Range(0, 65535));
  command.add_option("--workers", common.workers, "Event loops, 0 for one per CPU")
      ->check(CLI::Range(0, 1024));
  command.add_option("--instance-id", options.instance_id, "Name of this process in the ledger");
  command.add_flag("--verbose", options.verbose, "Log at DEBUG");
  command.add_flag("--once", options.once,
                   "As aging_service: move what is old now, then end (for a job that runs by a "
                   "clock of its own)");
}

}  // namespace

void add_memory_roles(CLI::App& memory, CommonOptions& common, Command& chosen) {
  auto options = std::make_shared<RoleOptions>();
  const auto choose = [&common, &chosen, options](Work work) {
    return [&common, &chosen, options, work] {
      chosen = [&common, options, work] { return work(common, *options); };
    };
  };
  add_role_options(memory, common, *options);
  // The words behind it choose for themselves.
  memory.callback([&memory, alone = choose(start)] {
    if (memory.get_subcommands().empty()) alone();
  });
  const auto add = [&](CLI::App& to, const char* name, const char* about, Work work) {
    CLI::App* sub = to.add_subcommand(name, about);
    sub->callback(choose(work));
    return sub;
  };
  add_role_options(
      *add(memory, "start", "Start the memory, or the role that --component names", start), common,
      *options);
  CLI::App* mcp = memory.get_subcommand("mcp");
  add_role_options(*add(*mcp, "start", "The same as memory start, with MCP at /mcp", start), common,
                   *options);
  add(memory, "version", "Print the version", version);
  add_role_options(*add(memory, "info", "Print the role and what it works with", info), common,
                   *options);
  add(memory, "modes", "Print what the modes mean", modes);
  for (const auto& [name, about, work] :
       {std::tuple{"healthcheck", "Exit 0 when the process is ready, 1 when not", &healthcheck},
        std::tuple{"metrics", "Print the metrics of the process that runs", &metrics}}) {
    CLI::App* sub = add(memory, name, about, work);
    add_role_options(*sub, common, *options);
    sub->add_option("--url", options->url, "The process (default: on this machine, as configured)");
  }
  CLI::App* secrets = memory.add_subcommand("secrets", "Secrets that processes share");
  secrets->require_subcommand(1);
  add(*secrets, "generate",
      "Print 32 random bytes as URL-safe base64, e.g. for AKOSHA_STORE_SECRET", generate_secret);
}

}  // namespace asahi::server
