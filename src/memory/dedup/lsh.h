#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "memory/dedup/minhash.h"

namespace asahi::memory::dedup {

/// Finds fingerprints that agree in at least one of 16 bands of 8 rows (locality-sensitive hashing;
/// Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", 3.4). Two texts of Jaccard J meet
/// with probability 1 − (1 − J^8)^16: 0.994 at 0.85, 0.9995 at 0.9, 0.06 at 0.5. Rows are compared
/// by their low bytes, which lets a few more candidates through and takes 256 bytes an entry plus 4
/// to 8 bytes a band; an empty index takes 1 KiB. Adding and removing take constant time; the
/// tables of the bands grow one after the other, so that no single `add` waits for all. One thread
/// writes; reads may run beside each other.
class LshIndex {
 public:
  static constexpr std::size_t kBands = 16, kRowsPerBand = 8;
  /// How many of the newest entries are looked at where one band holds many: bounds the work on
  /// texts that many memories share.
  static constexpr std::size_t kMostPerBand = 64;

  using Slot = std::uint32_t;
  struct Candidate {
    Slot slot = 0;
    double estimate = 0;  ///< estimated Jaccard, from the low bytes of all 128 rows
  };

  LshIndex();

  /// An empty index gets the tables that `count` entries need.
  void reserve(std::size_t count);
  Slot add(const Fingerprint& fingerprint);
  /// `slot`: from `add`, once; it is given out again later.
  void remove(Slot slot);
  /// Entries with an estimate of at least `least`, best first (then oldest slot), at most `most`.
  std::vector<Candidate> candidates(const Fingerprint& fingerprint, double least,
                                    std::size_t most) const;
  std::size_t size() const { return size_; }
  std::size_t memory_bytes() const;

 private:
  static constexpr Slot kNone = UINT32_MAX;
  static constexpr std::size_t kChunk = 128;
  /// One entry in one band: its rows' low bytes, and its neighbours in the table's chain.
  struct Link {
    std::uint64_t rows = 0;
    Slot next = kNone, previous = kNone;
  };
  struct alignas(64) Entry {
    std::array<Link, kBands> links;
  };
  using Sketch = std::array<std::uint64_t, kBands>;

  static Sketch sketch(const Fingerprint& fingerprint);
  Entry& entry(Slot slot) { return chunks_[slot / kChunk][slot % kChunk]; }
  const Entry& entry(Slot slot) const { return chunks_[slot / kChunk][slot % kChunk]; }
  Slot& head(std::size_t band, std::uint64_t rows);
  Slot head(std::size_t band, std::uint64_t rows) const;
  void link(std::size_t band, Slot slot);
  void grow(std::size_t band);

  std::vector<std::unique_ptr<Entry[]>> chunks_;
  std::vector<bool> live_;
  std::vector<Slot> free_;
  std::array<std::vector<Slot>, kBands> heads_;  // powers of two
  std::size_t size_ = 0;
};

}  // namespace asahi::memory::dedup
