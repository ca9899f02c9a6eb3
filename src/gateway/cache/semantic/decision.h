#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "gateway/cache/semantic/threshold.h"
#include "gateway/cache/semantic/tuner.h"
#include "gateway/cache/semantic/verifier.h"

namespace asahi::gateway::semantic {

/// A neighbour that the vector index found, with what the cache keeps about it. Views: the caller
/// owns all of it while `decide` runs.
struct Candidate {
  double similarity = 0;  ///< calibrated, see llm::EmbedderTraits
  const llm::text::Words* words = nullptr;
  std::span<const llm::text::Words> earlier;  ///< what its user had said before
  const EntryEvidence* evidence = nullptr;
  std::string_view query;
  std::string_view task;
  std::uint64_t context_digest = 0;  ///< system prompt, history, format …; 0: none
  std::uint64_t answer_digest = 0;   ///< equal for entries with the same answer
  std::int64_t expires_at_ms = 0;    ///< Unix time; 0: never
};

struct Question {
  const llm::text::Words* words = nullptr;
  /// What the user said before: each turn must mean the same as the candidate's.
  std::span<const llm::text::Words> earlier;
  double least_similarity = 0;  ///< whatever the thresholds say
  std::string_view task;
  Sensitivity sensitivity = Sensitivity::kHigh;
  std::uint64_t context_digest = 0;
  std::int64_t now_ms = 0;
  /// Uniform in [0, 1): decides whether a trusted hit is audited. Not to be guessed by callers.
  double draw = 1;
  /// quality_penalty_weight of the configuration (gateway spec §3.7.4).
  double quality_penalty = 2.0;
};

enum class Action : std::uint8_t {
  kMiss,
  kHit,
  /// Ask the model, serve its answer, then tell `Evidence::observe` whether the cached one agrees:
  /// the candidate is not trusted yet, or it is and was drawn for an audit.
  kExplore
};
std::string_view to_string(Action action);

struct Decision {
  Action action = Action::kMiss;
  std::size_t candidate = 0;  ///< index of the one it is about; meaningless without candidates
  bool trusted = false;       ///< explored as an audit of what would have been a hit
  double similarity = 0;      ///< of that candidate
  double threshold = 0;       ///< the first filter's, for that candidate
  double score = 0;           ///< the verifier's
  double error = 1;           ///< pessimistic chance of a wrong answer
  double audit = 0;           ///< the chance with which it was drawn to be checked; 0: not trusted
  Verdict verdict = Verdict::kEmpty;
  std::string_view matched_query;
  /// For people: "similarity 0.8312 below 0.9000", "numbers differ".
  std::string reason;
};

/// Decides about the candidates of one tenant and embedder: best similarity first, expired ones and
/// those of another context out, then the first filter (the lower threshold when tasks differ), the
/// verifier, the economics of §3.7.4 and the evidence against `bound`. Two nearly equal candidates
/// with different answers are one too many: a hit needs the best to stand out. Pure.
Decision decide(const Question& question, std::span<const Candidate> candidates,
                const ThresholdTuner& tuner, const Evidence& evidence, const Bound& bound);

}  // namespace asahi::gateway::semantic
