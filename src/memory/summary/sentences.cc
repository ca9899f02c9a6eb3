#include "memory/summary/sentences.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/utf8.h"
#include "llm/embed/onnx/unicode.h"

namespace asahi::memory {
namespace {

using llm::onnx::lower_of;

// Sorted. Words that are written with a full stop; many are words without one, too, so that a word
// that begins a sentence may end them.
constexpr auto kAbbreviations = std::to_array<std::string_view>(
    {"abb",  "abs",  "allg", "approx", "apt",  "art",  "aug",  "av",   "ave",   "avv",  "bd",
     "bldg", "blvd", "bsp",  "bzgl",   "bzw",  "ca",   "cap",  "cf",   "ch",    "chap", "col",
     "cpt",  "dec",  "dep",  "dept",   "dez",  "dipl", "dir",  "doc",  "dott",  "dr",   "dra",
     "dres", "ed",   "eds",  "eng",    "esp",  "evtl", "ex",   "excl", "feb",   "fig",  "figs",
     "fr",   "fri",  "geb",  "gen",    "ggf",  "ggfs", "gov",  "hon",  "hr",    "hrsg", "incl",
     "ing",  "inkl", "insb", "jan",    "jul",  "jun",  "kap",  "lt",   "ltn",   "maj",  "max",
     "med",  "mgr",  "min",  "mio",    "mlle", "mme",  "mon",  "mr",   "mrd",   "mrs",  "ms",
     "mt",   "mwst", "nov",  "oct",    "okt",  "orig", "pag",  "pp",   "prof",  "ref",  "rep",
     "resp", "rev",  "sat",  "sec",    "sen",  "sep",  "sept", "sgt",  "sig",   "sog",  "sr",
     "sra",  "srta", "st",   "ste",    "str",  "sun",  "tel",  "thu",  "thurs", "tue",  "tues",
     "ud",   "uds",  "univ", "usd",    "vgl",  "viz",  "vol",  "vols", "vs",    "wed",  "zb",
     "zzgl"});
static_assert(std::ranges::is_sorted(kAbbreviations));

// Before names: never an end.
constexpr auto kTitles = std::to_array<std::string_view>(
    {"avv", "col", "dott", "dr",  "dra", "fr",   "gen", "gov",  "hon", "hr",
     "lt",  "maj", "mlle", "mme", "mr",  "mrs",  "ms",  "prof", "rep", "rev",
     "sen", "sgt", "sig",  "sr",  "sra", "srta", "st",  "ste",  "vs"});
static_assert(std::ranges::is_sorted(kTitles));

// Ends of names and lists.
constexpr auto kEndingAbbreviations =
    std::to_array<std::string_view>({"co", "corp", "est", "etc", "inc", "jr", "ltd", "usf", "usw"});
static_assert(std::ranges::is_sorted(kEndingAbbreviations));

// Abbreviations before a number only: "No. 5", "p. 12", "Nr. 3".
constexpr auto kBeforeNumbers = std::to_array<std::string_view>(
    {"eq", "ext", "no", "nos", "nr", "num", "p", "par", "pos", "s", "sect", "v", "ver", "z"});
static_assert(std::ranges::is_sorted(kBeforeNumbers));

constexpr auto kStarters = std::to_array<std::string_view>(
    {"a",    "after", "all",   "also",  "an",    "and",  "as",   "at",    "but",  "das",
     "der",  "die",   "el",    "er",    "es",    "for",  "he",   "her",   "his",  "however",
     "i",    "if",    "il",    "in",    "it",    "its",  "la",   "le",    "les",  "los",
     "my",   "no",    "now",   "on",    "our",   "she",  "sie",  "so",    "some", "that",
     "the",  "their", "then",  "there", "these", "they", "this", "those", "to",   "we",
     "what", "when",  "where", "wir",   "yes",   "you",  "your"});
static_assert(std::ranges::is_sorted(kStarters));

// Months behind a day with a full stop ("5. Mai").
constexpr auto kMonths =
    std::to_array<std::string_view>({"april", "august", "dezember", "februar", "januar", "juli",
                                     "juni", "mai", "märz", "november", "oktober", "september"});
static_assert(std::ranges::is_sorted(kMonths));

bool listed(std::span<const std::string_view> words, std::string_view word) {
  return std::ranges::binary_search(words, word);
}

bool blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f'; }
bool digit(char c) { return c >= '0' && c <= '9'; }
bool ascii_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

char32_t character_at(std::string_view text, std::size_t at) {
  return at < text.size() ? llm::onnx::next_character(text, at) : 0;
}
bool upper(char32_t c) { return lower_of(c) != c; }
bool letter(char32_t c) {
  return c < 0x80 ? ascii_letter(static_cast<char>(c))
                  : (c >= 0xC0 && c != 0xD7 && c != 0xF7 && !llm::onnx::is_punctuation(c));
}
bool lower_letter(char32_t c) { return letter(c) && !upper(c) && c < 0x590; }

/// The word (letters and inner full stops) that ends before `at`, in lower case.
struct Before {
  std::string word;
  bool dotted = false;  ///< "e.g", "U.S"
  bool capital = false;
  std::size_t letters = 0;
  bool number = false;
};
Before word_before(std::string_view text, std::size_t begin, std::size_t at) {
  constexpr std::size_t kLook = 40;
  std::size_t first = at;
  while (first > begin && at - first < kLook) {
    const auto c = static_cast<unsigned char>(text[first - 1]);
    const bool part = c >= 0x80 || ascii_letter(text[first - 1]) || digit(text[first - 1]) ||
                      (text[first - 1] == '.' && first < at);
    if (!part) break;
    --first;
  }
  Before out;
  std::string_view raw = text.substr(first, at - first);
  while (raw.starts_with('.')) raw.remove_prefix(1);
  out.number = !raw.empty() && std::ranges::all_of(raw, digit);
  out.capital = !raw.empty() && upper(character_at(raw, 0));
  for (std::size_t i = 0; i < raw.size();) {
    const char32_t c = llm::onnx::next_character(raw, i);
    if (c == U'.') {
      out.dotted = true;
      out.word += '.';
      continue;
    }
    out.letters += letter(c) ? 1 : 0;
    llm::onnx::append_utf8(out.word, lower_of(c));
  }
  // "e.g", "z.B", "U.S", "a.m": letters one by one.
  if (out.dotted) {
    std::size_t run = 0;
    for (const char c : out.word) {
      run = c == '.' ? 0 : run + ((static_cast<unsigned char>(c) & 0xC0) != 0x80 ? 1 : 0);
      if (run > 2) out.dotted = false;
    }
  }
  return out;
}

std::string word_at(std::string_view text, std::size_t at) {
  std::string out;
  while (at < text.size() && out.size() < 40) {
    const char32_t c = llm::onnx::next_character(text, at);
    if (!letter(c)) break;
    llm::onnx::append_utf8(out, lower_of(c));
  }
  return out;
}

/// Length of a closing quote, bracket or mark of emphasis at `at`; 0: none stands there.
std::size_t closer(std::string_view text, std::size_t at) {
  if (at >= text.size()) return 0;
  switch (text[at]) {
    case '"':
    case '\'':
    case ')':
    case ']':
    case '}':
    case '*':
    case '_':
      return 1;
    default:
      break;
  }
  for (const std::string_view sign : {"”", "’", "»", "›", "」", "』", "）", "】", "“"}) {
    if (text.substr(at).starts_with(sign)) return sign.size();
  }
  return 0;
}

/// Length of a mark that ends a sentence of its own, whatever follows.
std::size_t full_ender(std::string_view text, std::size_t at) {
  if (static_cast<unsigned char>(text[at]) < 0xD8) return 0;
  for (const std::string_view sign : {"。", "！", "？", "｡", "।", "॥", "۔", "؟", "።"}) {
    if (text.substr(at).starts_with(sign)) return sign.size();
  }
  return 0;
}

bool ends_at_stop(std::string_view text, std::size_t begin, std::size_t stop, std::size_t next) {
  if (next >= text.size()) return true;
  const char32_t follows = character_at(text, next);
  const Before before = word_before(text, begin, stop);
  const std::string word = word_at(text, next);
  const bool starter = upper(follows) && listed(kStarters, word);
  if (before.number) {
    // "1. Open the file" begins a list; "5. Mai", "21. Jahrhundert" go on.
    std::size_t first = stop;
    while (first > begin && digit(text[first - 1])) --first;
    if (first == begin) return false;
    if (listed(kMonths, word)) return false;
    return !lower_letter(follows);
  }
  if (before.dotted)
    return (before.word == "a.m" || before.word == "p.m") ? upper(follows) : starter;
  if (before.letters == 1 && before.capital && before.word.size() <= 2)
    return starter && before.word != "i" ? true : before.word == "i";
  if (listed(kTitles, before.word)) return false;
  if (listed(kAbbreviations, before.word)) return starter;
  if (before.letters == 1 &&
      (before.word == "z" || before.word == "d" || before.word == "u" || before.word == "p"))
    return !(letter(follows) && word.size() <= 3) && !digit(text[next]) && upper(follows);
  if (listed(kBeforeNumbers, before.word) && digit(text[next])) return false;
  if (listed(kEndingAbbreviations, before.word)) return starter;
  return true;
}

class Splitter {
 public:
  explicit Splitter(std::string_view text) : text_(text) {}

