// The conversation of a request to Anthropic's Messages API.
#include <fmt/format.h>

#include <algorithm>

#include "llm/wire/anthropic.h"
#include "llm/wire/tool_ids.h"

namespace asahi::llm::wire {
namespace {

using std::string_view;

/// Anthropic names no limit; signatures of Gemini make ids long.
constexpr std::size_t kMaxToolId = 64 * 1024;

void write_text(JsonOut& out, string_view text, const json::value& cache_control) {
  if (text.empty()) return;  // empty blocks are refused
  out.open_object().member("type", "text").member("text", text);
  if (!cache_control.is_null()) out.member("cache_control", cache_control);
  out.close_object();
}

void write_image(JsonOut& out, const ImagePart& image) {
  out.open_object().member("type", "image").key("source").open_object();
  if (!image.url.empty()) {
    out.member("type", "url").member("url", image.url);
  } else {
    out.member("type", "base64").member("media_type", image.media_type).member("data", image.data);
  }
  out.close_object().close_object();
}

Result<void> write_file(JsonOut& out, const FilePart& file, const ChatRequest& request) {
  if (!file.file_id.empty() && request.shape != Shape::kAnthropic) {
    return fail(Errc::kInvalidArgument,
                "an uploaded file's id is valid only at the vendor that stores the file; send the "
                "document's bytes instead");
  }
  out.open_object().member("type", "document").key("source").open_object();
  if (!file.file_id.empty()) {
    out.member("type", "file").member("file_id", file.file_id);
  } else if (!file.url.empty()) {
    out.member("type", "url").member("url", file.url);
  } else {
    string_view type = file.media_type;
    if (type.empty()) type = "application/pdf";
    out.member("type", "base64").member("media_type", type).member("data", file.data);
  }
  out.close_object();
  if (!file.name.empty()) out.member("title", file.name);
  out.close_object();
  return {};
}

void write_tool_result(JsonOut& out, const ToolResultPart& result) {
  out.open_object()
      .member("type", "tool_result")
      .member("tool_use_id", anthropic_tool_id(result.tool_call_id));
  if (result.images.empty()) {
    out.member("content", result.text);
  } else {
    out.key("content").open_array();
    write_text(out, result.text, {});
    for (const auto& image : result.images) write_image(out, image);
    out.close_array();
  }
  if (result.is_error) out.member("is_error", true);
  out.close_object();
}

void write_reasoning(JsonOut& out, const ReasoningPart& part) {
  if (!is_signed_by_anthropic(part)) return;  // refused here
  if (!part.encrypted.empty()) {
    out.open_object()
        .member("type", "redacted_thinking")
        .member("data", part.encrypted)
        .close_object();
  } else {
    out.open_object()
        .member("type", "thinking")
        .member("thinking", part.text)
        .member("signature", part.signature)
        .close_object();
  }
}

Result<void> write_part(JsonOut& out, const Part& part, const ChatRequest& request) {
  if (const auto* text = std::get_if<TextPart>(&part)) {
    write_text(out, text->text, text->cache_control);
  } else if (const auto* image = std::get_if<ImagePart>(&part)) {
    write_image(out, *image);
  } else if (std::holds_alternative<AudioPart>(part)) {
    return fail(Errc::kInvalidArgument,
                "Anthropic's models take no audio; choose a model of another vendor");
  } else if (const auto* file = std::get_if<FilePart>(&part)) {
    return write_file(out, *file, request);
  } else if (const auto* call = std::get_if<ToolCallPart>(&part)) {
    out.open_object()
        .member("type", "tool_use")
        .member("id", anthropic_tool_id(call->id))
        .member("name", call->name)
        .key("input")
        .raw(arguments_object(call->arguments))
        .close_object();
  } else if (const auto* result = std::get_if<ToolResultPart>(&part)) {
    write_tool_result(out, *result);
  } else if (const auto* reasoning = std::get_if<ReasoningPart>(&part)) {
    write_reasoning(out, *reasoning);
  } else if (const auto* refusal = std::get_if<RefusalPart>(&part)) {
    write_text(out, refusal->text, {});
  } else if (const auto* opaque = std::get_if<OpaquePart>(&part)) {
    if (opaque->shape == Shape::kAnthropic) out.value(opaque->value);
  }
  return {};
}

bool is_system(const Message& message) {
  return message.role == Role::kSystem || message.role == Role::kDeveloper;
}

bool is_assistant(const Message& message) { return message.role == Role::kAssistant; }

string_view without_trailing_space(string_view text) {
  const std::size_t last = text.find_last_not_of(" \t\r\n");
  return last == string_view::npos ? string_view() : text.substr(0, last + 1);
}

/// Consecutive messages of one side become one message, since roles must alternate: results of
/// tools come first in theirs, because Anthropic wants them right behind the calls.
class MessageWriter {
 public:
  MessageWriter(JsonOut& out, const ChatRequest& request, const AnthropicTraits& traits)
      : out_(out), request_(request), traits_(traits) {}

