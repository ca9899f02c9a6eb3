#pragma once

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "memory/dedup/lsh.h"
#include "memory/model/record.h"

namespace asahi::memory::dedup {

/// A memory that says nearly the same.
struct NearDuplicate {
  std::uint64_t row = 0;  ///< as given to `Duplicates::add`
  double jaccard = 0;     ///< of the shingle sets where `measured`, else estimated
  bool measured = false;
};

/// Gives the content of a row; nothing where only its fingerprint is left (cold tier). The view
/// must live until the next call.
using ContentOf = std::function<std::optional<std::string_view>(std::uint64_t row)>;

/// The memories of one tenant by what they say: the same bytes (SHA-256) and nearly the same words
/// (MinHash, LSH). Rows are numbers of the caller's. Adds and removes take constant time, searches
/// bounded time. One thread writes; reads may run beside each other.
class Duplicates {
 public:
  using Slot = LshIndex::Slot;

  /// Keep the slot: removing needs it.
  Slot add(const Digest& content_hash, const Fingerprint& fingerprint, std::uint64_t row);
  void remove(Slot slot, const Digest& content_hash);

  /// The newest row with this very content.
  std::optional<std::uint64_t> exact(const Digest& content_hash) const;

  /// The row most like `content`, of those with a Jaccard index of at least `threshold` over
  /// shingles. LSH proposes, fingerprints estimate, and where `content_of` has the text, shingle
  /// sets decide: an estimate alone is off by 0.03 (one standard error), so that it would lose half
  /// of those that stand at the threshold. `except`: a row that is not asked about (the older
  /// version of the same memory). Looks at most at kMostMeasured texts.
  std::optional<NearDuplicate> near(std::string_view content, const Fingerprint& fingerprint,
                                    double threshold, const ContentOf& content_of,
                                    std::optional<std::uint64_t> except = {}) const;

  static constexpr std::size_t kMostMeasured = 16;
  /// Estimates this far below the threshold are still measured: four standard errors.
  static constexpr double kMargin = 0.13;

  std::size_t size() const { return lsh_.size(); }
  std::size_t memory_bytes() const;

 private:
  static constexpr Slot kNone = UINT32_MAX;
  struct Row {
    std::uint64_t row = 0;
    Slot next = kNone, previous = kNone;  // rows of the same content, newest first
  };
  struct DigestHash {
    using is_avalanching = void;
    std::size_t operator()(const Digest& digest) const {
      std::size_t hash;
      std::memcpy(&hash, digest.data(), sizeof hash);
      return hash;
    }
  };

  LshIndex lsh_;
  std::vector<Row> rows_;  // by slot
  boost::unordered_flat_map<Digest, Slot, DigestHash> by_content_;
};

}  // namespace asahi::memory::dedup
