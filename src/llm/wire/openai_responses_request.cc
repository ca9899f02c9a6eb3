#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "llm/wire/openai_responses.h"

namespace asahi::llm::wire::responses {
namespace {

// https://platform.openai.com/docs/api-reference/responses/create
constexpr auto kFields = std::to_array<std::string_view>({"background",
                                                          "context_management",
                                                          "conversation",
                                                          "include",
                                                          "input",
                                                          "instructions",
                                                          "max_output_tokens",
                                                          "max_tool_calls",
                                                          "metadata",
                                                          "model",
                                                          "moderation",
                                                          "parallel_tool_calls",
                                                          "previous_response_id",
                                                          "prompt",
                                                          "prompt_cache_key",
                                                          "prompt_cache_options",
                                                          "prompt_cache_retention",
                                                          "reasoning",
                                                          "safety_identifier",
                                                          "service_tier",
                                                          "store",
                                                          "stream",
                                                          "stream_options",
                                                          "temperature",
                                                          "text",
                                                          "tool_choice",
                                                          "tools",
                                                          "top_logprobs",
                                                          "top_p",
                                                          "truncation",
                                                          "user"});
static_assert(std::ranges::is_sorted(kFields));

constexpr auto kEfforts =
    std::to_array<std::string_view>({"none", "minimal", "low", "medium", "high", "xhigh", "max"});
constexpr auto kSummaries = std::to_array<std::string_view>({"auto", "concise", "detailed"});
constexpr auto kFormats = std::to_array<std::string_view>({"text", "json_object", "json_schema"});
constexpr auto kVerbosities = std::to_array<std::string_view>({"low", "medium", "high"});
constexpr auto kTruncations = std::to_array<std::string_view>({"auto", "disabled"});
constexpr auto kModes = std::to_array<std::string_view>({"auto", "required"});

class RequestReader {
 public:
  explicit RequestReader(const json::object& root) : fields_(root, path_, check_) {}

  Result<ChatRequest> read() {
    allow_known();
    request_.shape = Shape::kOpenAiResponses;
    request_.model = fields_.string("model").value_or("");
    read_input();
    read_tools();
    read_tool_choice();
    read_text();
    read_reasoning();
    read_numbers();
    read_vendor_state();
    read_settings();
    if (!check_.ok()) return check_.failure();
    return std::move(request_);
  }

 private:
  void allow_known() {
    for (const auto& member : fields_.raw()) {
      const std::string_view key = member.key();
      if (!std::ranges::binary_search(kFields, key) && !is_gateway_field(key))
        check_.unknown(path_.field(key));
    }
  }

  void read_input() {
    if (const auto instructions = fields_.string("instructions");
        instructions && !instructions->empty()) {
      request_.messages.push_back(
          Message{.role = Role::kSystem, .parts = {TextPart{.text = std::string(*instructions)}}});
    }
    const Path input_path = path_.field("input");
    const json::value* input = fields_.any("input");
    if (input != nullptr) {
      InputReader(check_, request_).read(*input, input_path);
    } else if (fields_.any("prompt") == nullptr && fields_.any("previous_response_id") == nullptr &&
               fields_.any("conversation") == nullptr) {
      check_.missing(input_path);
      return;
    }
    const auto* items = input == nullptr ? nullptr : input->if_array();
    if (items != nullptr && items->empty()) {
      check_.rule(input_path, "'input' is an empty array; send at least one message.",
                  "empty_array");
    }
  }

  void read_tools() {
    const auto* tools = fields_.array("tools");
    if (tools == nullptr) return;
    const Path list = path_.field("tools");
    for (std::size_t i = 0; i < tools->size() && check_.ok(); ++i) {
      const Path path = list.element(i);
      if (const auto* tool = (*tools)[i].if_object()) {
        read_tool(*tool, path);
      } else {
        check_.wrong_type(path, "an object", (*tools)[i]);
      }
    }
  }

