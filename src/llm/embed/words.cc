#include "llm/embed/words.h"

#include <algorithm>
#include <unordered_map>

#include "base/hash.h"
#include "llm/embed/fold.h"
#include "llm/embed/stem.h"

namespace asahi::llm::text {
namespace {

constexpr std::size_t kMaxTokens = 600;

constexpr std::array<std::string_view, 11> kTypeNames = {"statement", "what",        "which", "how",
                                                         "how_many",  "how_much_of", "why",   "who",
                                                         "when",      "where",       "yes_no"};

constexpr std::array<std::string_view, 12> kLanguages = {
    "en", "es", "fr", "de", "it", "pt", "el", "ru", "semitic", "indic", "th", "cjk"};

struct Stops {
  std::uint8_t language;
  std::string_view words;  // blank on either side of each
};
// What no English text holds twice by chance.
constexpr auto kStops = std::to_array<Stops>(
    {{1, " el los las que de en por para una un es del con su cual donde cuando esta mi cuanto "},
     {2, " le la les des une est que dans pour avec comment quel quelle du et je vous mon un "},
     {3, " der das und ist nicht ein eine wie fur auf ich von zu dem kann mein wo warum "},
     {4, " il lo gli che di una sono della nel quale dove mio la le un perche "},
     {5, " um uma que para nao com dos das onde meu qual como por "}});

bool one_of(std::string_view word, std::string_view list) {
  // `list`: words with a blank on either side.
  for (std::size_t at = list.find(word); at != std::string_view::npos;
       at = list.find(word, at + 1)) {
    if (at > 0 && list[at - 1] == ' ' && list[at + word.size()] == ' ') return true;
  }
  return false;
}

constexpr std::string_view kAuxiliaries =
    " is are was were am do does did can could will would shall should may might must has have "
    "had ";

Role role_of(std::string_view word) {
  struct Entry {
    std::string_view word;
    Role role;
  };
  static constexpr auto kRoles = std::to_array<Entry>({{"to", Role::kTo},
                                                       {"into", Role::kTo},
                                                       {"onto", Role::kTo},
                                                       {"from", Role::kFrom},
                                                       {"than", Role::kThan},
                                                       {"by", Role::kBy},
                                                       {"before", Role::kBefore},
                                                       {"after", Role::kAfter},
                                                       {"of", Role::kOf},
                                                       {"for", Role::kFor},
                                                       {"in", Role::kIn},
                                                       {"on", Role::kIn},
                                                       {"at", Role::kIn},
                                                       {"with", Role::kWith},
                                                       {"over", Role::kAbove},
                                                       {"above", Role::kAbove},
                                                       {"under", Role::kBelow},
                                                       {"below", Role::kBelow},
                                                       {"via", Role::kWith}});
  for (const Entry& entry : kRoles) {
    if (entry.word == word) return entry.role;
  }
  return Role::kNone;
}

std::string_view number_word(std::string_view word) {
  struct Entry {
    std::string_view word, digits;
  };
  static constexpr auto kNumbers = std::to_array<Entry>({{"zero", "0"},
                                                         {"two", "2"},
                                                         {"three", "3"},
                                                         {"four", "4"},
                                                         {"five", "5"},
                                                         {"six", "6"},
                                                         {"seven", "7"},
                                                         {"eight", "8"},
                                                         {"nine", "9"},
                                                         {"ten", "10"},
                                                         {"eleven", "11"},
                                                         {"twelve", "12"},
                                                         {"fifteen", "15"},
                                                         {"twenty", "20"},
                                                         {"thirty", "30"},
                                                         {"forty", "40"},
                                                         {"fifty", "50"},
                                                         {"sixty", "60"},
                                                         {"seventy", "70"},
                                                         {"eighty", "80"},
                                                         {"ninety", "90"},
                                                         {"hundred", "100"},
                                                         {"thousand", "1000"},
                                                         {"million", "1000000"},
                                                         {"billion", "1000000000"},
                                                         {"dozen", "12"},
                                                         {"half", "0.5"},
                                                         {"twice", "2"}});
  for (const Entry& entry : kNumbers) {
    if (entry.word == word) return entry.digits;
  }
  return {};
}

// The folded words with phrases put together; views into `folded` or into the word lists.
struct Item {
  std::string_view word;
  const Token* token;
};

std::vector<Item> items_of(const Folded& folded, const Lexicon& lexicon) {
  std::vector<Item> items;
  items.reserve(folded.tokens.size());
  for (std::size_t i = 0; i < folded.tokens.size();) {
    const Token& token = folded.tokens[i];
    const auto found = token.code || token.number
                           ? Lexicon::Phrase{}
                           : lexicon.phrase(folded.tokens.size() - i, [&](std::size_t k) {
                               return folded.of(folded.tokens[i + k]);
                             });
    // "US" and "IT" in capitals, in a text that is not, are no grammar.
    const bool shouted = folded.tokens.size() > 1 && folded.tokens[i == 0 ? 1 : i - 1].all_capitals;
    if (token.all_capitals && !shouted && folded.of(token) == "us") {
      items.push_back({"usa", &token});
      ++i;
    } else if (token.all_capitals && !shouted && folded.of(token) == "it") {
      items.push_back({"information-technology", &token});
      ++i;
    } else if (found.words > 0) {
      items.push_back({found.replacement, &token});
      i += found.words;
    } else {
      items.push_back({folded.of(token), &token});
      ++i;
    }
  }
  return items;
}

/// Finds what is asked for and which words only say so ("what are the ways to").
class Question {
 public:
  explicit Question(const std::vector<Item>& items) : items_(items) { find(); }
  QuestionType type = QuestionType::kStatement;
  /// Items from `begin` to `end` form the question and carry no content.
  std::size_t begin = 0, end = 0;

