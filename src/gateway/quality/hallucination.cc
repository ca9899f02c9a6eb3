#include "gateway/quality/hallucination.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace asahi::gateway {
namespace {

constexpr std::size_t kMostSentences = 40;
constexpr std::size_t kMostNumbers = 64;

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_word_byte(char c) {
  return (lower(c) >= 'a' && lower(c) <= 'z') || is_digit(c) || c == '\'' ||
         (static_cast<unsigned char>(c) & 0x80) != 0;
}

struct Word {
  std::string_view text;  // lower case; of its Words
  bool number = false;
};

/// Words and numbers of a text; numbers keep their points and lose their commas ("1,200.50"). One
/// buffer for all: each answer of a model is read this way.
class Words {
 public:
  explicit Words(std::string_view text) {
    folded_.resize_and_overwrite(text.size(),
                                 [&](char* out, std::size_t) { return read(text, out); });
  }
  Words(const Words&) = delete;
  Words& operator=(const Words&) = delete;

  operator std::span<const Word>() const { return words_; }
  auto begin() const { return words_.begin(); }
  auto end() const { return words_.end(); }

 private:
  std::size_t read(std::string_view text, char* const out) {
    words_.reserve(text.size() / 6 + 4);
    char* to = out;
    for (std::size_t i = 0; i < text.size();) {
      if (!is_word_byte(text[i])) {
        ++i;
        continue;
      }
      char* const begin = to;
      const bool number = is_digit(text[i]);
      if (number) {
        while (i < text.size()) {
          const bool inside = i + 1 < text.size() && is_digit(text[i + 1]);
          if (is_digit(text[i]) || (text[i] == '.' && inside)) {
            *to++ = text[i];
          } else if (!(text[i] == ',' && inside)) {
            break;
          }
          ++i;
        }
      } else {
        while (i < text.size() && is_word_byte(text[i])) *to++ = lower(text[i++]);
      }
      words_.push_back({std::string_view(begin, to), number});
    }
    return static_cast<std::size_t>(to - out);
  }

