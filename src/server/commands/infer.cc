#include <fmt/format.h>

#include "server/commands/client.h"
#include "server/commands/commands.h"

namespace asahi::server {
namespace {

struct InferOptions {
  std::string prompt, mode, model, url;
  std::optional<double> quality;
  std::optional<int> latency, max_tokens;
};

int infer(const CommonOptions& common, const InferOptions& options) {
  auto gateway = GatewayClient::connect(common, options.url);
  if (!gateway) {
    fmt::print(stderr, "asahi infer: {}\n", gateway.error().message);
    return gateway.error().code == Errc::kInvalidArgument ? kExitUsage : kExitFailure;
  }
  json::object body{{"prompt", options.prompt}};
  if (options.quality) body["quality_threshold"] = *options.quality;
  if (options.latency) body["latency_budget_ms"] = *options.latency;
  if (options.max_tokens) body["max_tokens"] = *options.max_tokens;
  if (!options.mode.empty()) body["routing_mode"] = options.mode;
  if (!options.model.empty()) body["model_override"] = options.model;
  auto answer = (*gateway)->call_json(http::Method::kPost, "/infer", json::serialize(body));
  if (!answer) {
    fmt::print(stderr, "asahi infer: {}\n", answer.error().message);
    return kExitFailure;
  }
  fmt::print("{}\n", json::serialize(*answer));
  return kExitOk;
}

}  // namespace

void add_infer(CLI::App& app, CommonOptions& common, Command& chosen) {
  auto options = std::make_shared<InferOptions>();
  CLI::App* command = app.add_subcommand("infer", "Send one prompt and print the reply as JSON");
  add_common(*command, common);
  command->add_option("--prompt", options->prompt, "What to ask")->required();
  command->add_option("--quality", options->quality, "Least quality, 0 to 5")
      ->check(CLI::Range(0.0, 5.0));
  command->add_option("--latency", options->latency, "Latency budget in ms, 50 to 30000")
      ->check(CLI::Range(50, 30'000));
  command->add_option("--max-tokens", options->max_tokens, "Longest answer")
      ->check(CLI::Range(1, 128'000));
  command->add_option("--mode", options->mode, "autopilot, guided or explicit");
  command->add_option("--model", options->model, "Model to use (explicit mode)");
  command->add_option("--url", options->url,
                      "A running gateway; without it one is started for this call");
  command->footer("Example: asahi infer --mock --prompt 'What is a cache?' --quality 4");
  command->callback([&common, &chosen, options] {
    chosen = [&common, options] { return infer(common, *options); };
  });
}

}  // namespace asahi::server
