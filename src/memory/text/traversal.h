#pragma once

#include "memory/text/index.h"

namespace asahi::memory::text {

/// One search through an index: MaxScore over blocks.
class Traversal {
 public:
  Traversal(const Index& index, std::span<const QueryTerm> query, const SearchOptions& options);
  Hits run();

 private:
  struct Cursor {
    const Postings* postings = nullptr;
    std::size_t column = 0;   ///< in the query
    double gain = 0;          ///< weight · idf · (k1 + 1)
    double bound = 0;         ///< no document of the list scores more
    std::size_t block = 0;    ///< decoded
    std::size_t shallow = 0;  ///< looked at for bounds
    double shallow_bound = 0;
    std::size_t shallow_known = static_cast<std::size_t>(-1);
    std::size_t at = 0, count = 0;
    Ordinal ordinal = 0;  ///< stands on; kNoOrdinal: behind the end
    std::array<Ordinal, Postings::kBlock> ordinals;
    std::array<std::uint8_t, Postings::kBlock> frequencies;

    void load(std::size_t index);
    void next();
    void seek(Ordinal target);
  };
  struct Entry {
    double score = 0;
    Ordinal ordinal = 0;
    std::size_t row = 0;
  };

  double part(const Cursor& cursor, std::uint8_t frequency, std::uint16_t length) const;
  /// The most that blocks with `from` can give, and where the first of them ends.
  double window(Ordinal from, Ordinal& end);
  bool admitted(Ordinal ordinal) const;
  void take(Ordinal ordinal, double score);

  const Index& index_;
  const SearchOptions& options_;
  std::size_t width_;
  double short_part_ = 0, long_part_ = 0;  ///< k1 · (1 − b), k1 · b ÷ average length
  std::vector<Cursor> cursors_;            ///< bounds rising
  std::vector<double> below_;              ///< sums of bounds
  std::size_t first_ = 0;                  ///< cursors before it cannot lift a document alone
  std::vector<Entry> heap_;
  std::vector<std::uint8_t> rows_, row_;
  double threshold_ = 0;
  std::vector<std::uint32_t> counts_;
};

}  // namespace asahi::memory::text