 private:
  bool at(std::size_t i, std::string_view list) const {
    return i < items_.size() && one_of(items_[i].word, list);
  }
  void set(QuestionType found, std::size_t first, std::size_t last) {
    type = found;
    begin = first;
    end = last;
  }

  void find() {
    // Polite beginnings say nothing about the question.
    std::size_t i = 0;
    for (bool moved = true; moved;) {
      moved = false;
      while (at(i, " please hi hello hey so and but ok okay well also just ")) ++i, moved = true;
      if (at(i, " can could would will ") && at(i + 1, " you u someone anyone anybody ")) {
        std::size_t k = i + 2;
        while (at(k, " please kindly just ")) ++k;
        if (at(k, " tell show explain help describe give teach ")) {
          ++k;
          while (at(k, " me us to the ")) ++k;
          i = k;
          moved = true;
        }
      } else if (at(i, " tell show teach ") && at(i + 1, " me us ")) {
        i += 2;
        moved = true;
      } else if (at(i, " i ") && at(i + 1, " want need would like am ")) {
        std::size_t k = i + 1;
        while (at(k, " want need would like am to wondering know find discover out ")) ++k;
        if (at(k, " how what why when where which who if whether ") && k > i + 1) {
          i = k;
          moved = true;
        }
      } else if (at(i, " do does ") && at(i + 1, " you anyone anybody someone ") &&
                 at(i + 2, " know ")) {
        i += 3;
        moved = true;
      }
    }
    if (word_at(i)) return;
    if (at(i, kAuxiliaries)) {
      set(QuestionType::kYesNo, i, i + 1);
      return;
    }
    if (at(i, " if whether ")) {
      set(QuestionType::kYesNo, i, i + 1);
      return;
    }
    if (at(i, " explain describe define ")) {
      set(QuestionType::kWhat, i, i + 1);
      return;
    }
    // "In which year did …", "My card is lost, what do I do?"
    for (std::size_t k = i; k < items_.size(); ++k) {
      const Token& token = *items_[k].token;
      const bool clause = token.sentence_start || token.comma_before || k <= i + 2;
      if (clause && word_at(k)) return;
      if (token.sentence_start && k > i && at(k, kAuxiliaries)) {
        set(QuestionType::kYesNo, k, k + 1);
        return;
      }
    }
  }

