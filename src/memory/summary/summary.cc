#include "memory/summary/summary.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "base/utf8.h"
#include "llm/embed/fold.h"
#include "llm/embed/lexicon.h"
#include "llm/embed/stem.h"
#include "memory/summary/sentences.h"

namespace asahi::memory {
namespace {

namespace text = llm::text;

constexpr std::size_t kMostSentences = 600;
constexpr std::size_t kMostWords = 120;  // of one sentence

// Stems (and whole words of other languages) that tell of decisions, causes, rules and results.
constexpr auto kDecisions = std::to_array<std::string_view>(
    {"accord",    "acord",       "adopt",    "agree",     "alway",   "approv",      "because",
     "beschloss", "beschlossen", "bug",      "caus",      "choos",   "chose",       "chosen",
     "conclud",   "conclusion",  "convenu",  "deadline",  "debe",    "decid",       "decide",
     "decided",   "decidido",    "decision", "doit",      "due",     "entschieden", "error",
     "fail",      "failed",      "fix",      "fixed",     "geloest", "gelost",      "important",
     "migrat",    "muss",        "must",     "never",     "porque",  "prefer",      "reject",
     "remember",  "resolv",      "resolved", "resuelto",  "result",  "root",        "solution",
     "solv",      "switch",      "switched", "therefore", "ursache", "vereinbart",  "weil",
     "will",      "wird"});
static_assert(std::ranges::is_sorted(kDecisions));

// What answers begin with that say nothing else.
constexpr auto kExclamations = std::to_array<std::string_view>(
    {"absolutely", "aw",         "awesome", "aww",     "bye",  "congrats", "congratulations",
     "cool",       "definitely", "glad",    "great",   "haha", "hello",    "hey",
     "hi",         "lol",        "nice",    "ok",      "okay", "sounds",   "sure",
     "thank",      "thanks",     "totally", "welcome", "wow",  "yeah",     "yep",
     "yes"});
static_assert(std::ranges::is_sorted(kExclamations));

// When something was or will be, beside numbers, months and days of the week.
constexpr auto kTimes = std::to_array<std::string_view>(
    {"ago", "birthday", "last", "next", "today", "tomorrow", "tonight", "weekend", "yesterday"});
static_assert(std::ranges::is_sorted(kTimes));

struct Candidate {
  std::size_t index = 0;  ///< among the sentences
  bool code = false;
  bool question = false;
  bool exclaims = false;
  bool own = false;      ///< in the first person: what happened to somebody
  bool bracket = false;  ///< a description of a picture and the like
  std::size_t words = 0;
  std::vector<std::uint32_t> terms;  ///< sorted, each once
  std::vector<std::uint32_t> facts;  ///< names and numbers among them
  int decisions = 0;
  double central = 0;
};

/// The terms of all sentences, by number.
struct Vocabulary {
  std::unordered_map<std::string, std::uint32_t> numbers;
  std::vector<std::uint32_t> sentences;  ///< how many hold the term
  std::vector<double> weight;            ///< by how much such a word says

