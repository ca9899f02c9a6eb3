#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>

#include "base/file.h"
#include "gateway/cache/semantic/tuner.h"
#include "gateway/cache/semantic/verifier.h"
#include "gateway/cache/semantic_tier.h"
#include "llm/embed/text_embedder.h"
#include "llm/embed/words.h"
#include "net/blocking.h"
#include "server/commands/commands.h"
#include "server/commands/threshold_labels.h"

namespace asahi::server {
namespace {

namespace semantic = gateway::semantic;

struct TuneOptions {
  std::string labels, write, sensitivity = "high", embedder;
  double beta = 0.5;
};

struct TaskScores {
  std::vector<semantic::LabelledScore> pairs;
  std::vector<bool> verified;  ///< of each pair: the verifier has nothing against it
};
using Scores = std::map<std::string, TaskScores>;

/// The embedder of the settings, with what it stands on.
struct Embedding {
  net::LoopPool loops{1};
  net::PerLoop<http::Client> clients{
      loops,
      [](net::Loop& loop) { return std::make_unique<http::Client>(loop, http::ClientOptions{}); }};
  const Clock& clock = system_clock();
  std::unique_ptr<gateway::VendorSet> vendors;
  std::unique_ptr<llm::TextEmbedder> embedder;

  ~Embedding() { loops.stop(); }
};

Result<std::unique_ptr<Embedding>> open_embedding(const gateway::GatewayConfig& config) {
  auto made = std::make_unique<Embedding>();
  ASAHI_TRY(made->vendors,
            gateway::VendorSet::make({.vendors = gateway::vendor_settings(config.providers),
                                      .mock = config.app.mock,
                                      .mock_seed = static_cast<std::uint64_t>(config.app.mock_seed),
                                      .mock_answers = {}},
                                     made->clients, made->clock));
  ASAHI_TRY(made->embedder, gateway::make_text_embedder(config.embeddings, *made->vendors));
  made->loops.start();
  return made;
}

/// How alike the embedder finds each pair, by task, and what the verifier says.
Result<Scores> score(const std::vector<LabelledPair>& pairs, Embedding& embedding) {
  constexpr std::size_t kBatch = 64;
  net::LoopPool& loops = embedding.loops;
  llm::TextEmbedder& embedder = *embedding.embedder;
  Result<Scores> scores = Scores{};
  for (std::size_t begin = 0; begin < pairs.size() && scores; begin += kBatch) {
    const std::size_t end = std::min(begin + kBatch, pairs.size());
    std::vector<std::string> texts;
    for (std::size_t i = begin; i < end; ++i) {
      texts.push_back(pairs[i].a);
      texts.push_back(pairs[i].b);
    }
    using Vectors = Result<std::vector<llm::Embedded>>;
    const Vectors vectors = net::run_sync<Vectors>(loops.at(0), [&]() -> Aw<Vectors> {
      llm::CallContext context;
      context.deadline = std::chrono::steady_clock::now() + std::chrono::minutes(5);
      co_return co_await embedder.embed(texts, llm::EmbedPurpose::kQuery, context);
    });
    if (!vectors) {
      scores = std::unexpected(vectors.error());
      break;
    }
    for (std::size_t i = begin; i < end; ++i) {
      const llm::Embedded& a = (*vectors)[2 * (i - begin)];
      const llm::Embedded& b = (*vectors)[2 * (i - begin) + 1];
      const double similarity = a.traits->similarity(llm::cosine(*a.vector, *b.vector));
      const auto compared =
          semantic::compare(llm::text::analyse(pairs[i].a), llm::text::analyse(pairs[i].b));
      TaskScores& task = (*scores)[pairs[i].task];
      task.pairs.push_back({similarity, pairs[i].same});
      task.verified.push_back(compared.verdict == semantic::Verdict::kSame);
    }
  }
  return scores;
}

enum class Filter { kThreshold, kAndVerifier };

/// What a threshold does to these pairs.
semantic::TunedThreshold effect(const TaskScores& task, double threshold, double beta,
                                Filter filter) {
  double hits = 0, right = 0, all = 0;
  for (std::size_t i = 0; i < task.pairs.size(); ++i) {
    const semantic::LabelledScore& pair = task.pairs[i];
    all += pair.same ? 1 : 0;
    if (pair.score < threshold || (filter == Filter::kAndVerifier && !task.verified[i])) continue;
    hits += 1;
    right += pair.same ? 1 : 0;
  }
  semantic::TunedThreshold out{.threshold = threshold,
                               .f = 0,
                               .precision = hits > 0 ? right / hits : 0,
                               .recall = all > 0 ? right / all : 0};
  const double weight = beta * beta;
  if (out.precision + out.recall > 0)
    out.f = (1 + weight) * out.precision * out.recall / (weight * out.precision + out.recall);
  return out;
}

int tune(const CommonOptions& common, const TuneOptions& options) {
  const auto refuse = [](const Error& error) {
    fmt::print(stderr, "asahi tune-thresholds: {}\n", error.message);
    return error.code == Errc::kInvalidArgument ? kExitUsage : kExitFailure;
  };
  LoadedConfig loaded = load_config(common, VaultUse::kLeave);
  if (!loaded.faults.empty()) return print_faults(loaded.faults);
  gateway::EmbeddingsConfig& embeddings = loaded.gateway.embeddings;
  if (!options.embedder.empty()) embeddings.provider = options.embedder;
  if (embeddings.provider != "local" && embeddings.provider != "onnx") {
    // Its key may lie in Vault.
    const std::string provider = embeddings.provider;
    loaded = load_config(common);
    if (!loaded.faults.empty()) return print_faults(loaded.faults);
    loaded.gateway.embeddings.provider = provider;
  }
  std::ifstream in(options.labels);
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  if (!in.is_open() || in.bad())
    return refuse(fail(Errc::kNotFound, fmt::format("cannot read {}", options.labels)).error());
  const auto pairs = read_labels(text, options.labels);
  if (!pairs) return refuse(pairs.error());
  const auto embedding = open_embedding(loaded.gateway);
  if (!embedding) return refuse(embedding.error());
  const auto scores = score(*pairs, **embedding);
  if (!scores) return refuse(scores.error());

  const semantic::ThresholdTuner today;
  const auto sensitivity = *semantic::parse_sensitivity(options.sensitivity);
  fmt::print("{} pairs, embedder {}, F with beta {}\n\n", pairs->size(),
             (*embedding)->embedder->traits().tag, options.beta);
  fmt::print("{:20} {:>6} {:>6}  {:8} {:>9} {:>9} {:>9} {:>9}   {}\n", "task", "pairs", "same", "",
             "threshold", "precision", "recall", "F", "with verifier: precision, recall");
  std::string snippet = "tasks:\n";
  std::size_t tuned = 0;
  for (const auto& [task, rows] : *scores) {
    const auto show = [&options, &rows](std::string_view name, double threshold) {
      const auto alone = effect(rows, threshold, options.beta, Filter::kThreshold);
      const auto both = effect(rows, threshold, options.beta, Filter::kAndVerifier);
      fmt::print("{:8} {:>9.4f} {:>9.4f} {:>9.4f} {:>9.4f}   {:>9.4f} {:>9.4f}\n", name, threshold,
                 alone.precision, alone.recall, alone.f, both.precision, both.recall);
    };
    const auto same = std::ranges::count(rows.pairs, true, &semantic::LabelledScore::same);
    fmt::print("{:20} {:>6} {:>6}  ", task, rows.pairs.size(), same);
    show("today", today.threshold(task, sensitivity));
    fmt::print("{:34}  ", "");
    if (same == 0 || same == std::ssize(rows.pairs)) {
      fmt::print("not tuned: pairs of both labels are needed\n");
      continue;
    }
    // Rounded down, so that the pair that marks it stays in; beyond four digits is noise.
    const double best = std::clamp(
        std::floor(semantic::tune_threshold(rows.pairs, options.beta).threshold * 10'000) / 10'000,
        0.0, 1.0);
    show("best", best);
    if (rows.pairs.size() < 50)
      fmt::print("{:34}  only {} pairs: more would make this trustworthy\n", "", rows.pairs.size());
    snippet += fmt::format("  {}:\n    semantic_threshold: {:.4f}\n", task, best);
    ++tuned;
  }
  if (tuned == 0) {
    fmt::print(stderr,
               "asahi tune-thresholds: no task has pairs of both labels; nothing is tuned\n");
    return kExitFailure;
  }
  fmt::print("\n{}", snippet);
  if (!options.write.empty()) {
    if (auto written = replace_file(options.write, snippet, 0644); !written)
      return refuse(written.error());
    fmt::print(stderr, "written to {}\n", options.write);
  }
  return kExitOk;
}

}  // namespace

void add_tune(CLI::App& app, CommonOptions& common, Command& chosen) {
  auto options = std::make_shared<TuneOptions>();
  CLI::App* command = app.add_subcommand(
      "tune-thresholds", "Find the similarity thresholds of the semantic cache on labelled pairs");
  add_common(*command, common);
  command
      ->add_option("--labels", options->labels,
                   "JSON lines of {\"a\": …, \"b\": …, \"same\": bool, \"task\": …}")
      ->required();
  command
      ->add_option("--beta", options->beta,
                   "Weight of recall against precision; 0.5 minds wrong hits twice as much as "
                   "missed ones")
      ->capture_default_str()
      ->check(CLI::Range(0.05, 5.0));
  command
      ->add_option("--embedder", options->embedder,
                   "Who makes the vectors; without it embeddings.provider of the settings")
      ->check(CLI::IsMember({"local", "cohere", "openai", "ollama", "onnx", "mock"}));
  command->add_option("--sensitivity", options->sensitivity, "Row to tune: high, medium or low")
      ->capture_default_str()
      ->check(CLI::IsMember({"high", "medium", "low"}));
  command->add_option("--write", options->write, "Also write the YAML to this file");
  command->footer(
      "Example: asahi tune-thresholds --labels pairs.jsonl --write thresholds.yaml\n"
      "The threshold is the first filter only: the verifier and the error bound decide after it.");
  command->callback([&common, &chosen, options] {
    chosen = [&common, options] { return tune(common, *options); };
  });
}

}  // namespace asahi::server
