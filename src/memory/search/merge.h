#pragma once

#include <vector>

#include "memory/model/query.h"

namespace asahi::memory {

/// What one tier answered, in its order.
using TierHits = std::vector<StoreHit>;

/// One list of several tiers': a memory that two tiers hold (its move is under way) counts once, as
/// the hotter one has it, which is the same or newer. In semantic and keyword mode the best comes
/// first by similarity or BM25; in hybrid mode by reciprocal rank fusion (k = 60; Cormack et al.
/// 2009) over the ranks among all tiers' hits, in which vectors weigh `vector_weight`
/// (fusion_weight). Ties: newer first, then by id. Without query (no hit has a similarity or a BM25
/// score) newest first.
std::vector<StoreHit> merge_tiers(std::vector<TierHits> tiers, SearchMode mode,
                                  double vector_weight = 1);

/// Adds up the counts of several tiers.
void add_facets(FacetCounts& sum, const FacetCounts& counts);

}  // namespace asahi::memory
