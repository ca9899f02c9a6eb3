#include <algorithm>
#include <array>
#include <string>

#include "llm/embed/onnx/unicode.h"
#include "memory/graph/extract.h"

namespace asahi::memory::graph {
namespace {

/// A word with what stands around it.
struct Word {
  std::string_view text;  ///< without signs at its ends
  std::string lower;
  bool name = false;    ///< a capital first, or in backticks
  bool parted = false;  ///< a comma, bracket or other sign follows
  bool opens = false;   ///< a sign stands before it
};

constexpr auto kNoStatement = std::to_array<std::string_view>(
    {"ain't",    "almost",  "believe",  "believes", "can",      "can't",   "could",
     "doubt",    "guess",   "hope",     "hopes",    "hoping",   "if",      "imagine",
     "likely",   "maybe",   "may",      "might",    "must",     "neither", "never",
     "no",       "nobody",  "none",     "not",      "perhaps",  "plan",    "planned",
     "planning", "plans",   "possibly", "pretend",  "probably", "rumor",   "rumour",
     "seems",    "should",  "think",    "thinks",   "unless",   "want",    "wanted",
     "wants",    "whether", "will",     "wish",     "wishes",   "without", "would"});

constexpr auto kPronouns = std::to_array<std::string_view>(
    {"he", "her", "his", "i", "it", "its", "my", "our", "she", "that", "their", "these", "they",
     "this", "those", "we", "who", "you", "your"});

// Words with a capital at a sentence's start that are no names.
constexpr auto kNoNames = std::to_array<std::string_view>(
    {"a",      "after",  "also",    "an",        "and",   "anyone",   "as",      "at",   "because",
     "before", "but",    "by",      "each",      "every", "everyone", "finally", "for",  "from",
     "hello",  "here",   "hey",     "hi",        "how",   "however",  "in",      "just", "last",
     "next",   "nobody", "now",     "oh",        "ok",    "on",       "once",    "one",  "or",
     "so",     "some",   "someone", "something", "sorry", "still",    "thanks",  "the",  "then",
     "there",  "today",  "what",    "when",      "where", "which",    "while",   "why",  "with",
     "wow",    "yeah",   "yes",     "yesterday"});

// Offices that one holds at a time.
constexpr auto kOffices = std::to_array<std::string_view>(
    {"capital", "ceo",       "cfo",       "chair",      "chairman", "chairwoman",
     "cio",     "coo",       "cto",       "director",   "head",     "headquarters",
     "king",    "lead",      "leader",    "maintainer", "manager",  "mayor",
     "owner",   "president", "principal", "queen"});

constexpr auto kAfterObject = std::to_array<std::string_view>(
    {"after", "and",  "around", "as",    "at",    "because", "before",   "but",   "by",
     "for",   "from", "in",     "last",  "on",    "since",   "so",       "these", "this",
     "today", "when", "where",  "which", "while", "with",    "yesterday"});

constexpr auto kInsideNames = std::to_array<std::string_view>(
    {"da", "de", "del", "der", "di", "du", "la", "of", "van", "von"});

template <std::size_t N>
bool listed(const std::array<std::string_view, N>& words, std::string_view word) {
  return std::ranges::find(words, word) != words.end();
}

std::vector<Word> words_of(std::string_view sentence) {
  constexpr std::string_view kSigns = ",.;:!?()[]{}\"*_—–“”’‘«»";
  std::vector<Word> out;
  for (std::size_t at = 0; at < sentence.size() && out.size() < 80;) {
    const std::size_t begin = sentence.find_first_not_of(" \t\r\n", at);
    if (begin == std::string_view::npos) break;
    at = std::min(sentence.find_first_of(" \t\r\n", begin), sentence.size());
    std::string_view text = sentence.substr(begin, at - begin);
    Word word;
    while (!text.empty() && kSigns.find(text.front()) != std::string_view::npos) {
      text.remove_prefix(1);
      word.opens = true;
    }
    while (!text.empty() && kSigns.find(text.back()) != std::string_view::npos) {
      text.remove_suffix(1);
      word.parted = true;
    }
    if (text.empty()) {
      if (!out.empty()) out.back().parted = true;
      continue;
    }
    const bool code = text.size() > 2 && text.front() == '`' && text.back() == '`';
    if (code) text = text.substr(1, text.size() - 2);
    word.text = text;
    std::size_t first = 0;
    const char32_t letter = llm::onnx::next_character(text, first);
    word.name = code || llm::onnx::lower_of(letter) != letter;
    for (std::size_t i = 0; i < text.size();)
      llm::onnx::append_utf8(word.lower, llm::onnx::lower_of(llm::onnx::next_character(text, i)));
    out.push_back(std::move(word));
  }
  return out;
}

class Reading {
 public:
  Reading(std::string_view sentence, Time said)
      : words_(words_of(sentence)), date_(find_date(sentence, said)) {}

  std::vector<Phrase> take() {
    for (const Word& word : words_) {
      // "May" is a month, "may" is doubt.
      const bool month = word.text == "May" && &word != &words_.front();
      if ((listed(kNoStatement, word.lower) && !month) || word.lower.ends_with("n't") ||
          word.lower.ends_with("n’t"))
        return {};
    }
    std::size_t at = 0;
    const auto subject = name(at, true);
    if (!subject || at >= words_.size() || words_[at - 1].parted) return {};
    while (is(at, "now") || is(at, "recently") || is(at, "just") || is(at, "currently") ||
           is(at, "has") || is(at, "have"))
      ++at;
    from_ = *subject;
    role(at);
    for (const Verb& verb : kVerbs) {
      std::size_t object = at;
      if (!is(object, verb.first)) continue;
      ++object;
      if (!verb.second.empty() && !is(object++, verb.second)) continue;
      if (is(object, "the")) ++object;
      state(object, std::string(verb.type), verb.exclusive);
    }
    return std::move(out_);
  }

