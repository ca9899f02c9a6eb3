#include "llm/message.h"

namespace asahi::llm {
namespace {

std::string joined_text(const std::vector<Part>& parts) {
  std::string out;
  for (const Part& part : parts) {
    if (const auto* text = std::get_if<TextPart>(&part)) out += text->text;
  }
  return out;
}

}  // namespace

std::string_view to_string(Shape shape) {
  switch (shape) {
    case Shape::kNative:
      return "native";
    case Shape::kOpenAiChat:
      return "openai_chat";
    case Shape::kOpenAiCompletions:
      return "openai_completions";
    case Shape::kOpenAiResponses:
      return "openai_responses";
    case Shape::kAnthropic:
      return "anthropic";
    case Shape::kGoogle:
      return "google";
    case Shape::kOllama:
      return "ollama";
    case Shape::kMock:
      return "mock";
  }
  return "native";
}

std::string_view to_string(Role role) {
  switch (role) {
    case Role::kSystem:
      return "system";
    case Role::kDeveloper:
      return "developer";
    case Role::kUser:
      return "user";
    case Role::kAssistant:
      return "assistant";
    case Role::kTool:
      return "tool";
  }
  return "user";
}

std::string_view to_string(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kToolCalls:
      return "tool_calls";
    case FinishReason::kContentFilter:
      return "content_filter";
    case FinishReason::kError:
      return "error";
    case FinishReason::kUnknown:
      return "unknown";
  }
  return "unknown";
}

std::string Message::text() const { return joined_text(parts); }

std::string ChatResponse::text() const { return joined_text(parts); }

}  // namespace asahi::llm
