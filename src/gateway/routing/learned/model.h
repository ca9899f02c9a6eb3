#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "gateway/routing/learned/features.h"
#include "gateway/routing/learned/line.h"
#include "gateway/routing/learned/trees.h"

namespace asahi::gateway::learned {

/// One logistic regression: the chance that a model answers a prompt well.
struct Head {
  float bias = 0;
  std::array<float, Features::kForms> form{};
  std::vector<float> words = std::vector<float>(Features::kBuckets);
};

/// What the training rows say about one way to set the threshold, from predictions on folds that
/// the prediction had not seen.
struct CurvePoint {
  double strong_share = 0;  ///< of calls that go to the strong model
  double threshold = 0;     ///< the gain from which on they do
  double accuracy = 0;      ///< share of right answers then
};

/// What a model thinks of a prompt.
struct Judgement {
  double weak = 0, strong = 0;             ///< chances to be right, as the regressions see them
  double adjusted = 0;                     ///< what line and trees add to the difference
  Features::Group why = Features::kWords;  ///< what moved the gain most
  double gain() const { return strong - weak + adjusted; }
};

/// A weak and a strong model, and when the strong one is worth its price: two logistic regressions
/// over the form and the hashed words of a prompt; and a line and small trees over the form and
/// what the regressions say, which predict the gain together. Immutable once trained or read.
class Model {
 public:
  std::string weak, strong;  ///< names in the registry; empty: to be given
  std::string trained_at;    ///< RFC 3339
  std::int64_t rows = 0;
  double weak_accuracy = 0, strong_accuracy = 0;
  std::vector<CurvePoint> curve;  ///< by rising strong_share, 0 to 1

  std::array<float, Features::kForms> mean{}, scale{};
  std::vector<float> rarity =
      std::vector<float>(Features::kBuckets);  ///< inverse document frequency
  Head weak_head, strong_head;
  /// Both over the form and the heads' three numbers, the line with the form scaled; their sum is
  /// the gain. Both empty: the heads alone.
  Trees trees;
  Line line;

  /// The forms, then z of the weak head, z of the strong one, and the gain between them.
  static constexpr std::size_t kTreeInputs = Features::kForms + 3;
  using TreeInputs = std::array<float, kTreeInputs>;
  static TreeInputs tree_inputs(const std::array<float, Features::kForms>& form, double weak_z,
                                double strong_z);

  /// A few µs; allocates nothing.
  Judgement judge(const Features& features) const;
  /// The difference of the chances by the regressions alone: what online learning moves.
  double head_gain(const Features& features) const;
  /// The gain from which on the strong model should be asked: so that `quality_target` of its
  /// accuracy is kept, or, where `strong_share` is above 0, so that it gets that share of calls.
  double threshold(double quality_target, double strong_share) const;

  /// One step of online learning on the head of the model that answered: no weight moves by more
  /// than `step`, nor further than `kMostDrift` from `trained`.
  void learn(const Features& features, bool strong_answered, double value, double step,
             const Model& trained);
  static constexpr float kMostDrift = 1;

  json::object to_json() const;
  /// Errors: corrupt, with what is wrong (version, sizes, numbers).
  static Result<Model> from_json(const json::value& value);
  /// Reads a file of at most 16 MiB. Errors: not_found, corrupt.
  static Result<Model> load(const std::string& path);
  /// Writes beside `path`, then renames. Errors: unavailable.
  Result<void> save(const std::string& path) const;
  /// Whether `save` could write there; makes the folder. Errors: unavailable.
  static Result<void> check_writable(const std::string& path);

  /// A number of a prompt's form, on the scale that the heads know.
  float scaled(std::size_t form, float value) const;
  /// 1 / length of the weighted word vector; 0 without words.
  float inverse_length(const Features& features) const;
};

/// 1 / (1 + e^−z).
double logistic(double z);

}  // namespace asahi::gateway::learned
