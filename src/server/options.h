#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/config/loader.h"
#include "gateway/config.h"
#include "identity/config.h"
#include "identity/secrets/secret_source.h"
#include "identity/secrets/vault.h"
#include "memory/config.h"

namespace asahi::server {

/// What every subcommand may say over the configuration files.
struct CommonOptions {
  std::string config_path = "config/config.yaml";
  std::string env_path = ".env";
  bool mock = false;
  std::string host;  ///< empty: as configured
  std::optional<int> port;
  std::optional<int> workers;
  std::string log_level;
  /// Further variables that the command line stands above, by their names.
  std::map<std::string, std::string, std::less<>> variables;
};

/// The settings of every module.
struct ServerConfig {
  gateway::GatewayConfig gateway;
  identity::Config identity;
  memory::MemoryConfig memory;
  /// Where further secrets come from while the process runs; empty: nowhere.
  std::optional<identity::VaultOptions> vault;
  /// What environment and .env say of the secrets that may change while the process runs, by the
  /// name of their variable; empty: not set. The settings above have Vault's where it has any.
  identity::SecretSource::Values own_secrets;
  /// Every setting as it holds, with where it came from; secrets hidden.
  std::vector<config::Binder::Effective> effective;
};

/// The configuration as this process will use it, with what is wrong with it.
struct LoadedConfig : ServerConfig {
  std::vector<config::Fault> faults;
  std::vector<std::string> warnings;
};
enum class VaultUse {
  kRead,   ///< what Vault holds counts more than environment and .env
  kLeave,  ///< for commands that use none of its secrets
};
LoadedConfig load_config(const CommonOptions& options, VaultUse use = VaultUse::kRead);

/// Where the data folder belongs, whatever lies in the project: the folder that is named, else what
/// AKOSHA_ENV says (auto, where it is not set). Errors: invalid_argument.
Result<std::string> data_folder_outside(const CommonOptions& options);

/// Moves everything that a process writes to a folder of its own below the configured one: a
/// command must not touch the files of a server that runs.
void write_aside(ServerConfig& settings);

/// Prints every fault with path, value, rule and origin to stderr; the exit code for a bad
/// configuration.
int print_faults(const std::vector<config::Fault>& faults);

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailure = 1;
inline constexpr int kExitUsage = 2;

}  // namespace asahi::server
