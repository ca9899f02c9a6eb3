// Requests to Anthropic's Messages API, and what its models expect. anthropic_messages.cc has the
// conversation itself.
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
/// Room for the thinking of a model that thinks without being asked.
constexpr std::int64_t kUnaskedThinking = 8192;
constexpr std::size_t kMaxToolName = 64;

/// How a JSON answer is asked for.
struct AnswerFormat {
  std::string tool_name;      ///< by a tool of this name that has to be called
  std::string output_schema;  ///< by output_config.format
  std::string instruction;    ///< by words in the system prompt
};

bool copy_schema(JsonOut& out, const json::value& schema);

bool allows_object(const json::object& schema) {
  const auto* types = array_at(schema, "type");
  return schema.contains("properties") || string_at(schema, "type") == "object" ||
         (types != nullptr && std::ranges::find(*types, json::value("object")) != types->end());
}

/// The value of a schema's member, where it may hold schemas.
bool copy_schema_member(JsonOut& out, string_view key, const json::value& value) {
  const auto* object = value.if_object();
  const auto* array = value.if_array();
  if ((key == "properties" || key == "$defs" || key == "definitions") && object != nullptr) {
    out.open_object();
    for (const auto& member : *object) {
      out.key(member.key());
      if (!copy_schema(out, member.value())) return false;
    }
    out.close_object();
    return true;
  }
  if (key == "items" && object != nullptr) return copy_schema(out, value);
  if ((key == "anyOf" || key == "allOf") && array != nullptr) {
    out.open_array();
    for (const auto& element : *array) {
      if (!copy_schema(out, element)) return false;
    }
    out.close_array();
    return true;
  }
  out.value(value);
  return true;
}

/// Writes a schema as output_config.format wants it: objects are closed, since an answer that fits
/// the closed object fits the open one too, and bounds on numbers, lengths and counts, which it
/// refuses, are left out. False for what it cannot express: objects with free keys, conditions.
bool copy_schema(JsonOut& out, const json::value& schema) {
  static constexpr auto kRefused =
      std::to_array<string_view>({"$schema", "exclusiveMaximum", "exclusiveMinimum", "maxItems",
                                  "maxLength", "maxProperties", "maximum", "minItems", "minLength",
                                  "minProperties", "minimum", "multipleOf", "uniqueItems"});
  static_assert(std::ranges::is_sorted(kRefused));
  // These say which values are valid in ways that it cannot.
  static constexpr auto kInexpressible =
      std::to_array<string_view>({"contains", "dependentRequired", "dependentSchemas", "else", "if",
                                  "not", "patternProperties", "prefixItems", "propertyNames",
                                  "then", "unevaluatedItems", "unevaluatedProperties"});
  static_assert(std::ranges::is_sorted(kInexpressible));
  const auto* object = schema.if_object();
  if (object == nullptr) {
    out.value(schema);
    return true;
  }
  out.open_object();
  bool closed = false;
  for (const auto& member : *object) {
    string_view key = member.key();
    if (std::ranges::binary_search(kRefused, key)) continue;
    if (std::ranges::binary_search(kInexpressible, key)) return false;
    if (key == "additionalProperties") {
      if (!member.value().is_bool() || member.value().get_bool()) return false;
      closed = true;
    }
    if (key == "oneOf") {
      if (object->contains("anyOf")) return false;
      key = "anyOf";
    }
    out.key(key);
    if (!copy_schema_member(out, key, member.value())) return false;
  }
  if (allows_object(*object) && !closed) out.member("additionalProperties", false);
  out.close_object();
  return true;
}

AnswerFormat answer_format(const ResponseFormat& format, const AnthropicTraits& traits) {
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
    if (!traits.thinks_by_itself) {
      result.tool_name = answer_tool_name(format.name);
      return result;
    }
    // Thinking and a forced call exclude each other, but these models all know the format.
    JsonOut out(result.output_schema);
    if (copy_schema(out, format.schema)) return result;
    result.output_schema.clear();
  }
  result.instruction = fmt::format(
      "Answer with one JSON value and nothing else: no code fence, no words around it. It must fit "
      "this JSON Schema:\n{}",
      format.schema.is_null() ? "{}" : write_json(format.schema));
  return result;
}

/// Which tools the model may or must call.
struct Choice {
  string_view type;  ///< empty: not said
  string_view name;
  std::string instruction;  ///< says in words what may not be forced

  bool forced() const { return type == "any" || type == "tool"; }
};