 private:
  struct Verb {
    std::string_view first, second, type;
    Exclusive exclusive;
  };
  static constexpr Verb kVerbs[] = {
      {"moved", "to", "located_in", Exclusive::kOneTarget},
      {"relocated", "to", "located_in", Exclusive::kOneTarget},
      {"lives", "in", "located_in", Exclusive::kOneTarget},
      {"live", "in", "located_in", Exclusive::kOneTarget},
      {"joined", "", "works_at", Exclusive::kOneTarget},
      {"works", "at", "works_at", Exclusive::kOneTarget},
      {"works", "for", "works_at", Exclusive::kOneTarget},
      {"work", "at", "works_at", Exclusive::kOneTarget},
      {"work", "for", "works_at", Exclusive::kOneTarget},
      {"reports", "to", "reports_to", Exclusive::kOneTarget},
      {"report", "to", "reports_to", Exclusive::kOneTarget},
      {"acquired", "", "owns", Exclusive::kOneOrigin},
      {"owns", "", "owns", Exclusive::kOneOrigin},
      {"own", "", "owns", Exclusive::kOneOrigin},
      {"maintains", "", "maintains", Exclusive::kNone},
      {"maintain", "", "maintains", Exclusive::kNone},
      {"depends", "on", "depends_on", Exclusive::kNone},
      {"replaced", "", "replaces", Exclusive::kNone},
      {"replaces", "", "replaces", Exclusive::kNone},
  };

  bool is(std::size_t at, std::string_view word) const {
    return at < words_.size() && words_[at].lower == word;
  }

  /// The name that begins at `at`, one to four words; `at` moves behind it.
  std::optional<std::string> name(std::size_t& at, bool subject) const {
    if (subject && is(at, "i") && words_[at].text == "I") {
      ++at;
      return "I";
    }
    if (subject && is(at, "the") && at == 0) ++at;
    const std::size_t first = at;
    std::size_t last = at;  // behind the last word of the name
    for (std::size_t i = at; i < words_.size() && i < first + 4; ++i) {
      const Word& word = words_[i];
      if (i > first && (words_[i - 1].parted || word.opens)) break;
      if (word.name && !listed(kPronouns, word.lower) &&
          (i > first || !listed(kNoNames, word.lower))) {
        last = i + 1;
        continue;
      }
      const bool joins = i > first && i + 1 < words_.size() && words_[i + 1].name &&
                         listed(kInsideNames, word.lower);
      if (!joins) break;
    }
    if (last == first) return std::nullopt;
    std::string out;
    for (std::size_t i = first; i < last; ++i) {
      if (!out.empty()) out += ' ';
      out += words_[i].text;
    }
    // "Ana's" belongs to Ana and is not she.
    if (out.ends_with("'s") || out.ends_with("’s") || out.size() > 80) return std::nullopt;
    at = last;
    return out;
  }

  /// "… is the head of Z", "… became CEO of Z".
  void role(std::size_t at) {
    if (!is(at, "is") && !is(at, "became") && !is(at, "am")) return;
    ++at;
    if (is(at, "now")) ++at;
    const bool the = is(at, "the") || is(at, "our") || is(at, "a") || is(at, "an");
    const bool one = is(at, "the");
    if (the) ++at;
    std::string role, last;
    std::size_t count = 0;
    while (at < words_.size() && count < 3 && !is(at, "of")) {
      const Word& word = words_[at];
      // "CTO" is a role, "Berlin" is not.
      const bool capitals =
          word.name && word.text.size() <= 4 &&
          std::ranges::all_of(word.text, [](char c) { return c >= 'A' && c <= 'Z'; });
      const bool plain =
          std::ranges::all_of(word.lower, [](char c) { return c >= 'a' && c <= 'z'; });
      if ((word.name && !capitals) || !plain || word.parted) return;
      if (!role.empty()) role += '_';
      role += word.lower;
      last = word.lower;
      ++at;
      ++count;
    }
    if (count == 0 || !is(at, "of")) return;
    if (!the && !listed(kOffices, last)) return;
    constexpr auto kQuantities = std::to_array<std::string_view>(
        {"all", "best", "end", "fan", "kind", "list", "lot", "most", "number", "one", "out", "part",
         "rest", "result", "set", "sort", "time", "type", "version"});
    if (listed(kQuantities, last)) return;
    ++at;
    if (is(at, "the")) ++at;
    const bool office = listed(kOffices, last);
    state(at, role + "_of", office && (one || !the) ? Exclusive::kOneOrigin : Exclusive::kNone);
  }

  void state(std::size_t at, std::string type, Exclusive exclusive) {
    if (out_.size() >= 4 || type.size() > 64) return;
    const auto object = name(at, false);
    if (!object || *object == from_) return;
    const bool ends =
        at >= words_.size() || words_[at - 1].parted || listed(kAfterObject, words_[at].lower);
    if (!ends) return;
    out_.push_back({.from = from_,
                    .to = *object,
                    .type = std::move(type),
                    .exclusive = exclusive,
                    .since = date_});
  }

  const std::vector<Word> words_;
  const std::optional<Time> date_;
  std::string from_;
  std::vector<Phrase> out_;
};

}  // namespace

std::vector<Phrase> phrases(std::string_view sentence, Time said) {
  if (sentence.size() > 600 || sentence.find('?') != std::string_view::npos) return {};
  return Reading(sentence, said).take();
}

}  // namespace asahi::memory::graph