  std::vector<Sentence> take() {
    for (std::size_t at = 0; at < text_.size();) at = line(at);
    end_paragraph(text_.size());
    return std::move(out_);
  }

 private:
  std::size_t line_end(std::size_t at) const {
    const std::size_t end = text_.find('\n', at);
    return end == std::string_view::npos ? text_.size() : end;
  }

  /// Takes the line at `at`; returns where the next begins.
  std::size_t line(std::size_t at) {
    const std::size_t end = line_end(at), after = std::min(end + 1, text_.size());
    std::size_t first = at;
    while (first < end && blank(text_[first])) ++first;
    const std::string_view body = text_.substr(first, end - first);
    if (body.empty()) {
      end_paragraph(at);
      return after;
    }
    if (body.starts_with("```") || body.starts_with("~~~")) {
      end_paragraph(at);
      return code(first, body.substr(0, 3), after);
    }
    if (body.starts_with('#') && heading(body)) {
      end_paragraph(at);
      add(first, end, Sentence::kHeading);
      return after;
    }
    const bool table = body.starts_with('|');
    if (table || item(body) || speaker(body)) {
      end_paragraph(at);
      begin_paragraph(first, Sentence::kItem);
    } else if (!open_) {
      begin_paragraph(first, Sentence::kProse);
    } else if (short_line(at) && breaks_line(body)) {
      const Sentence::Kind kind = kind_;
      end_paragraph(at);
      begin_paragraph(first, kind == Sentence::kItem ? Sentence::kItem : Sentence::kProse);
    }
    return after;
  }

