#include "gateway/routing/task_detector.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

namespace asahi::gateway {
namespace {

struct Row {
  std::string_view type;
  std::vector<std::string_view>
      triggers;  // lower case; a phrase has single spaces and at most 4 words
};

const std::vector<Row>& rows() {
  static const std::vector<Row> table = {
      {"summarization",
       {"summarize", "summarise", "summary", "tldr", "brief", "overview", "recap"}},
      {"reasoning",
       {"why", "explain", "reason", "analyze", "analyse", "because", "cause", "understand"}},
      {"faq",
       {"how do i", "what is", "what are", "who is", "where is", "when did", "help with",
        "tell me about"}},
      {"coding",
       {"write code", "implement", "function", "class", "def", "import", "python", "javascript",
        "typescript", "java", "debug", "fix this code", "refactor", "algorithm"}},
      {"translation",
       {"translate", "translation", "convert to", "in spanish", "in french", "in german",
        "in japanese", "in chinese", "in korean"}},
      {"classification", {"classify", "categorize", "categorise", "sentiment", "label", "tag"}},
      {"creative",
       {"write a poem", "write a story", "creative", "haiku", "limerick", "fiction", "compose",
        "lyrics"}},
      {"legal", {"legal", "contract", "statute", "regulation", "compliance", "attorney", "lawyer"}},
  };
  return table;
}
constexpr std::size_t kTypes = 8;
constexpr std::size_t kLongestWord = 14;
constexpr std::size_t kIntentCharacters = 80;

using WordId = std::uint8_t;  // 0: not in the vocabulary

constexpr bool is_space(char c) {
  return c == ' ' || static_cast<unsigned char>(c - '\t') < 5;  // \t \n \v \f \r
}

/// The lower-case form of a byte that belongs to a word, 0 for one that does not. Letters of two
/// UTF-8 bytes (Latin, Greek, Cyrillic …) belong, so "classé" holds no "class"; longer ones do not,
/// so that a trigger inside Chinese or Japanese text, which writes no spaces, is found, and
/// typographic quotes and dashes end words.
constexpr std::array<char, 256> make_word_bytes() {
  std::array<char, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[static_cast<std::size_t>(c)] = static_cast<char>(c);
  for (int c = 'a'; c <= 'z'; ++c) {
    table[static_cast<std::size_t>(c)] = static_cast<char>(c);
    table[static_cast<std::size_t>(c - 'a' + 'A')] = static_cast<char>(c);
  }
  table['_'] = '_';
  for (std::size_t c = 0xC3; c <= 0xDF; ++c) table[c] = static_cast<char>(c);
  return table;
}
constexpr auto kWordBytes = make_word_bytes();
/// Of a byte of `kWordBytes`.
constexpr bool is_two_byte_lead(unsigned char c) { return c >= 0xC3; }

/// The trigger words hashed once, and which phrases end with each.
class Vocabulary {
 public:
  /// A row of words, the last in the lowest byte.
  using Trail = std::uint32_t;
  struct Phrase {
    std::uint8_t type;
    Trail words;
    Trail mask;
  };

  Vocabulary() {
    for (std::size_t type = 0; type < rows().size(); ++type) {
      for (const std::string_view trigger : rows()[type].triggers) add(type, trigger);
    }
  }

  /// The word that `text` is in any case; 0 when it is none of ours.
  WordId find(std::string_view text) const {
    // Most words of a prompt differ from all of ours in first letter or length.
    if (text.size() > kLongestWord) return 0;
    const auto first = static_cast<unsigned char>(kWordBytes[static_cast<unsigned char>(text[0])]);
    if ((lengths_[first] >> text.size() & 1U) == 0) return 0;
    std::array<char, kLongestWord> lower;
    std::uint32_t hash = kSeed;
    for (std::size_t i = 0; i < text.size(); ++i) {
      lower[i] = kWordBytes[static_cast<unsigned char>(text[i])];
      hash = mix(hash, lower[i]);
    }
    return look_up({lower.data(), text.size()}, hash);
  }
  std::span<const Phrase> ending_with(WordId word) const { return endings_[word]; }

