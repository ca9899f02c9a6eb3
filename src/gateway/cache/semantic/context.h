#pragma once

#include <string>
#include <string_view>

namespace asahi::gateway::semantic {

/// Contextual embedding (gateway spec §3.7): one or two sentences about where a text comes from are
/// put before it, so that short questions of different agents lie apart.
struct ContextHints {
  std::string_view agent;  ///< empty: unknown
  std::string_view task;
};

/// Retrieval with contexts needs this similarity.
inline constexpr double kContextualThreshold = 0.92;
/// The model that writes contexts, where it may be called.
inline constexpr std::string_view kContextModel = "claude-3-5-haiku";

/// What to ask that model: about the first 500 characters, never cut inside a character.
std::string context_prompt(std::string_view text, const ContextHints& hints);
/// The model's answer as a context: one line, no brackets, at most 50 estimated tokens.
std::string clean_context(std::string_view answer);
/// Without a model: task, agent and the weightiest words of the first 500 characters.
std::string template_context(std::string_view text, const ContextHints& hints);
/// "[Context: …] text"; the text alone when the context is empty.
std::string with_context(std::string_view context, std::string_view text);

}  // namespace asahi::gateway::semantic
