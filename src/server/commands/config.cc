#include <fmt/format.h>

#include "server/commands/commands.h"

namespace asahi::server {
namespace {

int check(const CommonOptions& common, bool print) {
  const LoadedConfig loaded = load_config(common);
  if (print) {
    for (const auto& [path, value, origin, help] : loaded.effective) {
      fmt::print("{:45} = {:40}  # {}\n", path, value, origin);
    }
  }
  for (const std::string& warning : loaded.warnings) fmt::print(stderr, "warning: {}\n", warning);
  if (!loaded.faults.empty()) return print_faults(loaded.faults);
  fmt::print(stderr, "the configuration is good\n");
  return kExitOk;
}

}  // namespace

void add_config(CLI::App& app, CommonOptions& common, Command& chosen) {
  auto print = std::make_shared<bool>(false);
  auto validate = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand(
      "config", "Check the configuration; every fault is listed with path, value and rule");
  add_common(*command, common);
  command->add_flag("--validate", *validate, "Check (the default)");
  command->add_flag("--print", *print,
                    "Also print every effective value and where it came from; secrets hidden");
  command->footer("Exit code 2 when there are faults.");
  command->callback([&common, &chosen, print, validate] {
    chosen = [&common, print] { return check(common, *print); };
  });
}

}  // namespace asahi::server
