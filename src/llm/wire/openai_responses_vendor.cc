#include <fmt/format.h>

#include "llm/wire/openai_responses.h"
#include "llm/wire/tool_ids.h"

namespace asahi::llm::wire::responses {
namespace {

constexpr std::size_t kMaxToolId = 64;

void write_image(JsonOut& out, const ImagePart& image) {
  out.open_object().member("type", "input_image");
  if (image.url.starts_with(kFileIdUrl)) {
    out.member("file_id", std::string_view(image.url).substr(kFileIdUrl.size()));
  } else {
    out.member("image_url", image_url(image));
  }
  out.member("detail", image.detail.empty() ? std::string_view("auto") : image.detail)
      .close_object();
}

void write_file(JsonOut& out, const FilePart& file) {
  out.open_object().member("type", "input_file");
  if (!file.file_id.empty()) {
    out.member("file_id", file.file_id);
  } else if (!file.url.empty()) {
    out.member("file_url", file.url);
  } else {
    const std::string_view type =
        file.media_type.empty() ? std::string_view("application/pdf") : file.media_type;
    out.member("filename", file.name.empty() ? std::string_view("file.pdf") : file.name);
    out.member("file_data", fmt::format("data:{};base64,{}", type, file.data));
  }
  out.close_object();
}

void write_result(JsonOut& out, const ToolResultPart& result) {
  out.open_object()
      .member("type", "function_call_output")
      .member("call_id", portable_tool_id(result.tool_call_id, kMaxToolId));
  if (result.images.empty()) {
    out.member("output", result.text);
  } else {
    out.key("output").open_array();
    if (!result.text.empty())
      out.open_object().member("type", "input_text").member("text", result.text).close_object();
    for (const ImagePart& image : result.images) write_image(out, image);
    out.close_array();
  }
  out.close_object();
}

class InputWriter {
 public:
  InputWriter(JsonOut& out, const ChatRequest& request)
      : out_(out), request_(request), own_shape_(request.shape == Shape::kOpenAiResponses) {}

  void write() {
    out_.key("input").open_array();
    for (const Message& message : request_.messages) {
      role_ = message.role == Role::kTool ? Role::kUser : message.role;
      for (const Part& part : message.parts) write_part(part);
      close_message();
    }
    out_.close_array();
  }

 private:
  // Calls, results and thoughts are items beside the messages; what follows them begins a new
  // message.
  void write_part(const Part& part) {
    if (const auto* call = std::get_if<ToolCallPart>(&part)) {
      close_message();
      out_.open_object()
          .member("type", "function_call")
          .member("call_id", portable_tool_id(call->id, kMaxToolId))
          .member("name", call->name);
      out_.member("arguments", call->arguments.empty() ? "{}" : call->arguments).close_object();
    } else if (const auto* result = std::get_if<ToolResultPart>(&part)) {
      close_message();
      write_result(out_, *result);
    } else if (const auto* thought = std::get_if<ReasoningPart>(&part)) {
      // Without its encrypted content a thought is another vendor's, or not needed by this one.
      // In its own shape it may be that of a vendor which speaks this format and seals otherwise.
      if (thought->encrypted.empty() || (!own_shape_ && !is_openai_seal(thought->encrypted))) {
        return;
      }
      close_message();
      write_reasoning_item(out_, {}, thought->text, thought->encrypted);
    } else if (const auto* opaque = std::get_if<OpaquePart>(&part)) {
      // A trace of another vendor's own tools; what may not be left out was refused before.
      if (opaque->shape != Shape::kOpenAiResponses) return;
      close_message();
      out_.value(opaque->value);
    } else {
      open_message();
      write_content(part);
    }
  }

  void write_content(const Part& part) {
    if (const auto* text = std::get_if<TextPart>(&part)) {
      const std::string_view type = role_ == Role::kAssistant ? "output_text" : "input_text";
      out_.open_object().member("type", type).member("text", text->text).close_object();
    } else if (const auto* refusal = std::get_if<RefusalPart>(&part)) {
      out_.open_object().member("type", "refusal").member("refusal", refusal->text).close_object();
    } else if (const auto* image = std::get_if<ImagePart>(&part)) {
      write_image(out_, *image);
    } else if (const auto* file = std::get_if<FilePart>(&part)) {
      write_file(out_, *file);
    } else if (const auto* audio = std::get_if<AudioPart>(&part)) {
      out_.open_object().member("type", "input_audio").key("input_audio").open_object();
      out_.member("format", audio->format)
          .member("data", audio->data)
          .close_object()
          .close_object();
    }
  }

  void open_message() {
    if (open_) return;
    open_ = true;
    out_.open_object()
        .member("type", "message")
        .member("role", to_string(role_))
        .key("content")
        .open_array();
  }

  void close_message() {
    if (open_) out_.close_array().close_object();
    open_ = false;
  }

