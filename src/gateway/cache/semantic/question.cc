#include "gateway/cache/semantic/question.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "base/json_out.h"

namespace asahi::gateway::semantic {
namespace {

/// Begin and end of the one place where `text` stands as a JSON string.
using Place = std::pair<std::size_t, std::size_t>;
std::optional<Place> place_of(std::string_view text, std::string_view canonical) {
  std::string quoted;
  quoted.reserve(text.size() + 16);
  append_json_string(quoted, text);
  const std::size_t at = canonical.find(quoted);
  if (at == std::string_view::npos || (at > 0 && canonical[at - 1] == '\\')) return std::nullopt;
  const std::size_t end = at + quoted.size();
  if (canonical.find(quoted, end) != std::string_view::npos) return std::nullopt;
  return Place(at, end);
}

std::uint64_t number_of(const Digest128& digest) {
  std::uint64_t out = 0;
  std::memcpy(&out, digest.data(), sizeof out);
  return out;
}

}  // namespace

std::optional<std::uint64_t> context_of(std::string_view shape, std::string_view canonical,
                                        std::string_view query) {
  const auto place = place_of(query, canonical);
  if (!place) return std::nullopt;
  return number_of(keyed_digest(
      Digest128{}, {shape, canonical.substr(0, place->first), canonical.substr(place->second)}));
}

std::optional<std::uint64_t> context_of(std::string_view shape, std::string_view canonical,
                                        std::string_view query,
                                        std::span<const std::string> earlier) {
  std::vector<Place> places;
  for (const std::string& text : earlier) {
    const auto place = place_of(text, canonical);
    if (!place) return std::nullopt;
    places.push_back(*place);
  }
  const auto asked = place_of(query, canonical);
  if (!asked) return std::nullopt;
  places.push_back(*asked);
  // Each stands where its turn is: else the digest would not say which of the texts is which.
  if (!std::ranges::is_sorted(places)) return std::nullopt;
  std::string rest;
  std::size_t from = 0;
  for (const auto& [begin, end] : places) {
    if (begin < from) return std::nullopt;
    rest += fmt::format("{}:", begin - from);
    rest += canonical.substr(from, begin - from);
    from = end;
  }
  return number_of(keyed_digest(Digest128{}, {shape, rest, canonical.substr(from)}));
}

}  // namespace asahi::gateway::semantic
