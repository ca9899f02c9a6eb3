#include "llm/tokens/byte_pairs.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace asahi::llm {
namespace {

constexpr std::size_t kShort = 96;
constexpr std::uint32_t kNone = RankTable::kNone;

void join_short(const RankTable& ranks, std::string_view piece, std::vector<TokenId>& out) {
  // starts[i]: where part i begins; joined[i]: rank of parts i and i + 1 together.
  std::array<std::uint8_t, kShort + 1> starts;
  std::array<std::uint32_t, kShort + 1> joined;
  std::size_t parts = piece.size();
  for (std::size_t i = 0; i <= parts; ++i) starts[i] = static_cast<std::uint8_t>(i);
  const auto rank_at = [&](std::size_t i) {
    return i + 2 <= parts ? ranks.rank(piece.substr(starts[i], starts[i + 2] - starts[i])) : kNone;
  };
  for (std::size_t i = 0; i < parts; ++i) joined[i] = rank_at(i);
  for (;;) {
    std::size_t best = 0;
    for (std::size_t i = 1; i + 1 < parts; ++i) {
      if (joined[i] < joined[best]) best = i;
    }
    if (joined[best] == kNone) break;
    std::copy(starts.begin() + best + 2, starts.begin() + parts + 1, starts.begin() + best + 1);
    std::copy(joined.begin() + best + 2, joined.begin() + parts, joined.begin() + best + 1);
    --parts;
    joined[best] = rank_at(best);
    if (best > 0) joined[best - 1] = rank_at(best - 1);
  }
  for (std::size_t i = 0; i < parts; ++i)
    out.push_back(ranks.rank(piece.substr(starts[i], starts[i + 1] - starts[i])));
}

struct Part {
  std::uint32_t previous, next;  // positions in the piece; next of the last: its size
  std::uint32_t rank;            // of this part and the next together, now
};

struct Candidate {
  std::uint32_t rank, at;
  /// Lowest rank first, leftmost among equals: the heap's greatest.
  bool operator<(const Candidate& other) const {
    return rank != other.rank ? rank > other.rank : at > other.at;
  }
};

void join_long(const RankTable& ranks, std::string_view piece, std::vector<TokenId>& out) {
  const auto size = static_cast<std::uint32_t>(piece.size());
  std::vector<Part> parts(size);  // by where they begin
  std::vector<Candidate> heap;
  heap.reserve(size);
  const auto look = [&](std::uint32_t at) {
    const std::uint32_t middle = parts[at].next;
    parts[at].rank = middle < size ? ranks.rank(piece.substr(at, parts[middle].next - at)) : kNone;
  };
  for (std::uint32_t i = 0; i < size; ++i) parts[i] = {i - 1, i + 1, kNone};
  for (std::uint32_t i = 0; i < size; ++i) {
    look(i);
    if (parts[i].rank != kNone) heap.push_back({parts[i].rank, i});
  }
  std::make_heap(heap.begin(), heap.end());
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end());
    const Candidate top = heap.back();
    heap.pop_back();
    Part& part = parts[top.at];
    if (part.rank != top.rank) continue;  // joined or changed since
    const std::uint32_t gone = part.next;
    part.next = parts[gone].next;
    parts[gone].rank = kNone;
    if (part.next < size) parts[part.next].previous = top.at;
    look(top.at);
    if (part.rank != kNone) {
      heap.push_back({part.rank, top.at});
      std::push_heap(heap.begin(), heap.end());
    }
    if (top.at == 0) continue;
    const std::uint32_t before = part.previous;
    look(before);
    if (parts[before].rank != kNone) {
      heap.push_back({parts[before].rank, before});
      std::push_heap(heap.begin(), heap.end());
    }
  }
  for (std::uint32_t at = 0; at < size; at = parts[at].next)
    out.push_back(ranks.rank(piece.substr(at, parts[at].next - at)));
}

}  // namespace

void join_byte_pairs(const RankTable& ranks, std::string_view piece, std::vector<TokenId>& out) {
  if (piece.size() <= kShort) {
    join_short(ranks, piece, out);
  } else {
    join_long(ranks, piece, out);
  }
}

}  // namespace asahi::llm
