#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "memory/model/query.h"
#include "memory/model/reach.h"

namespace asahi::memory {

/// What the installation allows (spec/memory §5.2).
struct SearchLimits {
  std::size_t max_results = 100;  ///< AKOSHA_MAX_RESULTS, at most 1000
  std::chrono::milliseconds timeout{30'000};
  std::size_t dimensions = 384;
};

/// One search as a client asks for it, checked.
struct SearchRequest {
  SearchMode mode = SearchMode::kHybrid;
  std::string text;
  std::vector<float> embedding;  ///< the client's own, of the installation's model
  Filter filter;
  std::size_t limit = 10;
  std::size_t offset = 0;          ///< of the page, from the cursor
  std::optional<float> threshold;  ///< on similarity; nothing: 0.7 in semantic mode, else none
  std::chrono::milliseconds timeout{30'000};
  bool hot = true, warm = true, cold = false;
  std::vector<std::string> facets;
  bool include_content = true;
  bool fresh = false;  ///< not from a cache

  /// Text that is the same for requests that must have the same answer; without page and deadline.
  std::string canonical() const;
};

/// Hits that lie further back than this are not paged to.
inline constexpr std::size_t kMaxDepth = 1000;

/// Errors: invalid_argument naming the field, the value and the rule; forbidden (a system beyond
/// the caller's reach, which bounds the filter from here on).
Result<SearchRequest> parse_search(const json::object& body, const SearchLimits& limits,
                                   const Reach& reach);

/// A cursor names the next page of one search; another search refuses it.
std::string make_cursor(const SearchRequest& request, std::size_t offset);

/// RFC 3339, or a date, which is its first instant.
Result<Clock::Time> parse_instant(std::string_view field, std::string_view text);

}  // namespace asahi::memory
