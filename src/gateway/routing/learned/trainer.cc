#include "gateway/routing/learned/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>
#include <random>

namespace asahi::gateway::learned {
namespace {

constexpr std::size_t kFewestRows = 200;
constexpr std::size_t kInnerFolds = 4;
constexpr double kCalm = 4'000;
constexpr double kLineShares[] = {0, 0.25, 0.5, 0.75, 1};
constexpr double kUsualShare = 0.75;  // of the line, as long as the rows do not say otherwise
constexpr double kDoubt = 1.5;        // of what they say, falling with the root of their number
constexpr double kLeastSlope = 0.01;  // what knows nothing still ranks

/// A prompt as the heads see it: forms on their scale, words weighted and of length 1.
struct Example {
  std::array<float, Features::kForms> form;
  std::vector<Features::Word> words;
};

class Prepared {
 public:
  explicit Prepared(const std::vector<Row>& rows) {
    features_.resize(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      Features found;
      read_features(rows[i].prompt, found);
      features_[i].form = found.form;
      features_[i].words.assign(found.found().begin(), found.found().end());
    }
  }
  const std::array<float, Features::kForms>& form(std::size_t row) const {
    return features_[row].form;
  }

  /// Scales and word weights from the rows `from` alone: those held out must not be known.
  std::vector<Example> examples(const std::vector<std::size_t>& from, Model& model) const {
    std::array<double, Features::kForms> sum{}, squares{};
    std::vector<std::uint32_t> prompts(Features::kBuckets);
    for (const std::size_t i : from) {
      for (std::size_t f = 0; f < Features::kForms; ++f) {
        const double value = static_cast<double>(features_[i].form[f]);
        sum[f] += value;
        squares[f] += value * value;
      }
      for (const auto& word : features_[i].words) ++prompts[word.bucket];
    }
    const double count = static_cast<double>(from.size());
    for (std::size_t f = 0; f < Features::kForms; ++f) {
      const double mean = sum[f] / count;
      const double deviation = std::sqrt(std::max(0.0, squares[f] / count - mean * mean));
      model.mean[f] = static_cast<float>(mean);
      model.scale[f] = static_cast<float>(deviation > 1e-6 ? 1 / deviation : 0);
    }
    for (std::size_t b = 0; b < prompts.size(); ++b) {
      // A word of a single prompt says nothing about others.
      model.rarity[b] = prompts[b] < 2 ? 0 : static_cast<float>(std::log((count + 1) / prompts[b]));
    }
    std::vector<Example> examples(features_.size());
    for (std::size_t i = 0; i < features_.size(); ++i) {
      float length = 0;
      for (std::size_t f = 0; f < Features::kForms; ++f)
        examples[i].form[f] = model.scaled(f, features_[i].form[f]);
      for (const auto& [bucket, times] : features_[i].words) {
        const float value = times * model.rarity[bucket];
        if (value == 0) continue;
        examples[i].words.push_back({bucket, value});
        length += value * value;
      }
      if (length <= 0) continue;
      for (auto& word : examples[i].words) word.count /= std::sqrt(length);
    }
    return examples;
  }

