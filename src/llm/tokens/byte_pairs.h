#pragma once

#include <string_view>
#include <vector>

#include "llm/tokens/ranks.h"

namespace asahi::llm {

/// Splits one piece of text into tokens: starting from bytes, the neighbours whose union has the
/// lowest rank are joined, the leftmost first, until none has a rank (tiktoken's rule). Short
/// pieces look for the lowest each time; long ones keep a heap, so that a megabyte without a space
/// costs n log n. Appends to `out`.
void join_byte_pairs(const RankTable& ranks, std::string_view piece, std::vector<TokenId>& out);

}  // namespace asahi::llm
