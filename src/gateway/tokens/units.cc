#include "gateway/tokens/units.h"

#include <algorithm>

#include "gateway/tokens/words.h"

namespace asahi::gateway::tokens {
namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

bool is_fence(std::string_view line) { return line.starts_with("```") || line.starts_with("~~~"); }

/// Length of "- ", "1. ", "a) " … at the start of a trimmed line; 0: none.
std::size_t list_marker(std::string_view line) {
  for (const std::string_view bullet : {"- ", "* ", "+ ", "• ", "– ", "— ", "▪ ", "◦ "}) {
    if (line.starts_with(bullet)) return bullet.size();
  }
  std::size_t i = 0;
  if (i < line.size() && line[i] == '(') ++i;
  const std::size_t begin = i;
  while (i < line.size() && is_digit(line[i]) && i - begin < 3) ++i;
  if (i == begin && i < line.size() && is_letter(line[i])) ++i;
  if (i == begin || i + 1 >= line.size() || (line[i] != '.' && line[i] != ')') ||
      !is_blank(line[i + 1]))
    return 0;
  return i + 2;
}

/// "Input:", "User:", "Example 3:" …: a line of an example or a form.
bool is_labelled(std::string_view line) {
  const std::size_t colon = line.substr(0, 40).find(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  if (colon + 1 < line.size() && !is_blank(line[colon + 1])) return false;  // 08:42, a::b
  std::string_view label = line.substr(0, colon);
  // "name: text" of any kind with at most three words before the colon.
  return std::ranges::count(label, ' ') <= 2 && std::ranges::all_of(label, [](char c) {
           return is_letter(c) || is_digit(c) || c == ' ' || c == '-' || c == '_' || c == '*' ||
                  c == '#';
         });
}

bool ends_sentence(std::string_view line) {
  while (!line.empty() && (std::string_view("\"')]*_").find(line.back()) != std::string_view::npos))
    line.remove_suffix(1);
  return !line.empty() && std::string_view(".!?").find(line.back()) != std::string_view::npos;
}

/// What is not running text.
bool is_verbatim_line(std::string_view whole) {
  const std::string_view line = trimmed(whole);
  if (whole.starts_with("  ") || whole.starts_with("\t")) return true;
  if (std::string_view("|<{}[]@$#>%").find(line.front()) != std::string_view::npos) return true;
  if (std::string_view("{};[]\\:|").find(line.back()) != std::string_view::npos) return true;
  if (line.find('\t') != std::string_view::npos || line.find("   ") != std::string_view::npos)
    return true;
  if (line.find_first_of("`") != std::string_view::npos && line.find("```") != line.npos)
    return true;
  if (std::ranges::none_of(line, is_letter)) return true;
  if (is_labelled(line)) return true;
  // A heading, a name, a signature.
  return count_words(line) <= 4 && !ends_sentence(line) && list_marker(line) == 0;
}

bool is_abbreviation(std::string_view before) {
  std::size_t begin = before.size();
  while (begin > 0 && !is_blank(before[begin - 1]) && before[begin - 1] != '(') --begin;
  const std::string_view word = before.substr(begin);
  if (word.size() == 1 && is_upper(word[0])) return true;  // an initial
  static const WordSet abbreviations(
      "e.g i.e eg ie etc vs cf dr mr mrs ms prof st no nos fig figs eq sec ch vol pp p approx inc "
      "ltd "
      "co corp dept est al jan feb mar apr jun jul aug sep sept oct nov dec u.s u.k a.m p.m ca "
      "resp");
  return abbreviations.contains(word);
}

class Segmenter {
 public:
  Segmenter(std::string_view text, const SentenceSplitter& splitter)
      : text_(text), splitter_(splitter) {}

  std::vector<Unit> run() {
    std::size_t at = 0;
    while (at < text_.size()) {
      std::size_t end = text_.find('\n', at);
      end = end == std::string_view::npos ? text_.size() : end + 1;
      line(at, end);
      at = end;
    }
    close();
    return std::move(units_);
  }

 private:
  enum class Open { kNothing, kProse, kItem, kVerbatim };

  void line(std::size_t begin, std::size_t end) {
    const std::string_view whole = text_.substr(begin, end - begin);
    const std::string_view content = trimmed(whole);
    if (fenced_) {
      extend(Open::kVerbatim, begin, end, false);
      fenced_ = !is_fence(content);
      if (!fenced_) close();
      return;
    }
    if (is_fence(content)) {
      extend(Open::kVerbatim, begin, end, false);
      fenced_ = true;
      return;
    }
    if (content.empty()) {
      close();
      return;
    }
    if (list_marker(content) > 0 && content.find("```") == content.npos &&
        content.find('\t') == content.npos) {
      extend(Open::kItem, begin, end, true);
    } else if (is_verbatim_line(whole) && !(open_ == Open::kItem && whole.starts_with(" "))) {
      extend(Open::kVerbatim, begin, end, false);
    } else {
      // A line without an end mark before one that starts anew is a line of its own.
      const bool anew = open_ == Open::kProse && !is_lower(content.front()) &&
                        !ends_sentence(trimmed(text_.substr(begin_, begin - begin_))) &&
                        begin - last_line_ < 60;
      extend(open_ == Open::kItem ? Open::kItem : Open::kProse, begin, end, anew);
    }
  }

  void extend(Open kind, std::size_t begin, std::size_t end, bool anew) {
    if (open_ != kind || anew) close();
    if (open_ == Open::kNothing) {
      open_ = kind;
      begin_ = begin;
    }
    end_ = end;
    last_line_ = begin;
  }

  void close() {
    if (open_ == Open::kNothing) return;
    std::string_view run = text_.substr(begin_, end_ - begin_);
    if (open_ == Open::kVerbatim) {
      while (!run.empty() && is_blank(run.back())) run.remove_suffix(1);
      add(Unit::Kind::kVerbatim, run);
    } else {
      sentences(run, open_ == Open::kItem ? Unit::Kind::kListItem : Unit::Kind::kSentence);
    }
    open_ = Open::kNothing;
  }

  void sentences(std::string_view run, Unit::Kind kind) {
    ends_.clear();
    splitter_(run, ends_);
    std::size_t begin = 0;
    const auto cut = [&](std::size_t end) {
      std::string_view sentence = run.substr(begin, end - begin);
      // A list item keeps the blanks before its marker, which say how deep it is.
      if (kind == Unit::Kind::kSentence || begin > 0) {
        while (!sentence.empty() && is_blank(sentence.front())) sentence.remove_prefix(1);
      }
      while (!sentence.empty() && is_blank(sentence.back())) sentence.remove_suffix(1);
      if (!sentence.empty()) add(kind, sentence);
      begin = end;
    };
    for (const std::size_t end : ends_) {
      if (end > begin && end <= run.size()) cut(end);
    }
    cut(run.size());
  }

  void add(Unit::Kind kind, std::string_view text) {
    if (text.empty()) return;
    if (!units_.empty()) {
      const char* const from = units_.back().text.data() + units_.back().text.size();
      units_.back().gap = {from, static_cast<std::size_t>(text.data() - from)};
    }
    units_.push_back(
        {kind,
         text,
         {text.data() + text.size(),
          static_cast<std::size_t>(text_.data() + text_.size() - (text.data() + text.size()))}});
  }

  std::string_view text_;
  const SentenceSplitter& splitter_;
  std::vector<Unit> units_;
  std::vector<std::size_t> ends_;
  Open open_ = Open::kNothing;
  bool fenced_ = false;
  std::size_t begin_ = 0, end_ = 0, last_line_ = 0;
};

}  // namespace

void sentence_ends(std::string_view paragraph, std::vector<std::size_t>& ends) {
  for (std::size_t i = 0; i < paragraph.size(); ++i) {
    const char c = paragraph[i];
    if (c != '.' && c != '!' && c != '?') continue;
    std::size_t end = i + 1;
    while (end < paragraph.size()) {
      if (std::string_view(".!?\"')]*_").find(paragraph[end]) != std::string_view::npos) {
        ++end;
      } else if (paragraph.substr(end).starts_with("\xE2\x80\x9D") ||
                 paragraph.substr(end).starts_with("\xE2\x80\x99")) {  // ” and ’
        end += 3;
      } else {
        break;
      }
    }
    if (end < paragraph.size() && !is_blank(paragraph[end])) continue;
    std::size_t next = end;
    while (next < paragraph.size() && is_blank(paragraph[next])) ++next;
    if (next < paragraph.size()) {
      if (is_lower(paragraph[next]) && c == '.') continue;
      if (c == '.' && end == i + 1 && is_abbreviation(paragraph.substr(0, i))) continue;
      // "1. First" at the start of an item is no sentence.
      if (c == '.' && i > 0 && is_digit(paragraph[i - 1]) &&
          std::ranges::all_of(paragraph.substr(0, i),
                              [](char d) { return is_digit(d) || is_blank(d) || d == '('; }))
        continue;
    }
    ends.push_back(end);
    i = end - 1;
  }
}

std::vector<Unit> units_of(std::string_view text, const SentenceSplitter& splitter) {
  return Segmenter(text, splitter).run();
}

}  // namespace asahi::gateway::tokens
