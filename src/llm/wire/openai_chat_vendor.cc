// Calls to vendors that speak OpenAI's chat completions.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/hash.h"
#include "llm/wire/openai_chat.h"
#include "llm/wire/openai_embeddings.h"
#include "llm/wire/tool_ids.h"
#include "llm/wire/wire.h"

namespace asahi::llm {
namespace wire {
namespace {

constexpr std::string_view kVendor = "the OpenAI-shaped vendor";

/// Mistral takes nine letters and digits.
std::string mistral_tool_id(std::string_view id) {
  const bool fits =
      id.size() == 9 && std::ranges::all_of(id, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
      });
  return fits ? std::string(id) : to_hex(sha256(id).data(), 9).substr(0, 9);
}

/// What the vendors of this shape disagree on, told apart by the model's name: the codec knows no
/// more about the other side.
struct Dialect {
  bool openai = false;     ///< knows the developer role
  bool reasoning = false;  ///< OpenAI's o-series and gpt-5: max_completion_tokens, fixed sampling
  bool mistral = false;    ///< random_seed, no stream_options
  bool deepseek = false;   ///< takes its reasoning back

  /// A tool call's id as this vendor takes it; a call and its result agree in any case.
  std::string tool_id(std::string_view id) const {
    if (openai) return portable_tool_id(id, 40);
    if (mistral) return mistral_tool_id(id);
    return std::string(id);
  }
  std::string_view max_tokens_key() const {
    return reasoning ? "max_completion_tokens" : "max_tokens";
  }
};

Dialect dialect_of(std::string_view model) {
  const auto starts_with_any = [](std::string_view name,
                                  std::initializer_list<std::string_view> beginnings) {
    return std::ranges::any_of(beginnings, [&](auto start) { return name.starts_with(start); });
  };
  // Routers put the vendor before the name: "openai/gpt-5".
  if (const auto slash = model.rfind('/'); slash != std::string_view::npos) {
    model.remove_prefix(slash + 1);
  }
  Dialect dialect;
  dialect.reasoning = starts_with_any(model, {"o1", "o3", "o4", "gpt-5"});
  dialect.openai = dialect.reasoning || starts_with_any(model, {"gpt-", "chatgpt-", "ft:"});
  dialect.mistral = starts_with_any(model, {"mistral", "ministral", "magistral", "codestral",
                                            "devstral", "pixtral", "voxtral", "open-mi"});
  dialect.deepseek = model.starts_with("deepseek");
  return dialect;
}

bool is_sampling(std::string_view key) {
  return key == "temperature" || key == "top_p" || key == "presence_penalty" ||
         key == "frequency_penalty" || key == "logprobs" || key == "top_logprobs" ||
         key == "logit_bias";
}

// ---- Messages

void write_text_part(JsonOut& out, std::string_view text) {
  out.open_object().member("type", "text").member("text", text).close_object();
}

void write_image_part(JsonOut& out, const ImagePart& image) {
  out.open_object().member("type", "image_url");
  out.key("image_url").open_object().member("url", image_url(image));
  if (!image.detail.empty()) out.member("detail", image.detail);
  out.close_object().close_object();
}

Result<void> write_file_part(JsonOut& out, const FilePart& file, const ChatRequest& request) {
  if (!file.url.empty()) {
    return fail(Errc::kInvalidArgument,
                "OpenAI-shaped vendors take no documents by URL; send the document's bytes or "
                "choose a model of another vendor");
  }
  if (!file.file_id.empty() && request.shape != Shape::kOpenAiChat &&
      request.shape != Shape::kOpenAiResponses) {
    return fail(Errc::kInvalidArgument,
                "an uploaded file's id is valid only at the vendor that stores the file; send the "
                "document's bytes instead");
  }
  out.open_object().member("type", "file").key("file").open_object();
  if (!file.file_id.empty()) out.member("file_id", file.file_id);
  if (!file.name.empty()) out.member("filename", file.name);
  if (!file.data.empty()) {
    if (file.name.empty()) out.member("filename", "document.pdf");  // required beside the data
    std::string_view type = file.media_type;
    if (type.empty()) type = "application/pdf";
    out.member("file_data", fmt::format("data:{};base64,{}", type, file.data));
  }
  out.close_object().close_object();
  return {};
}

Result<void> write_user_content(JsonOut& out, const Message& message, const ChatRequest& request) {
  const bool only_text = std::ranges::all_of(
      message.parts, [](const Part& part) { return std::holds_alternative<TextPart>(part); });
  if (only_text && message.parts.size() <= 1) {
    out.member("content", message.text());
    return {};
  }
  out.key("content").open_array();
  for (const auto& part : message.parts) {
    if (const auto* text = std::get_if<TextPart>(&part)) {
      write_text_part(out, text->text);
    } else if (const auto* image = std::get_if<ImagePart>(&part)) {
      write_image_part(out, *image);
    } else if (const auto* audio = std::get_if<AudioPart>(&part)) {
      out.open_object().member("type", "input_audio");
      out.key("input_audio")
          .open_object()
          .member("data", audio->data)
          .member("format", audio->format)
          .close_object();
      out.close_object();
    } else if (const auto* file = std::get_if<FilePart>(&part)) {
      if (auto ok = write_file_part(out, *file, request); !ok) return ok;
    }
  }
  out.close_array();
  return {};
}

void write_assistant(JsonOut& out, const Message& message, const Dialect& dialect) {
  std::string text, refusal, reasoning;
  bool calls = false, has_text = false;
  for (const auto& part : message.parts) {
    if (const auto* piece = std::get_if<TextPart>(&part)) {
      text += piece->text;
      has_text = true;
    } else if (const auto* refused = std::get_if<RefusalPart>(&part)) {
      refusal += refused->text;
    } else if (const auto* thought = std::get_if<ReasoningPart>(&part)) {
      reasoning += thought->text;
    } else if (std::holds_alternative<ToolCallPart>(part)) {
      calls = true;
    } else if (const auto* opaque = std::get_if<OpaquePart>(&part)) {
      calls = calls || opaque->shape == Shape::kOpenAiChat;
    }
  }
  out.key("content");
  if (has_text || (!calls && refusal.empty())) {
    out.string(text);
  } else {
    out.null();
  }
  if (!refusal.empty()) out.member("refusal", refusal);
  if (dialect.deepseek && !reasoning.empty()) out.member("reasoning_content", reasoning);
  if (!calls) return;
  out.key("tool_calls").open_array();
  for (const auto& part : message.parts) {
    if (const auto* call = std::get_if<ToolCallPart>(&part)) {
      out.open_object().member("id", dialect.tool_id(call->id)).member("type", "function");
      out.key("function")
          .open_object()
          .member("name", call->name)
          .member("arguments", call->arguments.empty() ? "{}" : call->arguments)
          .close_object();
      out.close_object();
    } else if (const auto* opaque = std::get_if<OpaquePart>(&part)) {
      if (opaque->shape == Shape::kOpenAiChat) out.value(opaque->value);
    }
  }
  out.close_array();
}

/// Tool messages hold text only: images of results follow in a user message.
void write_tool_images(JsonOut& out, std::vector<const ToolResultPart*>& waiting) {
  if (waiting.empty()) return;
  out.open_object().member("role", "user").key("content").open_array();
  for (const auto* result : waiting) {
    write_text_part(out, fmt::format("Images of the tool result {}:", result->tool_call_id));
    for (const auto& image : result->images) write_image_part(out, image);
  }
  out.close_array().close_object();
  waiting.clear();
}

void write_tool_results(JsonOut& out, const Message& message, const Dialect& dialect,
                        std::vector<const ToolResultPart*>& images) {
  for (const auto& part : message.parts) {
    const auto* result = std::get_if<ToolResultPart>(&part);
    if (result == nullptr) continue;
    out.open_object().member("role", "tool");
    out.member("tool_call_id", dialect.tool_id(result->tool_call_id));
    // The shape has no error flag; the word reaches the model all the same.
    out.member("content", result->is_error ? "Error: " + result->text : result->text);
    out.close_object();
    if (!result->images.empty()) images.push_back(result);
  }
}

/// Blocks that mean something to other vendors only are left out, and messages made of nothing else
/// with them: content may not be empty. What may not be left out was refused before.
bool has_content(const Message& message) {
  return message.parts.empty() || std::ranges::any_of(message.parts, [](const Part& part) {
           return !std::holds_alternative<OpaquePart>(part) &&
                  !std::holds_alternative<ReasoningPart>(part);
         });
}

/// The messages of a request as a JSON array. `developer_role`: the model knows the role; others
/// get "system". Errors: invalid_argument for content that chat completions lack.
Result<void> write_messages(JsonOut& out, const ChatRequest& request, bool developer_role,
                            const Dialect& dialect) {
  std::vector<const ToolResultPart*> images;
  out.open_array();
  for (const auto& message : request.messages) {
    if (message.role == Role::kTool) {
      write_tool_results(out, message, dialect, images);
      continue;
    }
    write_tool_images(out, images);
    const Role role =
        message.role == Role::kDeveloper && !developer_role ? Role::kSystem : message.role;
    if (role != Role::kAssistant && !has_content(message)) continue;
    out.open_object().member("role", to_string(role));
    if (!message.name.empty()) out.member("name", message.name);
    if (role == Role::kAssistant) {
      write_assistant(out, message, dialect);
    } else if (auto ok = write_user_content(out, message, request); !ok) {
      return ok;
    }
    out.close_object();
  }
  write_tool_images(out, images);
  out.close_array();
  return {};
}

/// True when an id of a tool call came from a vendor that is freer than this one.
bool has_foreign_ids(const ChatRequest& request, const Dialect& dialect) {
  return std::ranges::any_of(request.messages, [&](const Message& message) {
    return std::ranges::any_of(message.parts, [&](const Part& part) {
      const auto* call = std::get_if<ToolCallPart>(&part);
      return call != nullptr && dialect.tool_id(call->id) != call->id;
    });
  });
}

/// A message of the client as it came, but for the ids of calls.
void copy_with_own_ids(JsonOut& out, const json::value& message, const Dialect& dialect) {
  const auto copy = [&](const json::value& value, std::string_view id_key, const auto& nested) {
    const auto* object = value.if_object();
    if (object == nullptr) {
      out.value(value);
      return;
    }
    out.open_object();
    for (const auto& member : *object) {
      const auto* id = member.key() == id_key ? member.value().if_string() : nullptr;
      if (id != nullptr) {
        out.member(member.key(), dialect.tool_id(*id));
      } else if (!nested(member)) {
        out.member(member.key(), member.value());
      }
    }
    out.close_object();
  };
  copy(message, "tool_call_id", [&](const json::key_value_pair& member) {
    const auto* calls = member.key() == "tool_calls" ? member.value().if_array() : nullptr;
    if (calls == nullptr) return false;
    out.key("tool_calls").open_array();
    for (const auto& call : *calls) {
      copy(call, "id", [](const json::key_value_pair&) { return false; });
    }
    out.close_array();
    return true;
  });
}

// ---- Tools and options

void write_tools(JsonOut& out, const ChatRequest& request) {
  if (request.tools.empty()) return;
  out.key("tools").open_array();
  for (const auto& tool : request.tools) {
    out.open_object().member("type", "function").key("function").open_object();
    out.member("name", tool.name);
    if (!tool.description.empty()) out.member("description", tool.description);
    if (!tool.parameters.is_null()) out.member("parameters", tool.parameters);
    if (tool.strict) out.member("strict", *tool.strict);
    out.close_object().close_object();
  }
  out.close_array();
  using Mode = ToolChoice::Mode;
  const auto& choice = request.tool_choice;
  switch (choice.mode) {
    case Mode::kUnset:
      break;
    case Mode::kAuto:
      out.member("tool_choice", "auto");
      break;
    case Mode::kNone:
      out.member("tool_choice", "none");
      break;
    case Mode::kRequired:
      out.member("tool_choice", "required");
      break;
    case Mode::kNamed:
      out.key("tool_choice").open_object().member("type", "function").key("function");
      out.open_object().member("name", choice.name).close_object().close_object();
      break;
  }
  if (choice.parallel) out.member("parallel_tool_calls", *choice.parallel);
}

void write_format(JsonOut& out, const ResponseFormat& format) {
  using Kind = ResponseFormat::Kind;
  switch (format.kind) {
    case Kind::kUnset:
    case Kind::kText:
      return;
    case Kind::kJsonObject:
      out.key("response_format").open_object().member("type", "json_object").close_object();
      return;
    case Kind::kJsonSchema:
      out.key("response_format").open_object().member("type", "json_schema");
      out.key("json_schema").open_object();
      out.member("name", format.name.empty() ? std::string("answer") : format.name);
      if (!format.description.empty()) out.member("description", format.description);
      if (!format.schema.is_null()) out.member("schema", format.schema);
      if (format.strict) out.member("strict", *format.strict);
      out.close_object().close_object();
      return;
  }
}

/// OpenAI's effort for what other shapes say in tokens.
std::string effort_of(const Reasoning& reasoning) {
  if (!reasoning.effort.empty()) return reasoning.effort;
  if (!reasoning.budget_tokens) return {};
  if (*reasoning.budget_tokens <= 2048) return "low";
  return *reasoning.budget_tokens <= 8192 ? "medium" : "high";
}

/// Options of completions and responses that chat completions know by the same name.
void write_shared_options(JsonOut& out, const ChatRequest& request, const Dialect& dialect) {
  if (request.shape != Shape::kOpenAiCompletions && request.shape != Shape::kOpenAiResponses) {
    return;
  }
  const auto* original = request.original ? request.original->root().if_object() : nullptr;
  if (original == nullptr) return;
  for (const std::string_view key :
       {"presence_penalty", "frequency_penalty", "logit_bias", "metadata", "service_tier",
        "safety_identifier", "prompt_cache_key"}) {
    const json::value* value = find(*original, key);
    if (value != nullptr && !(dialect.reasoning && is_sampling(key))) out.member(key, *value);
  }
}

void write_stream_options(JsonOut& out, const ChatRequest& request, const Dialect& dialect) {
  if (!request.stream) return;
  out.member("stream", true);
  // Mistral refuses the field and sends its usage unasked.
  if (dialect.mistral) return;
  out.key("stream_options").open_object();
  if (request.shape == Shape::kOpenAiChat && request.original) {
    const auto* original = request.original->root().if_object();
    const auto* options = original ? object_at(*original, "stream_options") : nullptr;
    if (options != nullptr) {
      for (const auto& member : *options) {
        if (member.key() != "include_usage") out.member(member.key(), member.value());
      }
    }
  }
  out.member("include_usage", true).close_object();
}

Result<std::string> encode_rebuilt(const ChatRequest& request, std::string_view model,
                                   const Dialect& dialect) {
  std::string body;
  JsonOut out(body);
  out.open_object().member("model", model).key("messages");
  if (auto ok = write_messages(out, request, dialect.openai, dialect); !ok) {
    return std::unexpected(ok.error());
  }
  write_tools(out, request);
  write_format(out, request.format);
  if (request.max_tokens) out.member(dialect.max_tokens_key(), *request.max_tokens);
  if (!dialect.reasoning) {
    if (request.temperature) out.member("temperature", *request.temperature);
    if (request.top_p) out.member("top_p", *request.top_p);
  }
  if (request.seed) out.member(dialect.mistral ? "random_seed" : "seed", *request.seed);
  if (!request.stop.empty() && !dialect.reasoning) {
    out.key("stop").open_array();
    for (const auto& stop : request.stop) out.string(stop);
    out.close_array();
  }
  if (!request.user.empty() && !dialect.mistral) out.member("user", request.user);
  if (const std::string effort = effort_of(request.reasoning); !effort.empty()) {
    if (dialect.reasoning) out.member("reasoning_effort", effort);
  }
  write_shared_options(out, request, dialect);
  write_stream_options(out, request, dialect);
  out.close_object();
  return body;
}

/// The client's own JSON with what the gateway decided put in. Only when the request goes to
/// another model than the client named are parameters fitted to that model: otherwise the client
/// knows best.
Result<std::string> encode_original(const ChatRequest& request, std::string_view model,
                                    const Dialect& dialect) {
  const json::object& original = request.original->root().get_object();
  const bool rerouted = string_at(original, "model") != model;
  const bool needs_system_role =
      rerouted && !dialect.openai && std::ranges::any_of(request.messages, [](const Message& m) {
        return m.role == Role::kDeveloper;
      });
  const bool rewrite = request.messages_changed || needs_system_role;
  const bool foreign_ids = has_foreign_ids(request, dialect);
  std::string body;
  body.reserve(request.original->text().size() + 64);
  JsonOut out(body);
  out.open_object().member("model", model);
  for (const auto& member : original) {
    const std::string_view key = member.key();
    if (key == "model" || key == "stream" || key == "stream_options" || is_gateway_field(key)) {
      continue;
    }
    if (key == "messages" && rewrite) {
      out.key("messages");
      if (auto ok = write_messages(out, request, dialect.openai || !rerouted, dialect); !ok) {
        return std::unexpected(ok.error());
      }
      continue;
    }
    if (key == "messages" && foreign_ids) {
      out.key("messages").open_array();
      for (const auto& message : member.value().as_array()) {
        copy_with_own_ids(out, message, dialect);
      }
      out.close_array();
      continue;
    }
    if (rerouted) {
      if (key == "max_tokens" || key == "max_completion_tokens") {
        out.member(dialect.max_tokens_key(), member.value());
        continue;
      }
      if (dialect.reasoning && (is_sampling(key) || key == "stop")) continue;
      if (!dialect.reasoning && key == "reasoning_effort" && dialect.openai) continue;
      if (dialect.mistral && key == "seed") {
        out.member("random_seed", member.value());
        continue;
      }
    }
    out.same(*request.original, member);
  }
  write_stream_options(out, request, dialect);
  out.close_object();
  return body;
}

// ---- Answers

void read_content(const json::object& message, std::vector<Part>& parts) {
  const json::value* content = find(message, "content");
  if (content == nullptr) return;
  if (const auto* text = content->if_string()) {
    if (!text->empty()) parts.emplace_back(TextPart{std::string(*text), {}});
    return;
  }
  const auto* list = content->if_array();
  if (list == nullptr) return;
  for (const auto& element : *list) {  // Mistral's reasoning models answer in parts
    const auto* part = element.if_object();
    if (part == nullptr) continue;
    if (string_at(*part, "type") == "thinking") {
      ReasoningPart reasoning;
      if (const auto* pieces = array_at(*part, "thinking")) {
        for (const auto& piece : *pieces) {
          if (const auto* object = piece.if_object()) reasoning.text += string_at(*object, "text");
        }
      }
      parts.emplace_back(std::move(reasoning));
    } else if (const auto text = string_at(*part, "text"); !text.empty()) {
      parts.emplace_back(TextPart{std::string(text), {}});
    }
  }
}

void read_reasoning(const json::object& message, std::vector<Part>& parts) {
  const std::size_t before = parts.size();
  if (const auto* details = array_at(message, "reasoning_details")) {
    for (const auto& element : *details) {
      const auto* detail = element.if_object();
      if (detail == nullptr) continue;
      ReasoningPart part{std::string(string_at(*detail, "text")),
                         std::string(string_at(*detail, "signature")),
                         std::string(string_at(*detail, "data"))};
      if (!part.text.empty() || !part.signature.empty() || !part.encrypted.empty()) {
        parts.emplace_back(std::move(part));
      }
    }
  }
  if (parts.size() > before) return;
  const std::string_view text = openai_reasoning_text(message);
  if (!text.empty()) parts.emplace_back(ReasoningPart{std::string(text), {}, {}});
}

void read_calls(const json::object& message, std::vector<Part>& parts) {
  const auto add = [&](std::string_view id, const json::object& function) {
    ToolCallPart call;
    call.id = id;
    call.name = string_at(function, "name");
    // Ollama and others send the arguments as an object.
    const auto* object = object_at(function, "arguments");
    call.arguments =
        object != nullptr ? write_json(*object) : std::string(string_at(function, "arguments"));
    parts.emplace_back(std::move(call));
  };
  if (const auto* calls = array_at(message, "tool_calls")) {
    for (const auto& element : *calls) {
      const auto* call = element.if_object();
      if (call == nullptr) continue;
      if (const auto* function = object_at(*call, "function")) {
        add(string_at(*call, "id"), *function);
      } else {
        parts.emplace_back(OpaquePart{Shape::kOpenAiChat, json::value(*call)});
      }
    }
  }
  if (const auto* call = object_at(message, "function_call")) add(string_at(*call, "name"), *call);
}

class OpenAiChatCodec final : public VendorCodec {
 public:
  Shape shape() const override { return Shape::kOpenAiChat; }