Choice tool_choice(const ChatRequest& request, const AnswerFormat& answer,
                   const AnthropicTraits& traits) {
  using Mode = ToolChoice::Mode;
  Choice choice;
  const bool answer_tool = !answer.tool_name.empty();
  if (request.tools.empty() && !answer_tool) return choice;
  switch (request.tool_choice.mode) {
    case Mode::kUnset:
      break;
    case Mode::kAuto:
      choice.type = "auto";
      break;
    case Mode::kNone:
      choice.type = "none";
      break;
    case Mode::kRequired:
      choice.type = "any";
      break;
    case Mode::kNamed:
      choice.type = "tool";
      choice.name = request.tool_choice.name;
      break;
  }
  if (answer_tool && choice.type != "tool") {
    // Either one of the client's tools or the answer: something is called in any case.
    const bool only_answer = request.tools.empty() || choice.type == "none";
    choice.type = only_answer ? "tool" : "any";
    if (only_answer) choice.name = answer.tool_name;
  }
  if (traits.unforced && choice.forced()) {
    choice.instruction = choice.type == "any"
                             ? std::string("Call at least one of the tools in this turn.")
                             : fmt::format("Call the tool {} in this turn.", choice.name);
    choice.type = "auto";
    choice.name = {};
  }
  if (choice.type.empty() && request.tool_choice.parallel == false) choice.type = "auto";
  return choice;
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

void write_tools(JsonOut& out, const ChatRequest& request, const AnswerFormat& answer,
                 const Choice& choice) {
  if (request.tools.empty() && answer.tool_name.empty()) return;
  out.key("tools").open_array();
  for (const auto& tool : request.tools) {
    out.open_object().member("name", tool.name);
    if (!tool.description.empty()) out.member("description", tool.description);
    write_schema(out, tool.parameters);
    out.close_object();
  }
  if (!answer.tool_name.empty()) {
    out.open_object().member("name", answer.tool_name);
    out.member("description", request.format.description.empty()
                                  ? std::string("Gives the final answer to the user.")
                                  : request.format.description);
    write_schema(out, request.format.schema);
    out.close_object();
  }
  out.close_array();
  if (choice.type.empty()) return;
  out.key("tool_choice").open_object().member("type", choice.type);
  if (!choice.name.empty()) out.member("name", choice.name);
  if (request.tool_choice.parallel == false && choice.type != "none") {
    out.member("disable_parallel_tool_use", true);
  }
  out.close_object();
}

/// A tool loop can only go on thinking when its last call still has the signed thinking before it.
bool loop_lost_its_thinking(const ChatRequest& request) {
  for (auto message = request.messages.rbegin(); message != request.messages.rend(); ++message) {
    if (message->role != Role::kAssistant) continue;
    bool calls = false, signed_thought = false;
    for (const auto& part : message->parts) {
      calls = calls || std::holds_alternative<ToolCallPart>(part);
      const auto* thought = std::get_if<ReasoningPart>(&part);
      signed_thought = signed_thought || (thought != nullptr && is_signed_by_anthropic(*thought));
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
  if (reasoning.effort == "none" || reasoning.effort == "minimal") return "low";
  if (reasoning.effort == "xhigh" || reasoning.effort == "max") return "high";
  if (!reasoning.effort.empty()) return reasoning.effort;
  if (!reasoning.budget_tokens) return {};
  return *reasoning.budget_tokens <= 2048   ? "low"
         : *reasoning.budget_tokens <= 8192 ? "medium"
                                            : "high";
}

/// The thinking of models that decide for themselves how much, and the answer's format.
void write_adaptive(JsonOut& out, const ChatRequest& request, const AnswerFormat& answer,
                    const AnthropicTraits& traits, bool wanted, bool forced) {
  if (traits.thinks_by_itself && forced) {
    out.key("thinking").open_object().member("type", "disabled").close_object();
  } else if (wanted) {
    out.key("thinking").open_object().member("type", "adaptive");
    if (request.reasoning.include_summary) out.member("display", "summarized");
    out.close_object();
  }
  string_view effort;
  if (wanted || (traits.thinks_by_itself && !forced)) effort = effort_of(request.reasoning);
  if (effort.empty() && answer.output_schema.empty()) return;
  out.key("output_config").open_object();
  if (!effort.empty()) out.member("effort", effort);
  if (!answer.output_schema.empty()) {
    out.key("format").open_object().member("type", "json_schema");
    out.key("schema").raw(answer.output_schema).close_object();
  }
  out.close_object();
}

/// max_tokens, thinking and the sampling parameters, which depend on each other.
void write_limits(JsonOut& out, const ChatRequest& request, const AnswerFormat& answer,
                  const AnthropicTraits& traits, bool forced) {
  std::int64_t budget = budget_of(request.reasoning);
  // Thinking is a wish, a forced tool is a contract, and the two exclude each other.
  if (forced || loop_lost_its_thinking(request)) budget = 0;
  std::int64_t limit = request.max_tokens.value_or(kDefaultMaxTokens);
  bool thinks = budget > 0;
  if (!request.max_tokens) {
    // Thinking counts against max_tokens.
    if (traits.thinks_by_itself && !forced) budget = std::max(budget, kUnaskedThinking);
    limit += budget;
  } else if (thinks && !traits.adaptive) {
    if (limit < 2 * kMinThinking) {
      thinks = false;  // nothing would be left to answer with
    } else {
      budget = std::clamp<std::int64_t>(budget, kMinThinking, limit / 2);
    }
  }
  out.member("max_tokens", limit);
  if (traits.adaptive) {
    write_adaptive(out, request, answer, traits, thinks, forced);
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

bool is_blank(string_view text) { return text.find_first_not_of(" \t\r\n") == string_view::npos; }

Result<std::string> encode_rebuilt(const ChatRequest& request, string_view model) {
  const AnthropicTraits traits = anthropic_traits(model);
  const AnswerFormat answer = answer_format(request.format, traits);
  const Choice choice = tool_choice(request, answer, traits);
  std::string body;
  JsonOut out(body);
  out.open_object().member("model", model);
  write_anthropic_system(out, request, {answer.instruction, choice.instruction});
  out.key("messages");
  if (auto ok = write_anthropic_messages(out, request, traits); !ok) {
    return std::unexpected(ok.error());
  }
  write_tools(out, request, answer, choice);
  write_limits(out, request, answer, traits, choice.forced());
  bool stops_open = false;
  for (const auto& stop : request.stop) {
    if (is_blank(stop)) continue;  // refused, and OpenAI's clients send "\n"
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
      if (thought != nullptr && !is_signed_by_anthropic(*thought)) return true;
    }
  }
  return false;
}

/// True when an id of a tool call came from a vendor that is freer than Anthropic.
bool has_foreign_ids(const ChatRequest& request) {
  return std::ranges::any_of(request.messages, [](const Message& message) {
    return std::ranges::any_of(message.parts, [](const Part& part) {
      const auto* call = std::get_if<ToolCallPart>(&part);
      return call != nullptr && anthropic_tool_id(call->id) != call->id;
    });
  });
}

/// Content of the client as it came, but for the ids of calls and their results.
void copy_with_own_ids(JsonOut& out, const json::value& content) {
  const auto* blocks = content.if_array();
  if (blocks == nullptr) {
    out.value(content);
    return;
  }
  out.open_array();
  for (const auto& block : *blocks) {
    const auto* object = block.if_object();
    const string_view type = object == nullptr ? string_view() : string_at(*object, "type");
    const string_view id_key = type == "tool_use"      ? "id"
                               : type == "tool_result" ? "tool_use_id"
                                                       : "";
    if (id_key.empty()) {
      out.value(block);
      continue;
    }
    out.open_object();
    for (const auto& member : *object) {
      if (member.key() == id_key) {
        out.member(id_key, anthropic_tool_id(string_at(*object, id_key)));
      } else {
        out.member(member.key(), member.value());
      }
    }
    out.close_object();
  }
  out.close_array();
}

void copy_messages_with_own_ids(JsonOut& out, const json::array& messages) {
  out.key("messages").open_array();
  for (const auto& message : messages) {
    out.open_object();
    for (const auto& member : message.as_object()) {
      out.key(member.key());
      if (member.key() == "content") {
        copy_with_own_ids(out, member.value());
      } else {
        out.value(member.value());
      }
    }
    out.close_object();
  }
  out.close_array();
}

Result<std::string> encode_original(const ChatRequest& request, string_view model) {
  const json::object& original = request.original->root().get_object();
  const bool rerouted = string_at(original, "model") != model;
  const AnthropicTraits traits = anthropic_traits(model);
  const bool rewrite = request.messages_changed || has_foreign_thinking(request);
  const bool foreign_ids = has_foreign_ids(request);
  std::string body;
  body.reserve(request.original->text().size() + 64);
  JsonOut out(body);
  out.open_object().member("model", model);
  for (const auto& member : original) {
    const string_view key = member.key();
    if (key == "model" || key == "stream" || is_gateway_field(key)) continue;
    if (rewrite && key == "system") continue;
    if (rewrite && key == "messages") {
      write_anthropic_system(out, request, {});
      out.key("messages");
      if (auto ok = write_anthropic_messages(out, request, traits); !ok) {
        return std::unexpected(ok.error());
      }
      continue;
    }
    if (foreign_ids && key == "messages") {
      copy_messages_with_own_ids(out, member.value().as_array());
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
    const auto* choice =
        rerouted && traits.unforced && key == "tool_choice" ? member.value().if_object() : nullptr;
    if (choice != nullptr && string_at(*choice, "type") != "none") {
      out.key("tool_choice").open_object().member("type", "auto").close_object();
      continue;
    }
    out.same(*request.original, member);
  }
  if (request.stream) out.member("stream", true);
  out.close_object();
  return body;
}

}  // namespace

AnthropicTraits anthropic_traits(string_view model) {
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
  return AnthropicTraits{.adaptive = number >= 406,
                         .fixed_sampling = number >= 407,
                         .thinks_by_itself = number >= 500,
                         .unforced = number >= 501};
}

std::string answer_tool_name(string_view schema_name) {
  std::string name(kAnswerToolPrefix);
  name += schema_name.empty() ? string_view("answer") : schema_name;
  if (name.size() > kMaxToolName) name.resize(kMaxToolName);
  return name;
}

Result<std::string> encode_anthropic(const ChatRequest& request, string_view model) {
  const bool same_shape = request.shape == Shape::kAnthropic && request.original &&
                          request.original->root().is_object();
  return same_shape ? encode_original(request, model) : encode_rebuilt(request, model);
}

}  // namespace asahi::llm::wire