  Result<void> write() {
    out_.open_array();
    const bool only_system = std::ranges::all_of(request_.messages, is_system);
    if (only_system) return write_only_system();
    std::size_t i = 0;
    bool first = true;
    while (i < request_.messages.size()) {
      if (is_system(request_.messages[i])) {
        ++i;
        continue;
      }
      const bool assistant = is_assistant(request_.messages[i]);
      std::size_t end = i;
      while (end < request_.messages.size() &&
             (is_system(request_.messages[end]) ||
              is_assistant(request_.messages[end]) == assistant)) {
        ++end;
      }
      if (first && assistant) write_continue();
      first = false;
      if (auto ok = write_turn(i, end, assistant); !ok) return ok;
      // Newer models refuse to go on with an answer put into their mouth.
      if (assistant && end == request_.messages.size() && traits_.adaptive) write_continue();
      i = end;
    }
    out_.close_array();
    return {};
  }

 private:
  /// A conversation has to begin with the user, and with newer models to end so.
  void write_continue() {
    out_.open_object().member("role", "user").member("content", "Continue.").close_object();
  }

  /// A prompt of nothing but instructions is legal at OpenAI; here it has to be the user's.
  Result<void> write_only_system() {
    std::string text;
    for (const auto& message : request_.messages) {
      if (!text.empty()) text += "\n\n";
      text += message.text();
    }
    out_.open_object().member("role", "user").member("content", text).close_object();
    out_.close_array();
    return {};
  }

  Result<void> write_turn(std::size_t begin, std::size_t end, bool assistant) {
    std::string content;
    JsonOut inner(content);
    inner.open_array();
    const bool last_turn = end == request_.messages.size();
    for (std::size_t i = begin; i < end; ++i) {
      const auto& message = request_.messages[i];
      if (is_system(message)) continue;
      for (std::size_t p = 0; p < message.parts.size(); ++p) {
        const auto& part = message.parts[p];
        const bool very_last = last_turn && i + 1 == end && p + 1 == message.parts.size();
        const auto* text = std::get_if<TextPart>(&part);
        if (assistant && very_last && text != nullptr) {
          // A prefill may not end with white space.
          write_text(inner, without_trailing_space(text->text), text->cache_control);
        } else if (auto ok = write_part(inner, part, request_); !ok) {
          return ok;
        }
      }
    }
    inner.close_array();
    if (content == "[]") return {};  // nothing that this vendor takes
    out_.open_object()
        .member("role", assistant ? "assistant" : "user")
        .key("content")
        .raw(content)
        .close_object();
    return {};
  }

  JsonOut& out_;
  const ChatRequest& request_;
  const AnthropicTraits& traits_;
};

}  // namespace

bool is_signed_by_anthropic(const ReasoningPart& part) {
  if (!part.encrypted.empty()) return !is_openai_seal(part.encrypted);
  return !part.signature.empty();
}

std::string anthropic_tool_id(string_view id) { return portable_tool_id(id, kMaxToolId); }

Result<void> write_anthropic_messages(JsonOut& out, const ChatRequest& request,
                                      const AnthropicTraits& traits) {
  return MessageWriter(out, request, traits).write();
}

void write_anthropic_system(JsonOut& out, const ChatRequest& request,
                            std::initializer_list<std::string_view> instructions) {
  const bool only_system = std::ranges::all_of(request.messages, is_system);
  std::string blocks;
  JsonOut inner(blocks);
  inner.open_array();
  if (!only_system) {
    for (const auto& message : request.messages) {
      if (!is_system(message)) continue;
      for (const auto& part : message.parts) {
        if (const auto* text = std::get_if<TextPart>(&part)) {
          write_text(inner, text->text, text->cache_control);
        }
      }
    }
  }
  for (const string_view instruction : instructions) write_text(inner, instruction, {});
  inner.close_array();
  if (blocks != "[]") out.key("system").raw(blocks);
}

}  // namespace asahi::llm::wire