  bool word_at(std::size_t i) {
    if (at(i, " how ")) {
      if (at(i + 1, " many much ")) {
        set(QuestionType::kHowMany, i, i + 2);
      } else if (at(i + 1,
                    " long far old big tall large often fast high deep hard heavy wide "
                    "early late soon quickly good bad ")) {
        set(QuestionType::kHowMuchOf, i, i + 1);
      } else {
        set(QuestionType::kHow, i, i + 1);
      }
      return true;
    }
    if (at(i, " why ")) return set(QuestionType::kWhy, i, i + 1), true;
    if (at(i, " who whom whose ")) return set(QuestionType::kWho, i, i + 1), true;
    if (at(i, " when ")) {
      // "When I open the app, it hangs" asks nothing.
      if (!at(i + 1, kAuxiliaries) && !items_.back().token->code && !at(i + 1, " to ")) {
        return false;
      }
      return set(QuestionType::kWhen, i, i + 1), true;
    }
    if (at(i, " where ")) return set(QuestionType::kWhere, i, i + 1), true;
    if (!at(i, " what which ")) return false;
    const QuestionType plain = at(i, " which ") ? QuestionType::kWhich : QuestionType::kWhat;
    std::size_t k = i + 1;
    while (at(k,
              " is are was were the a an some s would be your best easiest fastest good great "
              "quickest simplest different better most effective possible correct right proper "
              "only ")) {
      ++k;
    }
    if (at(k, " way ways method methods steps step approach procedure process tips ") &&
        (at(k + 1, " to of for can i do one we ") || k + 1 == items_.size())) {
      set(QuestionType::kHow, i, k + 1);
      return true;
    }
    if (at(k, " reason reasons cause causes ")) {
      set(QuestionType::kWhy, i, k + 1);
      return true;
    }
    if (at(k, " time year date day month ") && !at(k + 1, " of ")) {
      set(QuestionType::kWhen, i, i + 1);
      return true;
    }
    if (at(k, " place city country location ")) {
      set(QuestionType::kWhere, i, i + 1);
      return true;
    }
    if (at(k, " number amount count quantity ") && at(k + 1, " of ")) {
      set(QuestionType::kHowMany, i, k + 2);
      return true;
    }
    if (at(k, " difference ") || at(k, " meaning ")) {
      set(QuestionType::kWhat, i, i + 1);
      return true;
    }
    // "What should I do to …" asks how.
    if (at(i + 1, " should can could must do would ") && at(i + 2, " i we one you ") &&
        at(i + 3, " do ")) {
      set(QuestionType::kHow, i, i + 4);
      return true;
    }
    set(plain, i, i + 1);
    return true;
  }

  const std::vector<Item>& items_;
};

/// Grammar words of at most 7 letters: bit i for kStops[i], the highest for English.
class StopWords {
 public:
  static constexpr std::uint8_t kEnglish = 1U << 7;

  StopWords() {
    for (std::size_t i = 0; i < kStops.size(); ++i)
      add(kStops[i].words, static_cast<std::uint8_t>(1U << i));
    add(" the of and is to in what how why does are my with for it i a on at do can ", kEnglish);
  }
  /// `word`: at most 7 letters.
  std::uint8_t of(std::string_view word) const {
    const auto found = bits_.find(packed(word));
    return found == bits_.end() ? 0 : found->second;
  }

