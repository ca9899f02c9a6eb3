#include <algorithm>
#include <string_view>
#include <variant>

#include "llm/vendor.h"
#include "llm/wire/common.h"

namespace asahi::llm {
namespace {

bool is_blank(char c) {
  return static_cast<unsigned>(c == ' ') |
         static_cast<unsigned>(static_cast<unsigned char>(c - '\t') < 5);
}
// In JSON words also end at its punctuation: {"city":"Paris"} is two words, not one.
bool is_json_break(char c) {
  return is_blank(c) || std::string_view("{}[]\",:").find(c) != std::string_view::npos;
}

std::int64_t words_of(std::string_view text) {
  if (text.empty()) return 0;
  // In blocks of a size whose sum fits a byte: the compiler looks at many together.
  constexpr std::size_t kBlock = 255;
  std::int64_t words = is_blank(text.front()) ? 0 : 1;
  for (std::size_t begin = 1; begin < text.size(); begin += kBlock) {
    const std::size_t end = std::min(begin + kBlock, text.size());
    std::uint8_t starts = 0;
    for (std::size_t i = begin; i < end; ++i) {
      starts = static_cast<std::uint8_t>(starts + (static_cast<unsigned>(is_blank(text[i - 1])) &
                                                   static_cast<unsigned>(!is_blank(text[i]))));
    }
    words += starts;
  }
  return words;
}
std::int64_t words_of_json(std::string_view text) {
  std::int64_t words = 0;
  bool inside = false;
  for (const char c : text) {
    const bool part = !is_json_break(c);
    words += part && !inside;
    inside = part;
  }
  return words;
}

std::int64_t words_of(const Part& part) {
  if (const auto* text = std::get_if<TextPart>(&part)) return words_of(text->text);
  if (const auto* result = std::get_if<ToolResultPart>(&part)) return words_of(result->text);
  if (const auto* refusal = std::get_if<RefusalPart>(&part)) return words_of(refusal->text);
  if (const auto* thought = std::get_if<ReasoningPart>(&part)) return words_of(thought->text);
  if (const auto* call = std::get_if<ToolCallPart>(&part))
    return words_of(call->name) + words_of_json(call->arguments);
  return 0;
}

std::int64_t words_of(const json::value& schema) {
  return schema.is_null() ? 0 : words_of_json(write_json(schema));
}

std::int64_t tokens_of(std::int64_t words) {
  return words == 0 ? 0 : std::max<std::int64_t>(1, words * 13 / 10);
}

}  // namespace

std::int64_t estimate_tokens(std::string_view text) { return tokens_of(words_of(text)); }

std::int64_t estimate_tokens(const ChatRequest& request) {
  std::int64_t words = 0;
  for (const Message& message : request.messages) {
    for (const Part& part : message.parts) words += words_of(part);
  }
  for (const Tool& tool : request.tools) {
    words += words_of(tool.name) + words_of(tool.description) + words_of(tool.parameters);
  }
  return tokens_of(words + words_of(request.format.schema));
}

}  // namespace asahi::llm
