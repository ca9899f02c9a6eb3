#include "gateway/cache/semantic/decision.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace asahi::gateway::semantic {
namespace {

// Scores closer than that do not tell two candidates apart (in log odds about 0.4 at the top).
constexpr double kTie = 0.006;

std::string_view words_for(Verdict verdict) {
  switch (verdict) {
    case Verdict::kSame:
      return "the questions agree";
    case Verdict::kEmpty:
      return "one side holds no words";
    case Verdict::kLanguage:
      return "written in another language";
    case Verdict::kRest:
      return "the long texts differ further down";
    case Verdict::kContext:
      return "asked in another context";
    case Verdict::kNumber:
      return "numbers differ";
    case Verdict::kCode:
      return "code or identifiers differ";
    case Verdict::kName:
      return "names differ";
    case Verdict::kClass:
      return "another unit, date, place, language or tool";
    case Verdict::kOpposite:
      return "one says the opposite";
    case Verdict::kNegation:
      return "only one is negated";
    case Verdict::kDirection:
      return "the direction is reversed";
    case Verdict::kQuestion:
      return "another kind of question";
    case Verdict::kLength:
      return "one says much more";
    case Verdict::kWords:
      return "too many words stand on one side only";
  }
  return "";
}

}  // namespace

std::string_view to_string(Action action) {
  constexpr std::array<std::string_view, 3> kNames = {"miss", "hit", "explore"};
  return kNames[static_cast<std::size_t>(action)];
}

namespace {

/// The whole conversation: it agrees as little as its turn that agrees least.
Comparison compare_all(const Question& question, const Candidate& candidate) {
  Comparison least = compare(*question.words, *candidate.words);
  if (question.earlier.size() != candidate.earlier.size()) {
    least.verdict = Verdict::kContext;
    least.score = 0;
  }
  for (std::size_t i = 0; i < question.earlier.size() && least.score > 0; ++i) {
    const Comparison turn = compare(question.earlier[i], candidate.earlier[i]);
    if (turn.verdict != Verdict::kSame || turn.score <= 0) {
      least.verdict = Verdict::kContext;
      least.score = 0;
    }
    least.score = std::min(least.score, turn.score);
  }
  return least;
}

bool same_texts(const Question& question, const Candidate& candidate) {
  return question.words->normal_form == candidate.words->normal_form &&
         std::ranges::equal(question.earlier, candidate.earlier, {}, &llm::text::Words::normal_form,
                            &llm::text::Words::normal_form);
}

}  // namespace

Decision decide(const Question& question, std::span<const Candidate> candidates,
                const ThresholdTuner& tuner, const Evidence& evidence, const Bound& bound) {
  Decision best;
  best.reason = "nothing alike is cached";
  bool found = false;
  double rival = 0;  // the best score of a candidate with another answer
  const double own_threshold = tuner.threshold(question.task, question.sensitivity);
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const Candidate& candidate = candidates[i];
    if (candidate.words == nullptr || candidate.evidence == nullptr) continue;
    if (candidate.expires_at_ms != 0 && candidate.expires_at_ms <= question.now_ms) continue;
    Decision next;
    next.candidate = i;
    next.similarity = candidate.similarity;
    next.matched_query = candidate.query;
    next.threshold =
        candidate.task == question.task
            ? own_threshold
            : std::min(own_threshold, tuner.threshold(candidate.task, question.sensitivity));
    next.threshold = std::max(next.threshold, question.least_similarity);
    if (candidate.context_digest != question.context_digest) {
      next.verdict = Verdict::kContext;
    } else if (candidate.similarity < next.threshold) {
      next.verdict = Verdict::kWords;
      next.reason = fmt::format("similarity {:.4f} below {:.4f}", next.similarity, next.threshold);
    } else {
      const Comparison compared = compare_all(question, candidate);
      next.verdict = compared.verdict;
      next.score = compared.score;
    }
    if (next.reason.empty()) next.reason = words_for(next.verdict);
    const bool other_answer =
        found && candidates[best.candidate].answer_digest != candidate.answer_digest;
    if (!found || next.score > best.score) {
      if (other_answer) rival = std::max(rival, best.score);
      best = std::move(next);
      found = true;
    } else if (other_answer) {
      rival = std::max(rival, next.score);
    }
  }
  if (!found || best.score <= 0) return best;
  const Candidate& chosen = candidates[best.candidate];
  // mismatch = (1 − similarity) · penalty · weight · cost must stay below the recompute cost.
  const double mismatch =
      (1 - best.similarity) * question.quality_penalty * mismatch_weight(question.task);
  if (mismatch >= 1) {
    best.reason = fmt::format("a mismatch would cost {:.2f} of a new answer", mismatch);
    return best;
  }
  // Equal texts with different answers leave the newer one to the caller; near ones are in doubt.
  const bool same_text = same_texts(question, chosen);
  const bool tied = rival > 0 && best.score - rival < kTie && !same_text;
  const Evidence::Trust trust = evidence.trust(question.task, best.score, *chosen.evidence, bound);
  best.error = trust.error;
  const bool affordable = trust.audit < 1;
  const bool trusted = trust.error <= bound.delta && affordable && !tied;
  if (chosen.evidence->disabled()) {
    best.reason = "reported as wrong";
    return best;
  }
  if (!trusted) {
    best.action = Action::kExplore;
    best.reason = tied         ? "two cached questions are equally near"
                  : affordable ? fmt::format("may be wrong in {:.1f} % of cases, allowed {:.1f} %",
                                             100 * trust.error, 100 * bound.delta)
                               : "too many cached answers turned out wrong lately";
    return best;
  }
  best.trusted = true;
  best.audit = trust.audit;
  best.action = question.draw < trust.audit ? Action::kExplore : Action::kHit;
  best.reason = best.action == Action::kHit ? "the questions agree" : "drawn to be checked";
  return best;
}

}  // namespace asahi::gateway::semantic
