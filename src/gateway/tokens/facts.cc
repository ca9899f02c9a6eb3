#include "gateway/tokens/facts.h"

#include <algorithm>

#include "gateway/tokens/words.h"
#include "llm/tokens/encoding.h"

namespace asahi::gateway::tokens {
namespace {

constexpr std::string_view kCurlyOpen = "\xE2\x80\x9C";        // “
constexpr std::string_view kCurlyClose = "\xE2\x80\x9D";       // ”
constexpr std::string_view kCurlyApostrophe = "\xE2\x80\x99";  // ’
constexpr std::string_view kAngleOpen = "\xC2\xAB";            // «
constexpr std::string_view kAngleClose = "\xC2\xBB";           // »

const WordSet& number_words() {
  static const WordSet words(
      "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
      "fifteen "
      "sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety "
      "hundred hundreds thousand thousands million millions billion trillion dozen dozens half "
      "halves third thirds quarter quarters once twice thrice double triple first second fourth "
      "fifth sixth seventh eighth ninth tenth percent");
  return words;
}

const WordSet& negations() {
  static const WordSet words(
      "not no never none nothing nobody nowhere neither nor without cannot unless except excluding "
      "hardly rarely seldom barely avoid refuse refrain decline reject deny lack lacks lacking "
      "fail "
      "fails stop instead ain't");
  return words;
}

const WordSet& constraints() {
  static const WordSet words(
      "must mustn't shall only always exactly precisely strictly required requires require "
      "requirement requirements mandatory obligatory forbidden prohibited prohibit disallowed "
      "allowed permitted maximum minimum max min limit limited limits until within deadline "
      "otherwise whenever");
  return words;
}

/// Names that are everyday words too; at the beginning of a sentence they pass for names.
const WordSet& names_and_words() {
  static const WordSet words(
      "java rust swift delta shell target visa bill mark grace hope faith joy rose king green "
      "brown "
      "jack frank may march april august python ruby apple amazon meta notion slack excel access "
      "outlook windows office edge square stripe zoom snowflake spark kafka oracle orange sage "
      "basic pascal dart go word will drew pat rob sue art guy chase chuck dean earl grant hunter "
      "ivy jade max miles norm ray rich rusty sandy skip summer sunny wade ward teams drive maps "
      "flask express angular react node docker signal telegram discord chrome safari opera");
  return words;
}

const WordSet& sentence_openers() {
  static const WordSet words(
      "additionally although also and as at because besides but by consequently conversely "
      "currently "
      "dear despite earlier either eventually finally firstly for fortunately from frankly "
      "furthermore given greetings hello hence here hi however i ideally if in indeed initially it "
      "kindly last lastly later likewise meanwhile moreover most naturally nevertheless "
      "nonetheless "
      "nor now of oh ok okay on once or otherwise overall please previously rather regardless "
      "regarding secondly similarly since so specifically still summarize sure surely thank thanks "
      "that the then there thereafter therefore these they this those though thus to today "
      "together "
      "tomorrow traditionally typically ultimately unfortunately unlike until upon usually we well "
      "what whatever when whenever where whereas wherever whether which while who why will with "
      "within yes yet yesterday you your note feel happy let");
  return words;
}

/// Common in lower case: an everyday word, whatever it begins. The vocabulary's ranks are an order
/// of frequency.
bool is_everyday(std::string_view word) {
  if (names_and_words().contains(word)) return false;
  if (sentence_openers().contains(word)) return true;
  if (word.size() > 30) return false;
  std::string with_space = " ";
  with_space += word;
  const llm::RankTable& ranks = llm::o200k_ranks();
  const std::uint32_t capital = ranks.rank(with_space);
  with_space[1] = to_lower(with_space[1]);
  const std::uint32_t lower = ranks.rank(with_space);
  return lower != llm::RankTable::kNone &&
         (capital == llm::RankTable::kNone || lower * 5.0 <= capital * 4.0);
}

/// A letter beyond ASCII, not typographic punctuation.
bool has_foreign_letter(std::string_view word) {
  for (std::size_t i = 0; i < word.size(); ++i) {
    const auto byte = static_cast<unsigned char>(word[i]);
    if (byte < 0x80) continue;
    if (byte == 0xE2 && i + 2 < word.size() && static_cast<unsigned char>(word[i + 1]) == 0x80) {
      i += 2;  // U+2000–U+203F: dashes, quotes, bullets, ellipsis, spaces
      continue;
    }
    if (byte == 0xC2 && i + 1 < word.size() && static_cast<unsigned char>(word[i + 1]) == 0xA0) {
      ++i;  // no-break space
      continue;
    }
    return true;
  }
  return false;
}

std::uint64_t fact_hash(Fact::Kind kind, std::string_view text) {
  std::uint64_t hash = 0x9E3779B97F4A7C15U * (static_cast<std::uint64_t>(kind) + 1);
  const bool exact = kind == Fact::Kind::kCode || kind == Fact::Kind::kUrl ||
                     kind == Fact::Kind::kQuote || kind == Fact::Kind::kName;
  if (!exact) return hash ^ hash_of_word(text);
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3U;
  return hash ^ hash >> 31;
}

class Scanner {
 public:
  Scanner(std::string_view sentence, std::vector<Fact>& out) : text_(sentence), out_(out) {
    find_protected(sentence, bounds_);
  }

