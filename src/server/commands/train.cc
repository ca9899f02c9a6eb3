#include <fmt/format.h>

#include "base/clock.h"
#include "gateway/routing/learned/trainer.h"
#include "server/commands/commands.h"

namespace asahi::server {
namespace {

namespace learned = gateway::learned;

struct TrainingOptions {
  std::string data, out, weak, strong;
  learned::TrainOptions training;
};

void print_evaluation(const learned::Evaluation& e) {
  fmt::print("rows {}: the weak model is right in {:.1f} %, the strong one in {:.1f} %\n", e.rows,
             e.weak_accuracy * 100, e.strong_accuracy * 100);
  fmt::print("on rows held out, 95 % of the strong model's accuracy takes\n");
  fmt::print("  {:5.1f} % strong calls with this router ({:.1f} % fewer than at random)\n",
             e.share * 100, e.saved() * 100);
  fmt::print("  {:5.1f} % at random\n", e.random_share * 100);
  fmt::print(
      "with a threshold chosen on other rows: {:.1f} % strong calls, {:.1f} % right ({:.1f} % "
      "fewer "
      "calls than at random)\n",
      e.held_share * 100, e.held_accuracy * 100, e.held_saved() * 100);
}

int train_router(const CommonOptions& common, TrainingOptions options) {
  LoadedConfig loaded = load_config(common, VaultUse::kLeave);
  if (!loaded.faults.empty()) return print_faults(loaded.faults);
  const auto failed = [](const Error& error) {
    fmt::print(stderr, "asahi train-router: {}\n", error.message);
    return kExitFailure;
  };
  if (options.weak == options.strong) {
    return failed(
        fail(Errc::kInvalidArgument,
             fmt::format("--weak and --strong are both {}; name two models", options.weak))
            .error());
  }
  if (options.out.empty()) options.out = loaded.gateway.routing.learned.file;
  // Told before the rows are read and learned from, which takes minutes.
  if (auto writable = learned::Model::check_writable(options.out); !writable)
    return failed(writable.error());
  const auto rows = learned::read_rows(options.data);
  if (!rows) return failed(rows.error());
  auto trained = learned::train(*rows, options.training);
  if (!trained) return failed(trained.error());
  print_evaluation(trained->evaluation);
  trained->model.weak = options.weak;
  trained->model.strong = options.strong;
  trained->model.trained_at = format_rfc3339(system_clock().now());
  if (auto saved = trained->model.save(options.out); !saved) return failed(saved.error());
  fmt::print("written to {}; used with routing.strategy: learned\n", options.out);
  return kExitOk;
}

}  // namespace

void add_train(CLI::App& app, CommonOptions& common, Command& chosen) {
  auto options = std::make_shared<TrainingOptions>();
  CLI::App* command = app.add_subcommand(
      "train-router", "Train the learned router on labelled prompts (routing.strategy: learned)");
  add_common(*command, common);
  command
      ->add_option(
          "--data", options->data,
          "JSON lines of {\"prompt\": …, \"weak_correct\": bool, \"strong_correct\": bool}")
      ->required();
  command->add_option("--weak", options->weak, "The cheaper model, as GET /models names it")
      ->required();
  command->add_option("--strong", options->strong, "The better model")->required();
  command->add_option("--out", options->out, "File to write (default: routing.learned.file)");
  command->add_option("--folds", options->training.folds, "Parts for cross-validation")
      ->check(CLI::Range(2, 20))
      ->capture_default_str();
  command->add_option("--seed", options->training.seed, "Order of the rows")->capture_default_str();
  command->callback([&common, &chosen, options] {
    chosen = [&common, options] { return train_router(common, *options); };
  });
}

}  // namespace asahi::server
