// Requests to Anthropic's Messages API.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "llm/wire/anthropic.h"

namespace asahi::llm::wire {
namespace {

using std::string_view;

/// Anthropic has no default; a request that names none gets this much.
constexpr std::int64_t kDefaultMaxTokens = 4096;
constexpr std::int64_t kMinThinking = 1024;
constexpr std::size_t kMaxToolName = 64;

// ---- What a model knows
// --------------------------------------------------------------------------

/// From the version in the name: "claude-opus-4-7", "claude-3-5-sonnet-20241022",
/// "claude-opus-4.6".
struct Traits {
  bool adaptive = false;        ///< 4.6 and later: thinking {"type":"adaptive"} with an effort
  bool fixed_sampling = false;  ///< 4.7 and later refuse temperature, top_p, top_k and budgets
};

Traits traits_of(string_view model) {
  int version[2] = {0, 0};
  std::size_t found = 0;
  for (std::size_t i = 0; i < model.size() && found < 2;) {
    std::size_t end = i;
    while (end < model.size() && model[end] >= '0' && model[end] <= '9') ++end;
    const std::size_t digits = end - i;
    const bool alone = i == 0 || model[i - 1] == '-' || model[i - 1] == '.';
    if (digits >= 1 && digits <= 2 && alone) {
      for (std::size_t d = i; d < end; ++d) version[found] = version[found] * 10 + (model[d] - '0');
      ++found;
    } else if (digits > 2 && found > 0) {
      break;  // the date behind the version
    }
    i = digits > 0 ? end : i + 1;
  }
  const int number = version[0] * 100 + version[1];
  return Traits{.adaptive = number >= 406, .fixed_sampling = number >= 407};
}

// ---- Content
// -------------------------------------------------------------------------------------

/// Tool ids match ^[a-zA-Z0-9_-]+$ here; other vendors are freer.
std::string tool_id(string_view id) {
  std::string out(id.empty() ? "call" : id);
  for (char& c : out) {
    const bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '_' || c == '-';
    if (!word) c = '_';
  }
  return out;
}

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
      .member("tool_use_id", tool_id(result.tool_call_id));
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
  if (!part.encrypted.empty()) {
    out.open_object()
        .member("type", "redacted_thinking")
        .member("data", part.encrypted)
        .close_object();
  } else if (!part.signature.empty()) {  // unsigned thinking is another vendor's: refused here
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
        .member("id", tool_id(call->id))
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
  MessageWriter(JsonOut& out, const ChatRequest& request) : out_(out), request_(request) {}

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
      if (first && assistant) write_opening();
      first = false;
      if (auto ok = write_turn(i, end, assistant); !ok) return ok;
      i = end;
    }
    out_.close_array();
    return {};
  }