  Result<WireRequest> encode(const ChatRequest& request, std::string_view model) const override {
    if (auto ok = refuse_vendor_only(request, shape()); !ok) return std::unexpected(ok.error());
    const Dialect dialect = dialect_of(model);
    const bool same_shape =
        request.shape == shape() && request.original && request.original->root().is_object();
    ASAHI_TRY(auto body, same_shape ? encode_original(request, model, dialect)
                                    : encode_rebuilt(request, model, dialect));
    return wire_request("/v1/chat/completions", std::move(body));
  }

  Result<ChatResponse> decode(std::string_view body) const override {
    auto document = JsonDocument::parse(body);
    if (!document) return garbage(kVendor, document.error().message);
    const auto* root = (*document)->root().if_object();
    if (root == nullptr) return garbage(kVendor, "it is not a JSON object");
    if (auto error = openai_embedded_error(*root)) return std::unexpected(std::move(*error));
    const auto* choices = array_at(*root, "choices");
    const auto* choice =
        choices == nullptr || choices->empty() ? nullptr : choices->front().if_object();
    const auto* message = choice == nullptr ? nullptr : object_at(*choice, "message");
    if (message == nullptr) return garbage(kVendor, "it has no choices[0].message");

    ChatResponse response;
    response.id = string_at(*root, "id");
    response.model = string_at(*root, "model");
    read_reasoning(*message, response.parts);
    read_content(*message, response.parts);
    if (const auto refusal = string_at(*message, "refusal"); !refusal.empty()) {
      response.parts.emplace_back(RefusalPart{std::string(refusal)});
    }
    read_calls(*message, response.parts);
    const bool calls = std::ranges::any_of(response.parts, [](const Part& part) {
      return std::holds_alternative<ToolCallPart>(part);
    });
    response.finish = openai_finish(string_at(*choice, "finish_reason"), calls);
    if (const auto* usage = openai_usage_object(*root)) response.usage = read_openai_usage(*usage);
    response.shape = shape();
    response.original = std::move(*document);
    return response;
  }

