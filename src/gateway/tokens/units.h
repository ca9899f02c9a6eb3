#pragma once

#include <functional>
#include <string_view>
#include <vector>

namespace asahi::gateway::tokens {

/// A piece of a text that is kept or dropped as a whole, with the white space behind it.
struct Unit {
  enum class Kind {
    kSentence,  ///< of running text: may be shortened
    kListItem,  ///< a sentence of a list: never dropped alone, the list would lose its count
    kVerbatim,  ///< code, tables, headings, labels, markup, examples: not touched
  };
  Kind kind = Kind::kVerbatim;
  std::string_view text;
  std::string_view gap;  ///< white space up to the next unit
};

/// Where the sentences of a paragraph end (behind their last mark, before the white space). The
/// default is `sentence_ends`.
using SentenceSplitter =
    std::function<void(std::string_view paragraph, std::vector<std::size_t>& ends)>;

/// After . ! ? and closing quotes, unless it is an abbreviation or goes on in lower case.
void sentence_ends(std::string_view paragraph, std::vector<std::size_t>& ends);

/// The text as units; their texts and gaps, joined, are the text without leading white space.
std::vector<Unit> units_of(std::string_view text, const SentenceSplitter& splitter = sentence_ends);

}  // namespace asahi::gateway::tokens
