#include "gateway/cache/steps/decompose.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <optional>

#include "base/utf8.h"

namespace asahi::gateway {
namespace {

using Words = std::initializer_list<std::string_view>;

constexpr std::size_t kLongestSubject = 80;
constexpr std::size_t kShortestDocument = 200;

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         (static_cast<unsigned char>(c) & 0x80) != 0;
}
bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

std::string_view trim(std::string_view text, std::string_view blanks = " \t\r\n") {
  const std::size_t begin = text.find_first_not_of(blanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

/// Where `phrase` stands as whole words in `text` (lower case), from `from` on.
std::size_t find_words(std::string_view text, std::string_view phrase, std::size_t from = 0) {
  for (std::size_t at = text.find(phrase, from); at != std::string_view::npos;
       at = text.find(phrase, at + 1)) {
    const std::size_t end = at + phrase.size();
    if ((at == 0 || !is_word(text[at - 1])) && (end == text.size() || !is_word(text[end])))
      return at;
  }
  return std::string_view::npos;
}
bool has_any(std::string_view text, Words phrases) {
  return std::ranges::any_of(phrases, [&](std::string_view phrase) {
    return find_words(text, phrase) != std::string_view::npos;
  });
}

/// Words that point at something said before.
bool refers_back(std::string_view text) {
  return has_any(
      lower(text),
      {"it",       "its",     "they",  "them",  "their",  "this",  "that",   "these",
       "those",    "he",      "him",   "his",   "she",    "her",   "above",  "previous",
       "former",   "latter",  "same",  "such",  "one",    "ones",  "other",  "another",
       "also",     "instead", "there", "then",  "so",     "both",  "either", "each",
       "again",    "else",    "too",   "first", "second", "third", "last",   "respectively",
       "question", "answer",  "part",  "step"});
}

/// Words that want something of all parts together.
bool wants_the_whole(std::string_view text) {
  return has_any(
      lower(text),
      {"sort",     "order",     "rank",        "total",        "sum",      "together",  "combine",
       "merge",    "table",     "json",        "yaml",         "xml",      "csv",       "word",
       "words",    "sentence",  "sentences",   "essay",        "letter",   "email",     "story",
       "poem",     "translate", "translation", "rewrite",      "rephrase", "proofread", "correct",
       "fix",      "classify",  "label",       "count",        "overall",  "best",      "which of",
       "pick",     "choose",    "steps",       "instructions", "code",     "script",    "convert",
       "generate", "items",     "options",     "say",          "quote"});
}

std::string intent_of(std::string_view text) {
  text = trim(text);
  std::size_t end = text.find_first_of(".!?\n");
  if (end != std::string_view::npos && text[end] != '\n') ++end;
  constexpr std::size_t kMost = 80;
  return std::string(trim(utf8_prefix(text.substr(0, end), kMost)));
}

Step make_step(std::size_t number, StepType type, std::string intent, std::string input,
               std::string prompt) {
  return {.id = fmt::format("step_{}", number),
          .type = type,
          .intent = std::move(intent),
          .input_text = std::move(input),
          .prompt = std::move(prompt)};
}

// ---- comparison

/// A subject as it stands between the words around it; empty: none that could stand alone.
std::string subject(std::string_view text) {
  const std::string low = lower(text);
  // What follows says how to compare, not what.
  std::size_t end = text.find_first_of(".?!,;:\n(");
  for (const std::string_view tail :
       {" for ", " in terms of", " with respect to", " when ", " regarding ", " based on", " as a ",
        " if ", " because ", " in ", " from ", " on ", " using "}) {
    end = std::min(end, low.find(tail));
  }
  std::string_view found = trim(text.substr(0, end), " \t\r\n\"'*`");
  for (const std::string_view article : {"the ", "a ", "an "}) {
    if (lower(found).starts_with(article)) found.remove_prefix(article.size());
  }
  found = trim(found);
  const std::string words = lower(found);
  if (found.empty() || found.size() > kLongestSubject || refers_back(words) ||
      has_any(words, {"and", "or", "vs", "versus", "with", "to", "me", "us", "you", "two"}))
    return {};
  return std::string(found);
}

struct Pair {
  std::string_view left, right;
};

/// `left` up to the joining word, `right` behind it.
std::optional<Pair> parted(std::string_view text, std::string_view low, Words joints) {
  std::optional<Pair> found;
  std::size_t best = std::string_view::npos;
  for (const std::string_view joint : joints) {
    const std::size_t at = find_words(low, joint);
    if (at == std::string_view::npos || at >= best) continue;
    best = at;
    found = {text.substr(0, at), text.substr(at + joint.size())};
  }
  return found;
}

std::optional<std::pair<std::string, std::string>> compared(std::string_view prompt) {
  const std::string low = lower(prompt);
  std::optional<Pair> pair;
  const auto behind = [&](std::string_view words, Words joints) {
    const std::size_t at = find_words(low, words);
    if (pair || at == std::string_view::npos) return;
    const std::size_t from = at + words.size();
    // Within the sentence that compares.
    const std::size_t end = std::min(low.find_first_of("?!\n", from), low.find(". ", from));
    const std::size_t size = end == std::string::npos ? std::string::npos : end - from;
    pair = parted(prompt.substr(from, size), std::string_view(low).substr(from, size), joints);
  };
  behind("difference between", {"and"});
  behind("differences between", {"and"});
  behind("compare", {"and", "with", "to", "versus", "vs", "against"});
  behind("contrast", {"and", "with", "to"});
  if (!pair) {
    // "A vs B": the words right around it, within their sentence.
    for (const std::string_view joint : {"vs", "versus"}) {
      const std::size_t at = find_words(low, joint);
      if (at == std::string::npos) continue;
      std::size_t begin = low.find_last_of("?!.\n:,", at);
      begin = begin == std::string::npos ? 0 : begin + 1;
      std::string_view left = trim(prompt.substr(begin, at - begin));
      const std::string low_left = lower(left);
      for (const std::string_view lead : {"which is better", "what is better", "is", "explain",
                                          "discuss", "describe", "what about", "when to use"}) {
        if (low_left.starts_with(lead) && low_left.size() > lead.size() &&
            !is_word(low_left[lead.size()])) {
          left = trim(left.substr(lead.size()));
          break;
        }
      }
      std::string_view right = prompt.substr(at + joint.size());
      if (right.starts_with('.')) right.remove_prefix(1);  // "vs."
      pair = Pair{left, right};
      break;
    }
  }
  if (!pair) {
    if (const std::size_t at = find_words(low, "better"); at != std::string::npos) {
      std::size_t from = at + 6;
      while (from < prompt.size() &&
             (is_blank(prompt[from]) || prompt[from] == ',' || prompt[from] == ':'))
        ++from;
      pair = parted(prompt.substr(from), std::string_view(low).substr(from), {"or"});
    }
  }
  if (!pair) return std::nullopt;
  std::string left = subject(pair->left), right = subject(pair->right);
  if (left.empty() || right.empty() || lower(left) == lower(right)) return std::nullopt;
  return std::pair{std::move(left), std::move(right)};
}

void compare(std::string_view prompt, Decomposition& work) {
  auto subjects = compared(prompt);
  if (!subjects) return;
  work.kind = Decomposition::Kind::kComparison;
  work.runnable = true;
  for (const std::string& one : {subjects->first, subjects->second}) {
    work.steps.push_back(make_step(
        work.steps.size() + 1, StepType::kSummarize, intent_of("Summarize " + one), one,
        fmt::format("Summarize what is known about {} in one short paragraph. Keep every number, "
                    "name and condition.",
                    one)));
  }
  work.steps.push_back(make_step(3, StepType::kAnswer, intent_of(prompt), std::string(prompt), {}));
}

// ---- parts

/// "3. " or "3) " at the beginning of a line: the number, and where the text begins.
std::optional<std::pair<int, std::size_t>> list_number(std::string_view line) {
  std::size_t at = line.find_first_not_of(" \t");
  if (at == std::string_view::npos) return std::nullopt;
  int number = 0;
  const std::size_t digits = at;
  while (at < line.size() && line[at] >= '0' && line[at] <= '9' && at - digits < 2)
    number = number * 10 + (line[at++] - '0');
  if (at == digits || at + 1 >= line.size() || (line[at] != '.' && line[at] != ')') ||
      !is_blank(line[at + 1]))
    return std::nullopt;
  return std::pair{number, at + 2};
}

bool asks(std::string_view text) {
  text = trim(text);
  if (text.ends_with('?')) return true;
  const std::string low = lower(text.substr(0, 16));
  return std::ranges::any_of(
      std::to_array<std::string_view>({"explain", "describe", "define", "name", "what", "who",
                                       "why", "how", "when", "where", "tell me"}),
      [&](std::string_view word) {
        return low.starts_with(word) && (low.size() == word.size() || !is_word(low[word.size()]));
      });
}

struct Parts {
  std::string preamble;
  std::vector<std::string> parts, labels;
};

std::optional<Parts> numbered(std::string_view prompt) {
  Parts found;
  while (!prompt.empty()) {
    const std::size_t end = prompt.find('\n');
    const std::string_view line = prompt.substr(0, end);
    prompt = end == std::string_view::npos ? std::string_view{} : prompt.substr(end + 1);
    const auto number = list_number(line);
    if (number && number->first == static_cast<int>(found.parts.size()) + 1) {
      found.parts.emplace_back(trim(line.substr(number->second)));
      found.labels.push_back(fmt::format("{}. ", number->first));
    } else if (found.parts.empty()) {
      found.preamble += line;
      found.preamble += '\n';
    } else if (!trim(line).empty()) {
      return std::nullopt;  // text within or behind the list may concern all of it
    }
  }
  if (found.parts.size() < 2) return std::nullopt;
  return found;
}

std::optional<Parts> questions(std::string_view prompt) {
  if (prompt.find_first_of(":\"`{}<>|\n") != std::string_view::npos ||
      prompt.find("“") != std::string_view::npos || prompt.find("«") != std::string_view::npos)
    return std::nullopt;
  Parts found;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < prompt.size(); ++at) {
    const char c = prompt[at];
    if (c != '?' && c != '.' && c != '!') continue;
    if (at + 1 < prompt.size() && !is_blank(prompt[at + 1])) continue;
    const std::string_view sentence = trim(prompt.substr(begin, at + 1 - begin));
    begin = at + 1;
    if (c == '?') {
      found.parts.emplace_back(sentence);
      found.labels.emplace_back();
    } else if (found.parts.empty()) {
      found.preamble += sentence;
      found.preamble += ' ';
    } else {
      return std::nullopt;  // a statement between questions
    }
  }
  if (!trim(prompt.substr(begin)).empty() || found.parts.size() < 2) return std::nullopt;
  return found;
}

void take_apart(std::string_view prompt, Decomposition& work) {
  auto found = numbered(prompt);
  if (!found) found = questions(prompt);
  if (!found || !std::ranges::all_of(found->parts, asks) || wants_the_whole(prompt)) return;
  std::string before(trim(found->preamble));
  work.kind = Decomposition::Kind::kParts;
  work.runnable = true;
  work.labels = std::move(found->labels);
  std::string earlier = before;
  for (std::size_t i = 0; i < found->parts.size(); ++i) {
    const std::string& part = found->parts[i];
    const bool tied = i > 0 && refers_back(part);
    std::string_view context = tied ? earlier : before;
    std::string input = context.empty() ? part : fmt::format("{}\n\n{}", context, part);
    std::string prompt_text =
        tied ? fmt::format(
                   "{}\n\nAnswer the last question only; the text before it says what it "
                   "refers to.",
                   input)
             : input;
    work.steps.push_back(make_step(i + 1, StepType::kAnswer, intent_of(part), std::move(input),
                                   std::move(prompt_text)));
    if (!earlier.empty()) earlier += '\n';
    earlier += part;
  }
}

// ---- document

/// The question and the text it is about, where a blank line parts them.
std::optional<Pair> question_and_text(std::string_view prompt) {
  const std::size_t first = prompt.find("\n\n");
  if (first == std::string_view::npos) return std::nullopt;
  const std::size_t last = prompt.rfind("\n\n");
  const std::string_view head = trim(prompt.substr(0, first)), tail = trim(prompt.substr(last));
  const bool head_asks = head.size() <= tail.size() || last == first;
  Pair found =
      head_asks ? Pair{head, trim(prompt.substr(first))} : Pair{tail, trim(prompt.substr(0, last))};
  // One question, and it must be plain which paragraph it is.
  if (last == first && head.size() > tail.size()) found = {tail, head};
  if (found.right.size() < kShortestDocument || found.left.size() * 2 > found.right.size() ||
      found.left.empty())
    return std::nullopt;
  return found;
}

void read_document(std::string_view prompt, bool has_document_id, Decomposition& work) {
  const std::string low = lower(prompt);
  if (!has_document_id && !has_any(low, {"document", "article", "paper", "text", "passage",
                                         "section", "paragraph", "based on", "according to"}))
    return;
  work.kind = Decomposition::Kind::kDocument;
  const auto pair = question_and_text(prompt);
  work.runnable = pair.has_value();
  const std::string text(pair ? pair->right : prompt);
  const std::string question(pair ? pair->left : prompt);
  work.steps.push_back(make_step(
      1, StepType::kSummarize, "Summarize section", text,
      fmt::format("Summarize the following text in at most half its length. Keep every number, "
                  "date, name, condition and exception.\n\n{}",
                  text)));
  work.steps.push_back(
      make_step(2, StepType::kAnswer, intent_of(question), std::string(prompt), question));
}

}  // namespace

std::string_view to_string(StepType type) {
  switch (type) {
    case StepType::kSummarize:
      return "summarize";
    case StepType::kExtract:
      return "extract";
    case StepType::kClassify:
      return "classify";
    case StepType::kAnswer:
      break;
  }
  return "answer";
}

Decomposition decompose(std::string_view prompt, bool has_document_id, std::size_t max_steps) {
  prompt = trim(prompt);
  Decomposition work;
  compare(prompt, work);
  if (work.steps.empty()) take_apart(prompt, work);
  if (work.steps.empty()) read_document(prompt, has_document_id, work);
  if (work.steps.empty() || work.steps.size() > max_steps) {
    work = {};
    work.runnable = true;
    work.steps.push_back(make_step(1, StepType::kAnswer, intent_of(prompt), std::string(prompt),
                                   std::string(prompt)));
  }
  return work;
}

std::string final_prompt(const Decomposition& work, const std::vector<std::string>& results) {
  const Step& last = work.steps.back();
  if (work.kind == Decomposition::Kind::kDocument) {
    return fmt::format(
        "{}\n\nSummary of the text that this is about:\n\n{}\n\nAnswer from this summary alone. If "
        "it does not hold what is asked for, reply with exactly {}.",
        last.prompt, results.front(), kNotInSummary);
  }
  std::string prompt = last.input_text + "\n\nWhat is known about the two:";
  for (std::size_t i = 0; i < results.size(); ++i)
    prompt += fmt::format("\n\n{}: {}", work.steps[i].input_text, results[i]);
  return prompt;
}

std::string join_results(const Decomposition& work, const std::vector<std::string>& results) {
  if (work.has_final()) return results.back();
  std::string joined;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (i > 0) joined += "\n\n";
    if (i < work.labels.size()) joined += work.labels[i];
    joined += results[i];
  }
  return joined;
}

}  // namespace asahi::gateway