  std::uint32_t number(const std::string& term, double word_weight) {
    const auto [at, fresh] = numbers.try_emplace(term, static_cast<std::uint32_t>(numbers.size()));
    if (fresh) {
      sentences.push_back(0);
      weight.push_back(word_weight);
    }
    return at->second;
  }
};

double weight_of(const text::Token& token, text::Rank rank) {
  if (token.number) return 1;
  switch (rank) {
    case text::Rank::kFunction:
      return 0;
    case text::Rank::kVeryCommon:
      return 0.25;
    case text::Rank::kCommon:
      return 0.6;
    case text::Rank::kRare:
      return 1;
  }
  return 1;
}

template <class Numbers>
void keep_each_once(Numbers& numbers) {
  std::ranges::sort(numbers);
  const auto repeats = std::ranges::unique(numbers);
  numbers.erase(repeats.begin(), repeats.end());
}

/// Who says each sentence, in chats ("Ana: …"); empty: nobody known.
struct Turns {
  std::vector<std::string_view> speaker;  ///< by sentence
  std::vector<bool> named;                ///< the sentence itself begins with the name
  std::vector<std::string> words;         ///< of all names, folded; sorted
};
Turns turns_of(std::string_view content, const std::vector<Sentence>& sentences) {
  Turns out;
  std::string_view now;
  for (const Sentence& sentence : sentences) {
    const std::string_view said = sentence.of(content);
    const std::size_t colon = said.substr(0, 41).find(": ");
    const bool named = sentence.kind == Sentence::kItem && colon != std::string_view::npos &&
                       said.substr(0, colon).find_first_of(".,!?-*>|\"(") == std::string_view::npos;
    if (named)
      now = said.substr(0, colon);
    else if (sentence.kind != Sentence::kItem || said.starts_with('-') || said.starts_with('*'))
      now = {};
    out.speaker.push_back(now);
    out.named.push_back(named);
    if (!named || out.words.size() > 100) continue;
    std::size_t consumed = 0;
    const text::Folded folded = text::fold(now, 4, consumed);
    for (const text::Token& token : folded.tokens) {
      const std::string_view word = folded.of(token);
      const auto at = std::ranges::lower_bound(out.words, word);
      if (at == out.words.end() || *at != word) out.words.emplace(at, word);
    }
  }
  return out;
}

Candidate candidate_of(std::string_view sentence, std::size_t index, Sentence::Kind kind,
                       const Turns& turns, Vocabulary& vocabulary) {
  if (turns.named[index]) sentence.remove_prefix(turns.speaker[index].size() + 2);
  Candidate out;
  out.index = index;
  out.code = kind == Sentence::kCode;
  out.bracket = sentence.starts_with('[');
  std::size_t consumed = 0;
  const text::Folded folded = text::fold(sentence, kMostWords, consumed);
  out.question = folded.question_mark;
  out.words = folded.tokens.size();
  const text::Lexicon& lexicon = text::Lexicon::english();
  for (const text::Token& token : folded.tokens) {
    const std::string_view word = folded.of(token);
    if (&token == &folded.tokens.front())
      out.exclaims = std::ranges::binary_search(kExclamations, word);
    // Calling each other by name says nothing.
    if (std::ranges::binary_search(turns.words, word)) continue;
    const std::string stem = token.number || token.code ? std::string(word) : text::stem(word);
    if (std::ranges::binary_search(kDecisions, std::string_view(stem)) ||
        std::ranges::binary_search(kDecisions, word))
      ++out.decisions;
    out.own = out.own || word == "i" || word == "we" || word == "my" || word == "our";
    const text::WordFacts known = lexicon.facts(word, stem);
    const text::Rank rank = known.rank;
    const bool time = known.word_class == text::WordClass::kMonth ||
                      known.word_class == text::WordClass::kWeekday ||
                      std::ranges::binary_search(kTimes, word);
    const double weight = time ? 1 : weight_of(token, rank);
    if (weight == 0) continue;
    const std::uint32_t term = vocabulary.number(stem, weight);
    out.terms.push_back(term);
    const bool name = (token.capital && !token.sentence_start && rank >= text::Rank::kCommon) ||
                      token.all_capitals;
    if (token.number || name || time) out.facts.push_back(term);
  }
  keep_each_once(out.terms);
  keep_each_once(out.facts);
  for (const std::uint32_t term : out.terms) ++vocabulary.sentences[term];
  return out;
}

/// Which sentences are looked at: all, or the first 300, the last 100 and 200 between.
std::vector<std::size_t> looked_at(std::size_t count) {
  std::vector<std::size_t> out;
  if (count <= kMostSentences) {
    for (std::size_t i = 0; i < count; ++i) out.push_back(i);
    return out;
  }
  constexpr std::size_t kFirst = kMostSentences / 2, kLast = kMostSentences / 6;
  constexpr std::size_t kBetween = kMostSentences - kFirst - kLast;
  for (std::size_t i = 0; i < kFirst; ++i) out.push_back(i);
  const std::size_t span = count - kFirst - kLast;
  for (std::size_t i = 0; i < kBetween; ++i) out.push_back(kFirst + i * span / kBetween);
  for (std::size_t i = count - kLast; i < count; ++i) out.push_back(i);
  return out;
}

double overlap(const std::vector<std::uint32_t>& a, const std::vector<std::uint32_t>& b) {
  if (a.empty() || b.empty()) return 0;
  std::vector<std::uint32_t> both;
  std::ranges::set_intersection(a, b, std::back_inserter(both));
  return static_cast<double>(both.size()) /
         std::sqrt(static_cast<double>(a.size()) * static_cast<double>(b.size()));
}

double score(const Candidate& candidate, std::size_t count, std::size_t looked,
             const std::vector<const Candidate*>& chosen) {
  constexpr double kFact = 0.12, kDecision = 0.3, kFirstBonus = 0.12, kRepeat = 1.2;
  double out = candidate.central;
  int facts = 0;
  for (const std::uint32_t fact : candidate.facts) {
    const bool known = std::ranges::any_of(chosen, [&](const Candidate* other) {
      return std::ranges::binary_search(other->facts, fact);
    });
    facts += known ? 0 : 1;
  }
  out += kFact * std::min(facts, 4) + kDecision * std::min(candidate.decisions, 2) / 1.5;
  if (candidate.index == 0) out += kFirstBonus;
  if (candidate.index + 1 == count) out += kFirstBonus / 3;
  constexpr std::size_t kFullLength = 8;
  if (candidate.words < kFullLength)
    out -= 0.1 * static_cast<double>(kFullLength - candidate.words);
  if (candidate.question) out -= 0.3;
  if (candidate.exclaims) out -= 0.4;
  if (candidate.bracket) out -= 0.4;
  if (candidate.own) out += 0.12;
  if (candidate.code) out -= 10;
  double repeated = 0;
  for (const Candidate* other : chosen)
    repeated = std::max(repeated, overlap(candidate.terms, other->terms));
  constexpr double kSame = 0.6;
  if (repeated > kSame) out -= 1;
  // The earlier of two alike wins, whatever the rounding of the machine.
  return out - kRepeat * repeated -
         1e-9 * static_cast<double>(candidate.index) /
             static_cast<double>(std::max<std::size_t>(looked, 1));
}

std::string squeezed(std::string_view text) {
  std::string out;
  bool gap = false;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7F) {
      gap = !out.empty();
      continue;
    }
    if (gap) out += ' ';
    gap = false;
    out += c;
  }
  return out;
}

