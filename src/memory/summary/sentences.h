#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace asahi::memory {

/// A stretch of a text that says one thing: [begin, end) in bytes, without blanks at its ends.
struct Sentence {
  enum Kind : std::uint8_t {
    kProse,
    kItem,  ///< of a list, or the turn of a speaker ("Ana: …")
    kHeading,
    kCode  ///< a fenced block, whole
  };
  std::size_t begin = 0, end = 0;
  Kind kind = kProse;

  std::string_view of(std::string_view text) const { return text.substr(begin, end - begin); }
};

/// Splits any bytes into sentences, in order. Ends at . ! ? … and their like in other scripts
/// (。！？ ؟ ।), at blank lines, and before list items, headings and speakers; not at abbreviations
/// and initials (English, German, French, Spanish, Italian, Portuguese, Dutch), inside numbers,
/// dates, versions, addresses, names of files, `code` and fenced blocks. A sentence longer than
/// kLongestSentence bytes is cut at a blank. Linear in the text.
std::vector<Sentence> split_sentences(std::string_view text);

inline constexpr std::size_t kLongestSentence = 2000;

}  // namespace asahi::memory
