#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "server/commands/commands.h"

namespace {

/// The words of the command line. A link called `akosha` is the memory alone (design §2).
std::vector<std::string> words_of(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  if (std::filesystem::path(argv[0]).filename() == "akosha") words.insert(words.begin(), "memory");
  return words;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace asahi::server;
  CLI::App app{
      "Asahi: one server between your applications and the AI world. It caches, routes and prices "
      "LLM calls\n"
      "behind OpenAI- and Anthropic-compatible APIs.\n\n"
      "  asahi serve --mock              start without any key at http://localhost:8000\n"
      "  asahi infer --mock --prompt Hi  one call, as JSON\n"
      "  asahi config --validate         check config/config.yaml, .env and the environment",
      "asahi"};
  app.set_version_flag("--version", std::string("asahi ") + ASAHI_VERSION);
  app.require_subcommand(1);
  app.footer(
      "asahi COMMAND --help explains a command. Exit codes: 0 good, 1 failed, 2 bad usage or "
      "configuration.");
  CommonOptions common;
  Command chosen;
  add_serve(app, common, chosen);
  add_infer(app, common, chosen);
  add_test(app, common, chosen);
  add_benchmark(app, common, chosen);
  add_events(app, common, chosen);
  add_metrics(app, common, chosen);
  add_demo(app, common, chosen);
  add_config(app, common, chosen);
  add_keys(app, common, chosen);
  add_audit(app, common, chosen);
  add_migrate(app, common, chosen);
  add_train(app, common, chosen);
  add_tune(app, common, chosen);
  add_cache(app, common, chosen);
  add_memory(app, common, chosen);
  add_small(app, common, chosen);
  try {
    std::vector<std::string> words = words_of(argc, argv);
    std::ranges::reverse(words);  // as CLI11 wants them
    app.parse(std::move(words));
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  try {
    const int code = chosen();
    asahi::flush_logging();
    return code;
  } catch (const std::exception& error) {
    asahi::flush_logging();
    fmt::print(stderr, "asahi: {}\n", error.what());
    return kExitFailure;
  }
}