  std::unique_ptr<StreamDecoder> stream_decoder() const override {
    return make_openai_chat_stream_decoder();
  }

  Error decode_error(int status, const http::Headers& headers,
                     std::string_view body) const override {
    std::string message, code, field;
    const auto parsed = parse_json(body);
    const auto* root = parsed ? parsed->if_object() : nullptr;
    if (root != nullptr) {
      const auto* error = object_at(*root, "error");
      const auto& from = error != nullptr ? *error : *root;  // Mistral has no `error` around it
      message = string_at(from, "message", string_at(*root, "error"));
      if (message.empty()) message = string_at(from, "detail");  // FastAPI-made vendors
      code = string_at(from, "code", string_at(from, "type"));
      field = string_at(from, "param");
    }
    Error error = vendor_error(status, headers, message, code);
    if (error.code == Errc::kInvalidArgument) error.field = safe_message(field);
    return error;
  }

  void authorize(http::Headers& headers, std::string_view key) const override {
    headers.set("authorization", std::string("Bearer ").append(key));
  }

  Result<WireRequest> encode_embedding(const EmbeddingRequest& request,
                                       std::string_view model) const override {
    return encode_openai_embedding(request, model);
  }
  Result<EmbeddingResponse> decode_embedding(std::string_view body) const override {
    return decode_openai_embedding(body);
  }

