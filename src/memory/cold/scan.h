#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "memory/cold/catalogue.h"
#include "memory/cold/rows.h"
#include "memory/model/query.h"

namespace asahi::memory::cold {

/// Goes over cold files row by row and keeps what a query wants. Keywords: BM25 (k1 1.2, b 0.75)
/// over the summaries' folded and stemmed words, with the frequencies of the rows seen; vectors:
/// cosine with the eight-bit codes, within one model; both: reciprocal rank fusion, k 60; neither:
/// newest first. One thread at a time.
class Scan {
 public:
  explicit Scan(StoreQuery query);

  /// Whether a file can hold anything that the filter lets through.
  bool wants(const ColdFile& file) const;
  /// `buried`: conversation ids that are not there any more, ascending.
  /// Errors: corrupt, the source's; what was seen before stays counted.
  Result<void> group(RowFile& file, std::size_t group, const ColdFile& of,
                     const std::vector<std::string>& buried);
  StorePage page() &&;

  std::uint64_t rows() const { return rows_; }

 private:
  /// More candidates are counted, not kept.
  static constexpr std::size_t kMaxCandidates = 65'536;

  struct Candidate {
    StoreHit hit;
    std::vector<std::uint32_t> counts;  ///< of each term of the query
    std::uint32_t words = 0;
  };
  bool allowed(const std::string& system_id) const;
  bool match_text(std::string_view text, Candidate& candidate);
  bool match_metadata(std::string_view metadata);
  void keep(Candidate candidate);

  const StoreQuery query_;
  std::vector<std::string> terms_;  ///< folded, stemmed, each once
  Quantised vector_;
  double vector_norm_ = 0;
  bool keyword_ = false, semantic_ = false;
  std::vector<Candidate> candidates_;
  std::vector<std::uint64_t> frequencies_;  ///< rows that hold each term
  std::uint64_t rows_ = 0;                  ///< that passed the filter
  std::uint64_t words_ = 0;                 ///< of these rows
  std::uint64_t total_ = 0;
  FacetCounts facets_;
};

}  // namespace asahi::memory::cold