  static bool heading(std::string_view body) {
    const std::size_t marks = body.find_first_not_of('#');
    return marks != std::string_view::npos && marks <= 6 && blank(body[marks]);
  }
  static bool item(std::string_view body) {
    for (const std::string_view mark : {"- ", "* ", "+ ", "• ", "– ", "> "}) {
      if (body.starts_with(mark)) return true;
    }
    std::size_t digits = 0;
    while (digits < body.size() && digits < 4 && digit(body[digits])) ++digits;
    return digits > 0 && digits < 4 && digits + 1 < body.size() &&
           (body[digits] == '.' || body[digits] == ')') && blank(body[digits + 1]);
  }
  /// "Ana: ", "User 2: ": one to three words and a colon.
  static bool speaker(std::string_view body) {
    const std::size_t colon = body.substr(0, 41).find(": ");
    if (colon == std::string_view::npos || colon == 0 || !upper(character_at(body, 0)))
      return false;
    std::size_t blanks = 0;
    for (const char c : body.substr(0, colon)) {
      if (c == ' ') ++blanks;
      if (c == '.' || c == ',' || c == '!' || c == '?' || c == '"' || c == '(') return false;
    }
    return blanks <= 2;
  }
  /// Whether the line that ends before `at` is too short to have been wrapped.
  bool short_line(std::size_t at) const {
    constexpr std::size_t kWrapped = 60;
    const std::size_t before = at >= 2 ? text_.rfind('\n', at - 2) : std::string_view::npos;
    const std::size_t begin = before == std::string_view::npos ? 0 : before + 1;
    return at - begin < kWrapped;
  }
  static bool breaks_line(std::string_view body) {
    const char32_t c = character_at(body, 0);
    return upper(c) || !letter(c);
  }

