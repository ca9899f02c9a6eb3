#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "memory/model/record.h"

namespace asahi::memory {

enum class SearchMode : std::uint8_t { kSemantic, kKeyword, kHybrid };
/// "semantic", "keyword", "hybrid".
std::string_view mode_name(SearchMode mode);

/// Everything ANDed; empty: anything. Always within one tenant, and within `systems_allowed`.
struct Filter {
  std::vector<std::string> system_ids;  ///< any of them
  /// What the caller may see at all (claim `systems`); nothing: every system of the tenant.
  std::optional<std::vector<std::string>> systems_allowed;
  std::optional<Clock::Time> start, end;  ///< on the memory's timestamp: [start, end)
  /// Equalities on top-level metadata fields; a field that holds a list matches when the list holds
  /// the value. `tags` stands here as one pair per tag.
  std::vector<std::pair<std::string, std::string>> metadata;
};

/// One search as the stores see it: text and vector are given, cursors and caches are the caller's.
struct StoreQuery {
  std::string tenant;
  SearchMode mode = SearchMode::kHybrid;
  std::string text;              ///< empty: no keyword search
  std::vector<float> embedding;  ///< empty: no semantic search; neither of both: newest first
  std::string embedding_model;
  Filter filter;
  std::size_t limit = 10;  ///< 1 to 1000
  float threshold = -1;    ///< on cosine similarity, semantic mode
  bool include_content = true;
  /// system_id, tier, date (date:day, date:week, date:month), source, tags, language, project, type
  std::vector<std::string> facets;
  /// How long the caller waits. A tier of several nodes answers before that with what it has.
  std::optional<std::chrono::milliseconds> patience = {};
};

/// How finely a facet of dates counts.
enum class DateUnit : std::uint8_t { kDay, kWeek, kMonth };
/// "date" and "date:day", "date:week", "date:month"; nothing for other facets.
std::optional<DateUnit> date_unit(std::string_view facet);
/// "2026-03-01", "2026-W09" (ISO 8601: weeks begin on Monday, the first one has January 4th),
/// "2026-03"; UTC.
std::string date_text(Clock::Time time, DateUnit unit);

/// Why a result stands where it stands.
struct Explanation {
  std::optional<float> cosine;  ///< after rescoring with float32
  std::optional<float> bm25;
  std::optional<int> vector_rank;   ///< from 1
  std::optional<int> keyword_rank;  ///< from 1
  std::vector<std::string> matched_terms;
};

struct StoreHit {
  Key key;
  Tier tier = Tier::kHot;
  std::string text;  ///< content (hot) or summary (warm, cold); empty unless asked for
  std::optional<float> similarity;
  double score = 0;  ///< what the store sorted by, best first
  Clock::Time timestamp;
  std::string metadata;
  Explanation explanation;
};

/// What a list of vectors of this model weighs beside words in reciprocal rank fusion. The local
/// embedder sees words, too, but less of them than BM25: a tenth (docs/benchmarks.md, "Memory").
inline double fusion_weight(std::string_view embedding_model) {
  const bool hashed =
      embedding_model.starts_with("local-") || embedding_model.starts_with("hash_random-");
  return hashed ? 0.1 : 1;
}

using FacetCounts = std::map<std::string, std::map<std::string, std::uint64_t>>;

struct StorePage {
  std::vector<StoreHit> hits;
  std::uint64_t total = 0;  ///< matches known; at least hits.size()
  FacetCounts facets;
  bool partial = false;                   ///< not all of the tier was looked at
  std::vector<std::string> unread;        ///< what could not be, and why; with `partial` only
  std::vector<std::string> missing = {};  ///< nodes of the tier that did not answer, by name
};

}  // namespace asahi::memory
