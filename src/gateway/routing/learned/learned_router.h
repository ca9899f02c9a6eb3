#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "gateway/config.h"
#include "gateway/routing/learned/model.h"
#include "gateway/routing/route.h"

namespace asahi::gateway::learned {

/// A trained model in use: judges prompts and learns from feedback. Thread-safe.
class LearnedRouter {
 public:
  /// Reads `config.file`. Errors: not_found (nobody trained one), corrupt, invalid_argument (it
  /// names no models); the message says how to mend it.
  static Result<std::unique_ptr<LearnedRouter>> load(const LearnedConfig& config);
  LearnedRouter(const LearnedConfig& config, Model model);

  /// The choice for a prompt; its views live as long as this object. Some µs, allocates nothing.
  LearnedChoice judge(std::string_view prompt) const;
  /// What judged a prompt may be learned from later: its features, about 1 KiB.
  struct Remembered {
    std::array<float, Features::kForms> form{};
    std::vector<Features::Word> words;
    bool strong_answered = false;
  };
  Remembered remember(std::string_view prompt, bool strong_answered) const;
  /// One bounded step towards `value` (1: the answer was right, 0: wrong). False: `online` is off.
  bool learn(const Remembered& seen, double value);

  const std::string& weak() const { return trained_->weak; }
  const std::string& strong() const { return trained_->strong; }
  double threshold() const { return threshold_; }

 private:
  std::shared_ptr<const Model> current() const;

  const bool online_;
  const double step_;
  const std::shared_ptr<const Model> trained_;
  const double threshold_;
  std::mutex learning_;  ///< held by one step from start to end
  mutable std::mutex mutex_;
  std::shared_ptr<const Model> current_;
};

}  // namespace asahi::gateway::learned