  void run() {
    std::size_t i = 0;
    std::size_t next_protected = 0;
    while (i < text_.size()) {
      if (next_protected < bounds_.size() && i == bounds_[next_protected]) {
        const std::size_t end = bounds_[next_protected + 1];
        const bool code = text_[i] == '`';
        add(code ? Fact::Kind::kCode : Fact::Kind::kQuote, text_.substr(i, end - i));
        i = end;
        next_protected += 2;
        initial_ = false;
        continue;
      }
      if (is_blank(text_[i])) {
        if (text_[i] == '\n') initial_ = true;
        ++i;
        continue;
      }
      const std::size_t stop =
          next_protected < bounds_.size() ? bounds_[next_protected] : text_.size();
      std::size_t end = i;
      while (end < stop && !is_blank(text_[end]) && dash_at(end) == 0) ++end;
      if (end == i) {
        i += dash_at(i);  // a dash between words
        initial_ = false;
        continue;
      }
      behind_ = end;
      chunk(text_.substr(i, end - i));
      i = end;
    }
  }

 private:
  /// Bytes of –, — or … at `i`, or of "--".
  std::size_t dash_at(std::size_t i) const {
    if (text_[i] == '\xE2' && i + 2 < text_.size() && text_[i + 1] == '\x80') {
      const char c = text_[i + 2];
      return c == '\x93' || c == '\x94' || c == '\xA6' ? 3 : 0;
    }
    return text_.substr(i, 3) == "---" ? 3 : text_.substr(i, 2) == "--" ? 2 : 0;
  }

  void add(Fact::Kind kind, std::string_view text) {
    out_.push_back({kind, text, fact_hash(kind, text)});
  }

  void chunk(std::string_view word) {
    const std::string_view whole = word;
    constexpr std::string_view kOpening = "([*~\"'";
    constexpr std::string_view kClosing = ")],.;:!?*~\"'";

    while (!word.empty() && kOpening.find(word.front()) != std::string_view::npos) {
      word.remove_prefix(1);
    }
    if (word.starts_with("\xE2\x80\x98")) word.remove_prefix(3);  // ‘
    for (;;) {
      if (!word.empty() && kClosing.find(word.back()) != std::string_view::npos) {
        word.remove_suffix(1);
      } else if (word.ends_with(kCurlyApostrophe)) {
        word.remove_suffix(kCurlyApostrophe.size());
      } else {
        break;
      }
    }
    if (word.starts_with('_') && word.ends_with('_') && word.size() > 2)
      word = word.substr(1, word.size() - 2);
    const bool initial = initial_;
    const char last = whole.back();
    initial_ =
        last == '.' || last == '!' || last == '?' || last == ':' || (initial && word.empty());
    if (word.empty()) return;
    if (word == "-" || word == "+" || word == "\xE2\x80\xA2") {  // a list's mark
      initial_ = initial;
      return;
    }
    classify(word, initial);
    previous_ = hash_of_word(word);
  }

  void classify(std::string_view word, bool initial) {
    if (std::ranges::any_of(word, is_digit)) return add(Fact::Kind::kNumber, word);
    if (word.find("://") != word.npos || word.starts_with("www.") ||
        (word.find('@') != word.npos && word.find('.') != word.npos))
      return add(Fact::Kind::kUrl, word);
    if (word == "e.g" || word == "i.e" || word == "&") return;
    if (word.find_first_of("_\\/{}<>=#$%^|~@&+`()[].:*") != word.npos)
      return add(Fact::Kind::kCode, word);
    if (has_foreign_letter(word)) return add(Fact::Kind::kName, word);
    const std::uint64_t hash = hash_of_word(word);
    if (negations().contains(hash) || ends_in_nt(word)) {
      if (!denies_nothing(word, hash, initial)) add(Fact::Kind::kNegation, word);
      return;
    }
    if (constraints().contains(hash)) return add(Fact::Kind::kConstraint, word);
    static const std::uint64_t kAt = hash_of_word("at"), kMost = hash_of_word("most"),
                               kLeast = hash_of_word("least");
    if (previous_ == kAt && (hash == kMost || hash == kLeast))
      return add(Fact::Kind::kConstraint, word);
    // "this one", "one could", "one of the best" count nothing.
    static const WordSet before_pronoun("this that the no any every each another which good like");
    static const std::uint64_t kOne = hash_of_word("one");
    if (hash == kOne && (initial || before_pronoun.contains(previous_) ||
                         text_.substr(behind_).starts_with(" of ")))
      return;
    static const std::uint64_t kOnce = hash_of_word("once");
    if (hash == kOnce &&
        (text_.substr(behind_).starts_with(" again") || text_.substr(behind_).starts_with(" more")))
      return;
    if (number_words().contains(hash)) return add(Fact::Kind::kNumber, word);
    if (is_name(word, initial)) add(Fact::Kind::kName, word);
  }

