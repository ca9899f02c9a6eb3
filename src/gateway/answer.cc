#include "gateway/answer.h"

#include <fmt/format.h>

#include "base/json_out.h"
#include "llm/wire/common.h"

namespace asahi::gateway {
namespace {

constexpr std::int64_t kVersion = 1;

std::string text_at(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}
std::int64_t integer_at(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_int64() ? value->get_int64() : 0;
}

/// Writes the members of a part into an object that is open.
struct PartWriter {
  JsonOut& out;

  void operator()(const llm::TextPart& part) const {
    out.member("t", "text").member("text", part.text);
    if (!part.cache_control.is_null()) out.member("cache_control", part.cache_control);
  }
  void operator()(const llm::ImagePart& part) const {
    out.member("t", "image").member("url", part.url).member("media_type", part.media_type);
    out.member("data", part.data).member("detail", part.detail);
  }
  void operator()(const llm::AudioPart& part) const {
    out.member("t", "audio").member("format", part.format).member("data", part.data);
  }
  void operator()(const llm::FilePart& part) const {
    out.member("t", "file")
        .member("file_id", part.file_id)
        .member("url", part.url)
        .member("media_type", part.media_type);
    out.member("data", part.data).member("name", part.name);
  }
  void operator()(const llm::ToolCallPart& part) const {
    out.member("t", "tool_call")
        .member("id", part.id)
        .member("name", part.name)
        .member("arguments", part.arguments);
  }
  void operator()(const llm::ToolResultPart& part) const {
    out.member("t", "tool_result")
        .member("tool_call_id", part.tool_call_id)
        .member("text", part.text);
    out.member("is_error", part.is_error);
    if (part.images.empty()) return;
    out.key("images").open_array();
    for (const llm::ImagePart& image : part.images) {
      out.open_object();
      (*this)(image);
      out.close_object();
    }
    out.close_array();
  }
  void operator()(const llm::ReasoningPart& part) const {
    out.member("t", "reasoning").member("text", part.text).member("signature", part.signature);
    out.member("encrypted", part.encrypted);
  }
  void operator()(const llm::RefusalPart& part) const {
    out.member("t", "refusal").member("text", part.text);
  }
  void operator()(const llm::OpaquePart& part) const {
    out.member("t", "opaque")
        .member("shape", static_cast<std::int64_t>(part.shape))
        .member("value", part.value);
  }
};

llm::ImagePart image_from_json(const json::object& object) {
  return {text_at(object, "url"), text_at(object, "media_type"), text_at(object, "data"),
          text_at(object, "detail")};
}

Result<llm::Part> part_from_json(const json::object& object) {
  const std::string type = text_at(object, "t");
  if (type == "text") {
    const json::value* cache_control = object.if_contains("cache_control");
    return llm::TextPart{
        .text = text_at(object, "text"),
        .cache_control = cache_control != nullptr ? *cache_control : json::value()};
  }
  if (type == "image") return image_from_json(object);
  if (type == "audio") return llm::AudioPart{text_at(object, "format"), text_at(object, "data")};
  if (type == "file") {
    return llm::FilePart{text_at(object, "file_id"), text_at(object, "url"),
                         text_at(object, "media_type"), text_at(object, "data"),
                         text_at(object, "name")};
  }
  if (type == "tool_call")
    return llm::ToolCallPart{text_at(object, "id"), text_at(object, "name"),
                             text_at(object, "arguments")};
  if (type == "tool_result") {
    const json::value* is_error = object.if_contains("is_error");
    llm::ToolResultPart result{text_at(object, "tool_call_id"),
                               text_at(object, "text"),
                               {},
                               is_error != nullptr && is_error->is_bool() && is_error->get_bool()};
    if (const json::value* images = object.if_contains("images");
        images != nullptr && images->is_array()) {
      for (const json::value& image : images->get_array()) {
        if (!image.is_object())
          return fail(Errc::kCorrupt, "a stored answer has an image that is no object");
        result.images.push_back(image_from_json(image.get_object()));
      }
    }
    return result;
  }
  if (type == "reasoning") {
    return llm::ReasoningPart{text_at(object, "text"), text_at(object, "signature"),
                              text_at(object, "encrypted")};
  }
  if (type == "refusal") return llm::RefusalPart{text_at(object, "text")};
  if (type == "opaque") {
    const std::int64_t shape = integer_at(object, "shape");
    const json::value* value = object.if_contains("value");
    if (shape < 0 || shape > static_cast<std::int64_t>(llm::Shape::kMock) || value == nullptr) {
      return fail(Errc::kCorrupt, "a stored answer has a broken opaque part");
    }
    return llm::OpaquePart{static_cast<llm::Shape>(shape), *value};
  }
  return fail(Errc::kCorrupt, fmt::format("a stored answer has a part of unknown type '{}'", type));
}

void write_usage(JsonOut& out, const llm::Usage& usage) {
  out.open_object().member("input", usage.input).member("cached_input", usage.cached_input);
  out.member("cache_write_input", usage.cache_write_input)
      .member("cache_write_1h_input", usage.cache_write_1h_input);
  out.member("audio_input", usage.audio_input).member("output", usage.output);
  out.member("reasoning_output", usage.reasoning_output).member("audio_output", usage.audio_output);
  out.member("reported", usage.reported).close_object();
}

llm::Usage usage_from_json(const json::object& object) {
  llm::Usage usage;
  usage.input = integer_at(object, "input");
  usage.cached_input = integer_at(object, "cached_input");
  usage.cache_write_input = integer_at(object, "cache_write_input");
  usage.cache_write_1h_input = integer_at(object, "cache_write_1h_input");
  usage.audio_input = integer_at(object, "audio_input");
  usage.output = integer_at(object, "output");
  usage.reasoning_output = integer_at(object, "reasoning_output");
  usage.audio_output = integer_at(object, "audio_output");
  const json::value* reported = object.if_contains("reported");
  usage.reported = reported != nullptr && reported->is_bool() && reported->get_bool();
  return usage;
}

void write_parts(JsonOut& out, const std::vector<llm::Part>& parts) {
  out.open_array();
  for (const llm::Part& part : parts) {
    out.open_object();
    std::visit(PartWriter{out}, part);
    out.close_object();
  }
  out.close_array();
}

}  // namespace

json::array parts_to_json(const std::vector<llm::Part>& parts) {
  std::string text;
  JsonOut out(text);
  write_parts(out, parts);
  return parse_json(text).value().get_array();
}

Result<std::vector<llm::Part>> parts_from_json(const json::value& value) {
  if (!value.is_array()) return fail(Errc::kCorrupt, "a stored answer has no list of parts");
  std::vector<llm::Part> parts;
  for (const json::value& element : value.get_array()) {
    if (!element.is_object())
      return fail(Errc::kCorrupt, "a stored answer has a part that is no object");
    ASAHI_TRY(auto part, part_from_json(element.get_object()));
    parts.push_back(std::move(part));
  }
  return parts;
}

std::string serialize_answer(const Answer& answer) {
  return serialize_answer(answer, answer.created, answer.expires);
}

std::string serialize_answer(const Answer& answer, Clock::Time created, Clock::Time expires) {
  const llm::ChatResponse& response = answer.response;
  std::string text;
  text.reserve(2'048 + answer.query.size() +
               (response.original != nullptr ? response.original->text().size() : 0));
  JsonOut out(text);
  out.open_object()
      .member("v", kVersion)
      .member("query", answer.query)
      .member("model", answer.model);
  out.member("provider", answer.provider).member("task_type", answer.task_type);
  out.member("cost_nanos", answer.cost.nanos).member("baseline_nanos", answer.baseline.nanos);
  out.member("quality", answer.quality).member("created_at", format_rfc3339(created));
  if (!answer.entry_id.empty()) out.member("entry_id", answer.entry_id);
  out.member("expires_at", format_rfc3339(expires)).member("id", response.id);
  out.member("vendor_model", response.model)
      .member("finish", static_cast<std::int64_t>(response.finish));
  out.member("stop_sequence", response.stop_sequence).key("usage");
  write_usage(out, response.usage);
  out.member("shape", static_cast<std::int64_t>(response.shape)).key("parts");
  write_parts(out, response.parts);
  out.close_object();
  text += '\n';
  if (response.original != nullptr) text += response.original->text();
  return text;
}

Result<Answer> parse_answer(std::string_view stored) {
  const std::size_t line_end = stored.find('\n');
  if (line_end == std::string_view::npos)
    return fail(Errc::kCorrupt, "a stored answer lacks its header line");
  auto parsed = parse_json(stored.substr(0, line_end));
  if (!parsed || !parsed->is_object())
    return fail(Errc::kCorrupt, "a stored answer's header is not JSON");
  const json::object& header = parsed->get_object();
  if (integer_at(header, "v") != kVersion) {
    return fail(Errc::kCorrupt, fmt::format("a stored answer has version {}, this program reads {}",
                                            integer_at(header, "v"), kVersion));
  }
  Answer answer;
  answer.query = text_at(header, "query");
  answer.model = text_at(header, "model");
  answer.provider = text_at(header, "provider");
  answer.task_type = text_at(header, "task_type");
  answer.cost = {integer_at(header, "cost_nanos")};
  answer.baseline = {integer_at(header, "baseline_nanos")};
  const json::value* quality = header.if_contains("quality");
  if (quality != nullptr && quality->is_number()) answer.quality = quality->to_number<double>();
  answer.entry_id = text_at(header, "entry_id");
  answer.created = parse_rfc3339(text_at(header, "created_at")).value_or(Clock::Time{});
  answer.expires = parse_rfc3339(text_at(header, "expires_at")).value_or(Clock::Time{});
  answer.response.id = text_at(header, "id");
  answer.response.model = text_at(header, "vendor_model");
  const std::int64_t finish = integer_at(header, "finish");
  const std::int64_t shape = integer_at(header, "shape");
  if (finish < 0 || finish > static_cast<std::int64_t>(llm::FinishReason::kUnknown) || shape < 0 ||
      shape > static_cast<std::int64_t>(llm::Shape::kMock)) {
    return fail(Errc::kCorrupt, "a stored answer's finish reason or shape is unknown");
  }
  answer.response.finish = static_cast<llm::FinishReason>(finish);
  answer.response.shape = static_cast<llm::Shape>(shape);
  answer.response.stop_sequence = text_at(header, "stop_sequence");
  if (const json::value* usage = header.if_contains("usage");
      usage != nullptr && usage->is_object()) {
    answer.response.usage = usage_from_json(usage->get_object());
  }
  const json::value* parts = header.if_contains("parts");
  ASAHI_TRY(answer.response.parts, parts_from_json(parts != nullptr ? *parts : json::value()));
  const std::string_view original = stored.substr(line_end + 1);
  if (!original.empty()) {
    auto document = JsonDocument::parse(original);
    if (!document) return fail(Errc::kCorrupt, "a stored answer's original is not JSON");
    answer.response.original = std::move(*document);
  }
  return answer;
}

}  // namespace asahi::gateway
