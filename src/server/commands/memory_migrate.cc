#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "server/commands/memory_ops.h"
#include "server/commands/memory_server.h"
#include "server/move/data_move.h"

namespace asahi::server {
namespace {

struct MigrateOptions {
  std::string from, to;
  bool dry_run = false;
  bool yes = false;
};

constexpr std::size_t kShown = 20;

Result<std::string> target_of(const CommonOptions& common, const MigrateOptions& options) {
  if (!options.to.empty()) return options.to;
  return data_folder_outside(common);
}

bool asks(const std::string& question) {
  fmt::print("{} [y/N] ", question);
  std::fflush(stdout);
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

void print_skipped(const DataMove& move) {
  if (move.skipped.empty()) return;
  fmt::print("{} files stay in {}, because {} has their like:\n", move.skipped.size(), move.from,
             move.to);
  for (std::size_t i = 0; i < std::min(kShown, move.skipped.size()); ++i)
    fmt::print("  {}\n", move.skipped[i]);
  if (move.skipped.size() > kShown) fmt::print("  …\n");
}

/// Whether it may begin; the exit code otherwise.
std::optional<int> agreed(const MigrateOptions& options, const std::string& question) {
  if (options.yes) return std::nullopt;
  if (::isatty(STDIN_FILENO) == 0) {
    fmt::print(stderr, "asahi memory: {}: nobody can be asked here; say --yes\n", question);
    return kExitUsage;
  }
  if (asks(question)) return std::nullopt;
  fmt::print("nothing was moved\n");
  return kExitFailure;
}

int migrate(const CommonOptions& common, const MigrateOptions& options) {
  const auto to = target_of(common, options);
  if (!to) return refuse_memory(to.error());
  const auto plan = plan_data_move(options.from, *to);
  if (!plan) return refuse_memory(plan.error());
  const bool goes_on = !plan->started_at.empty();
  fmt::print("{}{} files, {} bytes\n  from {}\n  to   {}\n", goes_on ? "goes on: " : "",
             plan->files.size(), plan->bytes, plan->from, plan->to);
  print_skipped(*plan);
  if (options.dry_run) {
    fmt::print("dry run: nothing was moved\n");
    return kExitOk;
  }
  if (const auto refused = agreed(options, "move them"); refused) return *refused;
  const auto moved = move_data(options.from, *to, system_clock());
  if (!moved) return refuse_memory(moved.error());
  fmt::print("moved; every copy was read again and compared\n");
  if (const auto found = load_config(common, VaultUse::kLeave); found.gateway.app.data_dir != *to) {
    fmt::print("servers find it there with ASAHI_DATA_DIR={}{}\n", moved->to,
               options.to.empty() ? " or AKOSHA_ENV=auto" : "");
  }
  return kExitOk;
}

int status(const CommonOptions& common, const MigrateOptions& options) {
  const auto to = target_of(common, options);
  if (!to) return refuse_memory(to.error());
  auto move = data_move_of(*to);
  if (move && !*move) move = data_move_of(options.from);
  if (!move) return refuse_memory(move.error());
  if (!*move) {
    fmt::print("nothing was moved from {} or into {}\n", options.from, *to);
    return kExitOk;
  }
  // The folder that was left has no lists.
  if ((*move)->left) {
    if (auto whole = data_move_of((*move)->to); whole && *whole) move = std::move(whole);
  }
  const DataMove& found = **move;
  fmt::print("state    {}\nfrom     {}\nto       {}\nfiles    {}\nbytes    {}\nskipped  {}\n",
             to_string(found.phase), found.from, found.to, found.files.size(), found.bytes,
             found.skipped.size());
  fmt::print("started  {}\nended    {}\n", found.started_at,
             found.ended_at.empty() ? "not yet: run the command again" : found.ended_at);
  return kExitOk;
}

int roll_back(const CommonOptions& common, const MigrateOptions& options) {
  const auto to = target_of(common, options);
  if (!to) return refuse_memory(to.error());
  const auto move = data_move_of(*to);
  if (!move) return refuse_memory(move.error());
  if (*move && !(*move)->left) {
    fmt::print("back\n  from {}\n  to   {}\n", (*move)->to, (*move)->from);
    if (const auto refused = agreed(options, "move it back"); refused) return *refused;
  }
  const auto back = roll_back_data(*to, system_clock());
  if (!back) return refuse_memory(back.error());
  fmt::print("moved back: {} files\n", back->files.size());
  return kExitOk;
}

}  // namespace

void add_memory_migrate(CLI::App& memory, CommonOptions& common, Command& chosen) {
  auto options = std::make_shared<MigrateOptions>();
  options->from = "./data";
  CLI::App* command =
      memory.add_subcommand("migrate", "Move the data folder out of the project, or back");
  command->require_subcommand(1);
  const auto add = [&](const char* name, const char* about,
                       int (*work)(const CommonOptions&, const MigrateOptions&)) {
    CLI::App* sub = command->add_subcommand(name, about);
    add_common(*sub, common);
    sub->add_option(
        "--to-path", options->to,
        "The folder outside (default: ASAHI_DATA_DIR, else by AKOSHA_ENV or what auto says)");
    sub->callback([&common, &chosen, options, work] {
      chosen = [&common, options, work] { return work(common, *options); };
    });
    return sub;
  };
  CLI::App* data = add("data", "Move it: copied and compared first, then removed", migrate);
  CLI::App* shown = add("status", "How far a move is", status);
  CLI::App* back = add("rollback", "Undo a move, finished or not", roll_back);
  for (CLI::App* sub : {data, shown}) {
    sub->add_option("--from-path", options->from, "The folder in the project")
        ->capture_default_str();
  }
  data->add_flag("--dry-run", options->dry_run, "Only say what would be moved");
  for (CLI::App* sub : {data, back}) sub->add_flag("--yes,-y", options->yes, "Do not ask");
  command->footer(
      "Servers on either folder must be stopped. Cut at any moment, the same command goes on.");
}

}  // namespace asahi::server
