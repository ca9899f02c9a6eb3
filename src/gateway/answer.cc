#include "gateway/answer.h"

#include <fmt/format.h>

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

struct PartWriter {
  json::object operator()(const llm::TextPart& part) const { return {{"t", "text"}, {"text", part.text}}; }
  json::object operator()(const llm::ImagePart& part) const {
    return {{"t", "image"}, {"url", part.url}, {"media_type", part.media_type}, {"data", part.data}, {"detail", part.detail}};
  }
  json::object operator()(const llm::AudioPart& part) const {
    return {{"t", "audio"}, {"format", part.format}, {"data", part.data}};
  }
  json::object operator()(const llm::FilePart& part) const {
    return {{"t", "file"}, {"file_id", part.file_id}, {"url", part.url}, {"media_type", part.media_type},
            {"data", part.data}, {"name", part.name}};
  }
  json::object operator()(const llm::ToolCallPart& part) const {
    return {{"t", "tool_call"}, {"id", part.id}, {"name", part.name}, {"arguments", part.arguments}};
  }
  json::object operator()(const llm::ToolResultPart& part) const {
    return {{"t", "tool_result"}, {"tool_call_id", part.tool_call_id}, {"text", part.text}, {"is_error", part.is_error}};
  }
  json::object operator()(const llm::ReasoningPart& part) const {
    return {{"t", "reasoning"}, {"text", part.text}, {"signature", part.signature}, {"encrypted", part.encrypted}};
  }
  json::object operator()(const llm::RefusalPart& part) const { return {{"t", "refusal"}, {"text", part.text}}; }
  json::object operator()(const llm::OpaquePart& part) const {
    return {{"t", "opaque"}, {"shape", static_cast<std::int64_t>(part.shape)}, {"value", part.value}};
  }
};

Result<llm::Part> part_from_json(const json::object& object) {
  const std::string type = text_at(object, "t");
  if (type == "text") return llm::TextPart{.text = text_at(object, "text"), .cache_control = {}};
  if (type == "image") {
    return llm::ImagePart{text_at(object, "url"), text_at(object, "media_type"), text_at(object, "data"), text_at(object, "detail")};
  }
  if (type == "audio") return llm::AudioPart{text_at(object, "format"), text_at(object, "data")};
  if (type == "file") {
    return llm::FilePart{text_at(object, "file_id"), text_at(object, "url"), text_at(object, "media_type"),
                         text_at(object, "data"), text_at(object, "name")};
  }
  if (type == "tool_call") return llm::ToolCallPart{text_at(object, "id"), text_at(object, "name"), text_at(object, "arguments")};
  if (type == "tool_result") {
    const json::value* is_error = object.if_contains("is_error");
    return llm::ToolResultPart{text_at(object, "tool_call_id"), text_at(object, "text"), {},
                               is_error != nullptr && is_error->is_bool() && is_error->get_bool()};
  }
  if (type == "reasoning") {
    return llm::ReasoningPart{text_at(object, "text"), text_at(object, "signature"), text_at(object, "encrypted")};
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

json::object usage_to_json(const llm::Usage& usage) {
  return {{"input", usage.input},
          {"cached_input", usage.cached_input},
          {"cache_write_input", usage.cache_write_input},
          {"cache_write_1h_input", usage.cache_write_1h_input},
          {"audio_input", usage.audio_input},
          {"output", usage.output},
          {"reasoning_output", usage.reasoning_output},
          {"audio_output", usage.audio_output},
          {"reported", usage.reported}};
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

}  // namespace

json::array parts_to_json(const std::vector<llm::Part>& parts) {
  json::array array;
  for (const llm::Part& part : parts) array.push_back(std::visit(PartWriter{}, part));
  return array;
}

Result<std::vector<llm::Part>> parts_from_json(const json::value& value) {
  if (!value.is_array()) return fail(Errc::kCorrupt, "a stored answer has no list of parts");
  std::vector<llm::Part> parts;
  for (const json::value& element : value.get_array()) {
    if (!element.is_object()) return fail(Errc::kCorrupt, "a stored answer has a part that is no object");
    ASAHI_TRY(auto part, part_from_json(element.get_object()));
    parts.push_back(std::move(part));
  }
  return parts;
}

std::string serialize_answer(const Answer& answer) {
  const llm::ChatResponse& response = answer.response;
  const json::object header{
      {"v", kVersion},
      {"query", answer.query},
      {"model", answer.model},
      {"provider", answer.provider},
      {"task_type", answer.task_type},
      {"cost_nanos", answer.cost.nanos},
      {"baseline_nanos", answer.baseline.nanos},
      {"quality", answer.quality},
      {"created_at", format_rfc3339(answer.created)},
      {"expires_at", format_rfc3339(answer.expires)},
      {"id", response.id},
      {"vendor_model", response.model},
      {"finish", static_cast<std::int64_t>(response.finish)},
      {"stop_sequence", response.stop_sequence},
      {"usage", usage_to_json(response.usage)},
      {"shape", static_cast<std::int64_t>(response.shape)},
      {"parts", parts_to_json(response.parts)},
  };
  std::string out = json::serialize(header);
  out += '\n';
  if (response.original != nullptr) out += json::serialize(response.original->root());
  return out;
}

Result<Answer> parse_answer(std::string_view stored) {
  const std::size_t line_end = stored.find('\n');
  if (line_end == std::string_view::npos) return fail(Errc::kCorrupt, "a stored answer lacks its header line");
  auto parsed = parse_json(stored.substr(0, line_end));
  if (!parsed || !parsed->is_object()) return fail(Errc::kCorrupt, "a stored answer's header is not JSON");
  const json::object& header = parsed->get_object();
  if (integer_at(header, "v") != kVersion) {
    return fail(Errc::kCorrupt, fmt::format("a stored answer has version {}, this program reads {}", integer_at(header, "v"), kVersion));
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
  if (const json::value* usage = header.if_contains("usage"); usage != nullptr && usage->is_object()) {
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
