#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "gateway/analytics/varint.h"

namespace asahi::gateway::analytics {

/// How a block of events is stored for search: its terms in order, each with the events that have
/// it, cut into pages of about a kilobyte. A page is found by its first term.
inline constexpr std::int64_t kBlockEvents = 8'192;
/// Events of a block, by id − block · kBlockEvents. The bytes are those of a stored list with a bit
/// for each event, so that one is added as it stands.
class Events {
 public:
  void set(std::size_t position) { bytes_[position / 8] |= bit(position); }
  void reset(std::size_t position) {
    bytes_[position / 8] = static_cast<std::uint8_t>(bytes_[position / 8] & ~bit(position));
  }
  bool test(std::size_t position) const { return (bytes_[position / 8] & bit(position)) != 0; }
  bool none() const;
  std::size_t count() const;
  Events& operator|=(const Events& other);
  Events& operator&=(const Events& other);
  /// `bits` has a bit for each event, the lowest first.
  void add_bitmap(std::string_view bits);

 private:
  static std::uint8_t bit(std::size_t position) {
    return static_cast<std::uint8_t>(1U << (position % 8));
  }
  std::array<std::uint8_t, kBlockEvents / 8> bytes_{};
};
using Positions = std::vector<std::uint16_t>;  ///< ascending
using Terms = std::map<std::string, Positions, std::less<>>;

struct TermPage {
  std::string first;  ///< term
  std::string bytes;
};
using TermPositions = std::pair<std::string_view, std::span<const std::uint16_t>>;
/// `terms` in order; those without positions are left out.
std::vector<TermPage> encode_terms(std::span<const TermPositions> terms);
std::vector<TermPage> encode_terms(const Terms& terms);

/// Adds to `out` the events of a page's terms within [from, to). Errors: corrupt.
Result<void> find_terms(std::string_view page, std::string_view from, std::string_view to,
                        Events& out);
/// All terms of a page. Errors: corrupt.
Result<void> parse_terms(std::string_view page, Terms& out);

/// When a block's events happened: position and milliseconds since 1970, by position.
using Times = std::vector<std::pair<std::uint16_t, std::int64_t>>;
std::string encode_times(const Times& times);
/// Calls `visit(position, milliseconds)` for each. Errors: corrupt.
template <class Visit>
Result<void> each_time(std::string_view bytes, Visit visit) {
  VarintReader reader(bytes);
  std::uint64_t position = 0;
  std::int64_t ms = 0;
  while (!reader.done()) {
    position += reader.next();
    const bool whole = !__builtin_add_overflow(ms, reader.next_signed(), &ms);
    if (!whole || !reader.ok() || position >= kBlockEvents)
      return fail(Errc::kCorrupt, "the times of a block of the search index cannot be read");
    visit(static_cast<std::uint16_t>(position), ms);
  }
  return {};
}
/// Errors: corrupt.
Result<Times> parse_times(std::string_view bytes);

}  // namespace asahi::gateway::analytics
