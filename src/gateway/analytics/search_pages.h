#pragma once

#include <bitset>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace asahi::gateway::analytics {

/// How a block of events is stored for search: its terms in order, each with the events that have
/// it, cut into pages of about a kilobyte. A page is found by its first term.
inline constexpr std::int64_t kBlockEvents = 8'192;
/// Events of a block, by id − block · kBlockEvents.
using Events = std::bitset<kBlockEvents>;
using Positions = std::vector<std::uint16_t>;  ///< ascending
using Terms = std::map<std::string, Positions, std::less<>>;

struct TermPage {
  std::string first;  ///< term
  std::string bytes;
};
/// `terms` in order; those without positions are left out.
std::vector<TermPage> encode_terms(
    std::span<const std::pair<std::string_view, const Positions*>> terms);
std::vector<TermPage> encode_terms(const Terms& terms);

/// Adds to `out` the events of a page's terms within [from, to). Errors: corrupt.
Result<void> find_terms(std::string_view page, std::string_view from, std::string_view to,
                        Events& out);
/// All terms of a page. Errors: corrupt.
Result<void> parse_terms(std::string_view page, Terms& out);

/// When a block's events happened: position and milliseconds since 1970, by position.
using Times = std::vector<std::pair<std::uint16_t, std::int64_t>>;
std::string encode_times(const Times& times);
/// Errors: corrupt.
Result<Times> parse_times(std::string_view bytes);

}  // namespace asahi::gateway::analytics
