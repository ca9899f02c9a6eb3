#pragma once

#include <string>
#include <string_view>

namespace asahi::gateway::tokens {

/// Says a sentence in fewer words: wordy phrases become short ones ("in order to" → "to"), openings
/// that say nothing go ("It is important to note that …"), intensifiers go unless they are negated,
/// runs of blanks become one. Quoted text and code in the sentence are left alone, and a sentence
/// that would lose a fact (facts.h) comes back as it was. The list of phrases is phrase_list.cc.
std::string shorten_phrases(std::string_view sentence);

/// A sentence that carries nothing but courtesy or praise of itself: thanks, hopes, "we are proud".
bool is_filler(std::string_view sentence);

/// Says how the speaker feels about something, and nothing of the listener or of how to answer:
/// "Our people are talented, and we love what we do". Only of sentences without facts.
bool is_mood(std::string_view sentence);

/// Begins with a verb in the imperative, or tells the reader what to do.
bool is_instruction(std::string_view sentence);

}  // namespace asahi::gateway::tokens
