#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace asahi::gateway::tokens {

/// What trimming must not lose: a thing that a text says once and that nothing else in it implies.
struct Fact {
  enum class Kind {
    kNumber,      ///< with a digit, or a number word
    kName,        ///< capitalised inside a sentence, acronyms, camelCase, words of other scripts
    kCode,        ///< `code`, paths, identifiers, placeholders, formulas
    kUrl,         ///< and mail addresses
    kQuote,       ///< in quotation marks, marks included
    kNegation,    ///< not, no, never, without, unless …
    kConstraint,  ///< must, only, always, at most, exactly, required …
  };
  Kind kind;
  std::string_view text;
  std::uint64_t hash;  ///< of kind and text; words without regard to case
};

/// The facts of one sentence, in order. What is unclear counts as a fact: a word with a capital at
/// the beginning of a sentence is a name unless a vocabulary knows it as an everyday word.
void find_facts(std::string_view sentence, std::vector<Fact>& out);

/// Ranges of `sentence` that are quoted or code: begin, end, begin, end …
void find_protected(std::string_view sentence, std::vector<std::size_t>& bounds);

}  // namespace asahi::gateway::tokens
