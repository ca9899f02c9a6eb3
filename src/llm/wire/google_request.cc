#include <fmt/format.h>

#include "llm/wire/common.h"
#include "llm/wire/google.h"
#include "llm/wire/google_schema.h"
#include "llm/wire/tool_ids.h"

namespace asahi::llm::wire::google {
namespace {

// Google's own bypass for calls that another model made (thought signatures, Gemini 3).
constexpr std::string_view kNoSignature = "skip_thought_signature_validator";

bool is_gemini_3(std::string_view model) {
  return model.find("gemini-3") != std::string_view::npos;
}

void write_blob(JsonOut& out, std::string_view media_type, std::string_view data) {
  out.open_object().key("inlineData").open_object();
  out.member("mimeType", media_type).member("data", data).close_object().close_object();
}

void write_uri(JsonOut& out, std::string_view media_type, std::string_view uri) {
  out.open_object().key("fileData").open_object();
  if (!media_type.empty()) out.member("mimeType", media_type);
  out.member("fileUri", uri).close_object().close_object();
}

// Gemini wants the type of what it fetches; the URL's ending is all there is to go by.
std::string_view image_type_of(std::string_view url) {
  url = url.substr(0, url.find_first_of("?#"));
  if (url.ends_with(".png")) return "image/png";
  if (url.ends_with(".webp")) return "image/webp";
  if (url.ends_with(".gif")) return "image/gif";
  if (url.ends_with(".jpg") || url.ends_with(".jpeg")) return "image/jpeg";
  return {};
}

void write_image(JsonOut& out, const ImagePart& image) {
  if (image.url.empty()) {
    write_blob(out, image.media_type, image.data);
  } else {
    write_uri(out, image_type_of(image.url), image.url);
  }
}

void write_tool_call(JsonOut& out, const ToolCallPart& call, bool needs_signature) {
  out.open_object().key("functionCall").open_object();
  out.member("name", call.name).key("args").raw(arguments_object(call.arguments)).close_object();
  if (const std::string signature = signature_of(call.id); !signature.empty()) {
    out.member("thoughtSignature", signature);
  } else if (needs_signature) {
    out.member("thoughtSignature", kNoSignature);
  }
  out.close_object();
}

void write_tool_result(JsonOut& out, std::string_view name, const ToolResultPart& result) {
  out.open_object().key("functionResponse").open_object().member("name", name).key("response");
  const auto parsed = parse_json(result.text);
  if (!result.is_error && parsed && parsed->is_object()) {
    out.value(*parsed);
  } else {
    out.open_object().member(result.is_error ? "error" : "result", result.text).close_object();
  }
  out.close_object().close_object();
  for (const ImagePart& image : result.images) write_image(out, image);
}

class ContentsWriter {
 public:
  ContentsWriter(JsonOut& out, const ChatRequest& request, std::string_view model)
      : out_(out), request_(request), gemini_3_(is_gemini_3(model)) {}

  Result<void> write() {
    out_.key("contents").open_array();
    for (std::size_t i = 0; i < request_.messages.size(); ++i) {
      const Message& message = request_.messages[i];
      if (message.role == Role::kSystem || message.role == Role::kDeveloper) continue;
      bool first_call = true;
      for (std::size_t j = 0; j < message.parts.size(); ++j) {
        const Part& part = message.parts[j];
        if (std::holds_alternative<ReasoningPart>(part))
          continue;  // other vendors' thoughts mean nothing here
        turn_to(message.role == Role::kAssistant ? "model" : "user");
        const bool unsigned_call = gemini_3_ && first_call;
        if (std::holds_alternative<ToolCallPart>(part)) first_call = false;
        if (auto ok = write_part(part, i, j, unsigned_call); !ok) return ok;
      }
    }
    turn_to({});
    out_.close_array();
    return {};
  }

 private:
  // Neighbouring messages of one role become one turn: Gemini wants all results of a turn's calls
  // together.
  void turn_to(std::string_view role) {
    if (role == role_) return;
    if (!role_.empty()) out_.close_array().close_object();
    role_ = role;
    if (!role_.empty()) out_.open_object().member("role", role_).key("parts").open_array();
  }

  Result<void> write_part(const Part& part, std::size_t i, std::size_t j, bool unsigned_call) {
    const auto refuse = [i, j](std::string text) {
      return fail_field(fmt::format("messages[{}].content[{}]", i, j), std::move(text));
    };
    if (const auto* text = std::get_if<TextPart>(&part)) {
      out_.open_object().member("text", text->text).close_object();
    } else if (const auto* refusal = std::get_if<RefusalPart>(&part)) {
      out_.open_object().member("text", refusal->text).close_object();
    } else if (const auto* image = std::get_if<ImagePart>(&part)) {
      write_image(out_, *image);
    } else if (const auto* audio = std::get_if<AudioPart>(&part)) {
      write_blob(out_, "audio/" + audio->format, audio->data);
    } else if (const auto* file = std::get_if<FilePart>(&part)) {
      if (!file->data.empty()) {
        write_blob(out_, file->media_type.empty() ? "application/pdf" : file->media_type,
                   file->data);
      } else if (!file->url.empty()) {
        write_uri(out_, file->media_type, file->url);
      } else {
        return refuse(
            "Google does not know files that were uploaded elsewhere; send the bytes or a URL of "
            "them");
      }
    } else if (const auto* call = std::get_if<ToolCallPart>(&part)) {
      write_tool_call(out_, *call, unsigned_call);
    } else if (const auto* result = std::get_if<ToolResultPart>(&part)) {
      const auto name = tool_name_of(request_.messages, i, result->tool_call_id);
      if (name.empty()) {
        return refuse(fmt::format(
            "the tool result names the call '{}', which no earlier assistant message made",
            result->tool_call_id));
      }
      write_tool_result(out_, name, *result);
    } else {
      return refuse("this content block is another vendor's own and cannot be sent to Google");
    }
    return {};
  }

