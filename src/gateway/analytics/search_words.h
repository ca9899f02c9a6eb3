#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gateway/events/event.h"

namespace asahi::gateway::analytics {

/// What full-text search takes for words: runs of letters, digits and all beyond ASCII, in small
/// letters (Latin, Greek, Cyrillic, Armenian, full-width). The same for what is stored and for what
/// is asked, on every database.
void append_words(std::vector<std::string>& out, std::string_view text);

/// The words of the fields that search looks at.
std::vector<std::string> words_of(const InferenceEvent& event);

/// Whether each of `asked` begins one of the event's words.
bool matches(const InferenceEvent& event, const std::vector<std::string>& asked);

}  // namespace asahi::gateway::analytics
