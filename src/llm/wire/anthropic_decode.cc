// The request side of POST /v1/messages: what Anthropic documents, checked in Anthropic's words.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "llm/wire/anthropic.h"

namespace asahi::llm::wire {
namespace {

using std::string_view;

constexpr auto kFields = std::to_array<string_view>({"agent_id",
                                                     "allow_batching",
                                                     "allow_fallback",
                                                     "asahi",
                                                     "billing_policy",
                                                     "bypass_cache",
                                                     "cache_control",
                                                     "chain_id",
                                                     "compaction",
                                                     "container",
                                                     "context_management",
                                                     "cost_budget",
                                                     "cost_sensitivity",
                                                     "diagnostics",
                                                     "document_id",
                                                     "enrich_with_features",
                                                     "fallback_credit_token",
                                                     "fallback_models",
                                                     "fallbacks",
                                                     "inference_geo",
                                                     "intervention_mode",
                                                     "latency_budget_ms",
                                                     "latency_preference",
                                                     "max_tokens",
                                                     "mcp_servers",
                                                     "messages",
                                                     "metadata",
                                                     "model",
                                                     "model_endpoint_id",
                                                     "optimize_tokens",
                                                     "organization_id",
                                                     "output_config",
                                                     "output_format",
                                                     "provider_api_key",
                                                     "quality_preference",
                                                     "quality_threshold",
                                                     "request_id",
                                                     "routing_mode",
                                                     "service_tier",
                                                     "session_id",
                                                     "speed",
                                                     "stop_sequences",
                                                     "stream",
                                                     "system",
                                                     "task_id",
                                                     "task_type",
                                                     "temperature",
                                                     "thinking",
                                                     "thread",
                                                     "tool_choice",
                                                     "tools",
                                                     "top_k",
                                                     "top_p",
                                                     "user_id",
                                                     "user_profile_id",
                                                     "workspace_id"});
static_assert(std::ranges::is_sorted(kFields));

constexpr std::int64_t kMaxTokens = 128'000;
constexpr std::int64_t kMinThinking = 1024;

json::value cache_control_of(const json::object& block) {
  const json::value* control = find(block, "cache_control");
  return control == nullptr ? json::value() : json::value(*control);
}

// ---- Content

void read_text(const FieldReader& block, std::vector<Part>& out) {
  const string_view text = block.need_string("text");
  if (!block.check().ok()) return;
  if (text.empty()) {
    block.check().rule(block.path("text"), "text content blocks must be non-empty");
    return;
  }
  out.emplace_back(TextPart{std::string(text), cache_control_of(block.raw())});
}

/// Null when the source is of a kind that has no place in the message model.
std::optional<ImagePart> read_image(const FieldReader& block) {
  const auto* object = block.need_object("source");
  if (object == nullptr) return {};
  static constexpr auto kSources = std::to_array<string_view>({"base64", "url", "file"});
  static constexpr auto kTypes =
      std::to_array<string_view>({"image/jpeg", "image/png", "image/gif", "image/webp"});
  const Path path = block.path("source");
  const FieldReader source(*object, path, block.check());
  const string_view type = source.need_one_of("type", kSources);
  ImagePart image;
  if (type == "base64") {
    image.media_type = source.need_one_of("media_type", kTypes);
    image.data = source.need_string("data");
  } else if (type == "url") {
    image.url = source.need_string("url");
  } else {
    (void)source.need_string("file_id");
    return {};
  }
  return image;
}

void read_document(const FieldReader& block, ChatRequest& request, std::vector<Part>& out) {
  const auto* object = block.need_object("source");
  if (object == nullptr) return;
  static constexpr auto kSources =
      std::to_array<string_view>({"base64", "text", "url", "content", "file"});
  const Path path = block.path("source");
  const FieldReader source(*object, path, block.check());
  const string_view type = source.need_one_of("type", kSources);
  const string_view title = block.string("title").value_or(string_view());
  if (!block.check().ok()) return;
  if (type == "text") {
    // As text it is understood by every vendor; clients of the same shape send the original.
    std::string text(title);
    if (!text.empty()) text += "\n\n";
    text += source.need_string("data");
    out.emplace_back(TextPart{std::move(text), cache_control_of(block.raw())});
    return;
  }
  if (type == "content") {
    request.vendor_only = "a document made of content blocks";
    out.emplace_back(OpaquePart{Shape::kAnthropic, json::value(block.raw())});
    return;
  }
  FilePart file;
  file.name = title;
  if (type == "base64") {
    file.media_type = source.need_string("media_type");
    file.data = source.need_string("data");
  } else if (type == "url") {
    file.url = source.need_string("url");
  } else {
    file.file_id = source.need_string("file_id");
  }
  out.emplace_back(std::move(file));
}

void read_tool_result(const FieldReader& block, std::vector<Part>& out) {
  Check& check = block.check();
  ToolResultPart result;
  result.tool_call_id = block.need_string("tool_use_id");
  result.is_error = block.boolean("is_error").value_or(false);
  const json::value* content = block.any("content");
  if (content == nullptr) {
    out.emplace_back(std::move(result));
    return;
  }
  const Path path = block.path("content");
  if (const auto* text = content->if_string()) {
    result.text = *text;
  } else if (const auto* blocks = content->if_array()) {
    static constexpr auto kTypes = std::to_array<string_view>(
        {"text", "image", "search_result", "document", "tool_reference", "browser_state"});
    for (std::size_t i = 0; i < blocks->size() && check.ok(); ++i) {
      const Path at = path.element(i);
      const auto* object = (*blocks)[i].if_object();
      if (object == nullptr) {
        check.wrong_type(at, "an object", (*blocks)[i]);
        return;
      }
      const FieldReader inner(*object, at, check);
      const string_view type = inner.need_one_of("type", kTypes);
      if (type == "text") {
        result.text += inner.need_string("text");
      } else if (type == "image") {
        if (auto image = read_image(inner)) result.images.push_back(std::move(*image));
      } else {
        result.text += write_json(json::value(*object));
      }
    }
  } else {
    check.wrong_type(path, "a string or a list of content blocks", *content);
    return;
  }
  out.emplace_back(std::move(result));
}

void read_block(const FieldReader& block, ChatRequest& request, std::vector<Part>& out) {
  static constexpr auto kTypes =
      std::to_array<string_view>({"advisor_tool_result",
                                  "bash_code_execution_tool_result",
                                  "code_execution_tool_result",
                                  "compaction",
                                  "container_upload",
                                  "document",
                                  "fallback",
                                  "image",
                                  "mcp_tool_listing",
                                  "mcp_tool_result",
                                  "mcp_tool_use",
                                  "redacted_thinking",
                                  "search_result",
                                  "server_tool_use",
                                  "text",
                                  "text_editor_code_execution_tool_result",
                                  "thinking",
                                  "tool_addition",
                                  "tool_removal",
                                  "tool_result",
                                  "tool_search_tool_result",
                                  "tool_use",
                                  "web_fetch_tool_result",
                                  "web_search_tool_result"});
  const string_view type = block.need_one_of("type", kTypes);
  if (!block.check().ok()) return;
  if (type == "text") {
    read_text(block, out);
  } else if (type == "image") {
    if (auto image = read_image(block)) {
      out.emplace_back(std::move(*image));
    } else if (block.check().ok()) {
      out.emplace_back(OpaquePart{Shape::kAnthropic, json::value(block.raw())});
      request.vendor_only = "an image by file id";
    }
  } else if (type == "document") {
    read_document(block, request, out);
  } else if (type == "tool_use") {
    ToolCallPart call;
    call.id = block.need_string("id");
    call.name = block.need_string("name");
    const auto* input = block.need_object("input");
    if (input != nullptr) call.arguments = write_json(json::value(*input));
    out.emplace_back(std::move(call));
  } else if (type == "tool_result") {
    read_tool_result(block, out);
  } else if (type == "thinking") {
    out.emplace_back(ReasoningPart{std::string(block.need_string("thinking")),
                                   std::string(block.need_string("signature")),
                                   {}});
  } else if (type == "redacted_thinking") {
    out.emplace_back(ReasoningPart{{}, {}, std::string(block.need_string("data"))});
  } else {
    // Traces of Anthropic's own tools can be left out for another vendor, what the user gave can
    // not.
    if (type == "search_result" || type == "container_upload") {
      request.vendor_only = fmt::format("a content block of type {}", type);
    }
    out.emplace_back(OpaquePart{Shape::kAnthropic, json::value(block.raw())});
  }
}

/// Parts of one message in order of arrival.
void read_content(const FieldReader& message, const json::value& content, ChatRequest& request,
                  std::vector<Part>& out) {
  Check& check = message.check();
  const Path path = message.path("content");
  if (const auto* text = content.if_string()) {
    if (!text->empty()) out.emplace_back(TextPart{std::string(*text), {}});
    return;
  }
  const auto* blocks = content.if_array();
  if (blocks == nullptr) {
    check.wrong_type(path, "a string or a list of content blocks", content);
    return;
  }
  for (std::size_t i = 0; i < blocks->size() && check.ok(); ++i) {
    const Path at = path.element(i);
    const auto* object = (*blocks)[i].if_object();
    if (object == nullptr) {
      check.wrong_type(at, "a dictionary", (*blocks)[i]);
      return;
    }
    read_block(FieldReader(*object, at, check), request, out);
  }
}

/// Results of tools come in user messages here and in messages of their own in the model.
void add_message(Role role, std::vector<Part> parts, ChatRequest& request) {
  std::vector<Part> rest;
  Message results;
  results.role = Role::kTool;
  for (auto& part : parts) {
    if (std::holds_alternative<ToolResultPart>(part)) {
      results.parts.push_back(std::move(part));
    } else {
      rest.push_back(std::move(part));
    }
  }
  const bool only_results = !results.parts.empty() && rest.empty();
  if (!results.parts.empty()) request.messages.push_back(std::move(results));
  if (only_results) return;
  Message message;
  message.role = role;
  message.parts = std::move(rest);
  request.messages.push_back(std::move(message));
}

void read_messages(const FieldReader& fields, ChatRequest& request) {
  static constexpr auto kMessageFields =
      std::to_array<string_view>({"cache_control", "clear_at", "content", "output_config", "role"});
  const auto* messages = fields.need_array("messages");
  if (messages == nullptr) return;
  Check& check = fields.check();
  const Path path = fields.path("messages");
  if (messages->empty()) {
    check.rule(path, "at least one message is required", "empty_array");
    return;
  }
  request.messages.reserve(messages->size() + 1);
  for (std::size_t i = 0; i < messages->size() && check.ok(); ++i) {
    const Path at = path.element(i);
    const auto* object = (*messages)[i].if_object();
    if (object == nullptr) {
      check.wrong_type(at, "a dictionary", (*messages)[i]);
      return;
    }
    const FieldReader message(*object, at, check);
    const string_view role = message.need_string("role");
    // "system" in mid-conversation is new: only the latest models know it.
    const bool system = role == "system";
    if (check.ok() && role != "user" && role != "assistant" && !system) {
      check.rule(path,
                 fmt::format("Unexpected role \"{}\". Expected \"user\", \"assistant\" or "
                             "\"system\"; instructions for the whole conversation go into the "
                             "top-level `system` parameter.",
                             role.substr(0, 32)));
    }
    message.allow_only(kMessageFields);
    const json::value* content = message.any("content");
    if (content == nullptr) {
      check.missing(message.path("content"));
      return;
    }
    std::vector<Part> parts;
    read_content(message, *content, request, parts);
    if (!check.ok()) return;
    const bool final_assistant = role == "assistant" && i + 1 == messages->size();
    if (parts.empty() && !final_assistant) {
      check.rule(at,
                 "all messages must have non-empty content except for the optional final "
                 "assistant message");
      return;
    }
    add_message(system                ? Role::kSystem
                : role == "assistant" ? Role::kAssistant
                                      : Role::kUser,
                std::move(parts), request);
  }
}

void read_system(const FieldReader& fields, ChatRequest& request) {
  const json::value* system = fields.any("system");
  if (system == nullptr) return;
  Check& check = fields.check();
  Message message;
  message.role = Role::kSystem;
  const Path path = fields.path("system");
  if (const auto* text = system->if_string()) {
    if (text->empty()) return;
    message.parts.emplace_back(TextPart{std::string(*text), {}});
  } else if (const auto* blocks = system->if_array()) {
    static constexpr auto kTypes = std::to_array<string_view>({"text"});
    for (std::size_t i = 0; i < blocks->size() && check.ok(); ++i) {
      const Path at = path.element(i);
      const auto* object = (*blocks)[i].if_object();
      if (object == nullptr) {
        check.wrong_type(at, "a dictionary", (*blocks)[i]);
        return;
      }
      const FieldReader block(*object, at, check);
      (void)block.need_one_of("type", kTypes);
      read_text(block, message.parts);
    }
  } else {
    check.wrong_type(path, "a string or a list of text blocks", *system);
    return;
  }
  if (!message.parts.empty()) request.messages.push_back(std::move(message));
}

// ---- Tools and options

void read_tools(const FieldReader& fields, ChatRequest& request) {
  const auto* tools = fields.array("tools");
  if (tools == nullptr) return;
  Check& check = fields.check();
  const Path path = fields.path("tools");
  for (std::size_t i = 0; i < tools->size() && check.ok(); ++i) {
    const Path at = path.element(i);
    const auto* object = (*tools)[i].if_object();
    if (object == nullptr) {
      check.wrong_type(at, "a dictionary", (*tools)[i]);
      return;
    }
    const FieldReader tool(*object, at, check);
    const string_view type = tool.string("type").value_or("custom");
    if (type != "custom") {  // run by Anthropic: web_search_…, bash_…, computer_…
      request.vendor_only = fmt::format("the tool {}", type.substr(0, 64));
      continue;
    }
    Tool read;
    read.name = tool.need_string("name");
    read.description = tool.string("description").value_or(string_view());
    if (const auto* schema = tool.need_object("input_schema")) read.parameters = *schema;
    read.strict = tool.boolean("strict");
    if (check.ok() && (read.name.empty() || read.name.size() > 128)) {
      check.rule(tool.path("name"), "String should have at least 1 and at most 128 characters");
    }
    request.tools.push_back(std::move(read));
  }
}

void read_tool_choice(const FieldReader& fields, ChatRequest& request) {
  using Mode = ToolChoice::Mode;
  const auto* object = fields.object("tool_choice");
  if (object == nullptr) return;
  static constexpr auto kTypes = std::to_array<string_view>({"auto", "any", "tool", "none"});
  Check& check = fields.check();
  const Path path = fields.path("tool_choice");
  const FieldReader choice(*object, path, check);
  const string_view type = choice.need_one_of("type", kTypes);
  auto& out = request.tool_choice;
  if (type == "auto") out.mode = Mode::kAuto;
  if (type == "any") out.mode = Mode::kRequired;
  if (type == "none") out.mode = Mode::kNone;
  if (type == "tool") {
    out.mode = Mode::kNamed;
    out.name = choice.need_string("name");
    if (check.ok() && request.vendor_only.empty() &&
        std::ranges::find(request.tools, out.name, &Tool::name) == request.tools.end()) {
      check.rule(path, fmt::format("Tool '{}' not found in provided tools",
                                   string_view(out.name).substr(0, 64)));
    }
  }
  if (const auto off = choice.boolean("disable_parallel_tool_use")) out.parallel = !*off;
  if (check.ok() && fields.any("tools") == nullptr && type != "none") {
    check.rule(path, "`tool_choice` may only be specified while providing `tools`.");
  }
}

void read_thinking(const FieldReader& fields, ChatRequest& request) {
  if (const auto* config = fields.object("output_config")) {
    static constexpr auto kEfforts =
        std::to_array<string_view>({"low", "medium", "high", "xhigh", "max"});
    const Path path = fields.path("output_config");
    const FieldReader output(*config, path, fields.check());
    if (const auto effort = output.one_of("effort", kEfforts)) {
      // OpenAI's scale, which the model uses, ends at "high" for most models.
      request.reasoning.effort = *effort == "max" || *effort == "xhigh" ? "high" : *effort;
    }
  }
  const auto* object = fields.object("thinking");
  if (object == nullptr) return;
  static constexpr auto kTypes =
      std::to_array<string_view>({"enabled", "disabled", "between_tools", "adaptive"});
  Check& check = fields.check();
  const Path path = fields.path("thinking");
  const FieldReader thinking(*object, path, check);
  const string_view type = thinking.need_one_of("type", kTypes);
  if (type == "disabled" || type == "between_tools") request.reasoning.effort = "none";
  if (type == "adaptive" && request.reasoning.effort.empty()) request.reasoning.effort = "medium";
  if (type != "enabled") return;
  if (thinking.any("budget_tokens") == nullptr) check.missing(thinking.path("budget_tokens"));
  request.reasoning.budget_tokens = thinking.integer("budget_tokens", kMinThinking, kMaxTokens);
  if (check.ok() && request.max_tokens && *request.reasoning.budget_tokens >= *request.max_tokens &&
      request.tools.empty()) {
    check.rule(Path{}, "`max_tokens` must be greater than `thinking.budget_tokens`.");
  }
}

void read_format(const FieldReader& fields, ChatRequest& request) {
  static constexpr auto kTypes = std::to_array<string_view>({"json_schema"});
  const Path config_path = fields.path("output_config");
  const auto* config = fields.object("output_config");
  const FieldReader holder =
      config == nullptr ? fields : FieldReader(*config, config_path, fields.check());
  const string_view key = config == nullptr ? "output_format" : "format";
  const auto* object = holder.object(key);
  if (object == nullptr) return;
  const Path path = holder.path(key);
  const FieldReader format(*object, path, fields.check());
  (void)format.need_one_of("type", kTypes);
  request.format.kind = ResponseFormat::Kind::kJsonSchema;
  request.format.name = "answer";
  request.format.strict = true;
  if (const auto* schema = format.need_object("schema")) request.format.schema = *schema;
}

void read_stops(const FieldReader& fields, ChatRequest& request) {
  const auto* stops = fields.array("stop_sequences");
  if (stops == nullptr) return;
  Check& check = fields.check();
  const Path path = fields.path("stop_sequences");
  for (std::size_t i = 0; i < stops->size() && check.ok(); ++i) {
    const auto* text = (*stops)[i].if_string();
    if (text == nullptr) {
      check.wrong_type(path.element(i), "a string", (*stops)[i]);
    } else if (string_view(*text).find_first_not_of(" \t\r\n") == string_view::npos) {
      check.rule(path.element(i), "each stop sequence must contain non-whitespace");
    } else {
      request.stop.emplace_back(*text);
    }
  }
}

}  // namespace

Result<ChatRequest> decode_anthropic(std::shared_ptr<const JsonDocument> body) {
  Check check(Wording::kAnthropic);
  const auto* object = body->root().if_object();
  if (object == nullptr) {
    return fail(Errc::kInvalidArgument, "The request body is not a valid JSON object");
  }
  const Path root;
  const FieldReader fields(*object, root, check);
  ChatRequest request;
  fields.allow_only(kFields);
  request.model = fields.string("model").value_or(string_view());
  if (fields.any("max_tokens") == nullptr) check.missing(fields.path("max_tokens"));
  request.max_tokens = fields.integer("max_tokens", 1, kMaxTokens);
  read_system(fields, request);
  read_messages(fields, request);
  request.temperature = fields.number("temperature", 0, 1);
  request.top_p = fields.number("top_p", 0, 1);
  request.top_k = fields.integer("top_k", 0);
  read_stops(fields, request);
  request.stream = fields.boolean("stream").value_or(false);
  request.stream_usage = request.stream;  // this shape always reports it
  if (const auto* metadata = fields.object("metadata")) {
    const Path path = fields.path("metadata");
    request.user = FieldReader(*metadata, path, check).string("user_id").value_or(string_view());
  }
  read_tools(fields, request);
  read_tool_choice(fields, request);
  read_thinking(fields, request);
  read_format(fields, request);
  (void)fields.string("service_tier");
  if (const auto* servers = fields.array("mcp_servers"); servers != nullptr && !servers->empty()) {
    request.vendor_only = "the MCP connector (mcp_servers)";
  }
  if (!check.ok()) return check.failure();
  request.shape = Shape::kAnthropic;
  request.original = std::move(body);
  return request;
}

}  // namespace asahi::llm::wire
