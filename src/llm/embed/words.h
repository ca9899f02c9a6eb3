#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "llm/embed/lexicon.h"

namespace asahi::llm::text {

/// What a text asks for.
enum class QuestionType : std::uint8_t {
  kStatement,
  kWhat,
  kWhich,
  kHow,
  kHowMany,
  kHowMuchOf,  ///< "how long", "how far", "how old"
  kWhy,
  kWho,
  kWhen,
  kWhere,
  kYesNo
};
std::string_view to_string(QuestionType type);

/// The grammar word that governs a noun; what turns "from A to B" into something other than "from
/// B to A".
enum class Role : std::uint8_t {
  kNone,
  kTo,
  kFrom,
  kThan,
  kBy,
  kBefore,
  kAfter,
  kOf,
  kFor,
  kIn,
  kWith,
  kAbove,
  kBelow
};

/// One word that carries content.
struct Word {
  static constexpr std::uint8_t kName = 1;      ///< capitalised inside a sentence, or of a class
  static constexpr std::uint8_t kNumber = 2;    ///< digits, versions, number words
  static constexpr std::uint8_t kCode = 4;      ///< identifiers, paths, addresses, code spans
  static constexpr std::uint8_t kNegated = 8;   ///< "not", "never", "without" stands before it
  static constexpr std::uint8_t kJoined = 16;   ///< "and", "or", "vs", a comma stands before it
  static constexpr std::uint8_t kAcronym = 32;  ///< written in capitals only
  static constexpr std::uint8_t kCapital = 64;  ///< starts with a capital, wherever it stands

  std::uint32_t hash = 0;  ///< of the stem; equal hashes still compare letters
  std::uint16_t begin = 0;
  std::uint8_t length = 0;  ///< of the stem in `Words::letters`
  std::uint8_t flags = 0;
  Rank rank = Rank::kRare;
  WordClass word_class = WordClass::kNone;
  Role role = Role::kNone;
  std::uint8_t weight = 64;  ///< 64: a rare word
  std::uint16_t member = 0;
  std::array<GroupSide, kGroupsPerWord> groups{};

  bool is(std::uint8_t flag) const { return (flags & flag) != 0; }
};

/// A text as the embedder and the cache's verifier see it: grammar words told apart from content,
/// endings and spelling evened out. About 20 bytes a content word.
struct Words {
  /// More content words than that are not looked at one by one; `rest` stands for them.
  static constexpr std::size_t kMaxWords = 96;

  std::vector<Word> words;
  std::string letters;  ///< the stems, one after the other
  QuestionType type = QuestionType::kStatement;
  std::uint8_t language = 0;  ///< 0: English or unknown; see `language_name`
  std::uint8_t negations = 0;
  std::uint32_t length = 0;       ///< all words, grammar too
  std::uint64_t normal_form = 0;  ///< of the folded text, every word in its order
  std::uint64_t rest = 0;         ///< of what lies behind kMaxWords; 0: nothing

  std::string_view stem_of(const Word& word) const {
    return std::string_view(letters).substr(word.begin, word.length);
  }
};

/// Any bytes; ill-formed UTF-8 counts as blanks. Deterministic; time and memory linear in the
/// text, about 1 µs per 10 words.
Words analyse(std::string_view text);

/// "en", "es", "cjk", …
std::string_view language_name(std::uint8_t language);

}  // namespace asahi::llm::text