 private:
  static std::uint64_t packed(std::string_view word) {
    std::uint64_t key = 0;
    for (const char c : word) key = key << 8 | static_cast<unsigned char>(c);
    return key;
  }
  void add(std::string_view list, std::uint8_t bit) {
    for (std::size_t at = 1; at < list.size();) {
      const std::size_t end = list.find(' ', at);
      bits_[packed(list.substr(at, end - at))] |= bit;
      at = end + 1;
    }
  }
  std::unordered_map<std::uint64_t, std::uint8_t> bits_;
};

std::uint8_t language_of(const Folded& folded, const std::vector<Item>& items) {
  std::uint32_t letters = 0;
  for (const std::uint32_t count : folded.scripts) letters += count;
  // Code and names in Latin letters stand in texts of every script.
  constexpr std::uint8_t kByScript[8] = {0, 6, 7, 8, 9, 10, 11, 0};
  for (std::size_t script = 1; script < 8; ++script) {
    const std::uint32_t weight = script == kHan ? 3 : 1;
    if (folded.scripts[script] * weight * 2 > letters) return kByScript[script];
  }
  std::uint8_t best = 0;
  std::size_t most = 2;
  std::size_t english = 0;
  std::array<std::size_t, kStops.size()> counts{};
  static const StopWords kStopWords;
  for (const Item& item : items) {
    if (item.word.size() > 7) continue;
    const std::uint8_t bits = kStopWords.of(item.word);
    if (bits == 0) continue;
    english += (bits & StopWords::kEnglish) != 0 ? 1 : 0;
    for (std::size_t i = 0; i < kStops.size(); ++i) counts[i] += (bits >> i) & 1U;
  }
  for (std::size_t i = 0; i < kStops.size(); ++i) {
    if (counts[i] >= most && counts[i] > english) {
      most = counts[i] + 1;
      best = kStops[i].language;
    }
  }
  return best;
}

constexpr bool negation(std::string_view word) {
  return word == "not" || word == "no" || word == "never" || word == "without" ||
         word == "cannot" || word == "neither" || word == "nor" || word == "none" ||
         word == "nothing" || word == "nobody" || word == "dont" || word == "cant" ||
         word == "isnt" || word == "doesnt" || word == "wont" || word == "didnt" ||
         word == "arent" || word == "wasnt" || word == "havent" || word == "hasnt" ||
         word == "shouldnt" || word == "wouldnt" || word == "couldnt" || word == "unless" ||
         word == "except" || word == "hardly" || word == "lack";
}

constexpr bool article(std::string_view word) {
  return word == "the" || word == "a" || word == "an" || word == "my" || word == "your" ||
         word == "our" || word == "his" || word == "her" || word == "their" || word == "its" ||
         word == "this" || word == "that" || word == "these" || word == "those" || word == "some" ||
         word == "any";
}

std::uint8_t weight_of(const Word& word, std::string_view stem) {
  if (word.is(Word::kNumber)) return 80;
  if (word.is(Word::kCode)) return 88;
  if (word.word_class != WordClass::kNone && word.word_class != WordClass::kUnit &&
      word.word_class != WordClass::kOrdinal)
    return 84;
  switch (word.rank) {
    case Rank::kFunction:
      return 4;
    case Rank::kVeryCommon:
      return 20;
    case Rank::kCommon:
      return 44;
    case Rank::kRare:
      break;
  }
  if (word.is(Word::kName)) return 80;
  // One character of a script without blanks says little.
  if (stem.size() <= 3 && static_cast<unsigned char>(stem[0]) >= 0x80) return 28;
  return stem.size() >= 8 ? 72 : 64;
}

}  // namespace

std::string_view to_string(QuestionType type) { return kTypeNames[static_cast<std::size_t>(type)]; }

std::string_view language_name(std::uint8_t language) {
  return language < kLanguages.size() ? kLanguages[language] : "unknown";
}

Words analyse(std::string_view text) {
  const Lexicon& lexicon = Lexicon::english();
  std::size_t consumed = 0;
  const Folded folded = fold(text, kMaxTokens, consumed);
  const std::vector<Item> items = items_of(folded, lexicon);
  Words out;
  out.length = static_cast<std::uint32_t>(items.size());
  const Question question(items);
  out.type = question.type;
  out.language = language_of(folded, items);

  // In a Headline Every Word Is Large: capitals tell nothing.
  std::size_t capitals = 0, plain = 0;
  for (const Token& token : folded.tokens) {
    if (token.number || token.code) continue;
    capitals += token.capital ? 1 : 0;
    ++plain;
  }
  const bool capitals_tell = capitals * 10 <= plain * 6 || plain <= 1;

  Role role = Role::kNone;
  bool joined = false;
  int negated = 0;
  std::size_t rest_from = items.size();
  std::string own;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Item& item = items[i];
    const Token& token = *item.token;
    out.normal_form = word_hash(item.word, word_hash(" ", out.normal_form));
    if (token.sentence_start || token.comma_before) negated = 0;
    if (token.sentence_start) role = Role::kNone;
    if (i >= question.begin && i < question.end) {
      role = Role::kNone;
      continue;
    }
    if (!token.code && !token.number) {
      if (negation(item.word)) {
        ++out.negations;
        negated = 4;
        continue;
      }
      if (item.word == "and" || item.word == "or" || item.word == "vs" || item.word == "versus" ||
          item.word == "between") {
        joined = true;
        continue;
      }
      if (const Role next = role_of(item.word); next != Role::kNone) {
        role = next;
        // "before", "after", "above", "below" also say something.
        if (next != Role::kBefore && next != Role::kAfter && next != Role::kAbove &&
            next != Role::kBelow)
          continue;
      }
    }
    Word word;
    std::string_view digits =
        token.number || token.code ? std::string_view{} : number_word(item.word);
    if (token.number) {
      own.assign(item.word);
      word.flags |= Word::kNumber;
    } else if (!digits.empty()) {
      own.assign(digits);
      word.flags |= Word::kNumber;
    } else if (token.code) {
      own.assign(item.word);
      word.flags |= Word::kCode | Word::kName;
    } else {
      own = stem(item.word);
      const WordFacts facts = lexicon.facts(item.word, own);
      if (facts.rank == Rank::kFunction) {
        if (!article(item.word)) role = Role::kNone;
        // Quantities and directions have opposites: "all", "more", "up".
        if (facts.groups[0] == 0) {
          if (negated > 0) --negated;
          continue;
        }
      }
      word.rank = facts.rank;
      word.word_class = facts.word_class;
      word.member = facts.member;
      word.groups = facts.groups;
      const bool cased = token.capital && capitals_tell;
      if (cased && !token.sentence_start && word.rank == Rank::kRare) word.flags |= Word::kName;
      if (token.all_capitals && capitals_tell) word.flags |= Word::kAcronym;
      if (token.all_capitals && capitals_tell && word.rank == Rank::kRare)
        word.flags |= Word::kName;
      if (token.capital) word.flags |= Word::kCapital;
      const bool mixed =
          std::ranges::any_of(item.word, [](char c) { return c >= '0' && c <= '9'; });
      if (mixed) word.flags |= Word::kName;
    }
    if (out.words.size() == Words::kMaxWords) {
      rest_from = i;
      break;
    }
    word.role = role;
    if (joined || token.comma_before) word.flags |= Word::kJoined;
    joined = false;
    if (negated > 0) word.flags |= Word::kNegated;
    negated = 0;
    word.hash = static_cast<std::uint32_t>(word_hash(own) >> 16);
    word.begin = static_cast<std::uint16_t>(out.letters.size());
    word.length = static_cast<std::uint8_t>(own.size());
    word.weight = weight_of(word, own);
    out.letters += own;
    out.words.push_back(word);
  }
  if (rest_from < items.size() || consumed < text.size()) {
    // A digest nobody can aim at: what it stands for is not looked at again.
    const auto digest = sha256(text);
    for (std::size_t i = 0; i < 8; ++i) out.rest = out.rest << 8 | digest[i];
    out.rest |= 1;
  }
  out.words.shrink_to_fit();
  out.letters.shrink_to_fit();
  return out;
}

}  // namespace asahi::llm::text
