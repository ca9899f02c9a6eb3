// How much the learned router saves on labelled rows that it has not seen, and what a decision
// costs. Rows: *_dev.jsonl files of {prompt, weak_correct, strong_correct}; nothing learned here is
// kept.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <random>

#include "base/json.h"
#include "gateway/config.h"
#include "gateway/routing/learned/learned_router.h"
#include "gateway/routing/learned/trainer.h"

namespace {

namespace learned = asahi::gateway::learned;
namespace json = asahi::json;

constexpr double kGoal = 0.30;
constexpr double kKept = 0.95;
constexpr double kMostMicroseconds = 20;

struct Measured {
  std::string name;
  learned::Evaluation mean;        // of all seeds
  double lowest = 1, highest = 0;  // `saved`, of the seeds
  double low = 0, high = 0;        // `saved`, 90 % of 400 draws of the rows with replacement
  double p50_us = 0, p99_us = 0;
};

/// Time of one decision, features and all predictors, in microseconds: for each prompt the best of
/// five, because what other programs take is not the decision's.
void time_decisions(const std::vector<learned::Row>& rows, learned::Model model, Measured& out) {
  model.weak = "weak";
  model.strong = "strong";
  const learned::LearnedRouter router(asahi::gateway::LearnedConfig{}, std::move(model));
  std::vector<double> times(rows.size(), 1e9);
  double sum = 0;
  for (int round = 0; round < 5; ++round) {
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto start = std::chrono::steady_clock::now();
      sum += router.judge(rows[i].prompt).gain;
      const auto took = std::chrono::steady_clock::now() - start;
      times[i] = std::min(times[i], std::chrono::duration<double, std::micro>(took).count());
    }
  }
  if (!(sum > -1e9)) std::abort();  // the decisions must be made
  std::ranges::sort(times);
  out.p50_us = times[times.size() / 2];
  out.p99_us = times[times.size() * 99 / 100];
}

/// How far `saved` depends on which rows happen to be in the set: the mean of all seeds' gains on
/// rows drawn again.
void draw_again(const std::vector<learned::Row>& rows,
                const std::vector<std::vector<double>>& gains, Measured& out) {
  constexpr std::size_t kDraws = 400;
  std::mt19937_64 random(1);
  std::vector<double> found;
  std::vector<learned::Row> drawn(rows.size());
  std::vector<std::size_t> from(rows.size());
  std::vector<double> gain(rows.size());
  for (std::size_t draw = 0; draw < kDraws; ++draw) {
    for (std::size_t i = 0; i < rows.size(); ++i) {
      from[i] = random() % rows.size();
      drawn[i].weak_correct = rows[from[i]].weak_correct;
      drawn[i].strong_correct = rows[from[i]].strong_correct;
    }
    const double at_random = learned::random_share_needed(drawn, kKept);
    const auto& seen = gains[draw % gains.size()];
    for (std::size_t i = 0; i < rows.size(); ++i) gain[i] = seen[from[i]];
    if (at_random > 0) found.push_back(1 - learned::share_needed(drawn, gain, kKept) / at_random);
  }
  std::ranges::sort(found);
  if (found.empty()) return;
  out.low = found[found.size() / 20];
  out.high = found[found.size() - 1 - found.size() / 20];
}

struct Set {
  std::string name;
  std::vector<learned::Row> rows;
};