  std::string folded_;
  std::vector<Word> words_;
};

/// FNV-1a; `hash` goes on with what was hashed before.
std::uint32_t hash_of(std::string_view text, std::uint32_t hash = 2166136261U) {
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  return hash;
}

bool has_word(std::span<const Word> words, std::span<const std::string_view> wanted) {
  return std::ranges::any_of(words, [wanted](const Word& word) {
    return std::ranges::find(wanted, word.text) != wanted.end();
  });
}

struct Sentence {
  std::vector<std::uint32_t> content;  // sorted hashes of words with meaning
  bool negated = false;
};

constexpr std::string_view kNegations[] = {
    "not",     "never",   "no",    "none",   "cannot", "isn't", "aren't",  "wasn't",
    "weren't", "doesn't", "don't", "didn't", "won't",  "can't", "without", "neither"};
constexpr std::string_view kCertain[] = {"definitely",  "certainly",  "undoubtedly",
                                         "absolutely",  "guaranteed", "unquestionably",
                                         "indisputably"};
constexpr std::string_view kHedging[] = {"might",    "maybe",      "perhaps",   "possibly",
                                         "probably", "supposedly", "allegedly", "presumably"};

Sentence read_sentence(const Words& words) {
  static constexpr std::string_view kSmall[] = {
      "the", "a",  "an",   "is", "are", "was", "were", "be",   "been", "to",  "of",
      "in",  "on", "and",  "or", "it",  "its", "this", "that", "for",  "by",  "with",
      "as",  "at", "does", "do", "did", "has", "have", "had",  "will", "can", "would"};
  Sentence sentence;
  for (const Word& word : words) {
    if (std::ranges::find(kNegations, word.text) != std::end(kNegations)) {
      sentence.negated = !sentence.negated;
    } else if (std::ranges::find(kSmall, word.text) == std::end(kSmall)) {
      sentence.content.push_back(hash_of(word.text));
    }
  }
  std::ranges::sort(sentence.content);
  const auto twice = std::ranges::unique(sentence.content);
  sentence.content.erase(twice.begin(), twice.end());
  return sentence;
}

/// The same thing said and denied: nearly the same words, one of the two with a negation.
bool contradict(const Sentence& one, const Sentence& other) {
  if (one.negated == other.negated || one.content.size() < 3 || other.content.size() < 3)
    return false;
  std::vector<std::uint32_t> shared;
  std::ranges::set_intersection(one.content, other.content, std::back_inserter(shared));
  const std::size_t all = one.content.size() + other.content.size() - shared.size();
  return shared.size() * 10 >= all * 8;
}

/// A link as it stands, from its scheme to the next blank or bracket.
std::vector<std::string> links_of(std::string_view text) {
  std::vector<std::string> links;
  for (std::size_t at = text.find("http"); at != std::string_view::npos;
       at = text.find("http", at + 4)) {
    const std::string_view rest = text.substr(at);
    const std::size_t scheme = rest.starts_with("https://")  ? 8
                               : rest.starts_with("http://") ? 7
                                                             : 0;
    if (scheme == 0) continue;
    std::string link;
    for (const char c : rest.substr(0, 512)) {
      if (static_cast<unsigned char>(c) <= ' ' || std::string_view("<>()[]\"'`").contains(c)) break;
      link += lower(c);
    }
    while (!link.empty() && std::string_view(".,;:!?").contains(link.back())) link.pop_back();
    links.push_back(link.substr(scheme));
  }
  return links;
}

bool is_placeholder(std::string_view text) {
  static constexpr std::string_view kMarks[] = {"xxxx",  "12345",    "example.", "placeholder",
                                                "your-", "yoursite", "[link",    "<link"};
  return std::ranges::any_of(
      kMarks, [text](std::string_view mark) { return text.find(mark) != std::string_view::npos; });
}

bool is_suspicious_link(std::string_view link) {
  const std::string_view host = link.substr(0, link.find('/'));
  const std::size_t dot = host.find_last_of('.');
  // A name of one word with a port is a service of one's own.
  if (dot == std::string_view::npos)
    return !host.starts_with("localhost") && host.find(':') == std::string_view::npos;
  const std::string_view top = host.substr(dot + 1, host.substr(dot + 1).find(':'));
  const bool address = std::ranges::all_of(top, is_digit);
  return is_placeholder(link) || (!address && (top.size() < 2 || top.size() > 18));
}

/// "arxiv:2413.00001": its month does not exist.
bool has_impossible_month(std::string_view after) {
  std::size_t i = 0;
  while (i < after.size() && (after[i] == ':' || after[i] == ' ')) ++i;
  if (after.size() < i + 5 || after[i + 4] != '.') return false;
  for (std::size_t k = i; k < i + 4; ++k) {
    if (!is_digit(after[k])) return false;
  }
  const int month = (after[i + 2] - '0') * 10 + (after[i + 3] - '0');
  return month < 1 || month > 12;
}

/// A number with the words around it, which say what it counts.
struct Statement {
  std::uint32_t about = 0;
  std::string_view number;
};

std::vector<Statement> statements_of(std::span<const Word> words) {
  std::vector<Statement> found;
  for (std::size_t i = 2; i < words.size() && found.size() < kMostNumbers; ++i) {
    if (!words[i].number || words[i - 1].number || words[i - 2].number) continue;
    std::uint32_t about = hash_of(" ", hash_of(words[i - 2].text));
    about = hash_of(" ", hash_of(words[i - 1].text, about));
    if (i + 1 < words.size() && !words[i + 1].number) about = hash_of(words[i + 1].text, about);
    found.push_back({about, words[i].text});
  }
  return found;
}

/// Takes the next sentence off `rest`. A point within a number or a name ("3.5", "node.js") ends
/// none.
std::string_view next_sentence(std::string_view& rest) {
  std::size_t end = 0;
  for (; end < rest.size(); ++end) {
    const char c = rest[end];
    if (c == '\n' || c == '!' || c == '?') break;
    if (c == '.' && (end + 1 == rest.size() || !is_word_byte(rest[end + 1]))) break;
  }
  const std::size_t whole = std::min(end + 1, rest.size());  // with its mark
  const std::string_view sentence = rest.substr(0, whole);
  rest.remove_prefix(whole);
  return sentence;
}

bool tells_cases(std::string_view sentence, const Words& words) {
  static constexpr std::string_view kCases[] = {"if",    "when",   "unless",  "whether", "while",
                                                "else",  "either", "before",  "until",   "might",
                                                "could", "may",    "example", "case",    "vs"};
  return sentence.ends_with('?') || has_word(words, kCases);
}

/// The text without what stands in fences and backquotes: a program's addresses, numbers and
/// branches claim nothing.
std::string without_code(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t begin = std::min(text.find('`'), text.size());
    out += text.substr(0, begin);
    text.remove_prefix(begin);
    if (text.empty()) break;
    const std::size_t ticks = std::min(text.find_first_not_of('`'), text.size());
    const std::string_view fence = text.substr(0, ticks);
    std::size_t end = text.find(fence, ticks);
    // An open fence goes to the end; a backquote alone is a sign like others.
    if (end == std::string_view::npos) end = ticks >= 3 ? text.size() - ticks : 0;
    out += ' ';
    text.remove_prefix(end + ticks);
  }
  return out;
}

