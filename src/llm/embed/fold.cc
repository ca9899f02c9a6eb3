#include "llm/embed/fold.h"

#include <algorithm>
#include <array>

#include "base/hash.h"
#include "base/utf8.h"

namespace asahi::llm::text {
namespace {

constexpr std::size_t kLongestWord = 64;

// U+00C0 to U+017F without accents; '.' where one letter does not do.
constexpr std::string_view kPlainLatin =
    "aaaaaa.ceeeeiiiidnooooo.ouuuuyp.aaaaaa.ceeeeiiiidnooooo.ouuuuypy"
    "aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiii..jjkkkllllllllllnnnnnnnnnoooooo..rrrrrr"
    "ssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs";

struct Char {
  enum Kind : std::uint8_t { kBlank, kLetter, kDigit, kSign } kind = kBlank;
  char ascii = 0;  ///< folded; 0: `utf8` holds it
  bool upper = false;
  Script script = kLatin;
  std::uint32_t point = 0;
};

std::uint32_t decode(std::string_view text, std::size_t at, std::size_t length) {
  const auto byte = [&](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(text[at + i]));
  };
  if (length == 1) return byte(0);
  if (length == 2) return (byte(0) & 0x1F) << 6 | (byte(1) & 0x3F);
  if (length == 3) return (byte(0) & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
  return (byte(0) & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F);
}

void append(std::string& out, std::uint32_t point) {
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xC0 | point >> 6);
    out += static_cast<char>(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    out += static_cast<char>(0xE0 | point >> 12);
    out += static_cast<char>(0x80 | (point >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (point & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | point >> 18);
    out += static_cast<char>(0x80 | (point >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (point >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (point & 0x3F));
  }
}

Script script_of(std::uint32_t point) {
  if (point < 0x370 || (point >= 0x1E00 && point < 0x1F00)) return kLatin;
  if (point < 0x400 || (point >= 0x1F00 && point < 0x2000)) return kGreek;
  if (point < 0x530) return kCyrillic;
  if (point >= 0x590 && point < 0x780) return kSemitic;
  if (point >= 0x900 && point < 0xE00) return kIndic;
  if (point >= 0xE00 && point < 0xE80) return kThai;
  if ((point >= 0x1100 && point < 0x1200) || (point >= 0x3040 && point < 0xFB00) ||
      (point >= 0x20000 && point < 0x32000))
    return kHan;
  return kOtherScript;
}

Char classify(std::uint32_t point) {
  Char out;
  out.point = point;
  if (point < 0x80) {
    const char c = static_cast<char>(point);
    if (c >= 'a' && c <= 'z') return {Char::kLetter, c, false, kLatin, point};
    if (c >= 'A' && c <= 'Z')
      return {Char::kLetter, static_cast<char>(c - 'A' + 'a'), true, kLatin, point};
    if (c >= '0' && c <= '9') return {Char::kDigit, c, false, kLatin, point};
    if (c > ' ' && c != 0x7F) return {Char::kSign, c, false, kLatin, point};
    return out;
  }
  if (point >= 0xC0 && point <= 0x17F && point != 0xD7 && point != 0xF7) {
    out.kind = Char::kLetter;
    const std::size_t index = point - 0xC0;
    const char plain = index < kPlainLatin.size() ? kPlainLatin[index] : '.';
    if (plain != '.') out.ascii = plain;
    out.upper = point < 0xDF || (point >= 0x100 && point % 2 == 0);
    return out;
  }
  switch (point) {
    case 0x2018:
    case 0x2019:
    case 0x02BC:
      return {Char::kSign, '\'', false, kLatin, point};
    case 0x201C:
    case 0x201D:
    case 0xAB:
    case 0xBB:
      return {Char::kSign, '"', false, kLatin, point};
    case 0x2010:
    case 0x2011:
    case 0x2012:
    case 0x2013:
    case 0x2014:
    case 0x2212:
      return {Char::kSign, '-', false, kLatin, point};
    case 0x20AC:
    case 0xA3:
    case 0x20B9:
    case 0xA5:
      return {Char::kSign, '$', false, kLatin, point};
    case 0x3002:
    case 0xFF0C:
    case 0x3001:
      return {Char::kSign, ',', false, kLatin, point};
    case 0xFF1F:
    case 0x61F:
      return {Char::kSign, '?', false, kLatin, point};
    default:
      break;
  }
  const bool blank = point == 0xA0 || point == 0x3000 || (point >= 0x2000 && point <= 0x200F) ||
                     (point >= 0x2028 && point <= 0x202F) || point == 0xFEFF || point == 0x2060;
  if (blank) return out;
  if ((point >= 0xA1 && point <= 0xBF) || point == 0xD7 || point == 0xF7 ||
      (point >= 0x2010 && point <= 0x27FF) || (point >= 0x3001 && point <= 0x303F)) {
    return {Char::kSign, ';', false, kLatin, point};
  }
  out.kind = Char::kLetter;
  out.script = script_of(point);
  // Greek and Cyrillic capitals stand 32 before their small letters; Ѐ to Џ 80.
  if ((point >= 0x391 && point <= 0x3A9) || (point >= 0x410 && point <= 0x42F)) {
    out.point = point + 32;
    out.upper = true;
  } else if (point >= 0x400 && point <= 0x40F) {
    out.point = point + 80;
    out.upper = true;
  }
  return out;
}

// Signs that stand in identifiers, paths and formulas, not in prose.
bool code_sign(char c) {
  return c == '_' || c == '\\' || c == '@' || c == '=' || c == '{' || c == '}' || c == '[' ||
         c == ']' || c == '<' || c == '>' || c == '^' || c == '|' || c == '~' || c == '`';
}

class Folding {
 public:
  Folding(Folded& out, std::size_t max_tokens) : out_(out), max_(max_tokens) {}

  /// Takes the blank-free run `chunk`; `chars` are its characters.
  void chunk(const std::vector<Char>& chars) {
    std::size_t first = 0, last = chars.size();
    const auto sign = [&](std::size_t i) { return chars[i].kind == Char::kSign; };
    while (
        first < last && sign(first) && chars[first].ascii != '$' &&
        !(chars[first].ascii == '-' && first + 1 < last && chars[first + 1].kind == Char::kDigit) &&
        !(chars[first].ascii == '.' && first + 1 < last && chars[first + 1].kind == Char::kDigit)) {
      if (chars[first].ascii == '(' || chars[first].ascii == ',') comma_ = true;
      ++first;
    }
    bool ends_sentence = false, ends_comma = false;
    while (last > first && sign(last - 1)) {
      const char c = chars[last - 1].ascii;
      if ((c == '+' || c == '#') && last - first <= 4) break;
      if (c == '%') break;
      if (c == '?') out_.question_mark = true;
      ends_sentence |= c == '?' || c == '!' || c == '.' || c == ':';
      ends_comma |= c == ',' || c == ';' || c == ')';
      --last;
    }
    if (first < last) core(chars, first, last);
    sentence_ |= ends_sentence;
    comma_ |= ends_comma;
  }

  void code_span(std::string_view text) {
    open();
    std::string folded;
    for (const char c : text) {
      if (static_cast<unsigned char>(c) > ' ') folded += c;
    }
    out_.letters += folded;
    token_.code = true;
    close();
  }

  bool full() const { return out_.tokens.size() >= max_; }

 private:
  void core(const std::vector<Char>& chars, std::size_t first, std::size_t last) {
    bool code = false;
    for (std::size_t i = first; i < last && !code; ++i) {
      const char c = chars[i].kind == Char::kSign ? chars[i].ascii : 'a';
      code = code_sign(c) || (c == ':' && i + 1 < last && chars[i + 1].point == ':') ||
             (c == '/' && (i == first || (i + 1 < last && chars[i + 1].point == '/'))) ||
             (c == '(' && i + 1 < last && chars[i + 1].point == ')');
    }
    if (code) {
      open();
      token_.capital = chars[first].upper;
      for (std::size_t i = first; i < last; ++i) put(chars[i]);
      token_.code = true;
      close();
      return;
    }
    for (std::size_t at = first; at < last;) at = piece(chars, at, last);
  }

  // One word, number or sign that begins at `at`; returns where the next begins.
  std::size_t piece(const std::vector<Char>& chars, std::size_t at, std::size_t last) {
    const auto kind = [&](std::size_t i) { return i < last ? chars[i].kind : Char::kBlank; };
    const auto is = [&](std::size_t i, char c) {
      return i < last && chars[i].kind == Char::kSign && chars[i].ascii == c;
    };
    if (kind(at) == Char::kSign) {
      if (is(at, '%')) word("percent");
      const bool before_digit = kind(at + 1) == Char::kDigit;
      if (is(at, '$')) {
        const std::uint32_t point = chars[at].point;
        pending_ = point == 0x20AC   ? "euro"
                   : point == 0xA3   ? "gbp"
                   : point == 0x20B9 ? "rupee"
                   : point == 0xA5   ? "yen"
                                     : "dollar";
      } else if (is(at, '-') && before_digit && !after_word_) {
        minus_ = true;
      } else {
        comma_ |= is(at, '/') || is(at, '-') || is(at, ',') || is(at, '(') || is(at, ')');
        if (is(at, '?')) out_.question_mark = sentence_ = true;
      }
      if (!(is(at, '.') && before_digit)) after_word_ = false;
      return at + 1;
    }
    const bool version = at + 1 < last && chars[at].ascii == 'v' && kind(at + 1) == Char::kDigit;
    if (version) return number(chars, at + 1, last);
    if (kind(at) == Char::kDigit) return number(chars, at, last);
    return letters(chars, at, last);
  }

  std::size_t number(const std::vector<Char>& chars, std::size_t at, std::size_t last) {
    open();
    if (minus_) out_.letters += '-';
    minus_ = false;
    token_.number = true;
    std::size_t i = at;
    const auto digit = [&](std::size_t k) { return k < last && chars[k].kind == Char::kDigit; };
    for (; i < last; ++i) {
      const char c = chars[i].ascii;
      if (chars[i].kind == Char::kDigit) {
        out_.letters += c;
      } else if (chars[i].kind == Char::kSign && c == '.' && digit(i + 1)) {
        out_.letters += '.';
      } else if (chars[i].kind == Char::kSign && c == ',' && digit(i + 1) && digit(i + 2) &&
                 digit(i + 3) && !digit(i + 4)) {
        continue;
      } else {
        break;
      }
    }
    // Letters that follow at once: an ordinal's ending, a multiplier, a unit, or part of a name.
    std::size_t end = i;
    while (end < last && chars[end].kind == Char::kLetter) ++end;
    std::string tail;
    for (std::size_t k = i; k < end; ++k) {
      if (chars[k].ascii != 0)
        tail += chars[k].ascii;
      else
        append(tail, chars[k].point);
    }
    const bool followed_by_digit = digit(end);
    if (tail == "st" || tail == "nd" || tail == "rd" || tail == "th") {
      out_.letters += "th";
    } else if (tail == "k" && !followed_by_digit) {
      out_.letters += "000";
    } else if (tail.size() >= 1 && !followed_by_digit && unit(tail)) {
      close();
      flush_currency();
      word(tail);
      return end;
    } else if (!tail.empty()) {
      out_.letters += tail;
      for (; end < last && chars[end].kind != Char::kSign; ++end) put(chars[end]);
    }
    close();
    flush_currency();
    return end;
  }

  static bool unit(std::string_view tail) {
    constexpr auto kUnits = std::to_array<std::string_view>(
        {"kg",  "g",   "mg",  "lb",  "lbs", "oz",    "km",   "cm",   "mm",    "m",   "ft",
         "l",   "ml",  "s",   "sec", "min", "mins",  "h",    "hr",   "hrs",   "ms",  "us",
         "ns",  "b",   "kb",  "mb",  "gb",  "tb",    "kib",  "mib",  "gib",   "w",   "kw",
         "v",   "hz",  "mhz", "ghz", "px",  "c",     "f",    "rs",   "usd",   "eur", "gbp",
         "inr", "mph", "kmh", "am",  "pm",  "years", "year", "days", "hours", "yrs", "yr"});
    return std::ranges::find(kUnits, tail) != kUnits.end();
  }

  std::size_t letters(const std::vector<Char>& chars, std::size_t at, std::size_t last) {
    if (chars[at].script == kHan || chars[at].script == kThai) {
      // These write without blanks: each character counts as a word.
      open();
      put(chars[at]);
      close();
      return at + 1;
    }
    open();
    token_.capital = chars[at].upper;
    std::size_t upper = 0, count = 0, i = at;
    for (; i < last; ++i) {
      const Char& c = chars[i];
      if (c.kind == Char::kLetter && c.script != kHan && c.script != kThai) {
        // "regret.I" and "endStart" aside, a capital inside is part of a name.
        put(c);
        upper += c.upper ? 1 : 0;
        ++count;
      } else if (c.kind == Char::kDigit) {
        put(c);
      } else if (c.kind == Char::kSign && c.ascii == '.' && i + 1 < last &&
                 chars[i + 1].kind == Char::kLetter && !chars[i + 1].upper && count > 2) {
        out_.letters += '.';  // example.com, os.path
        token_.code = true;
      } else if (c.kind == Char::kSign && c.ascii == '.' && i + 1 < last &&
                 chars[i + 1].kind == Char::kLetter && count <= 2) {
        continue;  // e.g., U.S., b.tech
      } else if (c.kind == Char::kSign && c.ascii == '&' && count <= 2 && i + 1 < last &&
                 last - i <= 3 && chars[i + 1].kind == Char::kLetter) {
        continue;  // R&D
      } else if (c.kind == Char::kSign && c.ascii == '\'' && i + 1 < last &&
                 chars[i + 1].kind == Char::kLetter) {
        return contraction(chars, i, last, count, upper);
      } else if (c.kind == Char::kSign && (c.ascii == '+' || c.ascii == '#') && count <= 2 &&
                 (i + 1 == last || chars[i + 1].ascii == '+')) {
        out_.letters += c.ascii;  // C++, C#
      } else {
        break;
      }
    }
    token_.all_capitals = count >= 2 && upper == count;
    close();
    return i;
  }

  // "don't" is "do not", "what's" is "what", "user's" is "user".
  std::size_t contraction(const std::vector<Char>& chars, std::size_t at, std::size_t last,
                          std::size_t count, std::size_t upper) {
    std::size_t end = at + 1;
    std::string tail;
    while (end < last && chars[end].kind == Char::kLetter) {
      if (chars[end].ascii != 0) tail += chars[end].ascii;
      ++end;
    }
    token_.all_capitals = count >= 2 && upper == count;
    const std::string_view word_so_far = std::string_view(out_.letters).substr(token_.begin);
    if (tail == "t" && word_so_far.ends_with('n')) {
      const bool keeps_n = word_so_far == "can";
      if (!keeps_n) out_.letters.pop_back();
      if (std::string_view(out_.letters).substr(token_.begin) == "wo") {
        out_.letters.resize(token_.begin);
        out_.letters += "will";
      } else if (std::string_view(out_.letters).substr(token_.begin) == "ca") {
        out_.letters += 'n';
      }
      close();
      word("not");
      return end;
    }
    if (tail == "s" || tail == "d" || tail == "ll" || tail == "re" || tail == "ve" || tail == "m") {
      close();
      return end;
    }
    close();
    return at + 1;  // d'Arc: two words
  }

  void put(const Char& c) {
    if (c.kind == Char::kLetter) ++out_.scripts[c.script];
    if (c.ascii != 0)
      out_.letters += c.ascii;
    else
      append(out_.letters, c.point);
  }

  void open() {
    token_ = Token{};
    token_.begin = static_cast<std::uint32_t>(out_.letters.size());
    token_.sentence_start = sentence_;
    token_.comma_before = comma_;
  }

  void close() {
    token_.length = static_cast<std::uint32_t>(out_.letters.size()) - token_.begin;
    if (token_.length == 0) return;
    if (token_.length > kLongestWord) {
      const std::string digest = to_hex(sha256(out_.of(token_)));
      out_.letters.resize(token_.begin);
      out_.letters += digest.substr(0, 40);
      token_.length = 40;
    }
    sentence_ = comma_ = false;
    after_word_ = true;
    if (!full()) out_.tokens.push_back(token_);
  }

  void word(std::string_view folded) {
    open();
    out_.letters += folded;
    close();
  }

  void flush_currency() {
    if (pending_.empty()) return;
    word(pending_);
    pending_ = {};
  }

  Folded& out_;
  const std::size_t max_;
  Token token_;
  std::string_view pending_;
  bool sentence_ = true;
  bool comma_ = false;
  bool minus_ = false;
  bool after_word_ = false;
};

}  // namespace

Folded fold(std::string_view text, std::size_t max_tokens, std::size_t& consumed) {
  Folded out;
  out.letters.reserve(std::min<std::size_t>(text.size(), 4'096));
  out.tokens.reserve(std::min<std::size_t>(text.size() / 5 + 1, 512));
  Folding folding(out, max_tokens);
  std::vector<Char> chunk;
  std::size_t at = 0;
  while (at < text.size() && !folding.full()) {
    if (text[at] == '`') {
      // A code span is one word, whatever it holds.
      const std::string_view fence = text.substr(at).starts_with("```") ? "```" : "`";
      const std::size_t end = text.find(fence, at + fence.size());
      if (end != std::string_view::npos) {
        if (!chunk.empty()) folding.chunk(chunk);
        chunk.clear();
        folding.code_span(text.substr(at + fence.size(), end - at - fence.size()));
        at = end + fence.size();
        continue;
      }
    }
    const std::size_t length = utf8_length(text, at);
    const Char c = length == 0 ? Char{} : classify(decode(text, at, length));
    at += std::max<std::size_t>(length, 1);
    if (c.kind != Char::kBlank) {
      chunk.push_back(c);
      if (chunk.size() < 512) continue;
    }
    if (!chunk.empty()) folding.chunk(chunk);
    chunk.clear();
  }
  if (!chunk.empty()) folding.chunk(chunk);
  consumed = at;
  return out;
}

}  // namespace asahi::llm::text
