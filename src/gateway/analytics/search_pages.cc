#include "gateway/analytics/search_pages.h"

#include <algorithm>
#include <bit>

#include "gateway/analytics/varint.h"

namespace asahi::gateway::analytics {
namespace {

constexpr std::size_t kPageBytes = 1'000;
constexpr std::size_t kBitmapBytes = kBlockEvents / 8;

std::unexpected<Error> corrupt() {
  return fail(Errc::kCorrupt, "a stored page of the search index cannot be read");
}

/// Gaps between positions, or a bit for each event where that is shorter.
void append_positions(std::string& out, const Positions& positions) {
  std::string gaps;
  int before = 0;
  for (const std::uint16_t position : positions) {
    append_varint(gaps, static_cast<std::uint64_t>(position - before));
    before = position;
  }
  const bool dense = gaps.size() > kBitmapBytes;
  append_varint(out, positions.size() << 1 | (dense ? 1 : 0));
  if (!dense) {
    out += gaps;
    return;
  }
  std::string bits(kBitmapBytes, '\0');
  for (const std::uint16_t position : positions)
    bits[position / 8] = static_cast<char>(bits[position / 8] | (1 << (position % 8)));
  out += bits;
}

/// Calls `visit` with each position; false when the bytes are not positions.
template <class Visit>
bool read_positions(VarintReader& reader, Visit visit) {
  const std::uint64_t head = reader.next();
  if ((head & 1) != 0) {
    const std::string_view bits = reader.take(kBitmapBytes);
    for (std::size_t byte = 0; byte < bits.size(); ++byte) {
      for (auto left = static_cast<unsigned char>(bits[byte]); left != 0;
           left = static_cast<unsigned char>(left & (left - 1)))
        visit(byte * 8 + static_cast<std::size_t>(std::countr_zero(left)));
    }
    return reader.ok();
  }
  std::uint64_t position = 0;
  for (std::uint64_t i = 0; i < head >> 1; ++i) {
    position += reader.next();
    if (!reader.ok() || position >= kBlockEvents) return false;
    visit(static_cast<std::size_t>(position));
  }
  return true;
}

/// Calls `take(term, position)` for each event of the terms that are `wanted`.
template <class Wanted, class Take>
Result<void> each_term(std::string_view page, Wanted wanted, Take take) {
  VarintReader reader(page);
  std::string term;
  while (!reader.done()) {
    const std::uint64_t shared = reader.next();
    const std::string_view rest = reader.take(reader.next());
    if (!reader.ok() || shared > term.size()) return corrupt();
    term.resize(shared);
    term += rest;
    const bool use = wanted(term);
    const bool read = read_positions(reader, [&](std::size_t position) {
      if (use) take(term, position);
    });
    if (!read) return corrupt();
  }
  return {};
}

}  // namespace

std::vector<TermPage> encode_terms(const Terms& terms) {
  std::vector<std::pair<std::string_view, const Positions*>> views;
  views.reserve(terms.size());
  for (const auto& [term, positions] : terms) views.emplace_back(term, &positions);
  return encode_terms(views);
}

std::vector<TermPage> encode_terms(
    std::span<const std::pair<std::string_view, const Positions*>> terms) {
  std::vector<TermPage> pages;
  std::string_view before;
  for (const auto& [term, positions] : terms) {
    if (positions->empty()) continue;
    if (pages.empty() || pages.back().bytes.size() >= kPageBytes) {
      pages.push_back({std::string(term), {}});
      before = {};
    }
    std::string& out = pages.back().bytes;
    const auto differ = std::ranges::mismatch(before, term).in2;
    const auto shared = static_cast<std::size_t>(differ - term.begin());
    append_varint(out, shared);
    append_varint(out, term.size() - shared);
    out += term.substr(shared);
    append_positions(out, *positions);
    before = term;
  }
  return pages;
}

Result<void> find_terms(std::string_view page, std::string_view from, std::string_view to,
                        Events& out) {
  return each_term(
      page, [&](std::string_view term) { return term >= from && term < to; },
      [&](std::string_view, std::size_t position) { out.set(position); });
}

Result<void> parse_terms(std::string_view page, Terms& out) {
  return each_term(
      page, [](std::string_view) { return true; },
      [&](const std::string& term, std::size_t position) {
        out[term].push_back(static_cast<std::uint16_t>(position));
      });
}

std::string encode_times(const Times& times) {
  std::string out;
  std::uint16_t before = 0;
  std::int64_t time = 0;
  for (const auto& [position, ms] : times) {
    append_varint(out, static_cast<std::uint64_t>(position - before));
    append_signed(out, ms - time);
    before = position;
    time = ms;
  }
  return out;
}

Result<Times> parse_times(std::string_view bytes) {
  Times times;
  VarintReader reader(bytes);
  std::uint64_t position = 0;
  std::int64_t ms = 0;
  while (!reader.done()) {
    position += reader.next();
    ms += reader.next_signed();
    if (!reader.ok() || position >= kBlockEvents) return corrupt();
    times.emplace_back(static_cast<std::uint16_t>(position), ms);
  }
  return times;
}

}  // namespace asahi::gateway::analytics
