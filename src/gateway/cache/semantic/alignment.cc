#include "gateway/cache/semantic/alignment.h"

#include <algorithm>
#include <array>

namespace asahi::gateway::semantic {
namespace {

using llm::text::GroupSide;
using llm::text::Rank;
using llm::text::Word;
using llm::text::WordClass;
using llm::text::Words;

// Credits of the kinds of match below the same stem.
constexpr float kSynonym = 0.92F;
constexpr float kCompound = 0.95F;
constexpr float kAbbreviation = 0.9F;
constexpr float kSlip = 0.8F;
constexpr float kDerived = 0.7F;

bool synonyms(const Word& a, const Word& b) {
  for (const GroupSide x : a.groups) {
    if (x == 0) break;
    for (const GroupSide y : b.groups) {
      if (y == 0) break;
      if (x == y) return true;
    }
  }
  return false;
}

bool ascii_word(std::string_view word) {
  return std::ranges::all_of(word, [](char c) { return c >= 'a' && c <= 'z'; });
}

// One letter changed, added, left out, or two neighbours exchanged.
bool slip(std::string_view a, std::string_view b) {
  if (a.size() > b.size()) std::swap(a, b);
  if (b.size() - a.size() > 1 || a.size() < 5 || a[0] != b[0]) return false;
  std::size_t i = 0;
  while (i < a.size() && a[i] == b[i]) ++i;
  if (a.size() != b.size()) return a.substr(i) == b.substr(i + 1);
  if (i == a.size()) return true;
  if (a.substr(i + 1) == b.substr(i + 1)) return true;
  return i + 1 < a.size() && a[i] == b[i + 1] && a[i + 1] == b[i] &&
         a.substr(i + 2) == b.substr(i + 2);
}

bool derived(std::string_view a, std::string_view b) {
  if (a.size() > b.size()) std::swap(a, b);
  if (a.size() < 5) return false;
  std::size_t same = 0;
  while (same < a.size() && a[same] == b[same]) ++same;
  return same >= 5 && same * 4 >= a.size() * 3 && b.size() - same <= 5;
}

bool known(const Word& word) {
  return word.rank != Rank::kRare || word.groups[0] != 0 || word.word_class != WordClass::kNone;
}

class Aligning {
 public:
  Aligning(const Words& asked, const Words& cached, Alignment& out)
      : a_(asked), c_(cached), out_(out) {
    out_.asked.resize(asked.words.size());
    out_.cached.resize(cached.words.size());
  }

  void run() {
    each_pair([&](const Word& x, const Word& y) { return same(x, y) ? 1.0F : 0.0F; });
    if (complete()) return;
    each_pair([&](const Word& x, const Word& y) { return synonyms(x, y) ? kSynonym : 0.0F; });
    compounds(a_, out_.asked, c_, out_.cached);
    compounds(c_, out_.cached, a_, out_.asked);
    abbreviations(a_, out_.asked, c_, out_.cached);
    abbreviations(c_, out_.cached, a_, out_.asked);
    each_pair([&](const Word& x, const Word& y) { return near(x, y); });
  }

 private:
  bool complete() const {
    const auto done = [](const Match& match) { return match.other != kNoWord; };
    return std::ranges::all_of(out_.asked, done) && std::ranges::all_of(out_.cached, done);
  }

  bool same(const Word& x, const Word& y) const {
    if (x.word_class != WordClass::kNone && x.word_class == y.word_class && x.member == y.member)
      return true;
    // Hashes may be made to meet; letters decide.
    return x.hash == y.hash && x.is(Word::kNumber) == y.is(Word::kNumber) &&
           a_.stem_of(x) == c_.stem_of(y);
  }

  float near(const Word& x, const Word& y) const {
    constexpr std::uint8_t kExact = Word::kNumber | Word::kCode | Word::kName;
    if (((x.flags | y.flags) & kExact) != 0) return 0;
    if (x.word_class != WordClass::kNone || y.word_class != WordClass::kNone) return 0;
    if (x.rank == Rank::kFunction || y.rank == Rank::kFunction || opposite(x, y)) return 0;
    const std::string_view a = a_.stem_of(x), c = c_.stem_of(y);
    if (!ascii_word(a) || !ascii_word(c) || negated_form(a, c)) return 0;
    if (!(known(x) && known(y)) && a.size() >= 6 && slip(a, c)) return kSlip;
    return derived(a, c) ? kDerived : 0.0F;
  }