/// The first set is what is trained on; the others are its parts, judged by the same router.
asahi::Result<std::vector<Measured>> measure(const Set& whole, const std::vector<Set>& parts,
                                             const learned::TrainOptions& given, int seeds) {
  std::vector<Measured> out(1 + parts.size());
  std::vector<std::vector<std::vector<double>>> gains(out.size());
  for (int seed = 1; seed <= seeds; ++seed) {
    learned::TrainOptions options = given;
    options.seed = static_cast<std::uint64_t>(seed);
    ASAHI_TRY(auto trained, learned::train(whole.rows, options));
    const double part = 1.0 / seeds;
    const auto add = [&](Measured& m, const learned::Evaluation& e) {
      m.mean.rows = e.rows;
      m.mean.weak_accuracy = e.weak_accuracy;
      m.mean.strong_accuracy = e.strong_accuracy;
      m.mean.random_share = e.random_share;
      m.mean.share += part * e.share;
      m.mean.held_share += part * e.held_share;
      m.mean.held_accuracy += part * e.held_accuracy;
      m.mean.recovered += part * e.recovered;
      m.lowest = std::min(m.lowest, e.saved());
      m.highest = std::max(m.highest, e.saved());
    };
    add(out[0], trained.evaluation);
    gains[0].push_back(trained.held_gain);
    std::size_t from = 0;
    for (std::size_t k = 0; k < parts.size(); ++k) {
      const auto& rows = parts[k].rows;
      const auto first = trained.held_gain.begin() + static_cast<std::ptrdiff_t>(from);
      gains[k + 1].emplace_back(first, first + static_cast<std::ptrdiff_t>(rows.size()));
      from += rows.size();
      add(out[k + 1], learned::evaluate(rows, gains[k + 1].back()));
    }
    if (seed == 1) time_decisions(whole.rows, std::move(trained.model), out[0]);
  }
  out[0].name = whole.name;
  draw_again(whole.rows, gains[0], out[0]);
  for (std::size_t k = 0; k < parts.size(); ++k) {
    out[k + 1].name = fmt::format("{} by the router of {}", parts[k].name, whole.name);
    draw_again(parts[k].rows, gains[k + 1], out[k + 1]);
  }
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
          {"saved_lowest_seed", m.lowest},
          {"saved_highest_seed", m.highest},
          {"saved_low", m.low},
          {"saved_high", m.high},
          {"held_share", m.mean.held_share},
          {"held_accuracy", m.mean.held_accuracy},
          {"held_saved", m.mean.held_saved()},
          {"gap_recovered", m.mean.recovered},
          {"decision_p50_us", m.p50_us},
          {"decision_p99_us", m.p99_us}};
}

