#include "memory/hot/shingle_duplicates.h"

#include <algorithm>

#include "memory/dedup/duplicates.h"
#include "memory/dedup/normalise.h"
#include "memory/dedup/shingles.h"

namespace asahi::memory::hot {

void ShingleDuplicates::add(std::uint32_t slot, const Fingerprint& fingerprint) {
  const auto place = lsh_.add(fingerprint);
  if (slots_.size() <= place) slots_.resize(std::size_t{place} + 1);
  if (place_of_slot_.size() <= slot) place_of_slot_.resize(std::size_t{slot} + 1);
  slots_[place] = slot;
  place_of_slot_[slot] = place;
}

void ShingleDuplicates::remove(std::uint32_t slot, const Fingerprint& /*fingerprint*/) {
  lsh_.remove(place_of_slot_[slot]);
}

void ShingleDuplicates::candidates(const Fingerprint& fingerprint, double threshold,
                                   std::vector<std::uint32_t>& out) const {
  using dedup::Duplicates;
  out.clear();
  // An estimate is off by some: those a little below are measured as well.
  for (const auto& candidate : lsh_.candidates(fingerprint, threshold - Duplicates::kMargin,
                                               Duplicates::kMostMeasured + 1)) {
    out.push_back(slots_[candidate.slot]);
  }
}

double ShingleDuplicates::similarity(const Text& a, const Text& b) const {
  return dedup::jaccard(dedup::shingle_set(dedup::normalised(a.content)),
                        dedup::shingle_set(dedup::normalised(b.content)));
}

std::size_t ShingleDuplicates::bytes() const {
  return lsh_.memory_bytes() + (slots_.capacity() + place_of_slot_.capacity()) * 4;
}

}  // namespace asahi::memory::hot
