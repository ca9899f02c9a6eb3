#pragma once

#include <string_view>

namespace asahi::gateway::tokens {

/// One rule a line: `words => replacement`. `^` before the words: only where a sentence begins.
/// `~`: an intensifier, deleted unless a negation stands before it. An empty replacement deletes,
/// with the comma behind. In lower case; no rule names a number, a negation or a constraint that its
/// replacement does not name too, and a check after each sentence holds them to it.
extern const std::string_view kPhraseList;

/// Words of self-praise and vagueness.
extern const std::string_view kPuffery;
/// How sentences begin that are courtesy only.
extern const std::string_view kFillerOpenings;
/// Verbs whose bare form at the beginning of a sentence is an instruction.
extern const std::string_view kImperatives;

}  // namespace asahi::gateway::tokens
