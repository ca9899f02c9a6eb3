#pragma once

#include <cstdint>
#include <string_view>

#include "llm/embed/words.h"

namespace asahi::gateway::semantic {

/// Why a cached answer may or may not serve; `to_string` is what clients and logs see.
enum class Verdict : std::uint8_t {
  kSame,      ///< nothing speaks against it; the score says how sure that is
  kEmpty,     ///< one side holds no words
  kLanguage,  ///< written in another language
  kRest,      ///< long texts whose later parts differ
  kContext,   ///< another system prompt, document or format
  kNumber,
  kCode,
  kName,
  kClass,  ///< another unit, month, country, programming language …
  kOpposite,
  kNegation,
  kDirection,
  kQuestion,
  kLength,
  kWords  ///< too much is said on one side only
};
std::string_view to_string(Verdict verdict);

/// What was found between two texts. Weights are in rare words.
struct Comparison {
  Verdict verdict = Verdict::kSame;
  /// 0 to 1; how likely it is that one answer serves both, by hand-set rules. 0 after a veto.
  float score = 0;
  float matched = 0;  ///< weight of what stands on both sides
  float asked_only = 0;
  float cached_only = 0;
  /// The word that decided, in `asked` or in `cached`; -1: none.
  std::int16_t asked_word = -1;
  std::int16_t cached_word = -1;
};

/// Decides whether the answer to `cached` may serve `asked`: words are aligned (same stem, synonym,
/// spelling, derived form, abbreviation), and what is left over on either side speaks against it.
/// A number, name, code span, unit, place, language, negation, opposite or direction that does not
/// fit is a veto, however alike the texts are. Symmetric, deterministic, no I/O; about 5 µs for
/// questions, at most some 60 µs for the longest texts. Nothing in it was fitted on evaluation
/// data.
Comparison compare(const llm::text::Words& asked, const llm::text::Words& cached);

}  // namespace asahi::gateway::semantic
