#pragma once

#include <string_view>

namespace asahi::gateway::tokens {

/// One rule a line: `words => replacement`. `^` before the words: only where a sentence begins.
/// `&`: only where a clause begins (behind a mark, or the sentence). `!`: "it is essential" and the
/// like: with "that you" and "to" it goes and leaves an instruction, else with "that" it is
/// "ensure".
/// `~`: an intensifier, deleted unless a negation stands before it. An empty replacement deletes,
/// with the comma behind. In lower case; no rule names a number, a negation or a constraint that
/// its replacement does not name too, and a check after each sentence holds them to it.
extern const std::string_view kPhraseList;

/// Words of self-praise and vagueness.
extern const std::string_view kPuffery;
/// Words of feeling and judgement: one of them makes a sentence that states no fact a mood.
extern const std::string_view kMood;
/// Words about how to answer: a sentence with one is not taken for mood.
extern const std::string_view kSpeechMatters;
/// How sentences begin that are courtesy only.
extern const std::string_view kFillerOpenings;
/// Verbs whose bare form at the beginning of a sentence is an instruction.
extern const std::string_view kImperatives;

}  // namespace asahi::gateway::tokens
