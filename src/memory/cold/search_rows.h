#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "memory/cold/rows.h"

namespace asahi::memory::cold {

/// Rows of one cold file as searches want them: its words as an index, its vectors side by side,
/// so that a search neither unpacks columns nor cuts texts into words. Some 900 bytes a row with a
/// vector of 384. What it holds does not change once it is made: any number of threads read it.
class SearchRows {
 public:
  SearchRows(std::string tenant, std::string system_id)
      : tenant_(std::move(tenant)), system_id_(std::move(system_id)) {}

  /// Adds a row group. Errors: corrupt (also: a row is of another tenant or system), the source's.
  Result<void> add(RowFile& file, std::size_t group);
  /// After the last group.
  void finish();

  std::size_t rows() const { return times_.size(); }
  std::string_view id(std::size_t row) const { return ids_.at(row); }
  std::string_view text(std::size_t row) const { return texts_.at(row); }
  std::string_view metadata(std::size_t row) const { return metadata_.at(row); }
  std::int64_t time(std::size_t row) const { return times_[row]; }  ///< nanoseconds since 1970
  std::uint32_t words(std::size_t row) const { return words_[row]; }
  std::uint64_t words() const { return all_words_; }  ///< of all rows

  /// The rows that hold a word, ascending, and how often.
  struct Posting {
    std::uint32_t row = 0;
    std::uint32_t count = 0;
  };
  std::span<const Posting> holding(std::uint64_t word) const;
  /// How `holding` names a word, folded and stemmed. Two words that are named alike are one in
  /// 10^19.
  static std::uint64_t name_of(std::string_view word);

  /// Vectors of `model` with `length` numbers: visit(row, codes, norm) for each, in order. Codes
  /// are padded with zeros and aligned as storage/vector/local/simd.h wants them; `norm` is the
  /// root of the sum of their squares, more than 0.
  template <class Visit>
  void each_vector(std::string_view model, std::size_t length, Visit visit) const {
    const auto wanted = models_.find(model);
    if (wanted == models_.end()) return;
    for (const Vector& vector : vectors_) {
      if (vector.model == wanted->second && vector.length == length)
        visit(vector.row, reinterpret_cast<const std::int8_t*>(&blocks_[vector.block]),
              vector.norm);
    }
  }

  /// Rows of these ids, ascending; ids ascend.
  std::vector<std::size_t> places(const std::vector<std::string>& ids) const;
  std::uint64_t bytes() const;  ///< of memory, about

 private:
  /// Texts one behind the other.
  class Texts {
   public:
    void add(std::string_view text) {
      bytes_ += text;
      ends_.push_back(bytes_.size());
    }
    std::string_view at(std::size_t row) const {
      const std::size_t begin = row == 0 ? 0 : ends_[row - 1];
      return std::string_view(bytes_).substr(begin, ends_[row] - begin);
    }
    void finish() {
      bytes_.shrink_to_fit();
      ends_.shrink_to_fit();
    }
    std::uint64_t bytes() const { return bytes_.capacity() + ends_.capacity() * sizeof ends_[0]; }

   private:
    std::string bytes_;
    std::vector<std::uint64_t> ends_;
  };
  struct alignas(64) Block {
    std::int8_t codes[64];
  };
  struct Vector {
    std::uint32_t row, block, length, model;
    float norm;
  };
  struct Word {
    std::uint64_t name;
    Posting posting;
  };
  void add_words(std::uint32_t row, std::string_view text);
  void add_vector(std::uint32_t row, std::string_view codes, std::string_view model);

  const std::string tenant_, system_id_;
  Texts ids_, texts_, metadata_;
  std::vector<std::int64_t> times_;
  std::vector<std::uint32_t> words_;
  std::uint64_t all_words_ = 0;
  std::vector<Vector> vectors_;
  std::vector<Block> blocks_;
  std::map<std::string, std::uint32_t, std::less<>> models_;
  std::vector<Word> building_;         ///< until `finish`
  std::vector<std::uint64_t> names_;   ///< of words, ascending
  std::vector<std::uint32_t> starts_;  ///< of their postings, and the end
  std::vector<Posting> postings_;
};

}  // namespace asahi::memory::cold