 private:
  /// A conversation has to begin with the user.
  void write_opening() {
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
};

void write_system(JsonOut& out, const ChatRequest& request, string_view instruction) {
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
  write_text(inner, instruction, {});
  inner.close_array();
  if (blocks != "[]") out.key("system").raw(blocks);
}

// ---- Options
// -------------------------------------------------------------------------------------

/// How a JSON answer is asked for.
struct AnswerFormat {
  bool tool = false;  ///< by a tool that has to be called
  std::string tool_name;
  std::string instruction;  ///< by words in the system prompt
};

AnswerFormat answer_format(const ResponseFormat& format) {
  using Kind = ResponseFormat::Kind;
  AnswerFormat result;
  if (format.kind == Kind::kJsonObject) {
    result.instruction =
        "Answer with one JSON object and nothing else: no code fence, no words around it.";
  }
  if (format.kind != Kind::kJsonSchema) return result;
  const auto* schema = format.schema.if_object();
  const string_view type = schema == nullptr ? string_view() : string_at(*schema, "type");
  // A tool's input is an object always; another root can only be asked for in words.
  if (schema != nullptr &&
      (type == "object" || schema->contains("properties") || schema->contains("$ref"))) {
    result.tool = true;
    result.tool_name = answer_tool_name(format.name);
    return result;
  }
  result.instruction = fmt::format(
      "Answer with one JSON value and nothing else: no code fence, no words around it. It must fit "
      "this JSON Schema:\n{}",
      format.schema.is_null() ? "{}" : to_json(format.schema));
  return result;
}

void write_schema(JsonOut& out, const json::value& schema) {
  out.key("input_schema");
  const auto* object = schema.if_object();
  if (object == nullptr) {
    out.raw(R"({"type":"object","properties":{}})");
  } else if (object->contains("type")) {
    out.value(schema);
  } else {
    out.open_object().member("type", "object");
    for (const auto& member : *object) out.member(member.key(), member.value());
    out.close_object();
  }
}

/// The tools, the answer tool among them, and which of them may or must be called. True when a call
/// is forced.
bool write_tools(JsonOut& out, const ChatRequest& request, const AnswerFormat& answer) {
  using Mode = ToolChoice::Mode;
  if (request.tools.empty() && !answer.tool) return false;
  out.key("tools").open_array();
  for (const auto& tool : request.tools) {
    out.open_object().member("name", tool.name);
    if (!tool.description.empty()) out.member("description", tool.description);
    write_schema(out, tool.parameters);
    out.close_object();
  }
  if (answer.tool) {
    out.open_object().member("name", answer.tool_name);
    out.member("description", request.format.description.empty()
                                  ? std::string("Gives the final answer to the user.")
                                  : request.format.description);
    write_schema(out, request.format.schema);
    out.close_object();
  }
  out.close_array();

  string_view type, name;
  switch (request.tool_choice.mode) {
    case Mode::kUnset:
      break;
    case Mode::kAuto:
      type = "auto";
      break;
    case Mode::kNone:
      type = "none";
      break;
    case Mode::kRequired:
      type = "any";
      break;
    case Mode::kNamed:
      type = "tool";
      name = request.tool_choice.name;
      break;
  }
  if (answer.tool && type != "tool") {
    // Either one of the client's tools or the answer: something is called in any case.
    const bool only_answer = request.tools.empty() || type == "none";
    type = only_answer ? "tool" : "any";
    if (only_answer) name = answer.tool_name;
  }
  const bool sequential = request.tool_choice.parallel == false && type != "none";
  if (type.empty() && sequential) type = "auto";
  if (type.empty()) return false;
  out.key("tool_choice").open_object().member("type", type);
  if (!name.empty()) out.member("name", name);
  if (sequential) out.member("disable_parallel_tool_use", true);
  out.close_object();
  return type == "any" || type == "tool";
}

/// A tool loop can only go on thinking when its last call still has the signed thinking before it.
bool loop_lost_its_thinking(const ChatRequest& request) {
  for (auto message = request.messages.rbegin(); message != request.messages.rend(); ++message) {
    if (message->role != Role::kAssistant) continue;
    bool calls = false, signed_thought = false;
    for (const auto& part : message->parts) {
      calls = calls || std::holds_alternative<ToolCallPart>(part);
      const auto* thought = std::get_if<ReasoningPart>(&part);
      signed_thought =
          signed_thought ||
          (thought != nullptr && (!thought->signature.empty() || !thought->encrypted.empty()));
    }
    return calls && !signed_thought;
  }
  return false;
}

std::int64_t budget_of(const Reasoning& reasoning) {
  if (reasoning.budget_tokens) return *reasoning.budget_tokens;
  if (reasoning.effort == "low") return 2048;
  if (reasoning.effort == "medium") return 8192;
  if (reasoning.effort == "high" || reasoning.effort == "xhigh") return 16'384;
  return 0;  // "none", "minimal" and nothing said
}

string_view effort_of(const Reasoning& reasoning) {
  if (reasoning.effort == "xhigh") return "high";
  if (!reasoning.effort.empty()) return reasoning.effort;
  const std::int64_t budget = reasoning.budget_tokens.value_or(0);
  return budget <= 2048 ? "low" : budget <= 8192 ? "medium" : "high";
}

/// max_tokens, thinking and the sampling parameters, which depend on each other.
void write_limits(JsonOut& out, const ChatRequest& request, const Traits& traits, bool forced) {
  std::int64_t budget = budget_of(request.reasoning);
  // Thinking is a wish, a forced tool is a contract, and the two exclude each other.
  if (forced || loop_lost_its_thinking(request)) budget = 0;
  std::int64_t limit = request.max_tokens.value_or(kDefaultMaxTokens);
  bool thinks = budget > 0;
  if (thinks && !traits.adaptive) {
    if (!request.max_tokens) {
      limit += budget;
    } else if (limit < 2 * kMinThinking) {
      thinks = false;  // the budget counts against max_tokens: nothing would be left to answer with
    } else {
      budget = std::clamp<std::int64_t>(budget, kMinThinking, limit / 2);
    }
  }
  out.member("max_tokens", limit);
  if (thinks && traits.adaptive) {
    out.key("thinking").open_object().member("type", "adaptive").close_object();
    out.key("output_config")
        .open_object()
        .member("effort", effort_of(request.reasoning))
        .close_object();
  } else if (thinks) {
    out.key("thinking")
        .open_object()
        .member("type", "enabled")
        .member("budget_tokens", std::max(budget, kMinThinking))
        .close_object();
  }
  if (thinks || traits.fixed_sampling) return;  // both refuse every other value than the default
  if (request.temperature) {
    out.member("temperature", std::min(*request.temperature, 1.0));
  } else if (request.top_p && *request.top_p < 1) {
    // Newer models take one of the two, and 1 is the default.
    out.member("top_p", *request.top_p);
  }
  if (request.top_k) out.member("top_k", *request.top_k);
}

Result<std::string> encode_rebuilt(const ChatRequest& request, string_view model) {
  const AnswerFormat answer = answer_format(request.format);
  std::string body;
  JsonOut out(body);
  out.open_object().member("model", model);
  write_system(out, request, answer.instruction);
  out.key("messages");
  if (auto ok = MessageWriter(out, request).write(); !ok) return std::unexpected(ok.error());
  const bool forced = write_tools(out, request, answer);
  write_limits(out, request, traits_of(model), forced);
  bool stops_open = false;
  for (const auto& stop : request.stop) {
    if (without_trailing_space(stop).empty()) continue;  // refused, and OpenAI's clients send "\n"
    if (!stops_open) out.key("stop_sequences").open_array();
    stops_open = true;
    out.string(stop);
  }
  if (stops_open) out.close_array();
  if (!request.user.empty()) {
    out.key("metadata").open_object().member("user_id", request.user).close_object();
  }
  if (request.stream) out.member("stream", true);
  out.close_object();
  return body;
}

/// True when the conversation has thinking that Anthropic did not sign, which it would refuse: the
/// answer it came from was another vendor's.
bool has_foreign_thinking(const ChatRequest& request) {
  for (const auto& message : request.messages) {
    for (const auto& part : message.parts) {
      const auto* thought = std::get_if<ReasoningPart>(&part);
      if (thought != nullptr && thought->signature.empty() && thought->encrypted.empty()) {
        return true;
      }
    }
  }
  return false;
}

Result<std::string> encode_original(const ChatRequest& request, const json::object& original,
                                    string_view model) {
  const bool rerouted = string_at(original, "model") != model;
  const Traits traits = traits_of(model);
  const bool rewrite = request.messages_changed || has_foreign_thinking(request);
  std::string body;
  JsonOut out(body);
  out.open_object().member("model", model);
  for (const auto& member : original) {
    const string_view key = member.key();
    if (key == "model" || key == "stream" || is_gateway_field(key)) continue;
    if (rewrite && key == "system") continue;
    if (rewrite && key == "messages") {
      write_system(out, request, {});
      out.key("messages");
      if (auto ok = MessageWriter(out, request).write(); !ok) return std::unexpected(ok.error());
      continue;
    }
    // The client fitted these to the model it named; another one may refuse them.
    if (rerouted && traits.fixed_sampling) {
      if (key == "temperature" || key == "top_p" || key == "top_k") continue;
      const auto* thinking = key == "thinking" ? member.value().if_object() : nullptr;
      if (thinking != nullptr) {
        if (string_at(*thinking, "type") == "disabled") continue;
        out.key("thinking").open_object().member("type", "adaptive").close_object();
        continue;
      }
    }
    out.member(key, member.value());
  }
  if (request.stream) out.member("stream", true);
  out.close_object();
  return body;
}

}  // namespace

std::string answer_tool_name(string_view schema_name) {
  std::string name(kAnswerToolPrefix);
  name += schema_name.empty() ? string_view("answer") : schema_name;
  if (name.size() > kMaxToolName) name.resize(kMaxToolName);
  return name;
}

Result<std::string> encode_anthropic(const ChatRequest& request, string_view model) {
  const auto* original = request.shape == Shape::kAnthropic && request.original
                             ? request.original->root().if_object()
                             : nullptr;
  return original != nullptr ? encode_original(request, *original, model)
                             : encode_rebuilt(request, model);
}

}  // namespace asahi::llm::wire
