#include "gateway/cache/semantic/verifier.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "gateway/cache/semantic/alignment.h"

namespace asahi::gateway::semantic {
namespace {

using llm::text::QuestionType;
using llm::text::Role;
using llm::text::Word;
using llm::text::WordClass;
using llm::text::Words;

constexpr std::array<std::string_view, 15> kVerdicts = {
    "same",  "empty",    "language", "rest",      "context",  "number", "code", "name",
    "class", "opposite", "negation", "direction", "question", "length", "words"};

// Weight of what both sides say from which a text counts as long.
constexpr float kLongText = 4.5F;

// From so many words on a question brings its material along (a story, minutes, a log). What is
// asked of it are few words among many: they must not drown in what is the same.
constexpr std::uint32_t kWithMaterial = 40;
// Weight of words that may then differ: on both sides, and on one.
constexpr float kMaterialDiffers = 0.7F, kMaterialAdds = 1.5F;

// A member of these sets that stands on one side only is a topic of its own.
constexpr bool topic(WordClass word_class) {
  switch (word_class) {
    case WordClass::kNone:
    case WordClass::kUnit:
    case WordClass::kOrdinal:
    case WordClass::kSeason:
    case WordClass::kColor:
    case WordClass::kAnimal:
    case WordClass::kOrgan:
    case WordClass::kSubject:
    case WordClass::kDegree:
      return false;
    default:
      return true;
  }
}

/// What two kinds of question cost, in units of the score's exponent; negative: a veto.
float question_cost(QuestionType a, QuestionType b) {
  if (a == b) return 0;
  if (a > b) std::swap(a, b);
  const auto pair = [&](QuestionType x, QuestionType y) {
    return (a == x && b == y) || (a == y && b == x);
  };
  using enum QuestionType;
  if (pair(kWhat, kWhich)) return 0.1F;
  if (pair(kStatement, kWhat) || pair(kStatement, kHow)) return 0.5F;
  if (a == kStatement) return 0.9F;
  if (pair(kHow, kYesNo)) return 0.8F;
  if (pair(kWhat, kHow)) return 0.9F;
  if (pair(kWhat, kWho) || pair(kWhich, kWho) || pair(kWhat, kWhere) || pair(kWhich, kWhere))
    return 0.8F;
  if (pair(kWhat, kYesNo) || pair(kWhich, kYesNo)) return 1.5F;
  if (pair(kWhat, kHowMany) || pair(kHowMany, kHowMuchOf)) return 1.0F;
  if (pair(kWhy, kYesNo)) return 2.5F;
  if (pair(kWhat, kWhen) || pair(kWhat, kWhy) || pair(kWhich, kHow)) return 1.8F;
  return -1;
}

class Judge {
 public:
  Judge(const Words& asked, const Words& cached, const Alignment& alignment, Comparison& out)
      : a_(asked), c_(cached), alignment_(alignment), out_(out) {}

  bool vetoed() {
    return negation() || left_over(a_, alignment_.asked, true) ||
           left_over(c_, alignment_.cached, false) || exclusive() || direction();
  }
  int dropped_names() const { return dropped_names_; }

 private:
  bool veto(Verdict verdict, std::size_t asked, std::size_t cached) {
    out_.verdict = verdict;
    if (asked != kNoWord) out_.asked_word = static_cast<std::int16_t>(asked);
    if (cached != kNoWord) out_.cached_word = static_cast<std::int16_t>(cached);
    return true;
  }

  bool negation() {
    if ((a_.negations > 0) != (c_.negations > 0)) return veto(Verdict::kNegation, kNoWord, kNoWord);
    // "X and not Y" beside "not X and Y": what is negated on one side stands plain on the other,
    // both ways.
    std::size_t lost = kNoWord, won = kNoWord;
    for (std::size_t i = 0; i < a_.words.size(); ++i) {
      const Match& match = alignment_.asked[i];
      if (match.other == kNoWord) continue;
      const bool here = a_.words[i].is(Word::kNegated);
      const bool there = c_.words[match.other].is(Word::kNegated);
      if (here && !there) lost = i;
      if (!here && there) won = i;
    }
    if (lost == kNoWord || won == kNoWord) return false;
    // "doesn't the car start" is "does the car not start": only what "and" or a comma parts counts.
    const std::size_t later = std::max(lost, won);
    const bool parted = a_.words[later].is(Word::kJoined) &&
                        c_.words[alignment_.asked[later].other].is(Word::kJoined);
    return parted && veto(Verdict::kNegation, lost, kNoWord);
  }

