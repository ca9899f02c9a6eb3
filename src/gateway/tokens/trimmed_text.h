#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/tokens/units.h"

namespace asahi::gateway::tokens {

/// One text while it is being trimmed. Each step only takes what the promise of this folder allows:
/// a sentence with a fact (facts.h), a question, an instruction or words of another language than
/// English is never dropped unless another kept sentence says all of it. `render` holds the result
/// against the original once more and gives the original back where a fact is missing.
class TrimmedText {
 public:
  explicit TrimmedText(std::string_view text, const SentenceSplitter& splitter = sentence_ends);

  struct Sentence {
    Unit unit;
    std::string shorter;               ///< empty: as it stands
    std::vector<std::uint64_t> words;  ///< content words
    std::int64_t size = 0;             ///< words, as it stands
    bool kept = true;
    bool said_elsewhere = false;  ///< dropped because another sentence says it
    bool has_facts = false;
    bool spare = false;      ///< no fact, question or instruction: may go when it is not relevant
    bool mood = false;       ///< spare, and says no more than how somebody feels
    bool refers = false;     ///< begins with "it", "this" …: needs the sentence before
    bool paragraph = false;  ///< begins a paragraph
  };
  std::span<const Sentence> sentences() const { return sentences_; }
  std::size_t count_spare() const;

  /// Wordy phrases and runs of blanks become short. True when something did.
  bool shorten();
  /// Courtesy and self-praise go.
  bool drop_filler();
  /// A sentence goes whose words stand in the same order in an earlier one, with the same negations
  /// and constraints.
  bool drop_repeats();
  /// True when sentence `i` may be dropped now: spare, kept, and nothing kept leans on it.
  bool may_drop(std::size_t i) const;
  void drop(std::size_t i);
  /// Sentence `i` is kept, as it stands.
  void restore(std::size_t i);

  /// Words as it would be rendered, and at first.
  std::int64_t size() const;
  std::int64_t original_size() const { return original_size_; }

  /// The text now; the original when the result would lose a fact.
  std::string render() const;

 private:
  std::string_view text_;
  SentenceSplitter splitter_;
  std::vector<Sentence> sentences_;
  std::int64_t original_size_ = 0;
};

}  // namespace asahi::gateway::tokens
