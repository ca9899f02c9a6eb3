#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/task.h"
#include "memory/model/store.h"
#include "memory/search/merge.h"

namespace asahi::memory {

/// Whether something stands in for a hot tier that fails (AKOSHA_HOT_FALLBACK).
enum class HotFallback : std::uint8_t { kWarm, kNone };

/// One tier as a search sees it.
struct TierSource {
  Store* store = nullptr;  ///< null: not served here
  bool wanted = false;     ///< by the search; the others are asked when those fail
  std::chrono::milliseconds patience{0};
};
/// Hottest first.
using TierSources = std::array<TierSource, 3>;

/// What the tiers answered.
struct TierAnswers {
  std::vector<TierHits> hits;
  std::uint64_t total = 0;
  FacetCounts facets;
  std::vector<Tier> searched;       ///< that answered, also in place of others
  std::vector<Tier> failed;         ///< that were asked and did not
  std::vector<std::string> partly;  ///< "cold", "hot/b": could not look at everything
};

/// The tier that is asked in the place of those that failed, by its place in a TierSources: the
/// hottest that is served, was not asked yet and is colder than one of them (spec/memory §5.4, hot
/// → warm → cold). Nothing once a tier has answered: a memory is in one tier only, so another one
/// could not fill the gap, only the reply. Pure.
struct TierStates {
  std::array<bool, 3> served{}, asked{}, failed{};
};
std::optional<std::size_t> falls_to(const TierStates& tiers, HotFallback hot);

/// Asks all wanted tiers at once, each for as long as its patience and the deadline allow, and
/// where all of them fail or are late the next colder one, within what is left of the deadline; not
/// where one refuses this process (its secret is another), which is to be mended. On a loop.
/// Errors: unavailable (none of them is served here, or none answered); invalid_argument, which
/// every tier would say.
Task<TierAnswers> search_tiers(TierSources sources, StoreQuery query, HotFallback hot,
                               std::chrono::steady_clock::time_point deadline);

}  // namespace asahi::memory