  void read_tool(const json::object& object, const Path& path) {
    const FieldReader fields(object, path, check_);
    const auto type = fields.need_string("type");
    if (type.empty()) return;
    if (type != "function") {
      need_same_shape(request_, fmt::format("{}.type '{}' (a tool that the vendor itself runs)",
                                            path.brackets(), type));
      return;
    }
    if (object.contains("function")) {
      check_.rule(path.field("name"),
                  fmt::format("Missing required parameter: '{0}.name'. In this API the function's "
                              "fields stand in the "
                              "tool itself, not below '{0}.function'.",
                              path.brackets()),
                  "missing_required_parameter");
      return;
    }
    Tool tool{.name = std::string(fields.need_string("name")),
              .description = std::string(fields.string("description").value_or("")),
              .strict = fields.boolean("strict")};
    if (const auto* parameters = fields.object("parameters"))
      tool.parameters = json::value(*parameters);
    check_name(tool.name, path.field("name"));
    request_.tools.push_back(std::move(tool));
  }

  void check_name(std::string_view name, const Path& path) {
    const bool plain = std::ranges::all_of(name, [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             c == '_' || c == '-' || c == '.';
    });
    if (!plain || name.empty() || name.size() > 128) {
      check_.rule(path,
                  fmt::format("Invalid '{}': a name is 1 to 128 letters, digits, '_', '-' and '.'.",
                              path.brackets()));
    }
  }

  void read_tool_choice() {
    using Mode = ToolChoice::Mode;
    ToolChoice& choice = request_.tool_choice;
    choice.parallel = fields_.boolean("parallel_tool_calls");
    const json::value* value = fields_.any("tool_choice");
    if (value == nullptr) return;
    const Path path = path_.field("tool_choice");
    if (const auto* word = value->if_string()) {
      const std::string_view mode(*word);
      static constexpr auto kWords = std::to_array<std::string_view>({"none", "auto", "required"});
      if (std::ranges::find(kWords, mode) == kWords.end()) check_.not_one_of(path, mode, kWords);
      choice.mode = mode == "none"       ? Mode::kNone
                    : mode == "required" ? Mode::kRequired
                                         : Mode::kAuto;
      return;
    }
    const auto* object = value->if_object();
    if (object == nullptr) {
      check_.wrong_type(path, "a string or an object", *value);
      return;
    }
    const FieldReader fields(*object, path, check_);
    const auto type = fields.need_string("type");
    if (type == "function") {
      choice.mode = Mode::kNamed;
      choice.name = fields.need_string("name");
    } else if (type == "allowed_tools") {
      read_allowed_tools(fields, path);
    } else if (!type.empty()) {
      need_same_shape(request_, fmt::format("tool_choice.type '{}'", type));
    }
  }

  // Other vendors have no list of allowed tools: they get to see no others.
  void read_allowed_tools(const FieldReader& fields, const Path& path) {
    const auto mode = fields.need_one_of("mode", kModes);
    const auto* list = fields.need_array("tools");
    if (list == nullptr) return;
    request_.tool_choice.mode =
        mode == "required" ? ToolChoice::Mode::kRequired : ToolChoice::Mode::kAuto;
    std::vector<std::string_view> names;
    for (const auto& tool : *list) {
      if (const auto* object = tool.if_object()) names.push_back(string_at(*object, "name"));
    }
    std::erase_if(request_.tools, [&](const Tool& tool) {
      return std::ranges::find(names, tool.name) == names.end();
    });
    if (request_.tools.empty() && request_.vendor_only.empty()) {
      check_.rule(path.field("tools"),
                  "'tool_choice.tools' allows none of the functions in 'tools'.");
    }
  }

