#include "gateway/tokens/trimmed_text.h"

#include <algorithm>

#include "gateway/tokens/facts.h"
#include "gateway/tokens/phrases.h"
#include "gateway/tokens/words.h"

namespace asahi::gateway::tokens {
namespace {

/// How many sentences back a repeat is looked for: keeps long texts linear.
constexpr std::size_t kRepeatWindow = 256;
/// Longer "sentences" are tables or logs that have no marks.
constexpr std::size_t kLongestSentence = 4'000;

struct Looks {
  bool english = false;
  bool refers = false;
};

Looks look_at(std::string_view sentence) {
  static const WordSet pronouns(
      "it its this these those they their them he she his her such that thus so then "
      "also both each neither either another the");
  static const std::uint64_t kThe = hash_of_word("the");
  Looks looks;
  std::size_t words = 0, stops = 0;
  for (std::size_t i = 0; i < sentence.size();) {
    if (!is_letter(sentence[i])) {
      ++i;
      continue;
    }
    const std::size_t begin = i;
    while (i < sentence.size() && (is_letter(sentence[i]) || sentence[i] == '\'')) ++i;
    const std::uint64_t hash = hash_of_word(sentence.substr(begin, i - begin));
    if (words == 0) looks.refers = hash != kThe && pronouns.contains(hash);
    ++words;
    stops += static_cast<std::size_t>(stop_words().contains(hash));
  }
  looks.english = words >= 3 && stops * 5 >= words;
  return looks;
}

std::int64_t newlines(std::string_view gap) { return std::ranges::count(gap, '\n'); }

/// `part` in the order of `whole`.
bool is_subsequence(std::span<const std::uint64_t> part, std::span<const std::uint64_t> whole) {
  auto at = whole.begin();
  for (const std::uint64_t word : part) {
    at = std::find(at, whole.end(), word);
    if (at == whole.end()) return false;
    ++at;
  }
  return true;
}

std::uint64_t signature(std::span<const std::uint64_t> words) {
  std::uint64_t bits = 0;
  for (const std::uint64_t word : words) bits |= std::uint64_t{1} << (word >> 13 & 63);
  return bits;
}

/// The check that stands behind all steps: every fact of the one is in the other.
bool keeps_facts(const std::vector<Unit>& before, const std::vector<Unit>& after) {
  std::vector<Fact> had, has;
  for (const Unit& unit : before) find_facts(unit.text, had);
  for (const Unit& unit : after) find_facts(unit.text, has);
  std::ranges::sort(has, {}, &Fact::hash);
  return std::ranges::all_of(had, [&](const Fact& fact) {
    return std::ranges::binary_search(has, fact.hash, {}, &Fact::hash);
  });
}

struct Said {
  std::size_t sentence;
  std::uint64_t bits;
  std::vector<std::uint64_t> facts;   // sorted
  std::vector<std::uint64_t> limits;  // negations and constraints, sorted, repeated
};

Said said_in(std::size_t i, const TrimmedText::Sentence& sentence) {
  Said said{i, signature(sentence.words), {}, {}};
  std::vector<Fact> facts;
  find_facts(sentence.unit.text, facts);
  for (const Fact& fact : facts) {
    said.facts.push_back(fact.hash);
    if (fact.kind == Fact::Kind::kNegation || fact.kind == Fact::Kind::kConstraint)
      said.limits.push_back(fact.hash);
  }
  std::ranges::sort(said.facts);
  std::ranges::sort(said.limits);
  return said;
}

}  // namespace

TrimmedText::TrimmedText(std::string_view text, const SentenceSplitter& splitter)
    : text_(text), splitter_(splitter) {
  std::vector<Fact> facts;
  std::int64_t before = 2;
  for (const Unit& unit : units_of(text, splitter)) {
    Sentence sentence;
    sentence.unit = unit;
    sentence.size = count_words(unit.text);
    sentence.paragraph = before >= 2;
    before = newlines(unit.gap);
    original_size_ += sentence.size;
    if (unit.kind != Unit::Kind::kVerbatim && unit.text.size() <= kLongestSentence) {
      facts.clear();
      find_facts(unit.text, facts);
      sentence.has_facts = !facts.empty();
      sentence.words = content_words(unit.text);
      const Looks looks = look_at(unit.text);
      sentence.refers = looks.refers;
      sentence.spare = unit.kind == Unit::Kind::kSentence && !sentence.has_facts && looks.english &&
                       unit.text.find('?') == std::string_view::npos && !is_instruction(unit.text);
      sentence.mood = sentence.spare && is_mood(unit.text);
    } else {
      sentence.unit.kind = Unit::Kind::kVerbatim;
      sentence.has_facts = true;
    }
    sentences_.push_back(std::move(sentence));
  }
}

std::size_t TrimmedText::count_spare() const {
  return static_cast<std::size_t>(std::ranges::count_if(sentences_, &Sentence::spare));
}

bool TrimmedText::shorten() {
  bool changed = false;
  for (Sentence& sentence : sentences_) {
    if (sentence.unit.kind == Unit::Kind::kVerbatim || !sentence.kept) continue;
    // The phrases are English; other languages have none of them.
    std::string shorter = shorten_phrases(sentence.unit.text);
    if (shorter == sentence.unit.text) continue;
    sentence.shorter = std::move(shorter);
    sentence.size = count_words(sentence.shorter);
    sentence.words = content_words(sentence.shorter);
    changed = true;
  }
  return changed;
}

bool TrimmedText::drop_filler() {
  bool changed = false;
  for (Sentence& sentence : sentences_) {
    if (sentence.unit.kind != Unit::Kind::kSentence || !sentence.kept || sentence.has_facts)
      continue;
    if (sentence.unit.text.find('?') != std::string_view::npos) continue;
    if (!is_filler(sentence.unit.text)) continue;
    sentence.kept = false;
    changed = true;
  }
  return changed;
}

bool TrimmedText::drop_repeats() {
  bool changed = false;
  std::vector<Said> earlier;
  for (std::size_t i = 0; i < sentences_.size(); ++i) {
    Sentence& sentence = sentences_[i];
    if (sentence.unit.kind == Unit::Kind::kVerbatim || !sentence.kept || sentence.words.size() < 2)
      continue;
    Said said = said_in(i, sentence);
    if (sentence.unit.kind == Unit::Kind::kSentence &&
        sentence.unit.text.find('?') == std::string_view::npos) {
      const std::size_t from = earlier.size() > kRepeatWindow ? earlier.size() - kRepeatWindow : 0;
      for (std::size_t k = earlier.size(); k-- > from;) {
        const Said& other = earlier[k];
        if ((said.bits & ~other.bits) != 0 || said.limits != other.limits ||
            !is_subsequence(sentence.words, sentences_[other.sentence].words) ||
            !std::ranges::includes(other.facts, said.facts))
          continue;
        // Half of a long sentence is not the sentence.
        if (sentence.words.size() * 2 < sentences_[other.sentence].words.size()) continue;
        sentence.kept = false;
        sentence.said_elsewhere = true;
        changed = true;
        break;
      }
    }
    if (sentence.kept) earlier.push_back(std::move(said));
  }
  return changed;
}

bool TrimmedText::may_drop(std::size_t i) const {
  const Sentence& sentence = sentences_[i];
  if (!sentence.spare || !sentence.kept || i == 0) return false;
  // What leans on it goes first, or it stays.
  for (std::size_t next = i + 1; next < sentences_.size() && !sentences_[next].paragraph; ++next) {
    if (!sentences_[next].kept) continue;
    return !sentences_[next].refers;
  }
  return true;
}

void TrimmedText::drop(std::size_t i) { sentences_[i].kept = false; }

void TrimmedText::restore(std::size_t i) {
  Sentence& sentence = sentences_[i];
  sentence.kept = true;
  sentence.said_elsewhere = false;
  sentence.shorter.clear();
  sentence.size = count_words(sentence.unit.text);
  sentence.words = content_words(sentence.unit.text);
}

std::int64_t TrimmedText::size() const {
  std::int64_t words = 0;
  for (const Sentence& sentence : sentences_) words += sentence.kept ? sentence.size : 0;
  return words;
}

std::string TrimmedText::render() const {
  std::string out;
  out.reserve(text_.size());
  std::string_view gap;  // the widest since the last kept sentence
  bool first = true;
  for (const Sentence& sentence : sentences_) {
    if (sentence.kept) {
      if (!first) {
        const std::int64_t lines = newlines(gap);
        out += lines >= 2 ? "\n\n" : lines == 1 ? "\n" : " ";
        // Indentation belongs to what follows, where it is not running text.
        if (lines > 0 && sentence.unit.kind != Unit::Kind::kSentence)
          out += gap.substr(gap.rfind('\n') + 1);
      }
      out += sentence.shorter.empty() ? sentence.unit.text : std::string_view(sentence.shorter);
      first = false;
      gap = sentence.unit.gap;
    } else if (newlines(sentence.unit.gap) > newlines(gap)) {
      gap = sentence.unit.gap;
    }
  }
  if (out.empty() || out.size() > text_.size()) return std::string(text_);
  return keeps_facts(units_of(text_, splitter_), units_of(out, splitter_)) ? out
                                                                           : std::string(text_);
}

}  // namespace asahi::gateway::tokens