  JsonOut& out_;
  const ChatRequest& request_;
  bool gemini_3_;
  std::string_view role_;
};

void write_system(JsonOut& out, const ChatRequest& request) {
  bool open = false;
  for (const Message& message : request.messages) {
    if (message.role != Role::kSystem && message.role != Role::kDeveloper) continue;
    if (!open) out.key("systemInstruction").open_object().key("parts").open_array();
    open = true;
    out.open_object().member("text", message.text()).close_object();
  }
  if (open) out.close_array().close_object();
}

void write_tools(JsonOut& out, const ChatRequest& request) {
  if (request.tools.empty()) return;
  out.key("tools").open_array().open_object().key("functionDeclarations").open_array();
  for (const Tool& tool : request.tools) {
    out.open_object().member("name", tool.name);
    if (!tool.description.empty()) out.member("description", tool.description);
    if (auto schema = to_google_schema(tool.parameters)) {
      out.member("parameters", *schema);
    } else if (const auto* object = tool.parameters.if_object()) {
      const auto* properties = object_at(*object, "properties");
      if (properties != nullptr && !properties->empty())
        out.member("parametersJsonSchema", tool.parameters);
    }
    out.close_object();
  }
  out.close_array().close_object().close_array();
}

void write_tool_choice(JsonOut& out, const ToolChoice& choice) {
  using Mode = ToolChoice::Mode;
  if (choice.mode == Mode::kUnset) return;
  out.key("toolConfig").open_object().key("functionCallingConfig").open_object();
  switch (choice.mode) {
    case Mode::kNone:
      out.member("mode", "NONE");
      break;
    case Mode::kRequired:
      out.member("mode", "ANY");
      break;
    case Mode::kNamed:
      out.member("mode", "ANY")
          .key("allowedFunctionNames")
          .open_array()
          .string(choice.name)
          .close_array();
      break;
    default:
      out.member("mode", "AUTO");
  }
  out.close_object().close_object();
}

// Budgets as Google's own OpenAI-compatible endpoint maps the efforts.
std::optional<std::int64_t> budget_of(const Reasoning& reasoning) {
  if (reasoning.budget_tokens) return reasoning.budget_tokens;
  if (reasoning.effort == "none") return 0;
  if (reasoning.effort == "minimal" || reasoning.effort == "low") return 1'024;
  if (reasoning.effort == "medium") return 8'192;
  if (!reasoning.effort.empty()) return 24'576;
  return std::nullopt;
}

void write_thinking(JsonOut& out, const Reasoning& reasoning, bool gemini_3) {
  const auto budget = budget_of(reasoning);
  if (!budget && !reasoning.include_summary) return;
  out.key("thinkingConfig").open_object();
  if (gemini_3 && !reasoning.budget_tokens && budget) {
    out.member("thinkingLevel", *budget <= 1'024 ? "low" : "high");
  } else if (budget) {
    out.member("thinkingBudget", *budget);
  }
  if (reasoning.include_summary) out.member("includeThoughts", true);
  out.close_object();
}

void write_format(JsonOut& out, const ResponseFormat& format) {
  using Kind = ResponseFormat::Kind;
  if (format.kind != Kind::kJsonObject && format.kind != Kind::kJsonSchema) return;
  out.member("responseMimeType", "application/json");
  if (format.kind == Kind::kJsonObject) return;
  if (auto schema = to_google_schema(format.schema)) {
    out.member("responseSchema", *schema);
  } else {
    out.member("responseJsonSchema", format.schema);
  }
}

void write_generation(JsonOut& out, const ChatRequest& request, bool gemini_3) {
  out.key("generationConfig").open_object();
  if (request.max_tokens) out.member("maxOutputTokens", *request.max_tokens);
  if (request.temperature) out.member("temperature", *request.temperature);
  if (request.top_p) out.member("topP", *request.top_p);
  if (request.top_k) out.member("topK", *request.top_k);
  if (request.seed) out.member("seed", *request.seed);
  if (!request.stop.empty()) {
    out.key("stopSequences").open_array();
    for (const auto& stop : request.stop) out.string(stop);
    out.close_array();
  }
  write_format(out, request.format);
  write_thinking(out, request.reasoning, gemini_3);
  out.close_object();
}

// "gemini-2.5-pro" below models/; "tunedModels/x" as it stands.
std::string target_of(std::string_view model, bool stream) {
  std::string target = "/v1beta/";
  if (model.find('/') == std::string_view::npos) target += "models/";
  for (std::size_t at = 0; at <= model.size();) {
    const std::size_t slash = std::min(model.find('/', at), model.size());
    target += http::percent_encode(model.substr(at, slash - at));
    if (slash < model.size()) target += '/';
    at = slash + 1;
  }
  return target + (stream ? ":streamGenerateContent?alt=sse" : ":generateContent");
}

}  // namespace

Result<WireRequest> encode_chat(const ChatRequest& request, std::string_view model) {
  if (auto ok = refuse_vendor_only(request, Shape::kGoogle); !ok)
    return std::unexpected(ok.error());
  WireRequest wire;
  wire.target = target_of(model, request.stream);
  wire.headers.set("content-type", "application/json");
  JsonOut out(wire.body);
  out.open_object();
  if (auto ok = ContentsWriter(out, request, model).write(); !ok)
    return std::unexpected(ok.error());
  write_system(out, request);
  write_tools(out, request);
  write_tool_choice(out, request.tool_choice);
  write_generation(out, request, is_gemini_3(model));
  out.close_object();
  return wire;
}

}  // namespace asahi::llm::wire::google
