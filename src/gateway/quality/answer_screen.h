#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "llm/message.h"

namespace asahi::gateway {

/// What is wrong with an answer (gateway spec §3.14).
enum class AnswerFlag : std::uint8_t {
  kEmpty,
  kTruncated,       ///< ended at its length limit
  kRefusal,         ///< says that it won't, or the vendor's filter does
  kFormatMismatch,  ///< JSON was asked for and there is none
  kHallucination,   ///< signs of invention, score 0.5 or more
};
inline constexpr std::size_t kAnswerFlagCount = 5;
/// "empty", "truncated", "refusal", "format_mismatch", "hallucination".
std::string_view to_string(AnswerFlag flag);

struct AnswerScreening {
  std::vector<AnswerFlag> flags;
  double hallucination = 0;  ///< 0 to 1
  /// Of the model's profile quality: 1 for an answer without a flag, 0 for an empty one.
  double quality_left = 1;

  bool flagged() const { return !flags.empty(); }
  bool has(AnswerFlag flag) const;
  /// Another model may do better. False where only the length limit, which is the caller's, was
  /// reached.
  bool worth_another_try() const;
  /// One sentence for the reply's warnings; empty without flags.
  std::string warning() const;
};

/// Looks at the words of an answer, at most the first 16 KiB. Pure; some µs for a usual answer.
AnswerScreening screen_answer(const llm::ChatRequest& request, const llm::ChatResponse& response);

/// The text opens as refusals do ("I'm sorry, but I can't help with that"). Where `prompt` asks for
/// somebody's words (a translation, a quotation), only if it speaks of the request itself.
bool is_refusal(std::string_view answer, std::string_view prompt = {});
/// The request wants JSON: by its response format, or by a plain order in the last user message. A
/// question about JSON, or a program that writes it, is no such order.
bool wants_json(const llm::ChatRequest& request);
/// The text is JSON, or holds a JSON object or array within other words or a fence.
bool holds_json(std::string_view answer);

}  // namespace asahi::gateway
