#include "memory/text/tokenise.h"

#include <algorithm>
#include <array>

#include "llm/embed/onnx/unicode.h"
#include "memory/text/fold.h"
#include "memory/text/stem.h"

namespace asahi::memory::text {
namespace {

using llm::onnx::append_utf8;

/// Most characters are ASCII: no call for them.
void append(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else {
    append_utf8(out, c);
  }
}

/// A run longer than that (a blob in Base64) is taken in pieces.
constexpr std::size_t kLongestRun = 256;

struct Unit {
  char32_t c = 0;
  Sign sign = Sign::kBlank;
  bool upper = false;
};

constexpr auto kGrammar = std::to_array<std::string_view>(
    {"a",     "about",  "after", "all",     "also",   "am",     "an",     "and",   "any",   "are",
     "as",    "at",     "be",    "because", "been",   "before", "being",  "but",   "by",    "can",
     "could", "did",    "do",    "does",    "doing",  "done",   "for",    "from",  "had",   "has",
     "have",  "having", "he",    "her",     "hers",   "him",    "his",    "how",   "i",     "if",
     "in",    "into",   "is",    "it",      "its",    "just",   "may",    "me",    "might", "mine",
     "must",  "my",     "no",    "nor",     "not",    "of",     "off",    "on",    "onto",  "or",
     "our",   "ours",   "out",   "over",    "shall",  "she",    "should", "so",    "some",  "such",
     "than",  "that",   "the",   "their",   "theirs", "them",   "then",   "there", "these", "they",
     "this",  "those",  "to",    "too",     "up",     "us",     "very",   "was",   "we",    "were",
     "what",  "when",   "where", "which",   "while",  "who",    "whom",   "whose", "why",   "will",
     "with",  "would",  "you",   "your",    "yours"});
static_assert(std::ranges::is_sorted(kGrammar));

/// What follows an apostrophe and says nothing.
constexpr auto kTails = std::to_array<std::u32string_view>({U"s", U"d", U"ll", U"re", U"ve", U"m"});

class Writer {
 public:
  Writer(Side side, Tokens& out) : side_(side), out_(out) {}

  bool full() const { return out_.words >= kMostWords; }

  void word_char(Unit unit) {
    if (!dense_.empty()) flush_dense();
    run_.push_back(unit);
    if (run_.size() >= kLongestRun) flush_run();
  }
  void dense_char(char32_t c) {
    if (!run_.empty()) flush_run();
    dense_.push_back(c);
    if (dense_.size() >= kLongestRun) flush_dense();
  }
  void blank() {
    if (!run_.empty()) flush_run();
    if (!dense_.empty()) flush_dense();
  }
  /// Whether "1,000" may go on: three digits after a comma behind a digit.
  bool after_digit() const { return !run_.empty() && run_.back().sign == Sign::kDigit; }

 private:
  void flush_dense() {
    for (std::size_t i = 0; i < dense_.size() && !full(); ++i) {
      const bool alone = side_ == Side::kDocument || dense_.size() == 1;
      if (alone) {
        open();
        append_utf8(out_.letters, dense_[i]);
        close(TokenKind::kLetter);
      }
      if (i + 1 < dense_.size()) {
        open();
        append_utf8(out_.letters, dense_[i]);
        append_utf8(out_.letters, dense_[i + 1]);
        close(TokenKind::kPair);
      }
      ++out_.words;
    }
    dense_.clear();
  }

  // Parts a run at apostrophes and at joints that hold nothing together.
  void flush_run() {
    std::size_t begin = 0;
    for (std::size_t i = 0; i < run_.size(); ++i) {
      if (run_[i].sign != Sign::kJoint) continue;
      if (run_[i].c == U'\'') {
        const std::size_t end = tail_end(i);
        std::size_t stop = i;
        if (end != 0 && run_[end - 1].c == U't' && end == i + 2 && i - begin > 2) --stop;
        compound(begin, stop);
        begin = end != 0 ? end : i + 1;
        i = begin - 1;
        continue;
      }
      std::size_t joint = i;
      while (joint < run_.size() && run_[joint].sign == Sign::kJoint && run_[joint].c != U'\'')
        ++joint;
      if (!holds(i, joint)) {
        // "c++", "c#": signs that belong to the name before them.
        const bool name = (run_[i].c == U'+' || run_[i].c == U'#') && i > begin && i - begin <= 2;
        compound(begin, name ? joint : i);
        begin = joint;
      }
      i = joint - 1;
    }
    compound(begin, run_.size());
    run_.clear();
  }