  void read_text() {
    const auto* text = fields_.object("text");
    if (text == nullptr) return;
    const Path path = path_.field("text");
    const FieldReader fields(*text, path, check_);
    fields.one_of("verbosity", kVerbosities);
    const auto* format = fields.object("format");
    if (format == nullptr) return;
    const Path format_path = path.field("format");
    const FieldReader inner(*format, format_path, check_);
    const auto type = inner.need_one_of("type", kFormats);
    ResponseFormat& out = request_.format;
    if (type == "text") out.kind = ResponseFormat::Kind::kText;
    if (type == "json_object") out.kind = ResponseFormat::Kind::kJsonObject;
    if (type != "json_schema") return;
    out.kind = ResponseFormat::Kind::kJsonSchema;
    out.name = inner.need_string("name");
    out.description = inner.string("description").value_or("");
    out.strict = inner.boolean("strict");
    if (const auto* schema = inner.need_object("schema")) out.schema = json::value(*schema);
  }

  void read_reasoning() {
    const auto* reasoning = fields_.object("reasoning");
    if (reasoning == nullptr) return;
    const Path path = path_.field("reasoning");
    const FieldReader fields(*reasoning, path, check_);
    request_.reasoning.effort = fields.one_of("effort", kEfforts).value_or("");
    const auto summary = fields.one_of("summary", kSummaries);
    const auto generate_summary = fields.one_of("generate_summary", kSummaries);
    request_.reasoning.include_summary = summary.has_value() || generate_summary.has_value();
  }

  void read_numbers() {
    request_.max_tokens = fields_.integer("max_output_tokens", 1, 128'000);
    request_.temperature = fields_.number("temperature", 0, 2);
    request_.top_p = fields_.number("top_p", 0, 1);
    fields_.integer("max_tool_calls", 1);
    if (fields_.integer("top_logprobs", 0, 20).value_or(0) > 0)
      need_same_shape(request_, "top_logprobs");
  }

  // What lives in the vendor's store, between calls.
  void read_vendor_state() {
    if (fields_.boolean("background").value_or(false)) {
      check_.rule(path_.field("background"),
                  "'background' must be false: this gateway answers within the call and keeps no "
                  "responses to poll.",
                  "unsupported_value");
    }
    if (fields_.string("previous_response_id")) {
      need_same_shape(request_,
                      "previous_response_id (this gateway keeps no responses; send the earlier "
                      "items in 'input')");
    }
    for (const std::string_view field :
         {"conversation", "prompt", "context_management", "moderation"}) {
      if (fields_.any(field) != nullptr) need_same_shape(request_, std::string(field));
    }
  }

  void read_settings() {
    request_.stream = fields_.boolean("stream").value_or(false);
    // Responses streams always end with the usage.
    request_.stream_usage = true;
    request_.user =
        fields_.string("user").value_or(fields_.string("safety_identifier").value_or(""));
    fields_.boolean("store");
    fields_.one_of("truncation", kTruncations);
    fields_.string("service_tier");
    fields_.string("prompt_cache_key");
    fields_.string("prompt_cache_retention");
    fields_.object("prompt_cache_options");
    fields_.object("stream_options");
    read_metadata();
    read_include();
  }

  void read_metadata() {
    const auto* metadata = fields_.object("metadata");
    if (metadata == nullptr) return;
    const Path path = path_.field("metadata");
    for (const auto& member : *metadata) {
      if (!member.value().is_string())
        check_.wrong_type(path.field(member.key()), "a string", member.value());
    }
  }

  void read_include() {
    const auto* include = fields_.array("include");
    if (include == nullptr) return;
    const Path path = path_.field("include");
    for (std::size_t i = 0; i < include->size(); ++i) {
      if (!(*include)[i].is_string()) check_.wrong_type(path.element(i), "a string", (*include)[i]);
    }
  }

  Check check_{Wording::kOpenAi};
  const Path path_;
  FieldReader fields_;
  ChatRequest request_;
};

}  // namespace

Result<ChatRequest> decode_request(std::shared_ptr<const JsonDocument> body) {
  const auto* root = body->root().if_object();
  if (root == nullptr) return fail(Errc::kInvalidArgument, "the body must be a JSON object");
  ASAHI_TRY(ChatRequest request, RequestReader(*root).read());
  request.original = std::move(body);
  return request;
}

}  // namespace asahi::llm::wire::responses
