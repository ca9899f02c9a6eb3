#pragma once

#include <memory>

#include "base/clock.h"
#include "memory/hot/keyword.h"

namespace asahi::memory::rank {

/// The hot tier's keyword index: rank_conversation over one tenant's memories. A memory's session,
/// speaker and turn come from its metadata. `clock`, which outlives it, says what "last week" is
/// seen from. Locks itself. What its memory bound (8 GiB) refuses is not found by words.
std::unique_ptr<hot::KeywordIndex> make_keyword_index(const Clock& clock);

}  // namespace asahi::memory::rank
