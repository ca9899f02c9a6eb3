#pragma once

#include <string_view>

// Hand-written English word lists. Nothing here was counted or fitted on any data set.
namespace asahi::llm::text::data {

/// Words that carry grammar, not content.
extern const std::string_view kFunctionWords;
/// Content words that stand in so many questions that sharing one says little …
extern const std::string_view kVeryCommonWords;
/// … and those that say less than a rare word.
extern const std::string_view kCommonWords;
/// One set of synonyms a line; `|` parts opposites: "raise increase | lower reduce".
extern const std::string_view kSynonyms;
/// Sets whose members exclude each other: "class: member=alias, member".
extern const std::string_view kClasses;
/// "several words = one word", replaced before anything else is looked at.
extern const std::string_view kPhrases;

}  // namespace asahi::llm::text::data