  JsonOut& out_;
  const ChatRequest& request_;
  bool own_shape_;
  Role role_ = Role::kUser;
  bool open_ = false;
};

void write_tools(JsonOut& out, const ChatRequest& request) {
  if (request.tools.empty()) return;
  out.key("tools").open_array();
  for (const Tool& tool : request.tools) {
    out.open_object().member("type", "function").member("name", tool.name);
    if (!tool.description.empty()) out.member("description", tool.description);
    out.key("parameters");
    if (tool.parameters.is_object()) {
      out.value(tool.parameters);
    } else {
      out.raw(R"({"type":"object","properties":{}})");
    }
    // This API is strict unless told otherwise; the shapes that a request was translated from are
    // not.
    out.member("strict", tool.strict.value_or(false)).close_object();
  }
  out.close_array();
}

void write_tool_choice(JsonOut& out, const ToolChoice& choice) {
  switch (choice.mode) {
    case ToolChoice::Mode::kUnset:
      break;
    case ToolChoice::Mode::kAuto:
      out.member("tool_choice", "auto");
      break;
    case ToolChoice::Mode::kNone:
      out.member("tool_choice", "none");
      break;
    case ToolChoice::Mode::kRequired:
      out.member("tool_choice", "required");
      break;
    case ToolChoice::Mode::kNamed:
      out.key("tool_choice")
          .open_object()
          .member("type", "function")
          .member("name", choice.name)
          .close_object();
  }
  if (choice.parallel) out.member("parallel_tool_calls", *choice.parallel);
}

void write_format(JsonOut& out, const ResponseFormat& format) {
  using Kind = ResponseFormat::Kind;
  if (format.kind == Kind::kUnset) return;
  out.key("text").open_object().key("format").open_object();
  switch (format.kind) {
    case Kind::kJsonObject:
      out.member("type", "json_object");
      break;
    case Kind::kJsonSchema:
      out.member("type", "json_schema")
          .member("name", format.name.empty() ? "response" : format.name);
      if (!format.description.empty()) out.member("description", format.description);
      out.member("schema", format.schema);
      if (format.strict) out.member("strict", *format.strict);
      break;
    default:
      out.member("type", "text");
  }
  out.close_object().close_object();
}

void write_reasoning(JsonOut& out, const Reasoning& reasoning) {
  if (reasoning.effort.empty() && !reasoning.include_summary && !reasoning.budget_tokens) return;
  out.key("reasoning").open_object();
  if (!reasoning.effort.empty()) {
    out.member("effort", reasoning.effort);
  } else if (reasoning.budget_tokens) {
    const std::int64_t budget = *reasoning.budget_tokens;
    out.member("effort", budget <= 2'048 ? "low" : budget <= 8'192 ? "medium" : "high");
  }
  if (reasoning.include_summary) out.member("summary", "auto");
  out.close_object();
}

/// A thought that another vendor had: it carries that vendor's signature, or nothing but an id that
/// was made here ("rs_" + answer + "_" + position). OpenAI can open neither.
bool is_foreign_thought(const json::value& item) {
  const auto* object = item.if_object();
  if (object == nullptr || string_at(*object, "type") != "reasoning") return false;
  const auto encrypted = string_at(*object, "encrypted_content");
  if (!encrypted.empty()) return encrypted.starts_with(kSignaturePrefix);
  const auto id = string_at(*object, "id");
  return id.find('_') != id.rfind('_');
}

void write_own_items(JsonOut& out, const json::array& items) {
  out.key("input").open_array();
  for (const auto& item : items) {
    if (!is_foreign_thought(item)) out.value(item);
  }
  out.close_array();
}

// The client's own JSON with the model and the streaming replaced, so that nothing gets lost.
void write_original(JsonOut& out, const ChatRequest& request) {
  for (const auto& member : request.original->root().get_object()) {
    const std::string_view key = member.key();
    if (key == "model" || key == "stream" || is_gateway_field(key)) continue;
    if (key == "stream_options" && !request.stream) continue;
    if (request.messages_changed && (key == "input" || key == "instructions")) continue;
    if (const auto* items = key == "input" ? member.value().if_array() : nullptr) {
      write_own_items(out, *items);
    } else {
      out.same(*request.original, member);
    }
  }
  if (request.messages_changed) InputWriter(out, request).write();
}

Result<void> write_translated(JsonOut& out, const ChatRequest& request) {
  if (!request.stop.empty()) {
    return fail_field(
        "stop",
        "OpenAI's Responses API has no stop sequences; leave them out or choose a model that is "
        "reached by chat completions");
  }
  InputWriter(out, request).write();
  write_tools(out, request);
  write_tool_choice(out, request.tool_choice);
  write_format(out, request.format);
  write_reasoning(out, request.reasoning);
  if (request.max_tokens) out.member("max_output_tokens", *request.max_tokens);
  if (request.temperature) out.member("temperature", *request.temperature);
  if (request.top_p) out.member("top_p", *request.top_p);
  if (!request.user.empty()) out.member("user", request.user);
  // Whoever asked did so without knowing that this vendor would keep the answer.
  out.member("store", false);
  return {};
}

}  // namespace

Result<WireRequest> encode_request(const ChatRequest& request, std::string_view model) {
  if (auto ok = refuse_vendor_only(request, Shape::kOpenAiResponses); !ok)
    return std::unexpected(ok.error());
  WireRequest wire;
  wire.target = "/v1/responses";
  wire.headers.set("content-type", "application/json");
  JsonOut out(wire.body);
  out.open_object().member("model", model);
  const bool same_shape = request.shape == Shape::kOpenAiResponses && request.original != nullptr &&
                          request.original->root().is_object();
  if (same_shape) {
    write_original(out, request);
  } else if (auto ok = write_translated(out, request); !ok) {
    return std::unexpected(ok.error());
  }
  if (request.stream) out.member("stream", true);
  out.close_object();
  return wire;
}

}  // namespace asahi::llm::wire::responses
