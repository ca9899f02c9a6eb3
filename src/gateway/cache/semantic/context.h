#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace asahi::gateway::semantic {

/// Contextual embedding (gateway spec §3.7): what a conversation is about is put before its last
/// question, so that short questions of different conversations lie apart. The sentence is made by
/// rules: one that a model writes would cost a call before each look-up, and be another each time.

/// Retrieval with contexts needs this similarity.
inline constexpr double kContextualThreshold = 0.92;

/// Task and weightiest words of the first 500 characters: one line, no brackets, at most 50
/// estimated tokens.
std::string template_context(std::string_view text, std::string_view task);
/// "[Context: …] text"; the text alone when the context is empty.
std::string with_context(std::string_view context, std::string_view text);

/// What a user said before the question, oldest first, as one text that `turns_of` takes apart
/// again. Empty when there is nothing, or more than may be compared: kMaxTurns, kMaxTurnsBytes.
inline constexpr std::size_t kMaxTurns = 8, kMaxTurnsBytes = 2'000;
std::string join_turns(std::span<const std::string> turns);
std::vector<std::string_view> turns_of(std::string_view joined);
/// What is embedded for a question: its context, by the template from the turns before it (the
/// latest first), and the question. Without turns the question alone: it says all there is.
std::string contextual_text(std::string_view query, std::string_view joined_turns,
                            std::string_view task);

}  // namespace asahi::gateway::semantic
