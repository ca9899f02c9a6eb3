#include <fmt/format.h>
#include <unistd.h>

#include "base/clock.h"
#include "memory/wiring/hot_nodes.h"
#include "net/loop.h"
#include "server/commands/memory_ops.h"
#include "server/commands/memory_server.h"

namespace asahi::server {
namespace {

int rebalance(const CommonOptions& common, bool dry_run) {
  const LoadedConfig config = load_config(common);
  if (!config.faults.empty()) return print_faults(config.faults);
  const bool shows = ::isatty(2) != 0;
  net::LoopPool loops(1);
  loops.start();
  const auto done = memory::rebalance_hot(
      config.memory, loops, system_clock(), dry_run, [shows](const memory::Rebalanced& sum) {
        if (shows) fmt::print(stderr, "\r\x1b[K{} memories moved", sum.moved + sum.known);
      });
  loops.stop();
  if (shows && !dry_run) fmt::print(stderr, "\r\x1b[K");
  if (!done) return refuse_memory(done.error());
  if (dry_run) {
    fmt::print("{} memories of {} shards lie on hot stores that are not theirs\n", done->moved,
               done->shards);
    return kExitOk;
  }
  fmt::print(
      "{} memories of {} shards moved; {} were there already, {} changed meanwhile\n"
      "every hot store has its own: AKOSHA_HOT_URL_PREVIOUS is not needed any more\n",
      done->moved, done->shards, done->known, done->changed);
  return kExitOk;
}

}  // namespace

void add_memory_rebalance(CLI::App& memory, CommonOptions& common, Command& chosen) {
  auto dry_run = std::make_shared<bool>(false);
  CLI::App* sub = memory.add_subcommand(
      "rebalance", "Move memories to the hot stores of AKOSHA_HOT_URL that should have them");
  add_common(*sub, common);
  sub->add_flag("--dry-run", *dry_run, "Only count what would move");
  sub->callback([&common, &chosen, dry_run] {
    chosen = [&common, dry_run] { return rebalance(common, *dry_run); };
  });
  sub->footer(
      "It asks the stores of AKOSHA_HOT_URL and AKOSHA_HOT_URL_PREVIOUS with "
      "AKOSHA_STORE_SECRET, and can be stopped and started again at any time.");
}

}  // namespace asahi::server
