#include "memory/dedup/lsh.h"

#include <algorithm>
#include <bit>

namespace asahi::memory::dedup {
namespace {

constexpr std::size_t kFirstHeads = 16;

std::size_t place(std::uint64_t rows, std::size_t heads) {
  return (rows * 0x9E3779B97F4A7C15 >> 32) & (heads - 1);
}

/// How many of eight bytes are equal.
int equal_bytes(std::uint64_t a, std::uint64_t b) {
  constexpr std::uint64_t kLow = 0x7F7F7F7F7F7F7F7F;
  const std::uint64_t differ = a ^ b;
  return 8 - std::popcount((((differ & kLow) + kLow) | differ) & ~kLow);
}

}  // namespace

LshIndex::LshIndex() {
  for (auto& heads : heads_) heads.assign(kFirstHeads, kNone);
}

void LshIndex::reserve(std::size_t count) {
  if (size_ != 0) return;
  const std::size_t heads = std::bit_ceil(std::max(count, kFirstHeads));
  for (auto& table : heads_) {
    if (table.size() < heads) table.assign(heads, kNone);
  }
}

LshIndex::Sketch LshIndex::sketch(const Fingerprint& fingerprint) {
  Sketch out{};
  for (std::size_t i = 0; i < fingerprint.size(); ++i)
    out[i / kRowsPerBand] |= std::uint64_t{fingerprint[i] & 0xFF} << 8 * (i % kRowsPerBand);
  return out;
}

LshIndex::Slot& LshIndex::head(std::size_t band, std::uint64_t rows) {
  return heads_[band][place(rows, heads_[band].size())];
}
LshIndex::Slot LshIndex::head(std::size_t band, std::uint64_t rows) const {
  return heads_[band][place(rows, heads_[band].size())];
}

void LshIndex::link(std::size_t band, Slot slot) {
  Link& own = entry(slot).links[band];
  Slot& first = head(band, own.rows);
  own.previous = kNone;
  own.next = first;
  if (first != kNone) entry(first).links[band].previous = slot;
  first = slot;
}

void LshIndex::grow(std::size_t band) {
  heads_[band].assign(heads_[band].size() * 2, kNone);
  for (Slot slot = 0; slot < live_.size(); ++slot) {
    if (live_[slot]) link(band, slot);
  }
}

LshIndex::Slot LshIndex::add(const Fingerprint& fingerprint) {
  Slot slot;
  if (free_.empty()) {
    slot = static_cast<Slot>(live_.size());
    if (slot % kChunk == 0) chunks_.push_back(std::make_unique<Entry[]>(kChunk));
    live_.push_back(true);
  } else {
    slot = free_.back();
    free_.pop_back();
    live_[slot] = true;
  }
  ++size_;
  const Sketch rows = sketch(fingerprint);
  Entry& own = entry(slot);
  for (std::size_t band = 0; band < kBands; ++band) __builtin_prefetch(&head(band, rows[band]), 1);
  for (std::size_t band = 0; band < kBands; ++band) own.links[band].rows = rows[band];
  for (std::size_t band = 0; band < kBands; ++band) link(band, slot);
  // Band by band, each a sixteenth later than the one before.
  for (std::size_t band = 0; band < kBands; ++band) {
    const std::size_t heads = heads_[band].size();
    if (size_ > heads + heads * band / kBands) grow(band);
  }
  return slot;
}

void LshIndex::remove(Slot slot) {
  Entry& own = entry(slot);
  for (std::size_t band = 0; band < kBands; ++band) {
    const Link& link = own.links[band];
    if (link.next != kNone) entry(link.next).links[band].previous = link.previous;
    if (link.previous != kNone)
      entry(link.previous).links[band].next = link.next;
    else
      head(band, link.rows) = link.next;
  }
  live_[slot] = false;
  free_.push_back(slot);
  --size_;
}

std::vector<LshIndex::Candidate> LshIndex::candidates(const Fingerprint& fingerprint, double least,
                                                      std::size_t most) const {
  const Sketch rows = sketch(fingerprint);
  for (std::size_t band = 0; band < kBands; ++band)
    __builtin_prefetch(&heads_[band][place(rows[band], heads_[band].size())]);
  std::array<Slot, kBands> firsts;
  for (std::size_t band = 0; band < kBands; ++band) {
    firsts[band] = head(band, rows[band]);
    if (firsts[band] != kNone) __builtin_prefetch(&entry(firsts[band]).links[band]);
  }
  std::vector<Slot> met;
  for (std::size_t band = 0; band < kBands; ++band) {
    std::size_t seen = 0, steps = 0;
    for (Slot slot = firsts[band]; slot != kNone && seen < kMostPerBand && steps < 4 * kMostPerBand;
         ++steps) {
      const Link& link = entry(slot).links[band];
      if (link.rows == rows[band]) {
        met.push_back(slot);
        ++seen;
      }
      slot = link.next;
    }
  }
  std::ranges::sort(met);
  const auto repeats = std::ranges::unique(met);
  met.erase(repeats.begin(), repeats.end());
  std::vector<Candidate> out;
  for (const Slot slot : met) {
    int equal = 0;
    const Entry& other = entry(slot);
    for (std::size_t band = 0; band < kBands; ++band)
      equal += equal_bytes(rows[band], other.links[band].rows);
    // One differing row in 256 has the same low byte.
    const double share = static_cast<double>(equal) / (kBands * kRowsPerBand);
    const double estimate = std::max(0.0, (share - 1.0 / 256) / (1 - 1.0 / 256));
    if (estimate >= least) out.push_back({slot, estimate});
  }
  std::ranges::sort(out, [](const Candidate& a, const Candidate& b) {
    return a.estimate != b.estimate ? a.estimate > b.estimate : a.slot < b.slot;
  });
  if (out.size() > most) out.resize(most);
  return out;
}

std::size_t LshIndex::memory_bytes() const {
  std::size_t bytes = chunks_.size() * kChunk * sizeof(Entry) + live_.capacity() / 8 +
                      free_.capacity() * sizeof(Slot);
  for (const auto& heads : heads_) bytes += heads.capacity() * sizeof(Slot);
  return bytes;
}

}  // namespace asahi::memory::dedup