/// At most `most` bytes: cut at a blank, else at a character.
std::string cut(std::string text, std::size_t most) {
  constexpr std::string_view kMore = "…";
  if (text.size() <= most) return text;
  if (most <= kMore.size()) return {};
  std::size_t end = most - kMore.size();
  const std::size_t gap = text.rfind(' ', end);
  if (gap != std::string::npos && gap >= end / 2) {
    end = gap;
  } else {
    end = utf8_prefix(text, end).size();
  }
  text.resize(end);
  return text += kMore;
}

}  // namespace

std::string summarise(std::string_view content, const SummaryOptions& options) {
  if (options.sentences == 0) return {};
  std::string mended;
  if (!is_utf8(content)) {
    mended = mended_utf8(content);
    content = mended;
  }
  const std::vector<Sentence> all = split_sentences(content);
  const Turns turns = turns_of(content, all);
  std::vector<Candidate> candidates;
  Vocabulary vocabulary;
  for (const std::size_t index : looked_at(all.size())) {
    const Sentence& sentence = all[index];
    if (sentence.kind == Sentence::kHeading && all.size() > 1) continue;
    candidates.push_back(
        candidate_of(sentence.of(content), index, sentence.kind, turns, vocabulary));
  }
  if (candidates.empty()) {
    for (const std::size_t index : looked_at(all.size()))
      candidates.push_back(
          candidate_of(all[index].of(content), index, all[index].kind, turns, vocabulary));
  }
  double most_central = 0;
  for (Candidate& candidate : candidates) {
    double weights = 0;
    for (const std::uint32_t term : candidate.terms) {
      const double others = vocabulary.sentences[term] - 1;
      candidate.central += vocabulary.weight[term] * std::log1p(others);
      weights += vocabulary.weight[term];
    }
    if (!candidate.terms.empty()) candidate.central /= std::sqrt(10 + weights);
    most_central = std::max(most_central, candidate.central);
  }
  if (most_central > 0)
    for (Candidate& candidate : candidates) candidate.central /= most_central;

  std::vector<const Candidate*> chosen;
  std::vector<bool> taken(candidates.size());
  while (chosen.size() < std::min(options.sentences, candidates.size())) {
    std::size_t best = candidates.size();
    double best_score = 0;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      if (taken[i]) continue;
      const double own = score(candidates[i], all.size(), candidates.size(), chosen);
      if (best == candidates.size() || own > best_score) {
        best = i;
        best_score = own;
      }
    }
    taken[best] = true;
    // Code beside sentences says nothing in a summary.
    if (candidates[best].code && !chosen.empty()) break;
    chosen.push_back(&candidates[best]);
  }
  std::ranges::sort(chosen, {}, &Candidate::index);

  std::vector<std::string> sentences;
  std::size_t bytes = 0;
  for (const Candidate* candidate : chosen) {
    const std::size_t index = candidate->index;
    std::string sentence = squeezed(all[index].of(content));
    // Within a turn the name stands before the first sentence only.
    if (!turns.speaker[index].empty() && !turns.named[index])
      sentence = squeezed(turns.speaker[index]) + ": " + sentence;
    sentences.push_back(std::move(sentence));
    bytes += sentences.back().size() + 1;
  }
  // Where they are too long together, the longest give way to an equal share.
  if (bytes > options.max_bytes + 1) {
    std::vector<std::size_t> order(sentences.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::ranges::sort(order, {}, [&](std::size_t i) { return sentences[i].size(); });
    std::size_t left = options.max_bytes, still = order.size();
    for (const std::size_t i : order) {
      const std::size_t share = left / still;
      sentences[i] = cut(std::move(sentences[i]), share > 0 ? share - (still > 1 ? 1 : 0) : 0);
      left -= std::min(left, sentences[i].size() + 1);
      --still;
    }
  }
  std::string out;
  for (const std::string& sentence : sentences) {
    if (sentence.empty()) continue;
    if (!out.empty()) out += ' ';
    out += sentence;
  }
  return out;
}

}  // namespace asahi::memory
