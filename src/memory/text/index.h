#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "memory/text/postings.h"
#include "memory/text/tokenise.h"

namespace asahi::memory::text {

struct IndexOptions {
  double k1 = 1.2;  ///< how soon a word's repetitions stop counting
  double b = 0.75;  ///< how much a document's length counts, 0 to 1
  /// `put` refuses what would grow the index beyond; about.
  std::size_t max_bytes = std::size_t{4} << 30;
  std::uint32_t max_documents = std::uint32_t{1} << 24;  ///< numbers stay below
};

/// A question's term with its weight: grammar words weigh kGrammarWeight, others 1.
struct QueryTerm {
  std::string text;
  float weight = 1;
};
inline constexpr float kGrammarWeight = 0.2F;
/// What a question is cut to, grammar words first.
inline constexpr std::size_t kMostQueryTerms = 32;

/// Its distinct terms in their order.
std::vector<QueryTerm> query_terms(std::string_view question);

struct SearchOptions {
  std::size_t limit = 10;  ///< 1 to 10,000
  /// One bit per document number, those beyond count as unset; empty: all documents.
  std::span<const std::uint64_t> allowed;
  /// Asked for each document that could enter the list; nothing: all.
  std::function<bool(std::uint32_t document)> admits;
};

/// What a search found. `frequencies` holds a row per hit, a column per query term: how often the
/// hit has it (up to 255), which is what ranking and explanations are made from.
struct Hits {
  struct Hit {
    std::uint32_t document = 0;
    float score = 0;
  };
  std::vector<Hit> hits;  ///< score falling; equal ones in the order of adding
  std::vector<std::uint8_t> frequencies;
  std::vector<std::uint32_t> documents_with;  ///< per query term
  std::uint32_t documents = 0;                ///< that this counts among
  double average_length = 0;

  std::span<const std::uint8_t> row(std::size_t hit) const {
    const std::size_t width = documents_with.size();
    return std::span(frequencies).subspan(hit * width, width);
  }
};

/// An inverted index in memory, searched by BM25 (Robertson & Zaragoza, "The Probabilistic
/// Relevance Framework", 2009; idf = ln(1 + (N − n + ½) ÷ (n + ½))) with MaxScore over blocks
/// (Turtle & Flood 1995; Ding & Suel 2011): the exact best `limit`, without looking at most
/// postings. Documents are numbers of the caller's, dense from 0.
///
/// Threads: const members may run side by side; nothing may run beside a member that changes.
///
/// A replaced or erased document leaves its postings behind; it is never found again, but counts in
/// idf and average length until `vacuum` has passed.
class Index {
 public:
  explicit Index(IndexOptions options = {});

  /// What `put` wants to know of a text: may be worked out beforehand, on any thread.
  struct Words {
    struct Term {
      std::uint32_t hash = 0;
      std::uint32_t begin = 0;  ///< in tokens.letters
      std::uint8_t length = 0;
      std::uint8_t frequency = 0;  ///< up to 255
    };
    Tokens tokens;
    std::vector<Term> terms;  ///< each once
    std::string_view of(const Term& term) const {
      return std::string_view(tokens.letters).substr(term.begin, term.length);
    }
  };
  static void read(std::string_view text, Words& out);

  /// Adds the document or replaces it. Errors: invalid_argument (number too high), too_large
  /// (memory bound: nothing was changed).
  Result<void> put(std::uint32_t document, const Words& words);
  Result<void> put(std::uint32_t document, std::string_view text) {
    read(text, words_);
    return put(document, words_);
  }
  /// False: was not there.
  bool erase(std::uint32_t document);
  bool contains(std::uint32_t document) const;
  /// In words, up to kMostWords; 0 when it is not there.
  std::uint16_t length(std::uint32_t document) const;
  std::uint32_t size() const { return live_; }
  /// Dead ones may count.
  std::uint32_t documents_with(std::string_view term) const {
    const std::uint32_t list = find(term);
    return list == kNoList ? 0 : lists_[list].postings.count();
  }
  std::size_t terms() const { return lists_.size(); }
  std::size_t bytes() const;

  Hits search(std::span<const QueryTerm> query, const SearchOptions& options) const;
  Hits search(std::string_view question, const SearchOptions& options) const {
    return search(query_terms(question), options);
  }

  /// A fifth of what is indexed is dead.
  bool wants_vacuum() const { return dead_now() > 1024 && dead_now() * 5ULL > lengths_.size(); }
  /// Frees dead postings, at least `postings` of work, to be called between writes until it says
  /// true: a pass over all terms is done.
  bool vacuum(std::size_t postings);

  /// The live documents' postings as bytes with a digest.
  std::string snapshot() const;
  /// Errors: corrupt (cut, changed, not made by `snapshot`), too_large (the options' bounds).
  static Result<Index> restore(std::string_view bytes, IndexOptions options = {});

 private:
  struct List {
    Postings postings;
    std::uint32_t name = 0;
    std::uint8_t name_length = 0;
  };
  struct Slot {
    std::uint32_t hash = 0;
    std::uint32_t list = kNoList;
  };
  static constexpr std::uint32_t kNoList = 0xFFFFFFFF;

  friend class Traversal;

  std::string_view name_of(const List& list) const {
    return std::string_view(names_).substr(list.name, list.name_length);
  }
  std::uint32_t find(std::string_view term) const;
  std::uint32_t find(std::string_view term, std::uint32_t hash) const;
  std::uint32_t find_or_add(std::string_view term, std::uint32_t hash);
  void fetch(const Words& words) const;
  void grow();
  void bury(std::uint32_t document);
  void append(std::uint32_t list, Ordinal ordinal, std::uint8_t frequency, std::uint16_t length);
  Ordinal add_document(std::uint32_t document, std::uint16_t length);
  std::size_t dead_now() const { return lengths_.size() - swept_ - live_; }
  bool alive(Ordinal ordinal) const { return alive_[ordinal / 64] >> (ordinal % 64) & 1; }
  Result<void> read(std::string_view payload);

  IndexOptions options_;
  std::vector<List> lists_;
  std::vector<Slot> slots_;
  std::string names_;
  std::vector<std::uint16_t> lengths_;    // by ordinal
  std::vector<std::uint32_t> documents_;  // by ordinal
  std::vector<std::uint64_t> alive_;      // bits by ordinal
  std::vector<Ordinal> ordinals_;         // by document
  std::uint64_t total_length_ = 0;        // of all that is not swept
  std::uint32_t live_ = 0;
  std::uint32_t swept_ = 0;  // dead ones without postings
  std::size_t list_bytes_ = 0;
  std::vector<Ordinal> dead_, sweeping_;  // since the pass began; before it
  std::uint32_t sweep_next_ = 0;
  bool in_sweep_ = false;
  Words words_;  // of `put`, kept for its memory
};

}  // namespace asahi::memory::text