 private:
  static constexpr std::size_t kSlots = 512;  // some 90 words: mostly the first probe decides
  static constexpr std::uint32_t kSeed = 2166136261U;  // FNV-1a
  static constexpr std::uint32_t mix(std::uint32_t hash, char c) {
    return (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  }

  WordId look_up(std::string_view word, std::uint32_t hash) const {
    for (std::size_t slot = hash % kSlots;; slot = (slot + 1) % kSlots) {
      const WordId id = slots_[slot];
      if (id == 0 || words_[id] == word) return id;
    }
  }

  WordId intern(std::string_view word) {
    std::uint32_t hash = kSeed;
    for (const char c : word) hash = mix(hash, c);
    if (const WordId known = look_up(word, hash)) return known;
    const auto id = static_cast<WordId>(words_.size());
    words_.push_back(word);
    endings_.emplace_back();
    lengths_[static_cast<unsigned char>(word[0])] |= static_cast<std::uint16_t>(1U << word.size());
    std::size_t slot = hash % kSlots;
    while (slots_[slot] != 0) slot = (slot + 1) % kSlots;
    slots_[slot] = id;
    return id;
  }

  void add(std::size_t type, std::string_view trigger) {
    Phrase phrase{.type = static_cast<std::uint8_t>(type), .words = 0, .mask = 0};
    while (!trigger.empty()) {
      const std::size_t space = std::min(trigger.find(' '), trigger.size());
      phrase.words = phrase.words << 8 | intern(trigger.substr(0, space));
      phrase.mask = phrase.mask << 8 | 0xFF;
      trigger.remove_prefix(std::min(space + 1, trigger.size()));
    }
    endings_[phrase.words & 0xFF].push_back(phrase);
  }

  std::array<WordId, kSlots> slots_{};
  std::array<std::uint16_t, 256> lengths_{};  // by first letter: bit n for a word of n letters
  std::vector<std::string_view> words_{""};
  std::vector<std::vector<Phrase>> endings_{{}};
};

/// Matches per row of the table.
std::array<int, kTypes> count_matches(std::string_view text) {
  static const Vocabulary vocabulary;
  std::array<int, kTypes> counts{};
  // The last four words that stand in a row with only white space between them: as long as our
  // longest phrase.
  Vocabulary::Trail recent = 0;
  std::size_t i = 0;
  while (i < text.size()) {
    if (kWordBytes[static_cast<unsigned char>(text[i])] == 0) {
      if (!is_space(text[i])) recent = 0;
      ++i;
      continue;
    }
    const std::size_t start = i;
    while (i < text.size()) {
      const auto next = static_cast<unsigned char>(kWordBytes[static_cast<unsigned char>(text[i])]);
      if (next == 0) break;
      i += is_two_byte_lead(next) ? 2 : 1;
    }
    const WordId id = vocabulary.find(text.substr(start, i - start));
    recent = recent << 8 | id;
    if (id == 0) continue;
    for (const auto& phrase : vocabulary.ending_with(id)) {
      if ((recent & phrase.mask) == phrase.words) ++counts[phrase.type];
    }
  }
  return counts;
}

enum class Kind : std::uint8_t { kPlain, kSpace, kSentenceEnd, kInsideCharacter };

constexpr std::array<Kind, 256> make_kinds() {
  std::array<Kind, 256> table{};
  for (std::size_t c = 0; c < table.size(); ++c) {
    if (is_space(static_cast<char>(c))) table[c] = Kind::kSpace;
    if (c == '.' || c == '!' || c == '?') table[c] = Kind::kSentenceEnd;
    if ((c & 0xC0) == 0x80) table[c] = Kind::kInsideCharacter;
  }
  return table;
}

std::string intent_of(std::string_view prompt) {
  static constexpr auto kKinds = make_kinds();
  // Of valid UTF-8: at most four bytes a character. Each round adds up to two.
  std::array<char, 4 * kIntentCharacters + 2> intent;
  std::size_t size = 0;
  std::size_t characters = 0;
  bool pending_space = false;
  for (std::size_t i = 0; i < prompt.size() && size + 2 <= intent.size(); ++i) {
    const char c = prompt[i];
    const Kind kind = kKinds[static_cast<unsigned char>(c)];
    if (kind == Kind::kSpace) {
      // A line break ends the sentence too: prompts often start with an instruction on a line of
      // its own.
      if (c == '\n' && size > 0) break;
      pending_space = size > 0;
      continue;
    }
    if (kind != Kind::kInsideCharacter) {
      characters += pending_space ? 2 : 1;
      if (characters > kIntentCharacters) break;
    }
    if (pending_space) intent[size++] = ' ';
    pending_space = false;
    intent[size++] = c;
    if (kind == Kind::kSentenceEnd && (i + 1 == prompt.size() || is_space(prompt[i + 1]))) break;
  }
  return std::string(intent.data(), size);
}

}  // namespace

TaskDetection detect_task(std::string_view prompt) {
  TaskDetection result;
  if (std::ranges::all_of(prompt, is_space)) return result;
  result.intent = intent_of(prompt);
  const auto counts = count_matches(prompt);
  const auto best = std::ranges::max_element(counts);  // the first of equals
  if (*best == 0) {
    result.confidence = 0.1;
    return result;
  }
  result.task_type = rows()[static_cast<std::size_t>(best - counts.begin())].type;
  result.confidence = std::min(0.95, 0.3 + 0.2 * (*best - 1));
  const bool several = std::ranges::count_if(counts, [](int n) { return n > 0; }) > 1;
  if (several) result.confidence *= 0.9;
  result.confidence = std::round(result.confidence * 10'000) / 10'000;
  return result;
}

TaskDetection hinted_task(std::string_view task_type, std::string_view prompt) {
  return {.task_type = std::string(task_type), .confidence = 1, .intent = intent_of(prompt)};
}

}  // namespace asahi::gateway