 private:
  std::vector<Example> features_;
};

double score(const Head& head, const Example& example) {
  float z = head.bias;
  for (std::size_t f = 0; f < Features::kForms; ++f) z += head.form[f] * example.form[f];
  for (const auto& [bucket, value] : example.words) z += head.words[bucket] * value;
  return static_cast<double>(z);
}

void add(Head& sum, const Head& head, float weight) {
  sum.bias += weight * head.bias;
  for (std::size_t f = 0; f < Features::kForms; ++f) sum.form[f] += weight * head.form[f];
  for (std::size_t b = 0; b < Features::kBuckets; ++b) sum.words[b] += weight * head.words[b];
}

/// Logistic regression by AdaGrad with L2; the mean of the weights after each pass, which varies
/// less than the last.
Head fit(const std::vector<Example>& examples, const std::vector<std::size_t>& from,
         const std::vector<bool>& right, const TrainOptions& options) {
  Head head;
  std::vector<float> word_squares(Features::kBuckets, 1e-6F);
  std::array<float, Features::kForms> form_squares;
  form_squares.fill(1e-6F);
  float bias_squares = 1e-6F;
  const auto good = std::ranges::count_if(from, [&](std::size_t i) { return right[i]; });
  const double share =
      std::clamp(static_cast<double>(good) / static_cast<double>(from.size()), 0.001, 0.999);
  head.bias = static_cast<float>(std::log(share / (1 - share)));
  Head mean;
  std::vector<std::size_t> order = from;
  std::mt19937_64 random(options.seed);
  const auto rate = static_cast<float>(options.rate), decay = static_cast<float>(options.decay);
  const auto step = [rate](float& weight, float& squares, float gradient) {
    squares += gradient * gradient;
    weight -= rate * gradient / std::sqrt(squares);
  };
  for (int epoch = 0; epoch < options.epochs; ++epoch) {
    std::ranges::shuffle(order, random);
    for (const std::size_t i : order) {
      const Example& example = examples[i];
      const auto error =
          static_cast<float>(logistic(score(head, example)) - (right[i] ? 1.0 : 0.0));
      for (const auto& [bucket, value] : example.words)
        step(head.words[bucket], word_squares[bucket], error * value + decay * head.words[bucket]);
      for (std::size_t f = 0; f < Features::kForms; ++f)
        step(head.form[f], form_squares[f], error * example.form[f] + 0.1F * decay * head.form[f]);
      step(head.bias, bias_squares, error);
    }
    add(mean, head, 1.0F / static_cast<float>(options.epochs));
  }
  return mean;
}

using Inputs = std::vector<std::vector<float>>;

/// The line takes no counts of single words: with few rows they are noise to it.
std::vector<bool> line_uses() {
  std::vector<bool> used(Model::kTreeInputs, true);
  for (std::size_t f = 0; f < Features::kForms; ++f) used[f] = !Features::is_mark(f);
  return used;
}

/// Mean and deviation of `values` over the rows `of`.
struct Spread {
  double mean = 0, deviation = 0;
};
Spread spread_of(const std::vector<double>& values, const std::vector<std::size_t>& of) {
  Spread spread;
  for (const std::size_t i : of) spread.mean += values[i] / static_cast<double>(of.size());
  for (const std::size_t i : of) {
    const double off = values[i] - spread.mean;
    spread.deviation += off * off / static_cast<double>(of.size());
  }
  spread.deviation = std::max(std::sqrt(spread.deviation), 1e-9);
  return spread;
}

/// The share of what the strong model adds that is had, as a mean over all shares of strong calls.
double recovered(const std::vector<std::size_t>& of, const std::vector<double>& gain,
                 const std::vector<float>& target) {
  double sum = 0, had = 0;
  for (const std::size_t i : by_falling_gain(of, gain)) {
    sum += had;
    had += static_cast<double>(target[i]);
  }
  return sum / (static_cast<double>(of.size()) * std::max(1.0, had));
}

/// Line and trees made into one prediction: what each is multiplied by, and what is added.
struct Blend {
  double line = 0, trees = 0, base = 0;
};
/// From predictions of rows that the predictors had not seen: the shares that rank best, and the
/// scale on which the sum is a gain.
Blend blend_of(const std::vector<double>& line, const std::vector<double>& trees,
               const std::vector<float>& target, const std::vector<std::size_t>& of) {
  const Spread by_line = spread_of(line, of), by_trees = spread_of(trees, of);
  std::vector<double> sum(line.size());
  const auto mix = [&](double share) {
    for (const std::size_t i : of) {
      sum[i] = share * (line[i] - by_line.mean) / by_line.deviation +
               (1 - share) * (trees[i] - by_trees.mean) / by_trees.deviation;
    }
  };
  double best = kUsualShare, most = -1e300;
  for (const double share : kLineShares) {
    mix(share);
    const double found =
        recovered(of, sum, target) -
        kDoubt / std::sqrt(static_cast<double>(of.size())) * std::abs(share - kUsualShare);
    if (found > most) best = share, most = found;
  }
  mix(best);
  double together = 0, squares = 0, mean = 0;
  for (const std::size_t i : of) {
    together += sum[i] * static_cast<double>(target[i]);
    squares += sum[i] * sum[i];
    mean += static_cast<double>(target[i]) / static_cast<double>(of.size());
  }
  const double slope = std::max(squares > 0 ? together / squares : 0, kLeastSlope);
  Blend blend{.line = slope * best / by_line.deviation,
              .trees = slope * (1 - best) / by_trees.deviation};
  blend.base = mean - blend.line * by_line.mean - blend.trees * by_trees.mean;
  return blend;
}

void scale(Trees& trees, double by) {
  trees.base *= static_cast<float>(by);
  for (Tree& tree : trees.trees)
    for (Tree::Node& node : tree.nodes) node.value *= static_cast<float>(by);
}
void scale(Line& line, double by) {
  line.base *= static_cast<float>(by);
  for (float& weight : line.weights) weight *= static_cast<float>(by);
}

/// Two heads, line and trees over them, and what they say of every row.
struct Fitted {
  Head weak, strong;
  Trees trees;
  Line line;
  std::vector<double> gain;
  Spread usual;  ///< of the gain, on rows not seen
};

/// Fits on the rows `from` alone. What line and trees are shown of the heads comes from heads that
/// had not seen the row, as it will be later; so does what their shares are chosen by.
Fitted fit_all(const Prepared& prepared, const std::vector<std::size_t>& from,
               const std::vector<bool>& weak_right, const std::vector<bool>& strong_right,
               const TrainOptions& options, Model& model) {
  const std::vector<Example> examples = prepared.examples(from, model);
  Inputs for_trees(examples.size()), for_line(examples.size());
  const auto show = [&](std::size_t i, const Head& weak, const Head& strong) {
    const auto shown =
        Model::tree_inputs(prepared.form(i), score(weak, examples[i]), score(strong, examples[i]));
    for_trees[i].assign(shown.begin(), shown.end());
    for_line[i] = for_trees[i];
    std::ranges::copy(examples[i].form, for_line[i].begin());
  };
  std::array<std::vector<std::size_t>, kInnerFolds> known, held;
  for (std::size_t k = 0; k < from.size(); ++k)
    for (std::size_t part = 0; part < kInnerFolds; ++part)
      (k % kInnerFolds == part ? held : known)[part].push_back(from[k]);
  std::vector<float> target(examples.size());
  for (const std::size_t i : from)
    target[i] = (strong_right[i] ? 1.0F : 0.0F) - (weak_right[i] ? 1.0F : 0.0F);

  Fitted fitted;
  fitted.weak = fit(examples, from, weak_right, options);
  fitted.strong = fit(examples, from, strong_right, options);
  for (std::size_t i = 0; i < examples.size(); ++i) show(i, fitted.weak, fitted.strong);
  const Inputs trees_as_new = for_trees, line_as_new = for_line;
  for (std::size_t part = 0; part < kInnerFolds; ++part) {
    const Head weak = fit(examples, known[part], weak_right, options);
    const Head strong = fit(examples, known[part], strong_right, options);
    for (const std::size_t i : held[part]) show(i, weak, strong);
  }

  const BoostOptions boosting{.rounds = options.rounds, .seed = options.seed};
  static const std::vector<bool> kUsed = line_uses();
  std::vector<double> by_trees(examples.size()), by_line(examples.size());
  for (std::size_t part = 0; part < kInnerFolds; ++part) {
    const Trees trees = boost(for_trees, target, known[part], boosting);
    const Line line = fit_line(for_line, target, known[part], kUsed, kCalm);
    for (const std::size_t i : held[part]) {
      by_trees[i] = trees.predict(for_trees[i]);
      by_line[i] = line.predict(for_line[i]);
    }
  }
  const Blend blend = blend_of(by_line, by_trees, target, from);
  fitted.gain.resize(examples.size());
  for (const std::size_t i : from)
    fitted.gain[i] = blend.base + blend.line * by_line[i] + blend.trees * by_trees[i];
  fitted.usual = spread_of(fitted.gain, from);

  fitted.trees = boost(for_trees, target, from, boosting);
  fitted.line = fit_line(for_line, target, from, kUsed, kCalm);
  scale(fitted.trees, blend.trees);
  scale(fitted.line, blend.line);
  fitted.line.base += static_cast<float>(blend.base);
  for (std::size_t i = 0; i < examples.size(); ++i)
    fitted.gain[i] = fitted.trees.predict(trees_as_new[i]) + fitted.line.predict(line_as_new[i]);
  return fitted;
}

}  // namespace

Result<std::vector<Row>> read_rows(const std::string& path) {
  std::ifstream in(path);
  if (!in) return fail(Errc::kNotFound, fmt::format("cannot read {}", path));
  std::vector<Row> rows;
  std::string line;
  for (std::size_t number = 1; std::getline(in, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const auto parsed = parse_json(line);
    const json::object* object = parsed ? parsed->if_object() : nullptr;
    const json::value* prompt = object != nullptr ? object->if_contains("prompt") : nullptr;
    const json::value* weak = object != nullptr ? object->if_contains("weak_correct") : nullptr;
    const json::value* strong = object != nullptr ? object->if_contains("strong_correct") : nullptr;
    if (prompt == nullptr || !prompt->is_string() || weak == nullptr || !weak->is_bool() ||
        strong == nullptr || !strong->is_bool()) {
      return fail(Errc::kInvalidArgument,
                  fmt::format("{}:{}: a row must be an object with prompt (text), weak_correct and "
                              "strong_correct (true or false)",
                              path, number));
    }
    rows.push_back({.prompt = std::string(prompt->get_string()),
                    .weak_correct = weak->get_bool(),
                    .strong_correct = strong->get_bool()});
  }
  return rows;
}

Result<Trained> train(const std::vector<Row>& rows, const TrainOptions& options) {
  if (rows.size() < kFewestRows) {
    return fail(Errc::kInvalidArgument,
                fmt::format("there are {} rows; training needs at least {}, and is good from some "
                            "thousand on",
                            rows.size(), kFewestRows));
  }
  std::vector<bool> weak_right(rows.size()), strong_right(rows.size());
  std::size_t weak = 0, strong = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    weak_right[i] = rows[i].weak_correct;
    strong_right[i] = rows[i].strong_correct;
    weak += weak_right[i] ? 1U : 0U;
    strong += strong_right[i] ? 1U : 0U;
  }
  if (strong <= weak) {
    return fail(Errc::kInvalidArgument,
                fmt::format("the strong model is right {} times and the weak one {}: there is "
                            "nothing to gain by asking it",
                            strong, weak));
  }
  const Prepared prepared(rows);
  std::vector<std::size_t> order(rows.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::mt19937_64 random(options.seed);
  std::ranges::shuffle(order, random);
  const auto folds = static_cast<std::size_t>(std::clamp(options.folds, 2, 20));
  // Each fold's router has a scale of its own: a row is compared by how far its gain stands from
  // what is usual for the router that judged it. (A fold of hard rows leaves easy ones to train on:
  // without this the mean of the gains would run against the truth.)
  std::vector<double> standing(rows.size());
  std::vector<std::vector<std::size_t>> held(folds);
  for (std::size_t fold = 0; fold < folds; ++fold) {
    std::vector<std::size_t> known;
    for (std::size_t k = 0; k < order.size(); ++k)
      (k % folds == fold ? held[fold] : known).push_back(order[k]);
    Model model;
    const Fitted fitted = fit_all(prepared, known, weak_right, strong_right, options, model);
    for (const std::size_t i : held[fold])
      standing[i] = (fitted.gain[i] - fitted.usual.mean) / fitted.usual.deviation;
  }

  Trained trained;
  Model& model = trained.model;
  Fitted fitted = fit_all(prepared, order, weak_right, strong_right, options, model);
  std::vector<double> gain(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i)
    gain[i] = fitted.usual.mean + fitted.usual.deviation * standing[i];

  Evaluation& e = trained.evaluation;
  e = evaluate(rows, gain);
  double held_calls = 0, held_right = 0;
  for (std::size_t fold = 0; fold < folds; ++fold) {
    std::vector<std::size_t> others;
    for (std::size_t f = 0; f < folds; ++f)
      if (f != fold) others.insert(others.end(), held[f].begin(), held[f].end());
    const double threshold = cut_for(rows, others, gain, kKept).threshold;
    for (const std::size_t i : held[fold]) {
      const bool asks_strong = gain[i] >= threshold;
      held_calls += asks_strong ? 1 : 0;
      held_right += (asks_strong ? strong_right[i] : weak_right[i]) ? 1 : 0;
    }
  }
  const double count = static_cast<double>(rows.size());
  e.held_share = held_calls / count;
  e.held_accuracy = held_right / count;

  model.weak_head = std::move(fitted.weak);
  model.strong_head = std::move(fitted.strong);
  model.trees = std::move(fitted.trees);
  model.line = std::move(fitted.line);
  model.rows = static_cast<std::int64_t>(rows.size());
  model.weak_accuracy = e.weak_accuracy;
  model.strong_accuracy = e.strong_accuracy;
  model.curve = curve_of(rows, gain);
  trained.held_gain = std::move(gain);
  return trained;
}

}  // namespace asahi::gateway::learned
