#pragma once

#include <vector>

#include "memory/dedup/lsh.h"
#include "memory/hot/near_duplicates.h"

namespace asahi::memory::hot {

/// `dedup/`: LSH proposes, shingle sets decide.
class ShingleDuplicates final : public NearDuplicates {
 public:
  void reserve(std::size_t count) override { lsh_.reserve(count); }
  void add(std::uint32_t slot, const Fingerprint& fingerprint) override;
  void remove(std::uint32_t slot, const Fingerprint& fingerprint) override;
  void candidates(const Fingerprint& fingerprint, double threshold,
                  std::vector<std::uint32_t>& out) const override;
  double similarity(const Text& a, const Text& b) const override;
  std::size_t bytes() const override;

 private:
  dedup::LshIndex lsh_;
  std::vector<std::uint32_t> slots_;                  ///< by place in the index
  std::vector<dedup::LshIndex::Slot> place_of_slot_;  ///< by slot
};

}  // namespace asahi::memory::hot
