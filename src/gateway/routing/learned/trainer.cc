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
constexpr double kKept = 0.95;
constexpr std::size_t kCurvePoints = 101;
constexpr std::size_t kInnerFolds = 4;

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

/// Two heads and the trees over them, and what they say of every row.
struct Fitted {
  Head weak, strong;
  Trees trees;
  std::vector<double> gain;
};

/// Fits on the rows `from` alone. What the trees are shown of the heads comes from heads that had
/// not seen the row, as it will be later.
Fitted fit_all(const Prepared& prepared, const std::vector<std::size_t>& from,
               const std::vector<bool>& weak_right, const std::vector<bool>& strong_right,
               const TrainOptions& options, Model& model) {
  const std::vector<Example> examples = prepared.examples(from, model);
  std::vector<std::vector<float>> inputs(examples.size());
  const auto show = [&](std::size_t i, const Head& weak, const Head& strong) {
    const auto shown =
        Model::tree_inputs(prepared.form(i), score(weak, examples[i]), score(strong, examples[i]));
    inputs[i].assign(shown.begin(), shown.end());
  };
  Fitted fitted;
  fitted.weak = fit(examples, from, weak_right, options);
  fitted.strong = fit(examples, from, strong_right, options);
  for (std::size_t i = 0; i < examples.size(); ++i) show(i, fitted.weak, fitted.strong);
  const std::vector<std::vector<float>> as_new = inputs;
  for (std::size_t part = 0; part < kInnerFolds; ++part) {
    std::vector<std::size_t> known, held;
    for (std::size_t k = 0; k < from.size(); ++k)
      (k % kInnerFolds == part ? held : known).push_back(from[k]);
    const Head weak = fit(examples, known, weak_right, options);
    const Head strong = fit(examples, known, strong_right, options);
    for (const std::size_t i : held) show(i, weak, strong);
  }
  std::vector<float> target(examples.size());
  for (const std::size_t i : from)
    target[i] = (strong_right[i] ? 1.0F : 0.0F) - (weak_right[i] ? 1.0F : 0.0F);
  fitted.trees = boost(inputs, target, from, {.seed = options.seed});
  fitted.gain.resize(examples.size());
  for (std::size_t i = 0; i < examples.size(); ++i)
    fitted.gain[i] = fitted.trees.predict(as_new[i]);
  return fitted;
}

/// Rows by falling gain.
std::vector<std::size_t> ranked(const std::vector<std::size_t>& rows,
                                const std::vector<double>& gain) {
  std::vector<std::size_t> order = rows;
  std::ranges::sort(order, [&](std::size_t a, std::size_t b) {
    return gain[a] != gain[b] ? gain[a] > gain[b] : a < b;
  });
  return order;
}

struct Cut {
  double share = 1, threshold = 0;
};
/// The fewest strong calls that keep 95 % of the strong accuracy on these rows.
Cut cut_for(const std::vector<Row>& rows, const std::vector<std::size_t>& of,
            const std::vector<double>& gain) {
  const std::vector<std::size_t> order = ranked(of, gain);
  double right = 0, strong = 0;
  for (const std::size_t i : of) {
    right += rows[i].weak_correct ? 1 : 0;
    strong += rows[i].strong_correct ? 1 : 0;
  }
  for (std::size_t k = 0; k < order.size(); ++k) {
    if (right >= kKept * strong) {
      return {static_cast<double>(k) / static_cast<double>(order.size()),
              k == 0 ? 2.0 : (gain[order[k - 1]] + gain[order[k]]) / 2};
    }
    const Row& row = rows[order[k]];
    right += (row.strong_correct ? 1 : 0) - (row.weak_correct ? 1 : 0);
  }
  return {1, -2};
}

std::vector<CurvePoint> curve_of(const std::vector<Row>& rows, const std::vector<double>& gain) {
  std::vector<std::size_t> all(rows.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  const std::vector<std::size_t> order = ranked(all, gain);
  double right = 0;
  for (const Row& row : rows) right += row.weak_correct ? 1 : 0;
  std::vector<CurvePoint> curve;
  std::size_t taken = 0;
  for (std::size_t point = 0; point < kCurvePoints; ++point) {
    const std::size_t upto = order.size() * point / (kCurvePoints - 1);
    for (; taken < upto; ++taken) {
      const Row& row = rows[order[taken]];
      right += (row.strong_correct ? 1 : 0) - (row.weak_correct ? 1 : 0);
    }
    const double count = static_cast<double>(order.size());
    curve.push_back({.strong_share = static_cast<double>(upto) / count,
                     .threshold = upto == 0              ? 2
                                  : upto == order.size() ? -2
                                                         : gain[order[upto - 1]],
                     .accuracy = right / count});
  }
  return curve;
}

}  // namespace

double Evaluation::held_saved() const {
  const double gap = strong_accuracy - weak_accuracy;
  const double random = gap > 0 ? (held_accuracy - weak_accuracy) / gap : 0;
  return random > 0 ? 1 - held_share / random : 0;
}

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
  std::vector<double> gain(rows.size());
  std::vector<std::vector<std::size_t>> held(folds);
  for (std::size_t fold = 0; fold < folds; ++fold) {
    std::vector<std::size_t> known;
    for (std::size_t k = 0; k < order.size(); ++k)
      (k % folds == fold ? held[fold] : known).push_back(order[k]);
    Model model;
    const Fitted fitted = fit_all(prepared, known, weak_right, strong_right, options, model);
    for (const std::size_t i : held[fold]) gain[i] = fitted.gain[i];
  }

  Trained trained;
  Evaluation& e = trained.evaluation;
  const double count = static_cast<double>(rows.size());
  e.rows = rows.size();
  e.weak_accuracy = static_cast<double>(weak) / count;
  e.strong_accuracy = static_cast<double>(strong) / count;
  e.random_share = std::max(
      0.0, (kKept * e.strong_accuracy - e.weak_accuracy) / (e.strong_accuracy - e.weak_accuracy));
  e.share = cut_for(rows, order, gain).share;
  double held_calls = 0, held_right = 0;
  for (std::size_t fold = 0; fold < folds; ++fold) {
    std::vector<std::size_t> others;
    for (std::size_t f = 0; f < folds; ++f)
      if (f != fold) others.insert(others.end(), held[f].begin(), held[f].end());
    const double threshold = cut_for(rows, others, gain).threshold;
    for (const std::size_t i : held[fold]) {
      const bool asks_strong = gain[i] >= threshold;
      held_calls += asks_strong ? 1 : 0;
      held_right += (asks_strong ? strong_right[i] : weak_right[i]) ? 1 : 0;
    }
  }
  e.held_share = held_calls / count;
  e.held_accuracy = held_right / count;

  Model& model = trained.model;
  Fitted fitted = fit_all(prepared, order, weak_right, strong_right, options, model);
  model.weak_head = std::move(fitted.weak);
  model.strong_head = std::move(fitted.strong);
  model.trees = std::move(fitted.trees);
  model.rows = static_cast<std::int64_t>(rows.size());
  model.weak_accuracy = e.weak_accuracy;
  model.strong_accuracy = e.strong_accuracy;
  model.curve = curve_of(rows, gain);
  double area = 0;
  for (const CurvePoint& point : model.curve) area += point.accuracy;
  area /= static_cast<double>(model.curve.size());
  e.recovered = (area - e.weak_accuracy) / (e.strong_accuracy - e.weak_accuracy);
  return trained;
}

}  // namespace asahi::gateway::learned