  template <class Credit>
  void each_pair(Credit&& credit) {
    for (std::size_t i = 0; i < a_.words.size(); ++i) {
      if (out_.asked[i].other != kNoWord || out_.asked[i].credit > 0) continue;
      for (std::size_t k = 0; k < c_.words.size(); ++k) {
        if (out_.cached[k].other != kNoWord || out_.cached[k].credit > 0) continue;
        const float found = credit(a_.words[i], c_.words[k]);
        if (found <= 0) continue;
        out_.asked[i] = {k, found};
        out_.cached[k] = {i, found};
        break;
      }
    }
  }

  // "dataset" with "data set".
  static void compounds(const Words& whole, std::vector<Match>& whole_matches, const Words& parts,
                        std::vector<Match>& part_matches) {
    for (std::size_t i = 0; i < whole.words.size(); ++i) {
      if (whole_matches[i].credit > 0 || whole.words[i].length < 6) continue;
      const std::string_view letters = whole.stem_of(whole.words[i]);
      for (std::size_t k = 0; k + 1 < parts.words.size(); ++k) {
        if (part_matches[k].credit > 0 || part_matches[k + 1].credit > 0) continue;
        const std::string_view first = parts.stem_of(parts.words[k]);
        const std::string_view second = parts.stem_of(parts.words[k + 1]);
        // A stem may have lost its last letters inside the compound.
        if (first.size() < 2 || second.size() < 2 || !letters.starts_with(first)) continue;
        const std::string_view tail = letters.substr(first.size());
        if (tail != second && !(tail.size() == second.size() + 1 && tail.substr(1) == second))
          continue;
        whole_matches[i] = {k, kCompound};
        part_matches[k] = {i, kCompound};
        part_matches[k + 1] = {kNoWord, kCompound};
        break;
      }
    }
  }

  // "HF" with "Hugging Face".
  static void abbreviations(const Words& shorts, std::vector<Match>& short_matches,
                            const Words& longs, std::vector<Match>& long_matches) {
    for (std::size_t i = 0; i < shorts.words.size(); ++i) {
      const Word& word = shorts.words[i];
      if (short_matches[i].credit > 0 || !word.is(Word::kAcronym) || word.length < 2) continue;
      const std::string_view letters = shorts.stem_of(word);
      for (std::size_t k = 0; k + letters.size() <= longs.words.size(); ++k) {
        bool fits = true;
        for (std::size_t n = 0; n < letters.size() && fits; ++n) {
          const Word& other = longs.words[k + n];
          fits = longs.stem_of(other)[0] == letters[n] && long_matches[k + n].credit == 0 &&
                 !other.is(Word::kNumber) && other.length > 1;
        }
        if (!fits) continue;
        short_matches[i] = {k, kAbbreviation};
        for (std::size_t n = 0; n < letters.size(); ++n)
          long_matches[k + n] = {n == 0 ? i : kNoWord, kAbbreviation};
        break;
      }
    }
  }

  const Words& a_;
  const Words& c_;
  Alignment& out_;
};

}  // namespace

bool opposite(const Word& a, const Word& b) {
  bool other_side = false;
  for (const GroupSide x : a.groups) {
    if (x == 0) break;
    for (const GroupSide y : b.groups) {
      if (y == 0) break;
      if (x == y) return false;
      other_side |= x / 4 == y / 4;
    }
  }
  return other_side;
}

bool negated_form(std::string_view a, std::string_view b) {
  if (a.size() > b.size()) std::swap(a, b);
  if (a.size() < 3 || !b.ends_with(a)) return false;
  const std::string_view prefix = b.substr(0, b.size() - a.size());
  constexpr auto kPrefixes =
      std::to_array<std::string_view>({"un", "in", "im", "ir", "il", "dis", "non", "de", "mis",
                                       "anti", "a", "under", "over", "pre", "post"});
  return std::ranges::find(kPrefixes, prefix) != kPrefixes.end();
}

Alignment align(const Words& asked, const Words& cached) {
  Alignment out;
  Aligning(asked, cached, out).run();
  return out;
}

}  // namespace asahi::gateway::semantic
