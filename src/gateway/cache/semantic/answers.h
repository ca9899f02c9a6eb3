#pragma once

#include <cstdint>
#include <string_view>

namespace asahi::gateway::semantic {

enum class Agreement : std::uint8_t {
  kSame,       ///< one may stand for the other
  kDifferent,  ///< what they say differs
  /// Two longer texts about the same things: whether they say the same is beyond these rules.
  kUnclear
};

/// Do two answers of a model say the same? Exact, then without case, blanks and punctuation, then
/// as one number, then one inside the other, then by their words with the verifier's rules. Short
/// answers that do not agree so are different; longer ones only where they share few words or one
/// says yes and the other no, since a model words the same thing in many ways. Symmetric.
Agreement compare_answers(std::string_view a, std::string_view b);

}  // namespace asahi::gateway::semantic
