#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "llm/message.h"

namespace asahi::llm::wire {

/// An id for a tool call of a vendor that gives none (Google, Ollama): the same for the same call,
/// so that a streamed and an unstreamed answer agree. "call_" + 16 hex digits.
std::string make_tool_id(std::size_t index, std::string_view name, std::string_view arguments);

/// `id` where a vendor takes at most `max_size` letters, digits, '_' and '-'; a digest of it
/// elsewhere, so that a call and its result still agree.
std::string portable_tool_id(std::string_view id, std::size_t max_size);

/// The name of the function that the call `id` named; vendors without ids want it back with the
/// result. Looks backwards from message `before`. Empty when no call has that id.
std::string_view tool_name_of(const std::vector<Message>& messages, std::size_t before,
                              std::string_view id);

}  // namespace asahi::llm::wire
