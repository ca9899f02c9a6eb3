#include <algorithm>
#include <vector>

#include "base/json.h"
#include "gateway/quality/answer_screen.h"
#include "gateway/quality/folded_text.h"

// Was JSON asked for, and is there any? Developers ask about JSON all day: only a clear order
// counts, as "Respond in JSON." or "Extract the names as a JSON array".
namespace asahi::gateway {
namespace {

constexpr std::size_t kEnd = 400;          // looked at on both ends of a request
constexpr std::size_t kMostOpenings = 16;  // brackets that may begin JSON

using Words = std::vector<std::string_view>;

bool is_one_of(std::string_view word, std::span<const std::string_view> words) {
  return std::ranges::find(words, word) != words.end();
}

/// An order within one clause: a verb, at most small words, then "json".
bool orders_json(const Words& clause) {
  static constexpr std::string_view kOpeners[] = {"please", "then", "and",  "always",
                                                  "only",   "now",  "you",  "must",
                                                  "should", "will", "just", "so"};
  static constexpr std::string_view kAnswers[] = {"return", "respond", "reply",   "answer",
                                                  "output", "give",    "produce", "print"};
  static constexpr std::string_view kShows[] = {"extract",   "list",      "show",     "provide",
                                                "summarise", "summarize", "classify", "generate",
                                                "write",     "format",    "present"};
  static constexpr std::string_view kSubjects[] = {"output", "answer", "answers", "response",
                                                   "reply",  "result", "format"};
  static constexpr std::string_view kSmall[] = {
      "me",     "only",    "it",      "them",    "the",      "a",          "an",    "your",
      "answer", "answers", "result",  "results", "output",   "response",   "reply", "list",
      "back",   "in",      "as",      "with",    "using",    "valid",      "pure",  "strict",
      "raw",    "just",    "single",  "one",     "strictly", "everything", "must",  "should",
      "be",     "is",      "exactly", "nothing", "but",      "formatted",  "array", "of"};
  const auto json = std::ranges::find(clause, std::string_view("json"));
  if (json == clause.end()) return false;
  auto word = clause.begin();
  while (word != json && is_one_of(*word, kOpeners)) ++word;
  if (word == json)  // "JSON only", "only valid JSON"
    return clause.size() <= 3 && std::ranges::find(clause, "only") != clause.end();
  if (*word == "your" || *word == "the") {
    ++word;  // "your answer must be valid JSON"
    if (word == json || !is_one_of(*word, kSubjects)) return false;
    return std::all_of(word + 1, json,
                       [](std::string_view small) { return is_one_of(small, kSmall); });
  }
  // "… and return them as JSON" counts as "Return them as JSON" does.
  for (auto verb = word; verb != json; ++verb) {
    if (verb != word && *(verb - 1) != "and" && *(verb - 1) != "then") continue;
    if (is_one_of(*verb, kAnswers) && std::all_of(verb + 1, json, [](std::string_view small) {
          return is_one_of(small, kSmall);
        }))
      return true;
  }
  if (!is_one_of(*word, kShows)) return false;
  // "Extract the names as JSON", "… as a JSON array": to its end.
  auto before = json - 1;
  while (before > word && (*before == "a" || *before == "valid" || *before == "an")) --before;
  return *before == "as" && clause.end() - json <= 3;
}

/// Clauses of a folded text as words.
std::vector<Words> clauses_of(std::string_view text) {
  std::vector<Words> clauses(1);
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    if ((c >= 'a' && c <= 'z') || c == '\'' || (c >= '0' && c <= '9')) {
      const std::size_t start = i;
      while (i < text.size() && ((text[i] >= 'a' && text[i] <= 'z') || text[i] == '\'' ||
                                 (text[i] >= '0' && text[i] <= '9')))
        ++i;
      clauses.back().push_back(text.substr(start, i - start));
      continue;
    }
    // A question is no order.
    if (c == '?') clauses.back().clear();
    if (std::string_view(".!?;:,()").contains(c) && !clauses.back().empty()) clauses.emplace_back();
    ++i;
  }
  return clauses;
}

/// Where the bracket at `begin` is closed; npos if it isn't.
std::size_t closed_at(std::string_view text, std::size_t begin) {
  std::size_t depth = 0;
  bool quoted = false;
  for (std::size_t i = begin; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if ((c == '}' || c == ']') && --depth == 0) {
      return i;
    }
  }
  return std::string_view::npos;
}

}  // namespace

bool wants_json(const llm::ChatRequest& request) {
  if (request.format.kind == llm::ResponseFormat::Kind::kJsonObject ||
      request.format.kind == llm::ResponseFormat::Kind::kJsonSchema)
    return true;
  const auto message = std::ranges::find(request.messages.rbegin(), request.messages.rend(),
                                         llm::Role::kUser, &llm::Message::role);
  if (message == request.messages.rend()) return false;
  const std::string text = message->text();
  if (text.find("json") == std::string::npos && text.find("JSON") == std::string::npos)
    return false;
  // Only at the ends: a long document in the middle may speak of JSON without asking for it.
  const std::string_view whole = text;
  const std::size_t tail = std::max(kEnd, whole.size() - std::min(kEnd, whole.size()));
  const std::string ends = folded(whole.substr(0, kEnd)) + " . " +
                           (tail < whole.size() ? folded(whole.substr(tail)) : std::string());
  // Who asks for a program that returns JSON wants the program.
  static constexpr std::string_view kPrograms[] = {
      "function",   "code ",      "script", "method", "endpoint", "program",  "class ", "python",
      "javascript", "typescript", "java ",  "query",  "how do ",  "how can ", "how to "};
  if (contains_any(ends, kPrograms)) return false;
  return std::ranges::any_of(clauses_of(ends), orders_json);
}

bool holds_json(std::string_view answer) {
  const auto parses = [](std::string_view text) { return parse_json(text).has_value(); };
  if (parses(answer)) return true;
  std::size_t begin = answer.find_first_of("{[");
  for (std::size_t tries = 0; begin != std::string_view::npos && tries < kMostOpenings; ++tries) {
    const std::size_t end = closed_at(answer, begin);
    if (end != std::string_view::npos && parses(answer.substr(begin, end + 1 - begin))) return true;
    begin = answer.find_first_of("{[", begin + 1);
  }
  return false;
}

}  // namespace asahi::gateway
