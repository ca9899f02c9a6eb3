#include "gateway/request.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/utf8.h"

namespace asahi::gateway {
namespace {

constexpr std::size_t kMaxSystemChars = 50'000;

constexpr std::array<std::string_view, 27> kNativeFields = {"agent_id",
                                                            "allow_batching",
                                                            "allow_fallback",
                                                            "bypass_cache",
                                                            "cost_budget",
                                                            "cost_sensitivity",
                                                            "document_id",
                                                            "enrich_with_features",
                                                            "examples",
                                                            "fallback_models",
                                                            "history",
                                                            "latency_budget_ms",
                                                            "latency_preference",
                                                            "max_tokens",
                                                            "model",
                                                            "model_override",
                                                            "optimize_tokens",
                                                            "organization_id",
                                                            "prompt",
                                                            "provider_api_key",
                                                            "quality_preference",
                                                            "quality_threshold",
                                                            "request_id",
                                                            "routing_mode",
                                                            "stream",
                                                            "system_prompt",
                                                            "task_id"};
constexpr std::array<std::string_view, 4> kNativeFieldsMore = {"semantic_cache", "task_type",
                                                               "temperature", "user_id"};

std::string kind_of(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return "null";
    case json::kind::bool_:
      return "a boolean";
    case json::kind::int64:
    case json::kind::uint64:
    case json::kind::double_:
      return "a number";
    case json::kind::string:
      return "a string";
    case json::kind::array:
      return "an array";
    case json::kind::object:
      return "an object";
  }
  return "a value";
}

/// Present and not null.
const json::value* member(const json::object& body, std::string_view key) {
  const json::value* value = find_member(body, key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

Result<void> read_text(const json::object& body, const char* key, std::string& out,
                       std::size_t max_bytes = 255) {
  const json::value* value = member(body, key);
  if (value == nullptr) return {};
  if (!value->is_string())
    return fail_field(key, fmt::format("{} must be a string, not {}", key, kind_of(*value)));
  if (value->get_string().size() > max_bytes) {
    return fail_field(key, fmt::format("{} has {} bytes; at most {} are allowed", key,
                                       value->get_string().size(), max_bytes));
  }
  out = std::string(value->get_string());
  return {};
}

Result<void> read_word(const json::object& body, const char* key,
                       std::initializer_list<std::string_view> words, std::string& out) {
  if (auto read = read_text(body, key, out); !read) return read;
  if (out.empty() && member(body, key) == nullptr) return {};
  if (std::ranges::find(words, out) == words.end()) {
    return fail_field(
        key, fmt::format("{} is '{}'; it must be one of {}", key, out, fmt::join(words, ", ")));
  }
  return {};
}

Result<void> read_number(const json::object& body, const char* key, double min, double max,
                         std::optional<double>& out) {
  const json::value* value = member(body, key);
  if (value == nullptr) return {};
  if (!value->is_number())
    return fail_field(key, fmt::format("{} must be a number, not {}", key, kind_of(*value)));
  const double number = value->to_number<double>();
  if (!std::isfinite(number) || number < min || number > max) {
    return fail_field(key,
                      fmt::format("{} is {}; it must be from {} to {}", key, number, min, max));
  }
  out = number;
  return {};
}

Result<void> read_integer(const json::object& body, const char* key, std::int64_t min,
                          std::int64_t max, std::optional<std::int64_t>& out) {
  const json::value* value = member(body, key);
  if (value == nullptr) return {};
  std::optional<double> number;
  if (auto read =
          read_number(body, key, static_cast<double>(min), static_cast<double>(max), number);
      !read)
    return read;
  if (*number != std::floor(*number)) {
    return fail_field(key, fmt::format("{} is {}; it must be a whole number from {} to {}", key,
                                       *number, min, max));
  }
  out = static_cast<std::int64_t>(*number);
  return {};
}

Result<void> read_flag(const json::object& body, const char* key, bool& out) {
  const json::value* value = member(body, key);
  if (value == nullptr) return {};
  if (!value->is_bool())
    return fail_field(key, fmt::format("{} must be true or false, not {}", key, kind_of(*value)));
  out = value->get_bool();
  return {};
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n\f\v";
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

llm::Message text_message(llm::Role role, std::string text) {
  llm::Message message{.role = role};
  message.parts.emplace_back(llm::TextPart{.text = std::move(text), .cache_control = {}});
  return message;
}

Result<void> read_history(const json::object& body, std::vector<llm::Message>& out) {
  const json::value* value = member(body, "history");
  if (value == nullptr) return {};
  if (!value->is_array())
    return fail_field("history", fmt::format("history must be an array, not {}", kind_of(*value)));
  const json::array& turns = value->get_array();
  for (std::size_t i = 0; i < turns.size(); ++i) {
    const std::string path = fmt::format("history[{}]", i);
    if (!turns[i].is_object())
      return fail_field(path, fmt::format("{} must be an object with role and content", path));
    const json::value* role = member(turns[i].get_object(), "role");
    const json::value* content = member(turns[i].get_object(), "content");
    if (role == nullptr || !role->is_string() || content == nullptr || !content->is_string()) {
      return fail_field(path, fmt::format("{} needs the strings role and content", path));
    }
    const std::string_view word = role->get_string();
    if (word != "user" && word != "assistant" && word != "system") {
      return fail_field(
          path + ".role",
          fmt::format("{}.role is '{}'; it must be one of user, assistant, system", path, word));
    }
    const llm::Role who = word == "user"        ? llm::Role::kUser
                          : word == "assistant" ? llm::Role::kAssistant
                                                : llm::Role::kSystem;
    out.push_back(text_message(who, std::string(content->get_string())));
  }
  return {};
}

Result<void> read_examples(const json::object& body, std::vector<llm::Message>& out) {
  const json::value* value = member(body, "examples");
  if (value == nullptr) return {};
  if (!value->is_array())
    return fail_field("examples",
                      fmt::format("examples must be an array, not {}", kind_of(*value)));
  const json::array& examples = value->get_array();
  for (std::size_t i = 0; i < examples.size(); ++i) {
    const std::string path = fmt::format("examples[{}]", i);
    const json::object* example = examples[i].if_object();
    const json::value* input = example == nullptr ? nullptr : member(*example, "input");
    const json::value* output = example == nullptr ? nullptr : member(*example, "output");
    if (input == nullptr || !input->is_string() || output == nullptr || !output->is_string()) {
      return fail_field(path, fmt::format("{} needs the strings input and output", path));
    }
    out.push_back(text_message(llm::Role::kUser, std::string(input->get_string())));
    out.push_back(text_message(llm::Role::kAssistant, std::string(output->get_string())));
  }
  return {};
}

/// Without branches, so that the compiler can look at many bytes together.
bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  const unsigned blank = static_cast<unsigned>(byte == '\t') | static_cast<unsigned>(byte == '\n') |
                         static_cast<unsigned>(byte == '\r');
  const unsigned low = static_cast<unsigned>(byte < 0x20) & ~blank;
  return (low | static_cast<unsigned>(byte == 0x7F)) != 0;
}

bool strip(std::string& text) {
  unsigned char any = 0;  // most texts hold none
  const std::size_t size = text.size();
  const char* const bytes = text.data();
  for (std::size_t i = 0; i < size; ++i) any |= static_cast<unsigned char>(is_control(bytes[i]));
  return any != 0 && std::erase_if(text, is_control) > 0;
}

}  // namespace

/// All that read_options looks at: what is missing here is not read.
constexpr auto kOptionFields =
    std::to_array<std::string_view>({"agent_id",           "allow_batching",
                                     "allow_fallback",     "bypass_cache",
                                     "cost_budget",        "cost_sensitivity",
                                     "document_id",        "enrich_with_features",
                                     "fallback_models",    "latency_budget_ms",
                                     "latency_preference", "optimize_tokens",
                                     "organization_id",    "provider_api_key",
                                     "quality_preference", "quality_threshold",
                                     "request_id",         "routing_mode",
                                     "semantic_cache",     "task_id",
                                     "task_type",          "user_id"});

Result<RequestOptions> read_options(const json::object& body, RoutingMode default_mode) {
  RequestOptions options;
  options.mode = default_mode;
  // Most requests carry none of them.
  const JsonKeys keys(body);
  if (std::ranges::none_of(kOptionFields,
                           [&](std::string_view key) { return keys.may_contain(key); }))
    return options;
  std::string mode, quality, latency;
  std::optional<std::int64_t> latency_budget;
  std::optional<double> cost_budget;
  std::string api_key;
  bool enrich = false;
  for (auto&& read : {
           read_word(body, "routing_mode", {"autopilot", "guided", "explicit"}, mode),
           read_word(body, "quality_preference", {"low", "medium", "high", "max"}, quality),
           read_word(body, "latency_preference", {"slow", "normal", "fast", "instant"}, latency),
           read_word(body, "cost_sensitivity", {"high", "medium", "low"}, options.cost_sensitivity),
           read_number(body, "quality_threshold", 0, 5, options.quality_threshold),
           read_integer(body, "latency_budget_ms", 50, 30'000, latency_budget),
           read_number(body, "cost_budget", 0, 1e9, cost_budget),
           read_text(body, "task_type", options.task_type, 100),
           read_text(body, "task_id", options.task_id),
           read_text(body, "user_id", options.user_id),
           read_text(body, "organization_id", options.organization_id),
           read_text(body, "document_id", options.document_id),
           read_text(body, "agent_id", options.agent_id, 64),
           read_text(body, "request_id", options.request_id),
           read_text(body, "provider_api_key", api_key, 4'096),
           read_flag(body, "allow_fallback", options.allow_fallback),
           read_flag(body, "bypass_cache", options.bypass_cache),
           read_flag(body, "allow_batching", options.allow_batching),
           read_flag(body, "semantic_cache", options.semantic_cache),
           read_flag(body, "optimize_tokens", options.optimize_tokens),
           read_flag(body, "enrich_with_features", enrich),
       }) {
    if (!read) return std::unexpected(read.error());
  }
  // The words were checked above: parsing them cannot fail.
  if (!mode.empty()) options.mode = *parse_routing_mode(mode);
  if (!quality.empty()) options.quality_preference = *parse_quality_preference(quality);
  if (!latency.empty()) options.latency_preference = *parse_latency_preference(latency);
  if (member(body, "enrich_with_features") != nullptr) options.enrich_with_features = enrich;
  if (latency_budget) options.latency_budget_ms = static_cast<int>(*latency_budget);
  if (cost_budget) options.cost_budget = nano_usd_from_dollars(*cost_budget);
  options.provider_api_key = Secret(std::move(api_key));
  if (const json::value* models = member(body, "fallback_models")) {
    if (!models->is_array() || models->get_array().size() > 3) {
      return fail_field("fallback_models",
                        "fallback_models must be an array of at most 3 model names");
    }
    for (const json::value& model : models->get_array()) {
      if (!model.is_string())
        return fail_field("fallback_models", "fallback_models must hold model names");
      options.fallback_models.emplace_back(model.get_string());
    }
  }
  return options;
}

void apply_model_field(RequestOptions& options, std::string_view model, bool mode_given) {
  if (model.empty() || model == "asahi" || model == "auto") return;
  if (model == "asahi-guided") {
    if (!mode_given) options.mode = RoutingMode::kGuided;
    return;
  }
  options.model = std::string(model);
  if (!mode_given) options.mode = RoutingMode::kExplicit;
}

Result<NativeRequest> read_native(std::shared_ptr<const JsonDocument> document,
                                  RoutingMode default_mode, std::int64_t max_prompt_chars) {
  if (!document->root().is_object())
    return fail_field("", "the body must be a JSON object with the field prompt");
  const json::object& body = document->root().get_object();
  for (const auto& field : body) {
    const std::string_view key = field.key();
    if (!std::ranges::binary_search(kNativeFields, key) &&
        std::ranges::find(kNativeFieldsMore, key) == kNativeFieldsMore.end()) {
      return fail_field(
          std::string(key),
          fmt::format("{} is not a field of POST /infer; see /docs for the list", key));
    }
  }
  NativeRequest native;
  ASAHI_TRY(native.options, read_options(body, default_mode));
  RequestOptions& options = native.options;
  llm::ChatRequest& chat = native.chat;

  const json::value* prompt = body.if_contains("prompt");
  if (prompt == nullptr)
    return fail_field("prompt",
                      fmt::format("prompt is missing; it must be a string of 1 to {} characters",
                                  max_prompt_chars));
  if (!prompt->is_string())
    return fail_field("prompt", fmt::format("prompt must be a string, not {}", kind_of(*prompt)));
  std::string text(trimmed(prompt->get_string()));
  strip(text);
  if (const auto size = static_cast<std::int64_t>(utf8_characters(text));
      size < 1 || size > max_prompt_chars) {
    return fail_field(
        "prompt", fmt::format("prompt has {} characters after trimming; it must have 1 to {}", size,
                              max_prompt_chars));
  }

  std::string system, model, model_override;
  bool stream = false;
  for (auto&& read :
       {read_text(body, "system_prompt", system, kMaxSystemChars * 4),
        read_text(body, "model", model), read_text(body, "model_override", model_override),
        read_integer(body, "max_tokens", 1, 128'000, chat.max_tokens),
        read_number(body, "temperature", 0, 2, chat.temperature),
        read_flag(body, "stream", stream)}) {
    if (!read) return std::unexpected(read.error());
  }
  if (utf8_characters(system) > kMaxSystemChars) {
    return fail_field("system_prompt",
                      fmt::format("system_prompt has {} characters; at most {} are allowed",
                                  utf8_characters(system), kMaxSystemChars));
  }
  if (!model.empty() && !model_override.empty() && model != model_override) {
    return fail_field(
        "model_override",
        fmt::format("model is '{}' and model_override is '{}'; they are the same field, give one",
                    model, model_override));
  }
  if (model_override.empty()) model_override = model;
  apply_model_field(options, model_override, member(body, "routing_mode") != nullptr);
  if (options.mode == RoutingMode::kExplicit && options.model.empty()) {
    return fail_field(
        "model_override",
        "routing_mode explicit needs model_override (or model); see GET /models for names");
  }

  if (!system.empty()) chat.messages.push_back(text_message(llm::Role::kSystem, std::move(system)));
  if (auto read = read_examples(body, chat.messages); !read) return std::unexpected(read.error());
  if (auto read = read_history(body, chat.messages); !read) return std::unexpected(read.error());
  chat.messages.push_back(text_message(llm::Role::kUser, std::move(text)));
  strip_control_characters(chat);
  if (!chat.max_tokens) chat.max_tokens = 1'024;
  chat.stream = stream;
  chat.stream_usage = true;
  chat.model = options.model;
  chat.user = options.user_id;
  chat.shape = llm::Shape::kNative;
  chat.original = std::move(document);
  return native;
}

bool strip_control_characters(llm::ChatRequest& request) {
  bool changed = false;
  for (llm::Message& message : request.messages) {
    for (llm::Part& part : message.parts) {
      if (auto* text = std::get_if<llm::TextPart>(&part)) changed |= strip(text->text);
      if (auto* result = std::get_if<llm::ToolResultPart>(&part)) changed |= strip(result->text);
    }
  }
  return changed;
}

}  // namespace asahi::gateway
