#pragma once

#include <string_view>

namespace asahi::gateway::semantic {

/// Do two answers of a model say the same? Exact, then without case, blanks and punctuation, then
/// as one number, then one inside the other, then by their words with the verifier's rules. When in
/// doubt they differ: that costs a hit, never a wrong one. Symmetric. Texts beyond 64 KiB are only
/// the same when they are equal.
bool answers_agree(std::string_view a, std::string_view b);

}  // namespace asahi::gateway::semantic
