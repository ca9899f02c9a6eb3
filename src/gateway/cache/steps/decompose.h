#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace asahi::gateway {

enum class StepType { kSummarize, kExtract, kClassify, kAnswer };
std::string_view to_string(StepType type);

/// One step of a composed request (gateway spec §3.8).
struct Step {
  std::string id;  ///< "step_1" …
  StepType type = StepType::kAnswer;
  std::string intent;  ///< first sentence of what it asks, at most 80 bytes
  std::string
      input_text;      ///< everything that its result depends on, besides the request's settings
  std::string prompt;  ///< what a model is asked for its result
};

/// How a request falls into steps, by its wording alone.
struct Decomposition {
  enum class Kind {
    kDirect,      ///< one step, which tier 1 and 2 know already: not kept here
    kComparison,  ///< two subjects summarised, then compared
    kParts,       ///< several questions, each answered for itself
    kDocument,    ///< a text summarised, then a question about it
  };
  Kind kind = Kind::kDirect;
  std::vector<Step> steps;
  /// Parts: how each answer begins in the joined one ("1. "), empty where they just follow on.
  std::vector<std::string> labels;
  /// The steps can be run one by one. False where the request names a document that it does not
  /// hold.
  bool runnable = false;

  /// The last step works with the results of the others.
  bool has_final() const { return kind == Kind::kComparison || kind == Kind::kDocument; }
};

/// The rules, in their order: comparison, parts, document, direct. A request that looks composed
/// but whose parts may depend on each other in ways that words do not show (a list to be sorted,
/// a quotation with question marks, subjects that are pronouns) is direct: an answer put together
/// from the wrong parts would be a wrong answer. Parts that refer back ("it", "the second one")
/// carry what stands before them. Beyond `max_steps`: direct. Pure.
Decomposition decompose(std::string_view prompt, bool has_document_id, std::size_t max_steps = 10);

/// What a model is asked for the last step, given the results of the steps before it. `results`:
/// of all steps but the last, in order.
std::string final_prompt(const Decomposition& work, const std::vector<std::string>& results);
/// What a model replies when a summary does not hold what the question needs.
inline constexpr std::string_view kNotInSummary = "NOT_IN_SUMMARY";

/// The answer to the request from the results of all its steps.
std::string join_results(const Decomposition& work, const std::vector<std::string>& results);

}  // namespace asahi::gateway
