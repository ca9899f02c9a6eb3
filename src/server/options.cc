#include "server/options.h"

#include <fmt/format.h>

#include <cstdio>

namespace asahi::server {

LoadedConfig load_config(const CommonOptions& options) {
  LoadedConfig loaded;
  auto sources = config::read_sources(options.config_path, options.env_path);
  if (!sources) {
    loaded.faults.push_back({.path = options.config_path,
                             .value = "",
                             .rule = sources.error().message,
                             .origin = "file"});
    return loaded;
  }
  // The command line is the nearest word: it goes in where the environment stands.
  const auto override_with = [&](const char* name, const std::string& value) {
    sources->environment[name] = value;
  };
  if (options.mock) override_with("ASAHI_MOCK", "true");
  if (!options.host.empty()) override_with("ASAHI_HOST", options.host);
  if (options.port) {
    sources->environment.erase("PORT");
    sources->dotenv.erase("PORT");
    override_with("ASAHI_PORT", std::to_string(*options.port));
  }
  if (options.workers) override_with("ASAHI_WORKERS", std::to_string(*options.workers));
  if (!options.log_level.empty()) override_with("LOG_LEVEL", options.log_level);
  config::Binder binder(std::move(*sources));
  gateway::bind(binder, loaded.gateway);
  identity::bind(binder, loaded.identity, loaded.gateway.app.environment);
  loaded.faults = binder.finish();
  loaded.warnings = binder.warnings();
  loaded.effective = binder.effective();
  return loaded;
}

void write_aside(gateway::GatewayConfig& config) {
  config.app.data_dir += "/cli";
  config.tracking.log_dir = config.app.data_dir + "/logs";
  config.governance.audit_storage_dir = config.app.data_dir + "/audit";
}

int print_faults(const std::vector<config::Fault>& faults) {
  fmt::print(stderr, "the configuration has {} fault{}:\n", faults.size(),
             faults.size() == 1 ? "" : "s");
  for (const config::Fault& fault : faults) {
    fmt::print(stderr, "  {} = '{}' {} ({})\n", fault.path, fault.value, fault.rule, fault.origin);
  }
  return kExitUsage;
}

}  // namespace asahi::server