  // Where the tail behind the apostrophe at `at` ends, when it is one that says nothing; else 0.
  std::size_t tail_end(std::size_t at) const {
    std::size_t end = at + 1;
    std::u32string tail;
    while (end < run_.size() && run_[end].sign == Sign::kLetter && tail.size() < 3)
      tail += run_[end++].c;
    if (end < run_.size() && run_[end].sign != Sign::kJoint) return 0;
    if (std::ranges::find(kTails, tail) != kTails.end()) return end;
    return tail == U"t" && at > 0 && run_[at - 1].c == U'n' ? end : 0;
  }

  // Whether the joints [from, to) stand inside a compound.
  bool holds(std::size_t from, std::size_t to) const {
    if (to >= run_.size()) return false;
    const char32_t first = run_[from].c;
    if (first == U'+' || first == U'#') return false;
    if (to - from == 1) {
      // ":" joins only digits ("10:30"): "note:this" is two words.
      if (first != U':') return from > 0 || first == U'/' || first == U'.';
      return from > 0 && run_[from - 1].sign == Sign::kDigit && run_[to].sign == Sign::kDigit;
    }
    if (to - from == 2) return first == U':' && run_[from + 1].c == U':';
    return to - from == 3 && first == U':' && run_[from + 1].c == U'/' && run_[from + 2].c == U'/';
  }

  void compound(std::size_t begin, std::size_t end) {
    while (begin < end && run_[begin].sign == Sign::kJoint) ++begin;
    std::size_t stop = end;
    while (stop > begin && run_[stop - 1].sign == Sign::kJoint && run_[stop - 1].c != U'+' &&
           run_[stop - 1].c != U'#')
      --stop;
    if (begin >= stop || full()) return;
    bool plain = true;
    for (std::size_t i = begin; i < stop; ++i) {
      plain = plain && run_[i].sign == Sign::kLetter && !(i > begin && camel(i, stop));
    }
    if (plain) {
      word(begin, stop);
      return;
    }
    if (run_[begin].c == U'v' && begin + 1 < stop && run_[begin + 1].sign == Sign::kDigit) ++begin;
    bool digits = true, joints = false;
    for (std::size_t i = begin; i < stop; ++i) {
      digits = digits && (run_[i].sign == Sign::kDigit || run_[i].c == U'.');
      joints = joints || run_[i].sign == Sign::kJoint;
    }
    if (digits) {
      number(begin, stop);
      return;
    }
    if (ordinal(begin, stop)) {
      whole(begin, stop - 2);
      ++out_.words;
      return;
    }
    whole(begin, stop);
    if (run_[stop - 1].sign == Sign::kJoint) {  // "c++"
      ++out_.words;
      return;
    }
    if (joints) last_part(begin, stop);
    const std::uint32_t before = out_.words;
    parts(begin, stop);
    out_.words = std::max(out_.words, before + 1);
  }

  // "13th": stands as 13.
  bool ordinal(std::size_t begin, std::size_t end) const {
    if (end - begin < 3) return false;
    for (std::size_t i = begin; i + 2 < end; ++i) {
      if (run_[i].sign != Sign::kDigit) return false;
    }
    const char32_t a = run_[end - 2].c, b = run_[end - 1].c;
    return (a == U's' && b == U't') || (a == U'n' && b == U'd') || (a == U'r' && b == U'd') ||
           (a == U't' && b == U'h');
  }

  // Whole, and a version or address also by its beginnings.
  void number(std::size_t begin, std::size_t end) {
    std::size_t dots = 0;
    for (std::size_t i = begin; i < end; ++i) {
      if (run_[i].c != U'.') continue;
      if (++dots >= 2) whole(begin, i);
    }
    whole(begin, end);
    ++out_.words;
  }

  // A path's file name, a name behind its scopes.
  void last_part(std::size_t begin, std::size_t end) {
    std::size_t at = end;
    while (at > begin && run_[at - 1].c != U'/' && run_[at - 1].c != U'\\') --at;
    if (at == begin) return;
    for (std::size_t i = at; i < end; ++i) {
      if (run_[i].sign != Sign::kJoint) continue;
      whole(at, end);
      return;
    }
  }

  bool camel(std::size_t i, std::size_t end) const {
    if (run_[i].sign != Sign::kLetter || run_[i - 1].sign != Sign::kLetter) return false;
    if (!run_[i].upper) return false;
    return !run_[i - 1].upper || (i + 1 < end && run_[i + 1].sign == Sign::kLetter &&
                                  !run_[i + 1].upper && i >= 1 && run_[i - 1].upper);
  }

