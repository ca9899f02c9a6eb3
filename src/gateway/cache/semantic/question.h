#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace asahi::gateway::semantic {

/// Digest of everything in a request but its question: only requests that are equal there may share
/// an answer. `canonical`: canonical_request of the body. Empty: the question does not stand in it
/// word by word, or more than once, so that it cannot be told apart from the rest.
std::optional<std::uint64_t> context_of(std::string_view shape, std::string_view canonical,
                                        std::string_view query);
/// The same of a conversation, without what its user said before either (`earlier`, oldest first):
/// the caller compares that. Empty as above, for each of the texts.
std::optional<std::uint64_t> context_of(std::string_view shape, std::string_view canonical,
                                        std::string_view query,
                                        std::span<const std::string> earlier);

}  // namespace asahi::gateway::semantic
