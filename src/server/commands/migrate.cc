#include <fmt/format.h>

#include <charconv>

#include "base/log.h"
#include "server/app.h"
#include "server/commands/commands.h"

namespace asahi::server {
namespace {

int failed(const Error& error) {
  fmt::print(stderr, "asahi migrate: {}\n", error.message);
  return kExitFailure;
}

int migrate(const CommonOptions& common, const std::string& action, const std::string& steps_text) {
  const LoadedConfig loaded = load_config(common);
  if (!loaded.faults.empty()) return print_faults(loaded.faults);
  configure_logging({.level = LogLevel::kWarning, .format = LogFormat::kText, .descriptor = 2});
  auto database = open_configured_database(loaded.gateway);
  if (!database) return failed(database.error());
  sql::Migrator migrator(**database, all_migrations());
  if (action == "status") {
    auto status = migrator.status();
    if (!status) return failed(status.error());
    for (const sql::MigrationStatus& row : *status) {
      fmt::print("{:4}  {:32}  {}{}\n", row.version, row.name,
                 row.applied ? "applied " + row.applied_at : "pending",
                 row.changed ? "  CHANGED since it was applied" : "");
    }
    return kExitOk;
  }
  if (action == "upgrade") {
    auto applied = migrator.upgrade();
    if (!applied) return failed(applied.error());
    fmt::print("{} migration{} applied\n", applied->size(), applied->size() == 1 ? "" : "s");
    return kExitOk;
  }
  // "-1", as the spec writes it, or "1".
  std::string_view digits = steps_text;
  if (digits.starts_with('-')) digits.remove_prefix(1);
  int steps = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), steps);
  if (error != std::errc{} || end != digits.data() + digits.size() || steps < 1) {
    fmt::print(stderr, "asahi migrate downgrade: '{}' is not a number of steps such as -1\n",
               steps_text);
    return kExitUsage;
  }
  auto reverted = migrator.downgrade(steps);
  if (!reverted) return failed(reverted.error());
  fmt::print("{} migration{} reverted\n", reverted->size(), reverted->size() == 1 ? "" : "s");
  return kExitOk;
}

}  // namespace

void add_migrate(CLI::App& app, CommonOptions& common, Command& chosen) {
  auto argument = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand(
      "migrate", "Bring the database schema up to date, back, or show where it stands");
  command->require_subcommand(1);
  command->footer(
      "The database is database.url (DATABASE_URL). Replicas may run this at the same time.");
  const auto add = [&](const char* name, const char* about, bool steps) {
    CLI::App* action = command->add_subcommand(name, about);
    add_common(*action, common);
    if (steps)
      action->allow_extras();
    else
      action->add_option("target", *argument, "head");
    action->callback([&common, &chosen, argument, action, steps, name = std::string(name)] {
      if (steps) *argument = action->remaining().empty() ? "-1" : action->remaining().front();
      chosen = [&common, argument, name] { return migrate(common, name, *argument); };
    });
  };
  add("upgrade", "Apply every pending migration", false);
  add("downgrade", "Revert the newest: downgrade -1", true);
  add("status", "List migrations with their state", false);
}

}  // namespace asahi::server
