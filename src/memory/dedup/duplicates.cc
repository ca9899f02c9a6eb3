#include "memory/dedup/duplicates.h"

#include <algorithm>

#include "memory/dedup/normalise.h"
#include "memory/dedup/shingles.h"

namespace asahi::memory::dedup {

Duplicates::Slot Duplicates::add(const Digest& content_hash, const Fingerprint& fingerprint,
                                 std::uint64_t row) {
  const Slot slot = lsh_.add(fingerprint);
  if (slot >= rows_.size()) rows_.resize(slot + 1);
  const auto [at, fresh] = by_content_.try_emplace(content_hash, slot);
  rows_[slot] = {row, fresh ? kNone : at->second, kNone};
  if (!fresh) {
    rows_[at->second].previous = slot;
    at->second = slot;
  }
  return slot;
}

void Duplicates::remove(Slot slot, const Digest& content_hash) {
  const Row& own = rows_[slot];
  if (own.next != kNone) rows_[own.next].previous = own.previous;
  if (own.previous != kNone) {
    rows_[own.previous].next = own.next;
  } else if (own.next != kNone) {
    by_content_[content_hash] = own.next;
  } else {
    by_content_.erase(content_hash);
  }
  lsh_.remove(slot);
}

std::optional<std::uint64_t> Duplicates::exact(const Digest& content_hash) const {
  const auto at = by_content_.find(content_hash);
  if (at == by_content_.end()) return std::nullopt;
  return rows_[at->second].row;
}

std::optional<NearDuplicate> Duplicates::near(std::string_view content,
                                              const Fingerprint& fingerprint, double threshold,
                                              const ContentOf& content_of,
                                              std::optional<std::uint64_t> except) const {
  const auto candidates = lsh_.candidates(fingerprint, threshold - kMargin, kMostMeasured + 1);
  std::optional<NearDuplicate> best;
  std::optional<std::vector<std::uint32_t>> own;
  for (const LshIndex::Candidate& candidate : candidates) {
    const std::uint64_t row = rows_[candidate.slot].row;
    if (except && row == *except) continue;
    NearDuplicate found{row, candidate.estimate, false};
    if (const auto text = content_of ? content_of(row) : std::nullopt) {
      if (!own) own = shingle_set(normalised(content));
      found.jaccard = jaccard(*own, shingle_set(normalised(*text)));
      found.measured = true;
    }
    if (found.jaccard < threshold) continue;
    if (!best || found.jaccard > best->jaccard) best = found;
    if (best->jaccard >= 1) break;
  }
  return best;
}

std::size_t Duplicates::memory_bytes() const {
  return lsh_.memory_bytes() + rows_.capacity() * sizeof(Row) +
         by_content_.bucket_count() * (sizeof(Digest) + sizeof(Slot) + 1);
}

}  // namespace asahi::memory::dedup