  void parts(std::size_t begin, std::size_t end) {
    std::size_t at = begin;
    while (at < end) {
      if (run_[at].sign == Sign::kJoint) {
        ++at;
        continue;
      }
      const bool digit = run_[at].sign == Sign::kDigit;
      std::size_t stop = at + 1;
      while (stop < end && run_[stop].sign == run_[at].sign && (digit || !camel(stop, end))) ++stop;
      // "e0308" and "h264" say nothing in parts.
      const auto joint = [&](std::size_t i) { return run_[i].sign == Sign::kJoint; };
      const bool own = (at == begin || joint(at - 1)) && (stop == end || joint(stop));
      const bool letter_before = at >= begin + 2 && run_[at - 1].sign == Sign::kLetter &&
                                 run_[at - 2].sign == Sign::kLetter;
      if (digit) {
        const bool unit_after = stop + 1 < end && run_[stop].sign == Sign::kLetter;
        if (own || letter_before || ((at == begin || joint(at - 1)) && unit_after)) {
          std::size_t first = at;
          while (first + 1 < stop && run_[first].c == U'0') ++first;
          whole(first, stop);
          ++out_.words;
        }
      } else if (own || stop - at >= 2) {
        word(at, stop);
      }
      at = stop;
    }
  }

  void word(std::size_t begin, std::size_t end) {
    if (full()) return;
    open();
    put(begin, end);
    const std::string_view folded = std::string_view(out_.letters).substr(token_.begin);
    token_.grammar = is_grammar(folded);
    if (!token_.grammar && folded.size() > 3 && folded.size() <= kLongestToken) {
      const std::string stemmed = stem(folded);
      out_.letters.replace(token_.begin, std::string::npos, stemmed);
    }
    close(TokenKind::kWord);
    ++out_.words;
  }

  void whole(std::size_t begin, std::size_t end) {
    open();
    put(begin, end);
    close(TokenKind::kWhole);
  }

  void put(std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) append(out_.letters, run_[i].c);
  }

  void open() {
    token_ = Token{};
    token_.begin = static_cast<std::uint32_t>(out_.letters.size());
    token_.position = out_.words;
  }

  void close(TokenKind kind) {
    std::size_t length = out_.letters.size() - token_.begin;
    if (length > kLongestToken) {
      length = kLongestToken;
      while (length > 0 && (out_.letters[token_.begin + length] & 0xC0) == 0x80) --length;
      out_.letters.resize(token_.begin + length);
    }
    token_.length = static_cast<std::uint16_t>(length);
    token_.kind = kind;
    if (length > 0) out_.tokens.push_back(token_);
  }

  const Side side_;
  Tokens& out_;
  Token token_;
  std::vector<Unit> run_;
  std::u32string dense_;
};

bool ascii_digit(std::string_view text, std::size_t at) {
  return at < text.size() && text[at] >= '0' && text[at] <= '9';
}

}  // namespace

bool is_grammar(std::string_view word) {
  return word.size() <= 7 && std::ranges::binary_search(kGrammar, word);
}

void tokenise(std::string_view text, Side side, Tokens& out) {
  out.letters.clear();
  out.tokens.clear();
  out.words = 0;
  Writer writer(side, out);
  std::size_t at = 0;
  while (at < text.size() && !writer.full()) {
    const std::size_t begin = at;
    const FoldedChar c = fold_at(text, at);
    switch (c.sign) {
      case Sign::kMark:
        break;
      case Sign::kDense:
        writer.dense_char(c.to[0]);
        break;
      case Sign::kBlank:
        if (text[begin] == ',' && writer.after_digit() && ascii_digit(text, at) &&
            ascii_digit(text, at + 1) && ascii_digit(text, at + 2) && !ascii_digit(text, at + 3))
          break;
        writer.blank();
        break;
      default:
        for (std::size_t i = 0; i < c.count; ++i)
          writer.word_char({c.to[i], c.sign, c.upper && i == 0});
    }
  }
  writer.blank();
}

bool any_plain_word(std::string_view text, const std::function<bool(std::string_view)>& is) {
  std::string word;
  bool found = false;
  const auto flush = [&] {
    if (!word.empty()) found = found || is(word);
    word.clear();
  };
  for (std::size_t at = 0; at < text.size() && !found;) {
    const FoldedChar c = fold_at(text, at);
    if (c.sign == Sign::kMark) continue;
    if (c.sign == Sign::kJoint && c.to[0] == U'\'' && !word.empty()) {
      // The possessive, not the d' of a name.
      if (at < text.size() && (text[at] == 's' || text[at] == 'S')) {
        std::size_t next = at + 1;
        if (next >= text.size() || fold_at(text, next).sign == Sign::kBlank) ++at;
      }
      flush();
      continue;
    }
    if (c.sign == Sign::kBlank || c.sign == Sign::kJoint) {
      flush();
      continue;
    }
    for (std::size_t i = 0; i < c.count; ++i) append(word, c.to[i]);
    if (c.sign == Sign::kDense || word.size() >= kLongestToken) flush();
  }
  flush();
  return found;
}

std::vector<std::string> plain_words(std::string_view text) {
  std::vector<std::string> words;
  any_plain_word(text, [&](std::string_view word) {
    words.emplace_back(word);
    return false;
  });
  return words;
}

}  // namespace asahi::memory::text