double value_of(std::string_view number) {
  double value = 0;
  std::from_chars(number.data(), number.data() + number.size(), value);
  return value;
}

/// Numbers of the facts, and those of the answer that follow from them, or from one another, by one
/// step of reckoning. An answer to a sum must be allowed its result.
class Reckoning {
 public:
  void know(double value) {
    if (known_.size() < kMostKnown && std::ranges::find(known_, value) == known_.end())
      known_.push_back(value);
  }
  bool follows(double value, std::size_t decimals) const {
    const double near = 0.5 * std::pow(10.0, -static_cast<double>(decimals)) + 1e-9;
    const auto is = [&](double result) { return std::abs(result - value) <= near; };
    for (std::size_t i = 0; i < known_.size(); ++i) {
      const double a = known_[i];
      if (is(a) || is(a / 2) || is(a / 4) || is(a * 100) || is(a / 100) || is(100 - a)) return true;
      for (const double b : known_) {
        if (is(a + b) || is(a - b) || is(a * b) || is(a * b / 100) || is(a * (1 + b / 100)) ||
            is(a * (1 - b / 100)))
          return true;
        if (b != 0 && (is(a / b) || is(100 * a / b))) return true;
      }
    }
    return false;
  }
  std::vector<double> take() { return std::move(known_); }

 private:
  static constexpr std::size_t kMostKnown = 32;
  std::vector<double> known_;
};

std::size_t decimals_of(std::string_view number) {
  const std::size_t point = number.find('.');
  return point == std::string_view::npos ? 0 : std::min<std::size_t>(number.size() - point - 1, 9);
}

/// Results cannot follow from a single number and its own neighbours: 2018 does not follow from
/// 2019 and a list that has a "1.".
std::vector<double> reckoned_from(std::span<const Word> supplied, std::span<const Word> said) {
  Reckoning reckoning;
  std::size_t given = 0;
  for (const Word& word : supplied) {
    if (!word.number) continue;
    reckoning.know(value_of(word.text));
    ++given;
  }
  std::size_t looked = 0;
  for (const Word& word : said) {
    if (!word.number || given < 2) continue;
    if (++looked > kMostNumbers) break;
    const double value = value_of(word.text);
    if (reckoning.follows(value, decimals_of(word.text))) reckoning.know(value);
  }
  return reckoning.take();
}

bool is_known(std::string_view number, std::span<const double> known) {
  return std::ranges::find(known, value_of(number)) != known.end();
}

}  // namespace

double mixed_certainty(std::string_view answer) {
  // Together means in one sentence: "Certainly! …" opens half of all answers.
  for (std::string_view rest = answer; !rest.empty();) {
    const Words words(next_sentence(rest));
    if (has_word(words, kCertain) && has_word(words, kHedging)) return 0.3;
  }
  return 0;
}