 private:
  static WireRequest wire_request(std::string target, std::string body) {
    WireRequest out;
    out.target = std::move(target);
    out.headers.add("content-type", "application/json");
    out.body = std::move(body);
    return out;
  }
};

}  // namespace

std::string_view openai_reasoning_text(const json::object& message) {
  const std::string_view text = string_at(message, "reasoning_content");
  return text.empty() ? string_at(message, "reasoning") : text;
}

const json::object* openai_usage_object(const json::object& answer) {
  if (const auto* usage = object_at(answer, "usage")) return usage;
  const auto* groq = object_at(answer, "x_groq");
  return groq == nullptr ? nullptr : object_at(*groq, "usage");
}

std::optional<Error> openai_embedded_error(const json::object& answer) {
  const json::value* value = find(answer, "error");
  if (value == nullptr) {
    if (string_at(answer, "object") != "error") return {};
    return vendor_error_of_type(string_at(answer, "type"), string_at(answer, "message"),
                                string_at(answer, "code"));
  }
  if (const auto* text = value->if_string()) return vendor_error_of_type({}, *text);
  const auto* error = value->if_object();
  if (error == nullptr) return vendor_error_of_type({}, {});
  const json::value* code = find(*error, "code");
  const std::string code_text =
      code == nullptr ? std::string()
                      : (code->is_string() ? std::string(code->get_string()) : write_json(*code));
  return vendor_error_of_type(string_at(*error, "type"), string_at(*error, "message"), code_text);
}

}  // namespace wire

std::unique_ptr<VendorCodec> make_openai_chat_codec() {
  return std::make_unique<wire::OpenAiChatCodec>();
}

}  // namespace asahi::llm