  /// "Don't hesitate to ask", "no doubt", "it goes without saying": a way of speaking.
  bool denies_nothing(std::string_view word, std::uint64_t hash, bool initial) const {
    const std::string_view behind = text_.substr(behind_);
    static const std::uint64_t kNo = hash_of_word("no"), kNot = hash_of_word("not"),
                               kWithout = hash_of_word("without"), kCannot = hash_of_word("cannot"),
                               kCant = hash_of_word("can't"), kDont = hash_of_word("don't"),
                               kNothing = hash_of_word("nothing"), kOr = hash_of_word("or");
    if (hash == kWithout)
      return behind.starts_with(" saying") || behind.starts_with(" a doubt") ||
             behind.starts_with(" any doubt");
    if (hash == kNo) {
      static const WordSet before("is be will are am there");
      if (behind.starts_with(" doubt")) return before.contains(previous_);
      return initial && (behind.starts_with(" worries") || behind.starts_with(" problem"));
    }
    if (hash == kNothing) return behind.starts_with(" quite like");
    if (hash == kCannot || hash == kCant)
      return behind.starts_with(" wait to ") || behind.starts_with(" wait for you") ||
             behind.starts_with(" thank you enough");
    if (hash == kDont && initial && behind.starts_with(" worry")) return true;
    if (hash == kNot && previous_ == kOr) {
      const auto at = static_cast<std::size_t>(word.data() - text_.data());
      return at >= 11 && lowered(text_.substr(at - 11, 11)) == "whether or ";
    }
    return (hash == kNot || hash == kDont) && behind.starts_with(" hesitate to ");
  }

  static bool ends_in_nt(std::string_view word) {
    return word.size() > 3 && (lowered(word.substr(word.size() - 3)) == "n't" ||
                               (word.ends_with("t") && word.find("n\xE2\x80\x99t") != word.npos));
  }

  static bool is_name(std::string_view word, bool initial) {
    if (std::ranges::none_of(word, is_upper)) return false;
    static const WordSet self("i i'm i've i'd i'll a o ok");
    if (self.contains(word)) return false;
    if (std::ranges::any_of(word.substr(1), is_upper)) return true;
    if (!initial) return true;
    // "We're": what stands before the apostrophe.
    const std::size_t apostrophe = std::min(word.find('\''), word.find(kCurlyApostrophe));
    return !is_everyday(word.substr(0, apostrophe));
  }

  std::string_view text_;
  std::vector<Fact>& out_;
  std::vector<std::size_t> bounds_;
  std::size_t behind_ = 0;  // the end of the chunk that is looked at
  std::uint64_t previous_ = 0;
  bool initial_ = true;
};

}  // namespace

void find_protected(std::string_view sentence, std::vector<std::size_t>& bounds) {
  bounds.clear();
  if (sentence.find_first_of("\"`'\xE2\xC2") == std::string_view::npos) return;
  for (std::size_t i = 0; i < sentence.size(); ++i) {
    const std::string_view rest = sentence.substr(i);
    std::size_t end = std::string_view::npos;
    if (rest[0] == '"' || rest[0] == '`') {
      end = rest.find(rest[0], 1);
      if (end != rest.npos) ++end;
    } else if (rest.starts_with(kCurlyOpen)) {
      end = rest.find(kCurlyClose);
      if (end != rest.npos) end += kCurlyClose.size();
    } else if (rest.starts_with(kAngleOpen)) {
      end = rest.find(kAngleClose);
      if (end != rest.npos) end += kAngleClose.size();
    } else if (rest[0] == '\'' && (i == 0 || is_blank(sentence[i - 1]) || sentence[i - 1] == '(')) {
      // 'quoted', not an apostrophe: closed before a blank or a mark.
      for (std::size_t close = rest.find('\'', 1); close != rest.npos;
           close = rest.find('\'', close + 1)) {
        if (close + 1 == rest.size() ||
            (!is_letter(rest[close + 1]) && !is_digit(rest[close + 1]))) {
          end = close + 1;
          break;
        }
      }
    } else {
      continue;
    }
    if (end == std::string_view::npos) {
      if (rest[0] == '\'') continue;
      end = rest.size();  // never closed: everything behind it
    }
    bounds.push_back(i);
    bounds.push_back(i + end);
    i += end - 1;
  }
}

void find_facts(std::string_view sentence, std::vector<Fact>& out) { Scanner(sentence, out).run(); }

}  // namespace asahi::gateway::tokens