  std::size_t code(std::size_t first, std::string_view fence, std::size_t at) {
    while (at < text_.size()) {
      const std::size_t end = line_end(at);
      std::size_t begin = at;
      while (begin < end && blank(text_[begin])) ++begin;
      at = std::min(end + 1, text_.size());
      if (text_.substr(begin, end - begin).starts_with(fence)) {
        add(first, end, Sentence::kCode);
        return at;
      }
      if (end == text_.size()) break;
    }
    add(first, text_.size(), Sentence::kCode);
    return text_.size();
  }

  void begin_paragraph(std::size_t at, Sentence::Kind kind) {
    open_ = true;
    begin_ = at;
    kind_ = kind;
  }
  void end_paragraph(std::size_t end) {
    if (open_) paragraph(begin_, end);
    open_ = false;
  }

  void paragraph(std::size_t begin, std::size_t end) {
    const std::string_view text = text_.substr(0, end);
    std::size_t from = begin;
    for (std::size_t at = begin; at < end;) {
      const char c = text[at];
      if (c == '`') {
        const std::size_t close = text.substr(0, std::min(end, at + 300)).find('`', at + 1);
        if (close != std::string_view::npos) {
          at = close + 1;
          continue;
        }
      }
      if (std::size_t length = full_ender(text, at); length != 0) {
        at += length;
        while ((length = full_ender(text, at < end ? at : 0)) != 0 && at < end) at += length;
        while ((length = closer(text, at)) != 0) at += length;
        add(from, at, kind_);
        from = at;
        continue;
      }
      const bool dots = text.substr(at).starts_with("…");
      if (c != '.' && c != '!' && c != '?' && !dots) {
        ++at;
        continue;
      }
      const std::size_t sign = at;
      std::size_t stops = 0;
      bool asks = false;
      while (at < end && (text[at] == '.' || text[at] == '!' || text[at] == '?')) {
        stops += text[at] == '.' ? 1 : 0;
        asks = asks || text[at] != '.';
        ++at;
      }
      const bool trails = dots || (stops > 1 && !asks);
      if (dots) at = sign + std::string_view("…").size();
      std::size_t length;
      while ((length = closer(text, at)) != 0) at += length;
      if (at < end && !blank(text[at])) continue;
      std::size_t next = at;
      while (next < end && blank(text[next])) ++next;
      const char32_t follows = character_at(text, next);
      bool ends = next >= end;
      if (!ends && (asks || trails))
        ends = !lower_letter(follows);
      else if (!ends)
        ends = ends_at_stop(text, from, sign, next);
      if (!ends) continue;
      add(from, at, kind_);
      from = at = next;
    }
    add(from, end, kind_);
  }

  void add(std::size_t begin, std::size_t end, Sentence::Kind kind) {
    while (begin < end && blank(text_[begin])) ++begin;
    while (end > begin && blank(text_[end - 1])) --end;
    while (kind != Sentence::kCode && end - begin > kLongestSentence) {
      const std::string_view part = text_.substr(begin, kLongestSentence);
      std::size_t cut = part.find_last_of(" \t\n");
      if (cut == std::string_view::npos || cut < kLongestSentence / 2) {
        // A run of broken bytes is cut anywhere.
        cut = std::max(utf8_prefix(text_.substr(begin), kLongestSentence).size(),
                       kLongestSentence - 3);
      }
      out_.push_back({begin, begin + cut, kind});
      begin += cut;
      while (begin < end && blank(text_[begin])) ++begin;
    }
    if (end > begin) out_.push_back({begin, end, kind});
  }

  const std::string_view text_;
  std::vector<Sentence> out_;
  bool open_ = false;
  std::size_t begin_ = 0;
  Sentence::Kind kind_ = Sentence::kProse;
};

}  // namespace

std::vector<Sentence> split_sentences(std::string_view text) { return Splitter(text).take(); }

}  // namespace asahi::memory
