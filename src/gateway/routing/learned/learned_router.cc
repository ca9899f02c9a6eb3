#include "gateway/routing/learned/learned_router.h"

#include <fmt/format.h>

namespace asahi::gateway::learned {

Result<std::unique_ptr<LearnedRouter>> LearnedRouter::load(const LearnedConfig& config) {
  ASAHI_TRY(Model model, Model::load(config.file));
  if (model.weak.empty() || model.strong.empty()) {
    return fail(
        Errc::kInvalidArgument,
        fmt::format("{} names no models; train it with --weak NAME --strong NAME", config.file));
  }
  return std::make_unique<LearnedRouter>(config, std::move(model));
}

LearnedRouter::LearnedRouter(const LearnedConfig& config, Model model)
    : online_(config.online),
      step_(config.step),
      trained_(std::make_shared<const Model>(std::move(model))),
      threshold_(trained_->threshold(config.quality_target, config.strong_share)),
      current_(trained_) {}

std::shared_ptr<const Model> LearnedRouter::current() const {
  const std::scoped_lock lock(mutex_);
  return current_;
}

LearnedChoice LearnedRouter::judge(std::string_view prompt) const {
  Features features;
  read_features(prompt, features);
  const Judgement judged = trained_->judge(features);
  const std::shared_ptr<const Model> now = current();
  // What feedback has moved since the training counts on top of what the trees say.
  const double moved =
      now == trained_ ? 0 : now->head_gain(features) - (judged.strong - judged.weak);
  return {.weak = trained_->weak,
          .strong = trained_->strong,
          .gain = judged.gain() + moved,
          .threshold = threshold_,
          .why = to_string(judged.why)};
}

LearnedRouter::Remembered LearnedRouter::remember(std::string_view prompt,
                                                  bool strong_answered) const {
  Features features;
  read_features(prompt, features);
  return {.form = features.form,
          .words = {features.found().begin(), features.found().end()},
          .strong_answered = strong_answered};
}

bool LearnedRouter::learn(const Remembered& seen, double value) {
  if (!online_ || step_ <= 0) return false;
  Features features;
  features.form = seen.form;
  for (const Features::Word& word : seen.words) features.words[features.word_count++] = word;
  // Readers keep the weights they have; feedback is rare, so copying 800 KB is cheaper than a lock
  // that every request takes.
  const std::scoped_lock one_at_a_time(learning_);
  auto next = std::make_shared<Model>(*current());
  next->learn(features, seen.strong_answered, value, step_, *trained_);
  const std::scoped_lock lock(mutex_);
  current_ = std::move(next);
  return true;
}

}  // namespace asahi::gateway::learned
