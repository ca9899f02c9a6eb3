// How much the learned router saves on labelled rows that it has not seen, and what a decision
// costs. Rows: *_dev.jsonl files of {prompt, weak_correct, strong_correct}; nothing learned here is
// kept.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iostream>

#include "base/json.h"
#include "gateway/config.h"
#include "gateway/routing/learned/learned_router.h"
#include "gateway/routing/learned/trainer.h"

namespace {

namespace learned = asahi::gateway::learned;
namespace json = asahi::json;

constexpr double kGoal = 0.30;
constexpr double kMostMicroseconds = 20;

struct Measured {
  std::string name;
  learned::Evaluation mean;  // of all seeds
  double spread = 0;         // of `saved`, lowest to highest
  double p50_us = 0, p99_us = 0;
};

/// Time of one decision, features and both heads, in microseconds.
void time_decisions(const std::vector<learned::Row>& rows, learned::Model model, Measured& out) {
  model.weak = "weak";
  model.strong = "strong";
  const learned::LearnedRouter router(asahi::gateway::LearnedConfig{}, std::move(model));
  std::vector<double> times;
  double sum = 0;
  for (const auto& row : rows) {
    const auto start = std::chrono::steady_clock::now();
    sum += router.judge(row.prompt).gain;
    times.push_back(
        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start)
            .count());
  }
  if (!(sum > -1e9)) std::abort();  // the decisions must be made
  std::ranges::sort(times);
  out.p50_us = times[times.size() / 2];
  out.p99_us = times[times.size() * 99 / 100];
}

asahi::Result<Measured> measure(const std::string& name, const std::string& file, int seeds) {
  ASAHI_TRY(const auto rows, learned::read_rows(file));
  Measured out{.name = name, .mean = {}};
  double lowest = 1, highest = -1;
  for (int seed = 1; seed <= seeds; ++seed) {
    learned::TrainOptions options;
    options.seed = static_cast<std::uint64_t>(seed);
    ASAHI_TRY(auto trained, learned::train(rows, options));
    const learned::Evaluation& e = trained.evaluation;
    const double part = 1.0 / seeds;
    out.mean.rows = e.rows;
    out.mean.weak_accuracy = e.weak_accuracy;
    out.mean.strong_accuracy = e.strong_accuracy;
    out.mean.random_share = e.random_share;
    out.mean.share += part * e.share;
    out.mean.held_share += part * e.held_share;
    out.mean.held_accuracy += part * e.held_accuracy;
    out.mean.recovered += part * e.recovered;
    lowest = std::min(lowest, e.saved());
    highest = std::max(highest, e.saved());
    if (seed == 1) time_decisions(rows, std::move(trained.model), out);
  }
  out.spread = highest - lowest;
  return out;
}

json::object as_json(const Measured& m) {
  return {{"set", m.name},
          {"rows", m.mean.rows},
          {"weak_accuracy", m.mean.weak_accuracy},
          {"strong_accuracy", m.mean.strong_accuracy},
          {"random_share", m.mean.random_share},
          {"share", m.mean.share},
          {"saved", m.mean.saved()},
          {"saved_spread", m.spread},
          {"held_share", m.mean.held_share},
          {"held_accuracy", m.mean.held_accuracy},
          {"held_saved", m.mean.held_saved()},
          {"gap_recovered", m.mean.recovered},
          {"decision_p50_us", m.p50_us},
          {"decision_p99_us", m.p99_us}};
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Learned routing on rows held out, against a router that picks at random"};
  const char* set = std::getenv("ASAHI_EVAL_DATA");
  std::string data = set != nullptr ? set : "../shared/data";
  int seeds = 3;
  bool only_json = false;
  app.add_option("--data", data, "Folder with router_*_dev.jsonl (or ASAHI_EVAL_DATA)");
  app.add_option("--seeds", seeds, "Cross-validations with different folds")
      ->check(CLI::Range(1, 50));
  app.add_flag("--json", only_json, "Print JSON only");
  CLI11_PARSE(app, argc, argv);

  json::array all;
  if (!only_json) {
    fmt::print("5 folds, {} seeds; strong calls for 95 % of the strong model's accuracy\n\n",
               seeds);
    fmt::print(
        "| Set | Rows | Weak, strong right | Random | Router | Fewer (goal {:.0f} %) | "
        "Threshold held out: calls, right, fewer | Decision p50, p99 (goal {:.0f} µs) |\n"
        "|---|---|---|---|---|---|---|---|\n",
        kGoal * 100, kMostMicroseconds);
  }
  for (const char* name : {"gsm8k", "mmlu"}) {
    const std::string file = fmt::format("{}/router_{}_dev.jsonl", data, name);
    if (!std::filesystem::exists(file)) {
      fmt::print(stderr, "skipped: {} is missing (set ASAHI_EVAL_DATA)\n", file);
      continue;
    }
    const auto m = measure(name, file, seeds);
    if (!m) {
      fmt::print(stderr, "bench_router: {}\n", m.error().message);
      return 1;
    }
    all.push_back(as_json(*m));
    if (only_json) continue;
    const learned::Evaluation& e = m->mean;
    fmt::print(
        "| {} | {} | {:.1f} %, {:.1f} % | {:.1f} % | {:.1f} % | {:.1f} % (spread {:.1f}) | "
        "{:.1f} %, {:.1f} %, {:.1f} % | {:.1f} µs, {:.1f} µs |\n",
        m->name, e.rows, e.weak_accuracy * 100, e.strong_accuracy * 100, e.random_share * 100,
        e.share * 100, e.saved() * 100, m->spread * 100, e.held_share * 100, e.held_accuracy * 100,
        e.held_saved() * 100, m->p50_us, m->p99_us);
  }
  if (!only_json) fmt::print("\n");
  std::cout << std::flush;
  fmt::print("{}\n", json::serialize(all));
  return 0;
}
