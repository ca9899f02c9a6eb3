#pragma once

#include <span>

#include "llm/embed/words.h"

namespace asahi::llm::text {

/// Writes the unit vector of a text: words, synonym sets, neighbouring pairs, letter trigrams and
/// the kind of question, each hashed to two signed places (Weinberger et al. 2009, "Feature hashing
/// for large scale multitask learning"), weighted by how much a word says. No two texts are told
/// apart by grammar words alone. `out` holds at least 8 floats.
void hash_features(const Words& words, std::span<float> out);

}  // namespace asahi::llm::text