  bool left_over(const Words& words, const std::vector<Match>& matches, bool asked) {
    for (std::size_t i = 0; i < words.words.size(); ++i) {
      if (matches[i].credit > 0) continue;
      const Word& word = words.words[i];
      Verdict verdict = Verdict::kSame;
      if (word.is(Word::kNumber))
        verdict = Verdict::kNumber;
      else if (word.is(Word::kCode))
        verdict = Verdict::kCode;
      else if (topic(word.word_class))
        verdict = Verdict::kClass;
      else if (word.is(Word::kName))
        verdict = Verdict::kName;
      // A long text may leave a name out that nothing stands in for.
      if (verdict == Verdict::kName && out_.matched >= kLongText && !stands_in(asked)) {
        ++dropped_names_;
        continue;
      }
      if (verdict != Verdict::kSame) {
        return veto(verdict, asked ? i : kNoWord, asked ? kNoWord : i);
      }
    }
    return false;
  }

  // Is there a rare word on the other side that may stand in for a missing name?
  bool stands_in(bool asked) const {
    const Words& words = asked ? c_ : a_;
    const auto& matches = asked ? alignment_.cached : alignment_.asked;
    for (std::size_t i = 0; i < words.words.size(); ++i) {
      const Word& word = words.words[i];
      if (matches[i].credit == 0 && (word.is(Word::kName) || word.is(Word::kCapital))) return true;
    }
    return false;
  }

  bool exclusive() {
    for (std::size_t i = 0; i < a_.words.size(); ++i) {
      if (alignment_.asked[i].credit > 0) continue;
      const Word& here = a_.words[i];
      for (std::size_t k = 0; k < c_.words.size(); ++k) {
        if (alignment_.cached[k].credit > 0) continue;
        const Word& there = c_.words[k];
        if (here.word_class != WordClass::kNone && here.word_class == there.word_class)
          return veto(Verdict::kClass, i, k);
        if (opposite(here, there) || negated_form(a_.stem_of(here), c_.stem_of(there)))
          return veto(Verdict::kOpposite, i, k);
      }
    }
    return false;
  }

  static bool reversible(Role role) {
    return role != Role::kNone && role != Role::kIn && role != Role::kWith && role != Role::kFor;
  }

  // Two things that changed places.
  bool direction() {
    std::vector<std::uint16_t> order;  // matched words of `asked`, as places in `cached`
    std::vector<std::uint16_t> places;
    for (std::size_t i = 0; i < a_.words.size(); ++i) {
      const Match& match = alignment_.asked[i];
      if (match.other == kNoWord || a_.words[i].rank == llm::text::Rank::kFunction) continue;
      order.push_back(static_cast<std::uint16_t>(match.other));
      places.push_back(static_cast<std::uint16_t>(i));
    }
    for (std::size_t i = 0; i < order.size(); ++i) {
      const Word& first = a_.words[places[i]];
      const Word& first_there = c_.words[order[i]];
      if (first.role == first_there.role) continue;
      for (std::size_t k = i + 1; k < order.size(); ++k) {
        const Word& second = a_.words[places[k]];
        const Word& second_there = c_.words[order[k]];
        // The role of each became the other's.
        if (first.role == second_there.role && second.role == first_there.role &&
            first.role != second.role && (reversible(first.role) || reversible(second.role)))
          return veto(Verdict::kDirection, places[i], order[i]);
      }
    }
    // "2024-02-03" is not "2024-03-02", nor is "3 of 4" "4 of 3".
    std::size_t last_number = 0;
    for (std::size_t i = 0; i < order.size(); ++i) {
      if (!a_.words[places[i]].is(Word::kNumber)) continue;
      if (order[i] < last_number) return veto(Verdict::kNumber, places[i], order[i]);
      last_number = order[i];
    }
    return swapped(order, places);
  }

  // "Does the dog bite the man": all in place but two words, with something between them.
  bool swapped(const std::vector<std::uint16_t>& order, const std::vector<std::uint16_t>& places) {
    std::vector<std::uint16_t> sorted = order;
    std::ranges::sort(sorted);
    std::size_t first = kNoWord, second = kNoWord, moved = 0;
    for (std::size_t i = 0; i < order.size(); ++i) {
      if (order[i] == sorted[i]) continue;
      ++moved;
      (first == kNoWord ? first : second) = i;
    }
    if (moved != 2) return false;
    const auto joined = [&](const Words& words, std::size_t from, std::size_t to) {
      for (std::size_t i = from + 1; i <= to; ++i) {
        if (!words.words[i].is(Word::kJoined)) return false;
      }
      return true;
    };
    const std::size_t a1 = places[first], a2 = places[second];
    const std::size_t c1 = std::min(order[first], order[second]);
    const std::size_t c2 = std::max(order[first], order[second]);
    if (joined(a_, a1, a2) && joined(c_, c1, c2)) return false;
    // "Bob is loved by Alice" is "Alice loves Bob".
    const auto passive = [](const Words& words, std::size_t i) {
      return words.words[i].role == Role::kBy;
    };
    if (passive(a_, a2) != passive(c_, c2)) return false;
    if (second == first + 1) {
      // Neighbours: "list of files" and "files list" were told apart by their roles.
      const bool plain = a_.words[a1].role == c_.words[order[first]].role &&
                         a_.words[a2].role == c_.words[order[second]].role;
      if (!plain || a_.words[a1].rank != llm::text::Rank::kRare ||
          a_.words[a2].rank != llm::text::Rank::kRare)
        return false;
    }
    return veto(Verdict::kDirection, a1, order[first]);
  }

