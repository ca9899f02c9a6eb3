// The request side of POST /v1/chat/completions: what OpenAI documents, checked in OpenAI's words.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "llm/wire/openai_chat.h"

namespace asahi::llm::wire {
namespace {

using std::string_view;

// Official fields first of all; then those of OpenAI-shaped vendors that this shape also serves
// (DeepSeek: thinking; Mistral: prompt_mode, random_seed, safe_prompt; routers: providerOptions,
// reasoning; xAI: search_parameters) and the gateway's own.
constexpr auto kFields = std::to_array<string_view>({"agent_id",
                                                     "allow_batching",
                                                     "allow_fallback",
                                                     "asahi",
                                                     "audio",
                                                     "bypass_cache",
                                                     "chain_id",
                                                     "cost_budget",
                                                     "cost_sensitivity",
                                                     "document_id",
                                                     "enrich_with_features",
                                                     "fallback_models",
                                                     "frequency_penalty",
                                                     "function_call",
                                                     "functions",
                                                     "intervention_mode",
                                                     "latency_budget_ms",
                                                     "latency_preference",
                                                     "logit_bias",
                                                     "logprobs",
                                                     "max_completion_tokens",
                                                     "max_tokens",
                                                     "messages",
                                                     "metadata",
                                                     "modalities",
                                                     "model",
                                                     "model_endpoint_id",
                                                     "moderation",
                                                     "n",
                                                     "optimize_tokens",
                                                     "organization_id",
                                                     "parallel_tool_calls",
                                                     "prediction",
                                                     "presence_penalty",
                                                     "prompt_cache_key",
                                                     "prompt_cache_options",
                                                     "prompt_cache_retention",
                                                     "prompt_mode",
                                                     "providerOptions",
                                                     "provider_api_key",
                                                     "quality_preference",
                                                     "quality_threshold",
                                                     "random_seed",
                                                     "reasoning",
                                                     "reasoning_effort",
                                                     "request_id",
                                                     "response_format",
                                                     "routing_mode",
                                                     "safe_prompt",
                                                     "safety_identifier",
                                                     "search_parameters",
                                                     "seed",
                                                     "service_tier",
                                                     "session_id",
                                                     "stop",
                                                     "store",
                                                     "stream",
                                                     "stream_options",
                                                     "task_id",
                                                     "task_type",
                                                     "temperature",
                                                     "thinking",
                                                     "tool_choice",
                                                     "tools",
                                                     "top_logprobs",
                                                     "top_p",
                                                     "user",
                                                     "user_id",
                                                     "verbosity",
                                                     "web_search_options"});
static_assert(std::ranges::is_sorted(kFields));

constexpr std::int64_t kMaxTokens = 128'000;
constexpr std::size_t kMaxStops = 4;
constexpr std::size_t kMaxTools = 128;

bool is_name(string_view name) {
  return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
}

void check_name(const FieldReader& fields, string_view key, string_view name) {
  if (!fields.check().ok() || is_name(name)) return;
  fields.check().rule(
      fields.path(key),
      fmt::format("Invalid '{}': string does not match pattern. Expected a string that matches the "
                  "pattern '^[a-zA-Z0-9_-]{{1,64}}$'.",
                  fields.path(key).brackets()));
}

// ---- Content

void read_image(const FieldReader& part, std::vector<Part>& out) {
  const auto* object = part.need_object("image_url");
  if (object == nullptr) return;
  const FieldReader fields(*object, part.path("image_url"), part.check());
  const string_view url = fields.need_string("url");
  static constexpr auto kDetails = std::to_array<string_view>({"auto", "low", "high"});
  const auto detail = fields.one_of("detail", kDetails);
  if (!part.check().ok()) return;
  const bool web = url.starts_with("https://") || url.starts_with("http://");
  if (!web && !parse_data_url(url)) {
    part.check().rule(
        fields.path("url"),
        fmt::format("Invalid '{}': expected an http(s) URL or a base64 data: URL such as "
                    "'data:image/png;base64,…'.",
                    fields.path("url").brackets()),
        "invalid_image_url");
    return;
  }
  ImagePart image = image_from_url(url);
  image.detail = detail.value_or(string_view());
  out.emplace_back(std::move(image));
}

void read_audio(const FieldReader& part, std::vector<Part>& out) {
  const auto* object = part.need_object("input_audio");
  if (object == nullptr) return;
  const FieldReader fields(*object, part.path("input_audio"), part.check());
  static constexpr auto kFormats = std::to_array<string_view>({"wav", "mp3"});
  AudioPart audio;
  audio.data = fields.need_string("data");
  audio.format = fields.need_one_of("format", kFormats);
  out.emplace_back(std::move(audio));
}

void read_file(const FieldReader& part, std::vector<Part>& out) {
  const auto* object = part.need_object("file");
  if (object == nullptr) return;
  const FieldReader fields(*object, part.path("file"), part.check());
  FilePart file;
  file.file_id = fields.string("file_id").value_or(string_view());
  file.name = fields.string("filename").value_or(string_view());
  const string_view data = fields.string("file_data").value_or(string_view());
  if (const auto parsed = parse_data_url(data)) {
    file.media_type = parsed->media_type;
    file.data = parsed->data;
  } else {
    file.data = data;
  }
  if (file.file_id.empty() && file.data.empty()) {
    part.check().missing(fields.path("file_data"));
    return;
  }
  out.emplace_back(std::move(file));
}

/// A string or an array of parts of the `allowed` types.
void read_content(const FieldReader& message, const json::value& content,
                  std::span<const string_view> allowed, std::vector<Part>& out) {
  Check& check = message.check();
  const Path path = message.path("content");
  if (const auto* text = content.if_string()) {
    out.emplace_back(TextPart{std::string(*text), {}});
    return;
  }
  const auto* parts = content.if_array();
  if (parts == nullptr) {
    check.wrong_type(path, "a string or an array of content parts", content);
    return;
  }
  if (parts->empty()) {
    check.rule(path,
               fmt::format("Invalid '{}': empty array. Expected an array with minimum length 1, "
                           "but got an empty array instead.",
                           path.brackets()),
               "empty_array");
    return;
  }
  for (std::size_t i = 0; i < parts->size() && check.ok(); ++i) {
    const Path at = path.element(i);
    const auto* object = (*parts)[i].if_object();
    if (object == nullptr) {
      check.wrong_type(at, "an object", (*parts)[i]);
      return;
    }
    const FieldReader part(*object, at, check);
    const string_view type = part.need_one_of("type", allowed);
    if (type == "text") {
      out.emplace_back(TextPart{std::string(part.need_string("text")), {}});
    } else if (type == "image_url") {
      read_image(part, out);
    } else if (type == "input_audio") {
      read_audio(part, out);
    } else if (type == "file") {
      read_file(part, out);
    } else if (type == "refusal") {
      out.emplace_back(RefusalPart{std::string(part.need_string("refusal"))});
    }
  }
}

void read_tool_calls(const FieldReader& message, std::vector<Part>& out, ChatRequest& request) {
  const auto* calls = message.array("tool_calls");
  if (calls == nullptr) return;
  Check& check = message.check();
  const Path path = message.path("tool_calls");
  for (std::size_t i = 0; i < calls->size() && check.ok(); ++i) {
    const Path at = path.element(i);
    const auto* object = (*calls)[i].if_object();
    if (object == nullptr) {
      check.wrong_type(at, "an object", (*calls)[i]);
      return;
    }
    const FieldReader call(*object, at, check);
    static constexpr auto kTypes = std::to_array<string_view>({"function", "custom"});
    const string_view id = call.need_string("id");
    // Absent in what some frameworks store; a call without type has always been a function.
    if (call.one_of("type", kTypes).value_or("function") == "custom") {
      request.vendor_only = "a custom tool";
      out.emplace_back(OpaquePart{Shape::kOpenAiChat, json::value(*object)});
      continue;
    }
    const auto* function = call.need_object("function");
    if (function == nullptr) return;
    const FieldReader fields(*function, call.path("function"), check);
    ToolCallPart part;
    part.id = id;
    part.name = fields.need_string("name");
    part.arguments = fields.need_string("arguments");
    out.emplace_back(std::move(part));
  }
}

/// Thinking that an answer carried and the client sends back, so that its vendor gets it unchanged.
void read_reasoning(const FieldReader& message, std::vector<Part>& out) {
  if (const auto* details = array_at(message.raw(), "reasoning_details")) {
    for (const auto& detail : *details) {
      const auto* object = detail.if_object();
      if (object == nullptr) continue;
      const string_view type = string_at(*object, "type");
      if (type == "reasoning.text") {
        out.emplace_back(ReasoningPart{std::string(string_at(*object, "text")),
                                       std::string(string_at(*object, "signature")),
                                       {}});
      } else if (type == "reasoning.encrypted") {
        out.emplace_back(ReasoningPart{{}, {}, std::string(string_at(*object, "data"))});
      }
    }
    if (!out.empty()) return;
  }
  const string_view text = openai_reasoning_text(message.raw());
  if (!text.empty()) out.emplace_back(ReasoningPart{std::string(text), {}, {}});
}

void read_assistant(const FieldReader& fields, Message& message, ChatRequest& request) {
  static constexpr auto kParts = std::to_array<string_view>({"text", "refusal"});
  Check& check = fields.check();
  read_reasoning(fields, message.parts);
  const json::value* content = fields.any("content");
  if (content != nullptr) read_content(fields, *content, kParts, message.parts);
  const auto refusal = fields.string("refusal");
  if (refusal && !refusal->empty()) message.parts.emplace_back(RefusalPart{std::string(*refusal)});
  read_tool_calls(fields, message.parts, request);
  const auto* call = fields.object("function_call");
  if (call != nullptr) {
    const FieldReader function(*call, fields.path("function_call"), check);
    ToolCallPart part;
    part.name = function.need_string("name");
    part.id = part.name;  // the legacy form has no ids: a result names its function
    part.arguments = function.need_string("arguments");
    message.parts.emplace_back(std::move(part));
  }
  const bool has_audio = fields.object("audio") != nullptr;
  if (has_audio) request.vendor_only = "audio output";
  const bool has_calls = fields.any("tool_calls") != nullptr || call != nullptr;
  if (content == nullptr && !refusal && !has_calls && !has_audio) {
    if (!check.ok()) return;
    check.rule(fields.path("content"),
               fmt::format("Missing required parameter: '{}'. It may be absent only when "
                           "'tool_calls' is given.",
                           fields.path("content").brackets()),
               "missing_required_parameter");
  }
}

std::string joined_text(const std::vector<Part>& parts) {
  std::string out;
  for (const auto& part : parts) {
    if (const auto* text = std::get_if<TextPart>(&part)) out += text->text;
  }
  return out;
}

struct MessagesState {
  bool calls_open = false;  ///< the last assistant message called tools; results may follow
};

void read_message(const FieldReader& fields, ChatRequest& request, MessagesState& state) {
  static constexpr auto kRoles =
      std::to_array<string_view>({"system", "assistant", "user", "function", "tool", "developer"});
  static constexpr auto kTextOnly = std::to_array<string_view>({"text"});
  static constexpr auto kUserParts =
      std::to_array<string_view>({"text", "image_url", "input_audio", "file"});
  Check& check = fields.check();
  const string_view role = fields.need_one_of("role", kRoles);
  if (!check.ok()) return;
  Message message;
  message.name = fields.string("name").value_or(string_view());
  const json::value* content = fields.any("content");
  if (content == nullptr && role != "assistant" && role != "function") {
    check.missing(fields.path("content"));
    return;
  }
  if (role == "assistant") {
    message.role = Role::kAssistant;
    read_assistant(fields, message, request);
    state.calls_open = std::ranges::any_of(message.parts, [](const Part& part) {
      return std::holds_alternative<ToolCallPart>(part) || std::holds_alternative<OpaquePart>(part);
    });
  } else if (role == "tool" || role == "function") {
    message.role = Role::kTool;
    ToolResultPart result;
    result.tool_call_id =
        role == "tool" ? fields.need_string("tool_call_id") : fields.need_string("name");
    if (!check.ok()) return;
    if (!state.calls_open) {
      check.rule(fields.path("role"),
                 fmt::format("Invalid parameter: messages with role '{}' must be a response to a "
                             "preceding message with '{}'.",
                             role, role == "tool" ? "tool_calls" : "function_call"));
      return;
    }
    std::vector<Part> parts;
    if (content != nullptr) read_content(fields, *content, kTextOnly, parts);
    result.text = joined_text(parts);
    message.parts.emplace_back(std::move(result));
  } else {
    state.calls_open = false;
    message.role = role == "system"      ? Role::kSystem
                   : role == "developer" ? Role::kDeveloper
                                         : Role::kUser;
    if (message.role == Role::kUser) {
      read_content(fields, *content, kUserParts, message.parts);
    } else {
      read_content(fields, *content, kTextOnly, message.parts);
    }
  }
  request.messages.push_back(std::move(message));
}

void read_messages(const FieldReader& fields, ChatRequest& request) {
  const auto* messages = fields.need_array("messages");
  if (messages == nullptr) return;
  Check& check = fields.check();
  const Path path = fields.path("messages");
  if (messages->empty()) {
    check.rule(path,
               "Invalid 'messages': empty array. Expected an array with minimum length 1, but got "
               "an empty array instead.",
               "empty_array");
    return;
  }
  request.messages.reserve(messages->size());
  MessagesState state;
  for (std::size_t i = 0; i < messages->size() && check.ok(); ++i) {
    const Path at = path.element(i);
    const auto* object = (*messages)[i].if_object();
    if (object == nullptr) {
      check.wrong_type(at, "an object", (*messages)[i]);
      return;
    }
    read_message(FieldReader(*object, at, check), request, state);
  }
}

// ---- Tools

Tool read_function(const FieldReader& fields) {
  Tool tool;
  tool.name = fields.need_string("name");
  check_name(fields, "name", tool.name);
  tool.description = fields.string("description").value_or(string_view());
  if (const auto* parameters = fields.object("parameters")) tool.parameters = *parameters;
  tool.strict = fields.boolean("strict");
  return tool;
}

void read_tools(const FieldReader& fields, ChatRequest& request) {
  Check& check = fields.check();
  const bool legacy = fields.any("tools") == nullptr;
  const string_view key = legacy ? "functions" : "tools";
  const auto* tools = fields.array(key);
  if (tools == nullptr) return;
  const Path path = fields.path(key);
  if (tools->size() > kMaxTools) {
    check.rule(path,
               fmt::format("Invalid '{}': array too long. Expected an array with maximum length "
                           "{}, but got an array with length {} instead.",
                           key, kMaxTools, tools->size()),
               "array_above_max_length");
    return;
  }
  for (std::size_t i = 0; i < tools->size() && check.ok(); ++i) {
    const Path at = path.element(i);
    const auto* object = (*tools)[i].if_object();
    if (object == nullptr) {
      check.wrong_type(at, "an object", (*tools)[i]);
      return;
    }
    const FieldReader tool(*object, at, check);
    if (legacy) {
      request.tools.push_back(read_function(tool));
      continue;
    }
    static constexpr auto kTypes = std::to_array<string_view>({"function", "custom"});
    if (tool.need_one_of("type", kTypes) == "custom") {
      request.vendor_only = "a custom tool";
      continue;
    }
    const auto* function = tool.need_object("function");
    if (function == nullptr) return;
    const Path inside = tool.path("function");
    request.tools.push_back(read_function(FieldReader(*function, inside, check)));
  }
}

/// `name` must be one of the tools; `field` says which parameter named it.
void choose_tool(const FieldReader& fields, string_view field, string_view name,
                 ChatRequest& request) {
  if (!fields.check().ok()) return;
  request.tool_choice.mode = ToolChoice::Mode::kNamed;
  request.tool_choice.name = name;
  if (std::ranges::find(request.tools, name, &Tool::name) == request.tools.end()) {
    fields.check().rule(fields.path(field),
                        fmt::format("Invalid value for '{}': tool '{}' is not among the tools of "
                                    "this request.",
                                    field, name.substr(0, 64)));
  }
}

void read_choice_object(const FieldReader& fields, const json::object& object,
                        ChatRequest& request) {
  static constexpr auto kTypes =
      std::to_array<string_view>({"function", "allowed_tools", "custom"});
  const Path path = fields.path("tool_choice");
  const FieldReader choice(object, path, fields.check());
  const string_view type = choice.need_one_of("type", kTypes);
  if (type == "function") {
    const auto* function = choice.need_object("function");
    if (function == nullptr) return;
    const Path inside = choice.path("function");
    const FieldReader named(*function, inside, fields.check());
    choose_tool(fields, "tool_choice", named.need_string("name"), request);
  } else if (type == "allowed_tools") {
    request.vendor_only = "the tool choice 'allowed_tools'";
  } else if (type == "custom") {
    request.vendor_only = "a custom tool";
  }
}

void read_tool_choice(const FieldReader& fields, ChatRequest& request) {
  using Mode = ToolChoice::Mode;
  Check& check = fields.check();
  request.tool_choice.parallel = fields.boolean("parallel_tool_calls");
  const bool legacy = fields.any("tool_choice") == nullptr;
  const string_view key = legacy ? "function_call" : "tool_choice";
  const json::value* choice = fields.any(key);
  if (choice == nullptr || !check.ok()) return;
  const string_view tools_key = legacy ? "functions" : "tools";
  if (fields.any(tools_key) == nullptr) {
    check.rule(fields.path(key),
               fmt::format("Invalid value for '{0}': '{0}' is only allowed when '{1}' are "
                           "specified.",
                           key, tools_key));
    return;
  }
  if (choice->is_string()) {
    static constexpr auto kModes = std::to_array<string_view>({"none", "auto", "required"});
    const auto mode = fields.one_of(key, kModes);
    if (!mode) return;
    request.tool_choice.mode = *mode == "none"   ? Mode::kNone
                               : *mode == "auto" ? Mode::kAuto
                                                 : Mode::kRequired;
  } else if (const auto* object = choice->if_object()) {
    if (!legacy) {
      read_choice_object(fields, *object, request);
      return;
    }
    const Path path = fields.path(key);
    choose_tool(fields, key, FieldReader(*object, path, check).need_string("name"), request);
  } else {
    check.wrong_type(fields.path(key), "a string or an object", *choice);
  }
}

void read_format(const FieldReader& fields, ChatRequest& request) {
  using Kind = ResponseFormat::Kind;
  const auto* object = fields.object("response_format");
  if (object == nullptr) return;
  static constexpr auto kTypes = std::to_array<string_view>({"text", "json_object", "json_schema"});
  const Path path = fields.path("response_format");
  const FieldReader format(*object, path, fields.check());
  const string_view type = format.need_one_of("type", kTypes);
  if (type == "text") request.format.kind = Kind::kText;
  if (type == "json_object") request.format.kind = Kind::kJsonObject;
  if (type != "json_schema") return;
  request.format.kind = Kind::kJsonSchema;
  const auto* schema = format.need_object("json_schema");
  if (schema == nullptr) return;
  const Path inside = format.path("json_schema");
  const FieldReader named(*schema, inside, fields.check());
  request.format.name = named.need_string("name");
  check_name(named, "name", request.format.name);
  request.format.description = named.string("description").value_or(string_view());
  if (const auto* body = named.object("schema")) request.format.schema = *body;
  request.format.strict = named.boolean("strict");
}

void read_reasoning_options(const FieldReader& fields, ChatRequest& request) {
  static constexpr auto kEfforts =
      std::to_array<string_view>({"none", "minimal", "low", "medium", "high", "xhigh", "max"});
  request.reasoning.effort = fields.one_of("reasoning_effort", kEfforts).value_or(string_view());
  if (const auto* reasoning = fields.object("reasoning")) {  // the routers' form
    const Path path = fields.path("reasoning");
    const FieldReader options(*reasoning, path, fields.check());
    if (const auto effort = options.one_of("effort", kEfforts)) request.reasoning.effort = *effort;
    request.reasoning.budget_tokens = options.integer("max_tokens", 1, kMaxTokens);
  }
}

/// Parameters of no meaning outside OpenAI: types and ranges are checked, the rest passes through.
void check_passing_fields(const FieldReader& fields, ChatRequest& request) {
  static constexpr auto kTiers =
      std::to_array<string_view>({"auto", "default", "flex", "scale", "priority"});
  static constexpr auto kVerbosity = std::to_array<string_view>({"low", "medium", "high"});
  static constexpr auto kModalities = std::to_array<string_view>({"text", "audio"});
  Check& check = fields.check();
  const auto logprobs = fields.boolean("logprobs");
  if (fields.integer("top_logprobs", 0, 20) && !logprobs.value_or(false)) {
    check.rule(fields.path("top_logprobs"),
               "Invalid value for 'top_logprobs': 'top_logprobs' is only allowed when 'logprobs' "
               "is true.");
  }
  (void)fields.object("metadata");
  (void)fields.object("audio");
  (void)fields.object("prediction");
  (void)fields.boolean("store");
  (void)fields.one_of("service_tier", kTiers);
  (void)fields.one_of("verbosity", kVerbosity);
  (void)fields.string("prompt_cache_key");
  (void)fields.string("safety_identifier");
  if (fields.object("web_search_options") != nullptr) request.vendor_only = "web search";
  const auto* modalities = fields.array("modalities");
  if (modalities == nullptr) return;
  const Path path = fields.path("modalities");
  for (std::size_t i = 0; i < modalities->size() && check.ok(); ++i) {
    const auto* text = (*modalities)[i].if_string();
    if (text == nullptr) {
      check.wrong_type(path.element(i), "a string", (*modalities)[i]);
    } else if (std::ranges::find(kModalities, string_view(*text)) == kModalities.end()) {
      check.not_one_of(path.element(i), *text, kModalities);
    } else if (*text == "audio") {
      request.vendor_only = "audio output";
    }
  }
}

void read_stop(const FieldReader& fields, ChatRequest& request) {
  const json::value* stop = fields.any("stop");
  if (stop == nullptr) return;
  Check& check = fields.check();
  const Path path = fields.path("stop");
  if (const auto* text = stop->if_string()) {
    request.stop.emplace_back(*text);
    return;
  }
  const auto* list = stop->if_array();
  if (list == nullptr) {
    check.wrong_type(path, "a string or an array of strings", *stop);
    return;
  }
  if (list->size() > kMaxStops) {
    check.rule(path,
               fmt::format("Invalid 'stop': array too long. Expected an array with maximum length "
                           "{}, but got an array with length {} instead.",
                           kMaxStops, list->size()),
               "array_above_max_length");
    return;
  }
  for (std::size_t i = 0; i < list->size() && check.ok(); ++i) {
    if (const auto* text = (*list)[i].if_string()) {
      request.stop.emplace_back(*text);
    } else {
      check.wrong_type(path.element(i), "a string", (*list)[i]);
    }
  }
}

void check_logit_bias(const FieldReader& fields) {
  const auto* bias = fields.object("logit_bias");
  if (bias == nullptr) return;
  const Path path = fields.path("logit_bias");
  const FieldReader entries(*bias, path, fields.check());
  for (const auto& member : *bias) (void)entries.number(member.key(), -100, 100);
}

}  // namespace

void read_openai_sampling(const FieldReader& fields, ChatRequest& request) {
  Check& check = fields.check();
  request.model = fields.string("model").value_or(string_view());
  request.max_tokens = fields.integer("max_tokens", 1, kMaxTokens);
  request.temperature = fields.number("temperature", 0, 2);
  request.top_p = fields.number("top_p", 0, 1);
  request.seed = fields.integer("seed");
  (void)fields.number("presence_penalty", -2, 2);
  (void)fields.number("frequency_penalty", -2, 2);
  check_logit_bias(fields);
  if (const auto n = fields.integer("n"); n && *n != 1) {
    check.rule(
        fields.path("n"),
        fmt::format("Invalid value for 'n': this gateway returns one choice. Expected 1, but "
                    "got {} instead; send the request several times for more.",
                    *n));
  }
  read_stop(fields, request);
  request.user = fields.string("user").value_or(string_view());
  request.stream = fields.boolean("stream").value_or(false);
  if (const auto* options = fields.object("stream_options")) {
    const Path path = fields.path("stream_options");
    const FieldReader inside(*options, path, check);
    request.stream_usage = inside.boolean("include_usage").value_or(false);
    (void)inside.boolean("include_obfuscation");
    if (!request.stream) {
      check.rule(path, "The 'stream_options' parameter is only allowed when 'stream' is enabled.");
    }
  }
}

Result<ChatRequest> decode_openai_chat(std::shared_ptr<const JsonDocument> body) {
  Check check(Wording::kOpenAi);
  const auto* object = body->root().if_object();
  if (object == nullptr) {
    return fail(Errc::kInvalidArgument,
                "the request body must be a JSON object, as in {\"model\": …, \"messages\": […]}");
  }
  const Path root;
  const FieldReader fields(*object, root, check);
  ChatRequest request;
  fields.allow_only(kFields);
  read_messages(fields, request);
  read_openai_sampling(fields, request);
  if (const auto limit = fields.integer("max_completion_tokens", 1, kMaxTokens)) {
    if (request.max_tokens) {
      check.rule(fields.path("max_tokens"),
                 "Invalid 'max_tokens': 'max_tokens' and 'max_completion_tokens' cannot both be "
                 "given; 'max_tokens' is the older name.");
    }
    request.max_tokens = limit;
  }
  read_tools(fields, request);
  read_tool_choice(fields, request);
  read_format(fields, request);
  read_reasoning_options(fields, request);
  check_passing_fields(fields, request);
  if (!check.ok()) return check.failure();
  request.shape = Shape::kOpenAiChat;
  request.original = std::move(body);
  return request;
}

}  // namespace asahi::llm::wire