/// Trains on all rows of each set and judges rows of the same name in another folder.
asahi::Result<void> judge_others(const std::vector<Set>& sets, const std::string& folder,
                                 const learned::TrainOptions& options) {
  for (const Set& set : sets) {
    ASAHI_TRY(const auto trained, learned::train(set.rows, options));
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
      const std::string name = entry.path().filename().string();
      if (!name.starts_with(fmt::format("router_{}_", set.name)) || !name.ends_with(".jsonl"))
        continue;
      ASAHI_TRY(const auto rows, learned::read_rows(entry.path().string()));
      std::vector<double> gain;
      const double threshold = trained.model.threshold(kKept, 0);
      double calls = 0, right = 0;
      for (const learned::Row& row : rows) {
        learned::Features features;
        learned::read_features(row.prompt, features);
        gain.push_back(trained.model.judge(features).gain());
        const bool strong = gain.back() >= threshold;
        calls += strong ? 1 : 0;
        right += (strong ? row.strong_correct : row.weak_correct) ? 1 : 0;
      }
      learned::Evaluation e = learned::evaluate(rows, gain);
      e.held_share = calls / static_cast<double>(rows.size());
      e.held_accuracy = right / static_cast<double>(rows.size());
      fmt::print(
          "{}: {} rows; strong calls {:.1f} %, at random {:.1f} %: {:.1f} % fewer; with the "
          "trained "
          "threshold {:.1f} % calls, {:.1f} % right, {:.1f} % fewer\n",
          name, rows.size(), e.share * 100, e.random_share * 100, e.saved() * 100,
          e.held_share * 100, e.held_accuracy * 100, e.held_saved() * 100);
    }
    if (error) {
      return asahi::fail(asahi::Errc::kNotFound,
                         fmt::format("{} cannot be read: {}", folder, error.message()));
    }
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Learned routing on rows held out, against a router that picks at random"};
  const char* folder = std::getenv("ASAHI_EVAL_DATA");
  std::string data = folder != nullptr ? folder : "../shared/data";
  std::string judge;
  std::vector<std::string> names{"gsm8k", "mmlu"};
  int seeds = 3;
  learned::TrainOptions options;
  options.folds = 10;
  bool only_json = false;
  app.add_option("--data", data, "Folder with router_NAME_dev.jsonl (or ASAHI_EVAL_DATA)");
  app.add_option("--sets", names, "NAMEs; of several, all rows together are a set of their own")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--seeds", seeds, "Cross-validations with different folds")
      ->check(CLI::Range(1, 50))
      ->capture_default_str();
  app.add_option("--folds", options.folds,
                 "Parts of the rows, each judged by a router of the others")
      ->check(CLI::Range(2, 20))
      ->capture_default_str();
  app.add_option(
      "--judge", judge,
      "Folder with router_NAME_*.jsonl that a router trained on all rows of --data judges");
  app.add_flag("--json", only_json, "Print JSON only");
  CLI11_PARSE(app, argc, argv);

  const auto failed = [](const asahi::Error& error) {
    fmt::print(stderr, "bench_router: {}\n", error.message);
    return 1;
  };
  std::vector<Set> sets;
  for (const std::string& name : names) {
    const std::string file = fmt::format("{}/router_{}_dev.jsonl", data, name);
    if (!std::filesystem::exists(file)) {
      fmt::print(stderr, "skipped: {} is missing (set ASAHI_EVAL_DATA)\n", file);
      continue;
    }
    auto rows = learned::read_rows(file);
    if (!rows) return failed(rows.error());
    sets.push_back({name, std::move(*rows)});
  }
  if (sets.empty()) return 0;
  if (!judge.empty()) {
    const auto judged = judge_others(sets, judge, options);
    return judged ? 0 : failed(judged.error());
  }

  json::array all;
  if (!only_json) {
    fmt::print("{} folds, {} seeds; strong calls for 95 % of the strong model's accuracy\n\n",
               options.folds, seeds);
    fmt::print(
        "| Set | Rows | Weak, strong right | Random | Router | Fewer (goal {:.0f} %) | Seeds | "
        "90 % of draws | Threshold held out: calls, right, fewer | Decision p50, p99 (goal {:.0f} "
        "µs) |\n|---|---|---|---|---|---|---|---|---|---|\n",
        kGoal * 100, kMostMicroseconds);
  }
  const auto show = [&](const Set& whole, const std::vector<Set>& parts) -> asahi::Result<void> {
    ASAHI_TRY(const auto measured, measure(whole, parts, options, seeds));
    for (const Measured& m : measured) {
      all.push_back(as_json(m));
      if (only_json) continue;
      const learned::Evaluation& e = m.mean;
      fmt::print(
          "| {} | {} | {:.1f} %, {:.1f} % | {:.1f} % | {:.1f} % | **{:.1f} %** | {:.1f} to {:.1f} "
          "| "
          "{:.0f} to {:.0f} | ",
          m.name, e.rows, e.weak_accuracy * 100, e.strong_accuracy * 100, e.random_share * 100,
          e.share * 100, e.saved() * 100, m.lowest * 100, m.highest * 100, m.low * 100,
          m.high * 100);
      if (m.p50_us > 0) {
        fmt::print("{:.1f} %, {:.1f} %, {:.1f} % | {:.1f} µs, {:.1f} µs |\n", e.held_share * 100,
                   e.held_accuracy * 100, e.held_saved() * 100, m.p50_us, m.p99_us);
      } else {
        fmt::print("| |\n");
      }
      std::cout << std::flush;
    }
    return {};
  };
  for (const Set& set : sets) {
    if (const auto shown = show(set, {}); !shown) return failed(shown.error());
  }
  if (sets.size() > 1) {
    Set together{.name = "all together", .rows = {}};
    for (const Set& set : sets)
      together.rows.insert(together.rows.end(), set.rows.begin(), set.rows.end());
    if (const auto shown = show(together, sets); !shown) return failed(shown.error());
  }
  if (!only_json) fmt::print("\n");
  std::cout << std::flush;
  fmt::print("{}\n", json::serialize(all));
  return 0;
}
