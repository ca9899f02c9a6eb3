#include "gateway/quality/answer_screen.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

#include "base/json.h"
#include "gateway/quality/hallucination.h"

namespace asahi::gateway {
namespace {

constexpr std::size_t kMostBytes = 16 * 1024;
constexpr std::size_t kRefusalBytes = 240;  // a refusal says so at once

constexpr std::array<std::string_view, kAnswerFlagCount> kNames{"empty", "truncated", "refusal",
                                                                "format_mismatch", "hallucination"};
constexpr std::array<std::string_view, kAnswerFlagCount> kSentences{
    "is empty", "was cut off at its length limit", "looks like a refusal",
    "is not the JSON that was asked for", "shows signs of invention"};
/// What is left of the quality after each; the hallucination score counts by itself.
constexpr std::array<double, kAnswerFlagCount> kLeft{0, 0.7, 0.3, 0.5, 1};

constexpr bool is_space(char c) {
  return c == ' ' || static_cast<unsigned char>(c - '\t') < 5;  // \t \n \v \f \r
}

bool is_blank(std::string_view text) { return std::ranges::all_of(text, is_space); }

/// Lower case, typographic apostrophes made plain, white space squeezed: what the phrases below are
/// looked for in.
std::string folded(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (text.substr(i, 3) == "\xE2\x80\x99") {
      out += '\'';
      i += 2;
    } else if (is_space(c)) {
      if (!out.empty() && out.back() != ' ') out += ' ';
    } else {
      out += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    }
  }
  return out;
}

bool contains_any(std::string_view text, std::span<const std::string_view> phrases) {
  return std::ranges::any_of(phrases, [text](std::string_view phrase) {
    return text.find(phrase) != std::string_view::npos;
  });
}

const llm::Message* last_user(const llm::ChatRequest& request) {
  for (auto message = request.messages.rbegin(); message != request.messages.rend(); ++message) {
    if (message->role == llm::Role::kUser) return &*message;
  }
  return nullptr;
}

}  // namespace

std::string_view to_string(AnswerFlag flag) { return kNames[static_cast<std::size_t>(flag)]; }

bool AnswerScreening::has(AnswerFlag flag) const {
  return std::ranges::find(flags, flag) != flags.end();
}

bool AnswerScreening::worth_another_try() const {
  return flagged() && !has(AnswerFlag::kTruncated);
}

std::string AnswerScreening::warning() const {
  std::string text;
  for (const AnswerFlag flag : flags) {
    text += text.empty() ? "the answer " : ", ";
    text += kSentences[static_cast<std::size_t>(flag)];
  }
  return text.empty() ? text : text + "; it is not cached";
}

bool is_refusal(std::string_view answer) {
  static constexpr std::string_view kWont[] = {
      "i can't ", "i cannot ",   "i can not ",       "i am unable to ",  "i'm unable to ",
      "i won't ", "i will not ", "i'm not able to ", "i am not able to "};
  static constexpr std::string_view kWhat[] = {
      "help",    "assist",      "provide", "comply",   "fulfill",  "fulfil", "answer",
      "do that", "discuss",     "create",  "generate", "complete", "share",  "support",
      "engage",  "participate", "write",   "respond",  "give"};
  static constexpr std::string_view kOutright[] = {
      "against my guidelines",      "violates my guidelines", "against my programming",
      "as an ai language model, i", "i must decline",         "i have to decline"};
  const std::string start = folded(answer.substr(0, kRefusalBytes));
  const std::string_view text = start;
  if (contains_any(text.substr(0, 120), kOutright)) return true;
  for (const std::string_view wont : kWont) {
    const std::size_t at = text.find(wont);
    // "… and that is why I can't give you a number": only where it opens the answer.
    if (at == std::string_view::npos || at > 60) continue;
    const std::string_view rest = text.substr(at + wont.size());
    if (std::ranges::any_of(kWhat,
                            [rest](std::string_view verb) { return rest.starts_with(verb); }))
      return true;
  }
  return false;
}

bool wants_json(const llm::ChatRequest& request) {
  if (request.format.kind == llm::ResponseFormat::Kind::kJsonObject ||
      request.format.kind == llm::ResponseFormat::Kind::kJsonSchema)
    return true;
  static constexpr std::string_view kWords[] = {
      "in json",     "as json",     "with json",     "valid json",  "json only",   "only json",
      "return json", "output json", "a json object", "json format", "a json array"};
  const llm::Message* message = last_user(request);
  if (message == nullptr) return false;
  const std::string text = message->text();
  if (text.find("json") == std::string::npos && text.find("JSON") == std::string::npos)
    return false;
  // Only at the ends: a long document in the middle may speak of JSON without asking for it.
  const std::string_view whole = text;
  const std::string ends =
      folded(whole.substr(0, 400)) + ' ' +
      folded(whole.substr(whole.size() - std::min<std::size_t>(400, whole.size())));
  // A question about JSON ("convert this JSON to YAML", "what is valid JSON?") asks for words.
  static constexpr std::string_view kAsks[] = {"return", "respond", "reply",   "answer",
                                               "output", "give",    "produce", "format"};
  return contains_any(ends, kWords) && contains_any(ends, kAsks);
}

bool holds_json(std::string_view answer) {
  const auto parses = [](std::string_view text) { return parse_json(text).has_value(); };
  if (parses(answer)) return true;
  const std::size_t begin = answer.find_first_of("{[");
  if (begin == std::string_view::npos) return false;
  const std::size_t end = answer.find_last_of(answer[begin] == '{' ? '}' : ']');
  return end != std::string_view::npos && end > begin &&
         parses(answer.substr(begin, end + 1 - begin));
}

AnswerScreening screen_answer(const llm::ChatRequest& request, const llm::ChatResponse& response) {
  AnswerScreening found;
  const auto flag = [&found](AnswerFlag which) {
    found.flags.push_back(which);
    found.quality_left *= kLeft[static_cast<std::size_t>(which)];
  };
  const std::string whole = response.text();
  const std::string_view text = std::string_view(whole).substr(0, kMostBytes);
  bool acts = false;  // calls tools or shows something other than text
  bool refuses = response.finish == llm::FinishReason::kContentFilter;
  for (const llm::Part& part : response.parts) {
    if (std::holds_alternative<llm::RefusalPart>(part)) {
      refuses = true;
    } else if (!std::holds_alternative<llm::TextPart>(part) &&
               !std::holds_alternative<llm::ReasoningPart>(part)) {
      acts = true;
    }
  }
  const bool truncated = response.finish == llm::FinishReason::kLength;
  if (is_blank(text) && !acts && !refuses) flag(AnswerFlag::kEmpty);
  if (truncated) flag(AnswerFlag::kTruncated);
  if (refuses || is_refusal(text)) flag(AnswerFlag::kRefusal);
  if (acts || is_blank(text)) return found;
  // What was cut off or refused is no JSON for a reason that is told already.
  if (!found.flagged() && wants_json(request) && !holds_json(whole))
    flag(AnswerFlag::kFormatMismatch);
  std::string facts;
  for (const llm::Message& message : request.messages) {
    if (message.role == llm::Role::kAssistant) continue;
    if (facts.size() >= kMostBytes) break;
    facts += message.text();
    facts += '\n';
  }
  found.hallucination = hallucination_score(text, std::string_view(facts).substr(0, kMostBytes));
  if (found.hallucination >= kHallucinationFlagged) flag(AnswerFlag::kHallucination);
  found.quality_left *= 1 - found.hallucination / 2;
  return found;
}

}  // namespace asahi::gateway
