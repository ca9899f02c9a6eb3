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
void append_positions(std::string& out, std::span<const std::uint16_t> positions) {
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

/// The positions of one term, as they are stored.
struct StoredPositions {
  std::string_view bitmap;  ///< empty: gaps
  VarintReader gaps{{}};
  std::uint64_t count = 0;

  /// Calls `visit` with each; false when the bytes are not positions.
  template <class Visit>
  bool each(Visit visit) const {
    for (std::size_t byte = 0; byte < bitmap.size(); ++byte) {
      for (auto left = static_cast<unsigned char>(bitmap[byte]); left != 0;
           left = static_cast<unsigned char>(left & (left - 1)))
        visit(byte * 8 + static_cast<std::size_t>(std::countr_zero(left)));
    }
    VarintReader reader = gaps;
    std::uint64_t position = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
      position += reader.next();
      if (!reader.ok() || position >= kBlockEvents) return false;
      visit(static_cast<std::size_t>(position));
    }
    return true;
  }
};

/// Goes behind a term's positions without decoding them; false when the bytes are not positions.
bool take_positions(VarintReader& reader, StoredPositions& out) {
  const std::uint64_t head = reader.next();
  out = {};
  if ((head & 1) != 0) {
    out.bitmap = reader.take(kBitmapBytes);
    return reader.ok();
  }
  out.count = head >> 1;
  out.gaps = reader;
  return reader.ok() && reader.skip(out.count);
}

/// Whether a term is wanted; none behind the last one are.
enum class Want { kNo, kYes, kNoMore };

/// Calls `take(term, positions)` for the terms that `wanted` wants; its false means corrupt bytes.
template <class Wanted, class Take>
Result<void> each_term(std::string_view page, Wanted wanted, Take take) {
  VarintReader reader(page);
  std::string term;
  StoredPositions positions;
  while (!reader.done()) {
    const std::uint64_t shared = reader.next();
    const std::string_view rest = reader.take(reader.next());
    if (!reader.ok() || shared > term.size()) return corrupt();
    term.resize(shared);
    term += rest;
    const Want want = wanted(term);
    if (want == Want::kNoMore) return {};
    if (!take_positions(reader, positions)) return corrupt();
    if (want == Want::kYes && !take(term, positions)) return corrupt();
  }
  return {};
}

}  // namespace

bool Events::none() const {
  // All of them, without a branch at each.
  std::uint8_t any = 0;
  for (const std::uint8_t byte : bytes_) any |= byte;
  return any == 0;
}

std::size_t Events::count() const {
  std::size_t all = 0;
  for (const std::uint8_t byte : bytes_) all += static_cast<std::size_t>(std::popcount(byte));
  return all;
}

Events& Events::operator|=(const Events& other) {
  for (std::size_t i = 0; i < bytes_.size(); ++i) bytes_[i] |= other.bytes_[i];
  return *this;
}

Events& Events::operator&=(const Events& other) {
  for (std::size_t i = 0; i < bytes_.size(); ++i) bytes_[i] &= other.bytes_[i];
  return *this;
}

void Events::add_bitmap(std::string_view bits) {
  for (std::size_t i = 0; i < bits.size() && i < bytes_.size(); ++i)
    bytes_[i] = static_cast<std::uint8_t>(bytes_[i] | static_cast<unsigned char>(bits[i]));
}

std::vector<TermPage> encode_terms(const Terms& terms) {
  std::vector<TermPositions> views;
  views.reserve(terms.size());
  for (const auto& [term, positions] : terms) views.emplace_back(term, positions);
  return encode_terms(views);
}

std::vector<TermPage> encode_terms(std::span<const TermPositions> terms) {
  std::vector<TermPage> pages;
  std::string_view before;
  for (const auto& [term, positions] : terms) {
    if (positions.empty()) continue;
    if (pages.empty() || pages.back().bytes.size() >= kPageBytes) {
      pages.push_back({std::string(term), {}});
      pages.back().bytes.reserve(kPageBytes + kPageBytes / 4);
      before = {};
    }
    std::string& out = pages.back().bytes;
    const auto differ = std::ranges::mismatch(before, term).in2;
    const auto shared = static_cast<std::size_t>(differ - term.begin());
    append_varint(out, shared);
    append_varint(out, term.size() - shared);
    out += term.substr(shared);
    append_positions(out, positions);
    before = term;
  }
  return pages;
}

Result<void> find_terms(std::string_view page, std::string_view from, std::string_view to,
                        Events& out) {
  const auto wanted = [&](std::string_view term) {
    return term < from ? Want::kNo : term < to ? Want::kYes : Want::kNoMore;
  };
  return each_term(page, wanted, [&](std::string_view, const StoredPositions& positions) {
    if (!positions.bitmap.empty()) {
      out.add_bitmap(positions.bitmap);
      return true;
    }
    return positions.each([&](std::size_t position) { out.set(position); });
  });
}

Result<void> parse_terms(std::string_view page, Terms& out) {
  return each_term(
      page, [](std::string_view) { return Want::kYes; },
      [&](const std::string& term, const StoredPositions& positions) {
        Positions& to = out[term];
        return positions.each(
            [&](std::size_t position) { to.push_back(static_cast<std::uint16_t>(position)); });
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
  auto read = each_time(
      bytes, [&](std::uint16_t position, std::int64_t ms) { times.emplace_back(position, ms); });
  if (!read) return std::unexpected(std::move(read.error()));
  return times;
}

}  // namespace asahi::gateway::analytics
