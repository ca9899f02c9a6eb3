#include "gateway/quality/answer_screen.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "gateway/quality/folded_text.h"
#include "gateway/quality/hallucination.h"

namespace asahi::gateway {
namespace {

constexpr std::size_t kMostBytes = 16 * 1024;

constexpr std::array<std::string_view, kAnswerFlagCount> kNames{"empty", "truncated", "refusal",
                                                                "format_mismatch", "hallucination"};
constexpr std::array<std::string_view, kAnswerFlagCount> kSentences{
    "is empty", "was cut off at its length limit", "looks like a refusal",
    "is not the JSON that was asked for", "shows signs of invention"};
/// What is left of the quality after each; the hallucination score counts by itself.
constexpr std::array<double, kAnswerFlagCount> kLeft{0, 0.7, 0.3, 0.5, 1};

bool is_blank(std::string_view text) { return std::ranges::all_of(text, is_space); }

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
  const auto asked = std::ranges::find(request.messages.rbegin(), request.messages.rend(),
                                       llm::Role::kUser, &llm::Message::role);
  const std::string prompt = asked == request.messages.rend() ? std::string() : asked->text();
  if (refuses || is_refusal(text, prompt)) flag(AnswerFlag::kRefusal);
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
