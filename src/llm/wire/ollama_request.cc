#include <fmt/format.h>

#include "llm/wire/common.h"
#include "llm/wire/ollama.h"
#include "llm/wire/tool_ids.h"

namespace asahi::llm::wire::ollama {
namespace {

/// One message of ours as Ollama writes it: text, pictures and calls apart from each other.
struct FlatMessage {
  std::string text;
  std::string thinking;
  std::vector<const ImagePart*> images;
  std::vector<const ToolCallPart*> calls;
  std::vector<const ToolResultPart*> results;
};

Result<void> add_image(const ImagePart& image, const std::string& field, FlatMessage& flat) {
  if (image.data.empty()) {
    return fail_field(field, "Ollama does not fetch images; send the image as a base64 data: URL");
  }
  flat.images.push_back(&image);
  return {};
}

Result<FlatMessage> flatten(const Message& message, std::size_t index) {
  FlatMessage flat;
  for (std::size_t j = 0; j < message.parts.size(); ++j) {
    const std::string field = fmt::format("messages[{}].content[{}]", index, j);
    const Part& part = message.parts[j];
    if (const auto* text = std::get_if<TextPart>(&part)) {
      flat.text += text->text;
    } else if (const auto* refusal = std::get_if<RefusalPart>(&part)) {
      flat.text += refusal->text;
    } else if (const auto* thought = std::get_if<ReasoningPart>(&part)) {
      flat.thinking += thought->text;
    } else if (const auto* image = std::get_if<ImagePart>(&part)) {
      if (auto ok = add_image(*image, field, flat); !ok) return std::unexpected(ok.error());
    } else if (const auto* call = std::get_if<ToolCallPart>(&part)) {
      flat.calls.push_back(call);
    } else if (const auto* result = std::get_if<ToolResultPart>(&part)) {
      flat.results.push_back(result);
      for (const ImagePart& seen : result->images) {
        if (auto ok = add_image(seen, field, flat); !ok) return std::unexpected(ok.error());
      }
    } else {
      return fail_field(
          field, "Ollama takes text and images only; leave this part out or choose another vendor");
    }
  }
  return flat;
}

void write_images(JsonOut& out, const std::vector<const ImagePart*>& images) {
  if (images.empty()) return;
  out.key("images").open_array();
  for (const ImagePart* image : images) out.string(image->data);
  out.close_array();
}

void write_calls(JsonOut& out, const std::vector<const ToolCallPart*>& calls) {
  if (calls.empty()) return;
  out.key("tool_calls").open_array();
  for (const ToolCallPart* call : calls) {
    out.open_object().key("function").open_object().member("name", call->name);
    out.key("arguments").raw(arguments_object(call->arguments)).close_object().close_object();
  }
  out.close_array();
}

std::string_view role_of(Role role) {
  switch (role) {
    case Role::kSystem:
    case Role::kDeveloper:
      return "system";
    case Role::kAssistant:
      return "assistant";
    case Role::kTool:
      return "tool";
    case Role::kUser:
      return "user";
  }
  return "user";
}

Result<void> write_messages(JsonOut& out, const ChatRequest& request) {
  out.key("messages").open_array();
  for (std::size_t i = 0; i < request.messages.size(); ++i) {
    const Message& message = request.messages[i];
    ASAHI_TRY(const FlatMessage flat, flatten(message, i));
    for (const ToolResultPart* result : flat.results) {
      out.open_object().member("role", "tool").member("content", result->text);
      const auto name = tool_name_of(request.messages, i, result->tool_call_id);
      if (!name.empty()) out.member("tool_name", name);
      out.close_object();
    }
    const bool only_results =
        !flat.results.empty() && flat.text.empty() && flat.images.empty() && flat.calls.empty();
    if (only_results) continue;
    // Pictures that a tool returned have no place in its result; they follow as the user's.
    const bool from_tool = message.role == Role::kTool && !flat.results.empty();
    out.open_object()
        .member("role", from_tool ? "user" : role_of(message.role))
        .member("content", flat.text);
    if (!flat.thinking.empty()) out.member("thinking", flat.thinking);
    write_images(out, flat.images);
    write_calls(out, flat.calls);
    out.close_object();
  }
  out.close_array();
  return {};
}

void write_tools(JsonOut& out, const ChatRequest& request) {
  // Ollama has no tool_choice; without tools a model cannot call any.
  if (request.tools.empty() || request.tool_choice.mode == ToolChoice::Mode::kNone) return;
  out.key("tools").open_array();
  for (const Tool& tool : request.tools) {
    if (request.tool_choice.mode == ToolChoice::Mode::kNamed &&
        tool.name != request.tool_choice.name)
      continue;
    out.open_object()
        .member("type", "function")
        .key("function")
        .open_object()
        .member("name", tool.name);
    out.member("description", tool.description).key("parameters");
    if (tool.parameters.is_object()) {
      out.value(tool.parameters);
    } else {
      out.raw(R"({"type":"object","properties":{}})");
    }
    out.close_object().close_object();
  }
  out.close_array();
}

void write_format(JsonOut& out, const ResponseFormat& format) {
  if (format.kind == ResponseFormat::Kind::kJsonObject) out.member("format", "json");
  if (format.kind == ResponseFormat::Kind::kJsonSchema) out.member("format", format.schema);
}

void write_thinking(JsonOut& out, const Reasoning& reasoning) {
  if (reasoning.effort == "none") {
    out.member("think", false);
  } else if (reasoning.effort == "minimal") {
    out.member("think", "low");
  } else if (reasoning.effort == "low" || reasoning.effort == "medium" ||
             reasoning.effort == "high") {
    out.member("think", reasoning.effort);
  } else if (!reasoning.effort.empty()) {
    out.member("think", "high");
  } else if (reasoning.budget_tokens || reasoning.include_summary) {
    out.member("think", reasoning.budget_tokens != 0);
  }
}

void write_options(JsonOut& out, const ChatRequest& request) {
  out.key("options").open_object();
  if (request.max_tokens) out.member("num_predict", *request.max_tokens);
  if (request.temperature) out.member("temperature", *request.temperature);
  if (request.top_p) out.member("top_p", *request.top_p);
  if (request.top_k) out.member("top_k", *request.top_k);
  if (request.seed) out.member("seed", *request.seed);
  if (!request.stop.empty()) {
    out.key("stop").open_array();
    for (const auto& stop : request.stop) out.string(stop);
    out.close_array();
  }
  out.close_object();
}

}  // namespace

Result<WireRequest> encode_chat(const ChatRequest& request, std::string_view model) {
  if (auto ok = refuse_vendor_only(request, Shape::kOllama); !ok)
    return std::unexpected(ok.error());
  WireRequest wire;
  wire.target = "/api/chat";
  wire.headers.set("content-type", "application/json");
  JsonOut out(wire.body);
  out.open_object().member("model", model).member("stream", request.stream);
  if (auto ok = write_messages(out, request); !ok) return std::unexpected(ok.error());
  write_tools(out, request);
  write_format(out, request.format);
  write_thinking(out, request.reasoning);
  write_options(out, request);
  out.close_object();
  return wire;
}

}  // namespace asahi::llm::wire::ollama