  const Words& a_;
  const Words& c_;
  const Alignment& alignment_;
  Comparison& out_;
  int dropped_names_ = 0;
};

Comparison compare_in_order(const Words& asked, const Words& cached);

}  // namespace

std::string_view to_string(Verdict verdict) { return kVerdicts[static_cast<std::size_t>(verdict)]; }

Comparison compare(const Words& asked, const Words& cached) {
  // Words are aligned greedily: one order for both directions makes the outcome symmetric.
  const auto first = [](const Words& a, const Words& b) {
    return a.words.size() != b.words.size() ? a.words.size() < b.words.size()
                                            : a.letters <= b.letters;
  };
  if (first(asked, cached)) return compare_in_order(asked, cached);
  Comparison out = compare_in_order(cached, asked);
  std::swap(out.asked_only, out.cached_only);
  std::swap(out.asked_word, out.cached_word);
  return out;
}

namespace {

Comparison compare_in_order(const Words& asked, const Words& cached) {
  Comparison out;
  const auto veto = [&](Verdict verdict) {
    out.verdict = verdict;
    return out;
  };
  if (asked.length == 0 || cached.length == 0) return veto(Verdict::kEmpty);
  if (asked.rest != cached.rest) return veto(Verdict::kRest);
  if (asked.language != cached.language) return veto(Verdict::kLanguage);
  const Alignment alignment = align(asked, cached);
  const auto weigh = [](const Words& words, const std::vector<Match>& matches, float& matched,
                        float& left) {
    for (std::size_t i = 0; i < words.words.size(); ++i) {
      const float weight = static_cast<float>(words.words[i].weight) / 64.0F;
      matched += weight * matches[i].credit;
      left += weight * (1 - matches[i].credit);
    }
  };
  float matched_asked = 0, matched_cached = 0;
  weigh(asked, alignment.asked, matched_asked, out.asked_only);
  weigh(cached, alignment.cached, matched_cached, out.cached_only);
  out.matched = (matched_asked + matched_cached) / 2;
  if (std::min(asked.length, cached.length) >= kWithMaterial &&
      (std::min(out.asked_only, out.cached_only) >= kMaterialDiffers ||
       std::max(out.asked_only, out.cached_only) >= kMaterialAdds))
    return veto(Verdict::kWords);
  Judge judge(asked, cached, alignment, out);
  if (judge.vetoed()) return out;
  const float cost = question_cost(asked.type, cached.type);
  if (cost < 0) return veto(Verdict::kQuestion);
  // Two questions that share nothing but grammar words must be the same ones.
  if (out.matched < 0.25F && asked.normal_form != cached.normal_form) return veto(Verdict::kWords);

  const float total = 2 * out.matched + out.asked_only + out.cached_only;
  const float apart = total > 0 ? (out.asked_only + out.cached_only) / total : 0;
  const float both = std::min(out.asked_only, out.cached_only);
  // Said on both sides, but differently, is worse than said on one side only; the more is shared
  // besides, the less it weighs.
  const float differing = 2.0F * both / (1.0F + 0.25F * out.matched);
  const float shared = 0.25F * (std::min(out.matched, 4.0F) - 2.0F) +
                       0.35F * std::clamp(out.matched - 4.0F, 0.0F, 8.0F);
  const float exponent = 4.6F - 9.0F * apart - differing - cost + shared -
                         2.0F * static_cast<float>(judge.dropped_names()) +
                         (asked.normal_form == cached.normal_form ? 2.0F : 0.0F);
  out.score = 1.0F / (1.0F + std::exp(-exponent));
  if (out.score < 0.05F) {
    out.score = 0;
    out.verdict = Verdict::kWords;
  }
  return out;
}

}  // namespace

}  // namespace asahi::gateway::semantic