double contradictions(std::string_view answer) {
  std::vector<Sentence> sentences;
  bool negated = false;
  for (std::string_view rest = answer; !rest.empty() && sentences.size() < kMostSentences;) {
    const std::string_view text = next_sentence(rest);
    // "It works if …", "… when it doesn't": cases that are told apart, not claims. Nor are
    // questions.
    const Words words(text);
    if (tells_cases(text, words)) continue;
    Sentence sentence = read_sentence(words);
    negated = negated || sentence.negated;
    if (!sentence.content.empty()) sentences.push_back(std::move(sentence));
  }
  if (!negated) return 0;
  double score = 0;
  for (std::size_t i = 0; i < sentences.size(); ++i) {
    for (std::size_t j = i + 1; j < sentences.size(); ++j) {
      if (contradict(sentences[i], sentences[j])) score += 0.25;
    }
  }
  return std::min(score, 0.5);
}

double suspicious_sources(std::string_view answer, std::string_view facts) {
  double score = 0;
  bool placeholder = false;
  for (const std::string& link : links_of(answer)) {
    if (facts.find(link) != std::string_view::npos) continue;
    // Many links to example.com are one sign: nobody takes them for a source.
    if (is_placeholder(link) && std::exchange(placeholder, true)) continue;
    if (is_suspicious_link(link)) score += 0.2;
  }
  std::string folded(answer);
  std::ranges::transform(folded, folded.begin(), lower);
  for (std::size_t at = folded.find("arxiv"); at != std::string::npos;
       at = folded.find("arxiv", at + 5)) {
    if (has_impossible_month(std::string_view(folded).substr(at + 5, 12))) score += 0.2;
  }
  for (std::size_t at = folded.find("doi:"); at != std::string::npos;
       at = folded.find("doi:", at + 4)) {
    std::string_view name = std::string_view(folded).substr(at + 4, 64);
    while (name.starts_with(' ')) name.remove_prefix(1);
    if (!name.starts_with("10.") || is_placeholder(name.substr(0, name.find(' ')))) score += 0.2;
  }
  return std::min(score, 0.6);
}

double number_conflicts(std::string_view answer, std::string_view facts) {
  const Words supplied_words(facts);
  const std::vector<Statement> supplied = statements_of(supplied_words);
  if (supplied.empty()) return 0;
  const Words said_words(answer);
  std::vector<std::string_view> suspects;
  const std::vector<Statement> statements = statements_of(said_words);
  for (const Statement& said : statements) {
    std::size_t numbers = 0;  // that the facts give for the same thing
    bool differs = true;
    for (const Statement& fact : supplied) {
      if (fact.about != said.about) continue;
      ++numbers;
      differs = differs && fact.number != said.number;
    }
    // What the facts say several times, with several numbers, is a place to fill and not a fact.
    if (numbers == 1 && differs) suspects.push_back(said.number);
  }
  if (suspects.empty()) return 0;
  // A number that stands elsewhere among the facts was moved, one that can be reckoned from them is
  // a result.
  const std::vector<double> known = reckoned_from(supplied_words, said_words);
  const auto invented = std::ranges::count_if(
      suspects, [&known](std::string_view number) { return !is_known(number, known); });
  return std::min(0.25 * static_cast<double>(invented), 0.5);
}

double hallucination_score(std::string_view answer, std::string_view facts) {
  const std::string prose = without_code(answer);
  // Most answers have none of the words that the checks of sentences need.
  const Words words(prose);
  const bool may_mix = has_word(words, kCertain) && has_word(words, kHedging);
  const bool may_contradict = has_word(words, kNegations);
  return std::min(1.0, (may_mix ? mixed_certainty(prose) : 0) +
                           (may_contradict ? contradictions(prose) : 0) +
                           suspicious_sources(prose, facts) + number_conflicts(prose, facts));
}

}  // namespace asahi::gateway
