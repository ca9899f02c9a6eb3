#include "server/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "server/data_folder.h"
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

Surroundings surroundings(const config::Sources& sources) {
  return {.variable = [&sources](std::string_view name) { return own_variable(sources, name); },
          .in_container = runs_in_container(""),
          .holds_data = holds_data};
}

/// The data folder that somebody named; the one of nobody, which the file that is shipped has too,
/// counts as such in a variable only.
std::optional<std::string> named_data_folder(const config::Sources& sources) {
  for (const char* variable : {"ASAHI_DATA_DIR", "ASAHI_APP_DATA_DIR"}) {
    if (auto named = own_variable(sources, variable)) return named;
  }
  std::string folder(kProjectData);
  config::Binder(sources).section("app").value("data_dir", folder);
  return folder == kProjectData ? std::nullopt : std::optional(folder);
}

/// Where AKOSHA_ENV says; nothing: it says nothing, or the folder has a name.
std::optional<DataFolder> take_data_folder(config::Sources& sources, LoadedConfig& loaded) {
  const auto word = own_variable(sources, "AKOSHA_ENV");
  if (!word || named_data_folder(sources)) return std::nullopt;
  auto folder = choose_data_folder(*word, surroundings(sources));
  if (!folder) {
    loaded.faults.push_back({.path = "AKOSHA_ENV",
                             .value = *word,
                             .rule = folder.error().message,
                             .origin = "environment"});
    return std::nullopt;
  }
  sources.environment["ASAHI_DATA_DIR"] = folder->path;
  return std::move(*folder);
}

}  // namespace

Result<std::string> data_folder_outside(const CommonOptions& options) {
  ASAHI_TRY(const config::Sources sources,
            config::read_sources(options.config_path, options.env_path));
  if (auto named = named_data_folder(sources)) return std::move(*named);
  ASAHI_TRY(const DataFolder folder,
            choose_data_folder(own_variable(sources, "AKOSHA_ENV").value_or("auto"),
                               surroundings(sources)));
  return folder.rule_path;
}

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
  const std::optional<DataFolder> folder = take_data_folder(*sources, loaded);
  if (!loaded.faults.empty()) return loaded;
  config::Binder binder(*sources);
  gateway::bind(binder, loaded.gateway);
  identity::bind(binder, loaded.identity, loaded.gateway.app.environment);
  loaded.memory.environment = loaded.gateway.app.environment;
  memory::bind(binder, loaded.memory, loaded.gateway.app.data_dir);
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
  if (folder)
    loaded.warnings.insert(loaded.warnings.end(), folder->warnings.begin(), folder->warnings.end());
  loaded.gateway.app.config_warnings = loaded.warnings.size();
  loaded.effective = binder.effective();
  if (folder) {
    const auto chosen =
        std::ranges::find(loaded.effective, "app.data_dir", &config::Binder::Effective::path);
    if (chosen != loaded.effective.end()) chosen->origin = folder->origin;
  }
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
