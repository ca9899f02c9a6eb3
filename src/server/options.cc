#include "server/options.h"

#include <fmt/format.h>

#include <cstdio>

#include "server/secret_parts.h"

namespace asahi::server {
namespace {

using Variables = std::map<std::string, std::string, std::less<>>;

/// A variable of the process or of .env; an empty one counts as not set.
std::optional<std::string> own_variable(const config::Sources& sources, std::string_view name) {
  for (const Variables* variables : {&sources.environment, &sources.dotenv}) {
    const auto found = variables->find(name);
    if (found != variables->end() && !found->second.empty()) return found->second;
  }
  return std::nullopt;
}

/// Reads Vault where it is configured, so that any variable may stand there.
void take_vault(config::Sources& sources, LoadedConfig& loaded) {
  auto options = identity::VaultOptions::from(
      [&sources](std::string_view name) { return own_variable(sources, name); });
  const auto refuse = [&](const Error& error) {
    loaded.faults.push_back(
        {.path = error.field.empty() ? "VAULT_ADDR" : error.field,
         .value = error.field.empty() ? own_variable(sources, "VAULT_ADDR").value_or("") : "",
         .rule = error.message,
         .origin = "environment"});
  };
  if (!options) return refuse(options.error());
  if (!*options) return;
  auto values = read_vault(**options);
  if (!values) return refuse(values.error());
  for (const auto& [name, value] : *values) sources.vault[name] = value.reveal();
  loaded.vault = std::move(*options);
}

}  // namespace

LoadedConfig load_config(const CommonOptions& options, VaultUse use) {
  LoadedConfig loaded;
  auto sources = config::read_sources(options.config_path, options.env_path);
  if (!sources) {
    loaded.faults.push_back({.path = options.config_path,
                             .value = "",
                             .rule = sources.error().message,
                             .origin = "file"});
    return loaded;
  }
  if (use == VaultUse::kRead) take_vault(*sources, loaded);
  if (!loaded.faults.empty()) return loaded;
  // The command line is the nearest word: it goes in where the environment stands.
  const auto override_with = [&](const char* name, const std::string& value) {
    sources->vault.erase(name);
    sources->environment[name] = value;
  };
  if (options.mock) override_with("ASAHI_MOCK", "true");
  if (!options.host.empty()) override_with("ASAHI_HOST", options.host);
  if (options.port) {
    sources->vault.erase("PORT");
    sources->environment.erase("PORT");
    sources->dotenv.erase("PORT");
    override_with("ASAHI_PORT", std::to_string(*options.port));
  }
  if (options.workers) override_with("ASAHI_WORKERS", std::to_string(*options.workers));
  if (!options.log_level.empty()) override_with("LOG_LEVEL", options.log_level);
  for (const auto& [name, value] : options.variables) override_with(name.c_str(), value);
  config::Binder binder(*sources);
  gateway::bind(binder, loaded.gateway);
  identity::bind(binder, loaded.identity, loaded.gateway.app.environment);
  memory::bind(binder, loaded.memory, loaded.gateway.app.data_dir);
  loaded.memory.environment = loaded.gateway.app.environment;
  for (const std::string& name : live_secrets(loaded))
    loaded.own_secrets[name] = Secret(own_variable(*sources, name).value_or(""));
  if (Secret& secret = loaded.own_secrets[std::string(kJwtSecret)]; secret.empty())
    secret = Secret(own_variable(*sources, "AKOSHA_JWT_SECRET").value_or(""));
  for (const char* name :
       {"VAULT_ADDR", "VAULT_PATH", "VAULT_TOKEN", "VAULT_ROLE", "VAULT_NAMESPACE", "VAULT_CACERT",
        "ASAHI_VAULT_KUBERNETES_MOUNT", "ASAHI_VAULT_JWT_FILE", "ASAHI_VAULT_REFRESH_SECONDS"}) {
    // Read above; here they become known.
    (void)binder.environment(name);
  }
  // Of the commands that talk to a gateway that runs; no setting of one.
  (void)binder.environment("ASAHI_API_KEY");
  loaded.faults = binder.finish();
  loaded.warnings = binder.warnings();
  loaded.gateway.app.config_warnings = loaded.warnings.size();
  loaded.effective = binder.effective();
  return loaded;
}

void write_aside(ServerConfig& settings) {
  gateway::GatewayConfig& config = settings.gateway;
  settings.memory.hot.path = ":memory:";
  settings.memory.warm.path = ":memory:";
  settings.memory.cold.enabled = false;
  settings.memory.ingestion.bucket.clear();
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
