#include "llm/embed/lexicon.h"

#include <algorithm>
#include <string>

#include "llm/embed/lexicon_data.h"
#include "llm/embed/stem.h"

namespace asahi::llm::text {
namespace {

constexpr std::array<std::string_view, 23> kClassNames = {
    "none",  "month",    "weekday",  "season",  "ordinal", "unit",     "currency", "programming",
    "tool",  "format",   "protocol", "system",  "company", "language", "country",  "city",
    "color", "religion", "planet",   "subject", "degree",  "animal",   "organ"};

// Calls `visit` with every part of `text` between any of `separators`, without blanks around it.
template <class Visit>
void split(std::string_view text, std::string_view separators, Visit&& visit) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(separators), text.size());
    std::string_view part = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    while (!part.empty() && part.front() == ' ') part.remove_prefix(1);
    while (!part.empty() && part.back() == ' ') part.remove_suffix(1);
    if (!part.empty()) visit(part);
  }
}

}  // namespace

std::string_view to_string(WordClass word_class) {
  return kClassNames[static_cast<std::size_t>(word_class)];
}

const Lexicon& Lexicon::english() {
  static const Lexicon lexicon;
  return lexicon;
}

Lexicon::Lexicon() : slots_(8'192), phrases_(512), phrase_starts_(1'024) {
  // The first list that names a word decides.
  rank(data::kFunctionWords, Rank::kFunction);
  rank(data::kVeryCommonWords, Rank::kVeryCommon);
  rank(data::kCommonWords, Rank::kCommon);
  add_synonyms(data::kSynonyms);
  add_classes(data::kClasses);
  add_phrases(data::kPhrases);
}

Lexicon::Slot& Lexicon::slot(std::uint64_t key) {
  std::size_t at = key & (slots_.size() - 1);
  while (slots_[at].key != 0 && slots_[at].key != key) at = (at + 1) & (slots_.size() - 1);
  slots_[at].key = key;
  return slots_[at];
}

const Lexicon::Slot* Lexicon::find(std::uint64_t key) const {
  for (std::size_t at = key & (slots_.size() - 1); slots_[at].key != 0;
       at = (at + 1) & (slots_.size() - 1)) {
    if (slots_[at].key == key) return &slots_[at];
  }
  return nullptr;
}

const Lexicon::PhraseSlot* Lexicon::find_phrase(std::uint64_t key) const {
  for (std::size_t at = key & (phrases_.size() - 1); phrases_[at].key != 0;
       at = (at + 1) & (phrases_.size() - 1)) {
    if (phrases_[at].key == key) return &phrases_[at];
  }
  return nullptr;
}

void Lexicon::rank(std::string_view words, Rank rank) {
  split(words, " \n", [&](std::string_view word) {
    for (const std::string& form : {std::string(word), stem(word)}) {
      // Grammar is told by the word as it stands: "may" is, "mays" is not.
      if (rank == Rank::kFunction && form != word) continue;
      Slot& entry = slot(word_hash(form));
      if (entry.ranked) continue;
      entry.ranked = true;
      entry.facts.rank = rank;
    }
  });
}

void Lexicon::add_synonyms(std::string_view lines) {
  std::uint16_t group = 0;
  split(lines, "\n", [&](std::string_view line) {
    ++group;
    std::uint16_t side = 0;
    split(line, "|", [&](std::string_view words) {
      const auto mark = static_cast<GroupSide>(group * 4 + side++);
      split(words, " ", [&](std::string_view word) {
        Slot& entry = slot(word_hash(stem(word)));
        for (GroupSide& place : entry.facts.groups) {
          if (place == mark) break;
          if (place != 0) continue;
          place = mark;
          break;
        }
      });
    });
  });
}

void Lexicon::add_classes(std::string_view lines) {
  split(lines, "\n", [&](std::string_view line) {
    const std::size_t colon = line.find(':');
    const auto* name = std::ranges::find(kClassNames, line.substr(0, colon));
    const auto word_class = static_cast<WordClass>(name - kClassNames.begin());
    std::uint16_t member = 0;
    split(line.substr(colon + 1), ",", [&](std::string_view member_text) {
      ++member;
      split(member_text, "=", [&](std::string_view word) {
        for (const std::string& form : {std::string(word), stem(word)}) {
          Slot& entry = slot(word_hash(form));
          if (entry.facts.word_class != WordClass::kNone) continue;
          entry.facts.word_class = word_class;
          entry.facts.member = member;
        }
      });
    });
  });
}

void Lexicon::add_phrases(std::string_view lines) {
  split(lines, "\n", [&](std::string_view line) {
    const std::size_t equals = line.rfind('=');
    const std::string_view words = line.substr(0, equals);
    const std::uint64_t key = word_hash(words);
    std::size_t at = key & (phrases_.size() - 1);
    while (phrases_[at].key != 0) at = (at + 1) & (phrases_.size() - 1);
    phrases_[at] = {key, static_cast<std::uint8_t>(std::ranges::count(words, ' ') + 1),
                    line.substr(equals + 1)};
    const std::uint64_t first = word_hash(words.substr(0, words.find(' ')));
    phrase_starts_[first & (phrase_starts_.size() - 1)] = true;
  });
}

WordFacts Lexicon::facts(std::string_view word, std::string_view stem) const {
  WordFacts facts;
  const Slot* own = find(word_hash(word));
  if (own != nullptr && own->ranked && own->facts.rank == Rank::kFunction) return own->facts;
  const Slot* base = stem == word ? own : find(word_hash(stem));
  // "evening" is not the grammar word "even".
  const auto usable = [](const Slot* slot) {
    return slot != nullptr && slot->ranked && slot->facts.rank != Rank::kFunction;
  };
  if (usable(own))
    facts.rank = own->facts.rank;
  else if (usable(base))
    facts.rank = base->facts.rank;
  for (const Slot* slot : {own, base}) {
    if (slot == nullptr || facts.word_class != WordClass::kNone) continue;
    facts.word_class = slot->facts.word_class;
    facts.member = slot->facts.member;
  }
  if (base != nullptr)
    facts.groups = base->facts.groups;
  else if (own != nullptr)
    facts.groups = own->facts.groups;
  return facts;
}

}  // namespace asahi::llm::text
