#include <fmt/format.h>

#include <iostream>

#include "base/log.h"
#include "identity/audit/cli.h"
#include "identity/principal.h"
#include "server/app.h"
#include "server/commands/commands.h"
#include "server/identity_parts.h"

namespace asahi::server {
namespace {

/// Opens what `work` needs: the database and the secret that heads are signed with.
int with_database(const CommonOptions& common,
                  const std::function<int(sql::Database&, const std::string& head_key)>& work) {
  const LoadedConfig loaded = load_config(common);
  if (!loaded.faults.empty()) return print_faults(loaded.faults);
  configure_logging({.level = LogLevel::kWarning, .format = LogFormat::kText, .descriptor = 2});
  auto database = open_configured_database(loaded.gateway);
  if (!database) {
    fmt::print(stderr, "asahi audit: {}\n", database.error().message);
    return kExitFailure;
  }
  const auto options = audit_options(loaded);
  if (!options) {
    fmt::print(stderr, "asahi audit: {}\n", options.error().message);
    return kExitFailure;
  }
  return work(**database, options->head_key);
}

}  // namespace

void add_audit(CLI::App& app, CommonOptions& common, Command& chosen) {
  auto org = std::make_shared<std::string>(identity::Principal::kDefaultOrg);
  CLI::App* command = app.add_subcommand("audit", "Prove that the audit log is whole");
  command->require_subcommand(1);
  CLI::App* verify = command->add_subcommand(
      "verify", "Follow an organisation's hash chain; exit code 1 names the first bad entry");
  add_common(*verify, common);
  verify->add_option("--org", *org, "Organisation")->capture_default_str();
  verify->callback([&common, &chosen, org] {
    chosen = [&common, org] {
      return with_database(common, [&](sql::Database& database, const std::string& key) {
        return identity::run_audit_verify(database, key, *org, std::cout);
      });
    };
  });
}

}  // namespace asahi::server
