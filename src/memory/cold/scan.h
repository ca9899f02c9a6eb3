#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "memory/cold/catalogue.h"
#include "memory/cold/search_rows.h"
#include "memory/model/query.h"

namespace asahi::memory::cold {

/// Goes over the rows of cold files and keeps what a query wants. Keywords: BM25 (k1 1.2, b 0.75)
/// over the summaries' folded and stemmed words, with the frequencies of the rows seen; vectors:
/// cosine with the eight-bit codes, within one model; both: reciprocal rank fusion, k 60; neither:
/// newest first. One thread at a time.
class Scan {
 public:
  using Rows = std::shared_ptr<const SearchRows>;
  /// Rows of a file that were given to `add`: which, by number from 0.
  using Again = std::function<Result<Rows>(std::size_t number)>;

  explicit Scan(StoreQuery query);

  /// Whether a file can hold anything that the filter lets through.
  bool wants(const ColdFile& file) const;
  /// Rows of a file; its tombstones say which are not there any more.
  void add(std::shared_ptr<const ColdFile> of, const Rows& rows);
  /// `again` gives rows once more that were added; where it fails their hits are left out, and
  /// `lost` says why.
  StorePage page(const Again& again, std::optional<Error>& lost) &&;

  std::uint64_t rows() const { return rows_; }

 private:
  /// Rows with words of the query; more are counted, not kept.
  static constexpr std::size_t kMaxMatched = 65'536;
  /// The nearest of the others, or the newest: more ranks than that decide nothing.
  static constexpr std::size_t kMaxNearest = 4'096;
  /// Of rows that stay in memory until the page is made; others are asked for again.
  static constexpr std::uint64_t kMaxHeld = 32 << 20;

  struct Source {
    std::shared_ptr<const ColdFile> file;
    Rows rows;  ///< null: to be asked for again
  };
  struct Candidate {
    std::uint32_t source = 0, row = 0;
    std::uint32_t words = 0;
    std::optional<float> cosine;
    Clock::Time time;
    std::string id;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> counts;  ///< of terms that it holds
    double score = 0;
    Explanation explanation;
  };
  /// A word of the query in a row.
  struct Match {
    std::uint32_t row, term, count;
  };
  bool allowed(const std::string& system_id) const;
  bool match_metadata(std::string_view metadata);
  /// Which rows the filter lets through, into `passes_`; none there: all.
  void filter(const ColdFile& of, const SearchRows& rows);
  void count_facets(const ColdFile& of, const SearchRows& rows, std::uint64_t passed);
  bool passes(std::size_t row) const { return passes_.empty() || passes_[row] != 0; }
  void find_words(const SearchRows& rows);
  Candidate candidate(const SearchRows& rows, std::size_t row) const;
  void keep_matched(Candidate candidate);
  void keep_nearest(const SearchRows& rows, std::size_t row, std::optional<float> cosine);
  bool before(const Candidate& a, const Candidate& b) const;
  void score(std::vector<Candidate>& all) const;
  std::optional<StoreHit> hit(Candidate& from, const Again& again, std::optional<Error>& lost);

  const StoreQuery query_;
  std::vector<std::string> terms_;  ///< folded, stemmed, each once
  std::vector<std::uint64_t> names_;
  std::vector<std::int16_t> vector_;  ///< codes of the query, padded as the rows' are
  std::size_t numbers_ = 0;           ///< of the query's vector
  double vector_norm_ = 0;
  bool keyword_ = false, semantic_ = false;
  std::vector<Source> sources_;
  std::uint64_t held_ = 0;
  std::vector<Candidate> matched_, nearest_;  ///< nearest_: a heap, the farthest on top
  std::vector<std::uint64_t> frequencies_;    ///< rows that hold each term
  std::uint64_t rows_ = 0;                    ///< that passed the filter
  std::uint64_t words_ = 0;                   ///< of these rows
  std::uint64_t total_ = 0;
  FacetCounts facets_;
  // Scratch of `add`.
  std::vector<std::uint8_t> passes_;
  std::vector<Match> matches_;
};

}  // namespace asahi::memory::cold
