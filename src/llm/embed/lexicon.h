#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace asahi::llm::text {

/// How much a word says, before anything is known about the text around it.
enum class Rank : std::uint8_t { kFunction, kVeryCommon, kCommon, kRare };

/// Which set of mutually exclusive members a word belongs to ("month", "country", …).
enum class WordClass : std::uint8_t {
  kNone,
  kMonth,
  kWeekday,
  kSeason,
  kOrdinal,
  kUnit,
  kCurrency,
  kProgramming,
  kTool,
  kFormat,
  kProtocol,
  kSystem,
  kCompany,
  kLanguage,
  kCountry,
  kCity,
  kColor,
  kReligion,
  kPlanet,
  kSubject,
  kDegree,
  kAnimal,
  kOrgan
};
/// "month", "programming", …; "none".
std::string_view to_string(WordClass word_class);

/// A word's place in a set of synonyms and opposites: group · 4 + side; 0: none.
using GroupSide = std::uint16_t;
inline constexpr std::size_t kGroupsPerWord = 4;

/// What the word lists know about one word.
struct WordFacts {
  Rank rank = Rank::kRare;
  WordClass word_class = WordClass::kNone;
  std::uint16_t member = 0;  ///< which member of the class
  std::array<GroupSide, kGroupsPerWord> groups{};
};

/// The hand-written word lists, ready for look-up. Immutable; any thread.
class Lexicon {
 public:
  /// The one of this program; built at first use (about a millisecond).
  static const Lexicon& english();

  /// `word`: folded. Synonyms and classes are found by the word or by its stem.
  WordFacts facts(std::string_view word, std::string_view stem) const;
  /// The phrase that starts with these folded words: how many words it takes and what stands for
  /// them. Zero words: none.
  struct Phrase {
    std::size_t words = 0;
    std::string_view replacement;
  };
  template <class WordAt>
  Phrase phrase(std::size_t count, WordAt&& word_at) const;

 private:
  Lexicon();

  struct Slot {
    std::uint64_t key = 0;
    WordFacts facts;
    bool ranked = false;
  };
  struct PhraseSlot {
    std::uint64_t key = 0;
    std::uint8_t words = 0;
    std::string_view replacement;
  };
  Slot& slot(std::uint64_t key);
  const Slot* find(std::uint64_t key) const;
  const PhraseSlot* find_phrase(std::uint64_t key) const;
  void rank(std::string_view words, Rank rank);
  void add_synonyms(std::string_view lines);
  void add_classes(std::string_view lines);
  void add_phrases(std::string_view lines);

  std::vector<Slot> slots_;          // open addressing, a power of two
  std::vector<PhraseSlot> phrases_;  // the same
  std::vector<bool> phrase_starts_;  // by low bits of the first word's hash
};

/// FNV-1a, 64 bits: places words in tables, never decides that two words are the same one.
constexpr std::uint64_t word_hash(std::string_view word, std::uint64_t seed = 0xcbf29ce484222325) {
  std::uint64_t hash = seed;
  for (const char c : word) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3;
  }
  return hash;
}

template <class WordAt>
Lexicon::Phrase Lexicon::phrase(std::size_t count, WordAt&& word_at) const {
  std::uint64_t hash = word_hash(word_at(0));
  if (!phrase_starts_[hash & (phrase_starts_.size() - 1)]) return {};
  Phrase best;
  for (std::size_t i = 1; i < count && i < 6; ++i) {
    hash = word_hash(word_at(i), word_hash(" ", hash));
    if (const PhraseSlot* found = find_phrase(hash)) best = {found->words, found->replacement};
  }
  return best;
}

}  // namespace asahi::llm::text
