#include "llm/testing/wire_feed.h"

#include <fmt/format.h>

#include <stdexcept>

#include "net/sse/parser.h"

namespace asahi::llm_testing {
namespace {

std::string line_of(const llm::Part& part) {
  if (const auto* text = std::get_if<llm::TextPart>(&part))
    return fmt::format("text {}", text->text);
  if (const auto* refusal = std::get_if<llm::RefusalPart>(&part))
    return fmt::format("refusal {}", refusal->text);
  if (const auto* call = std::get_if<llm::ToolCallPart>(&part)) {
    return fmt::format("call {} {} {}", call->id, call->name, call->arguments);
  }
  if (const auto* thought = std::get_if<llm::ReasoningPart>(&part)) {
    return fmt::format("reasoning {} signature={} encrypted={}", thought->text, thought->signature,
                       thought->encrypted);
  }
  return fmt::format("part {}", part.index());
}

}  // namespace

Fed feed(llm::StreamDecoder& decoder, std::string_view body, std::size_t piece) {
  Fed fed;
  Result<void> ok;
  if (piece == 0) piece = body.size() + 1;
  for (std::size_t at = 0; at < body.size() && ok; at += piece)
    ok = decoder.feed(body.substr(at, piece), fed.events);
  if (ok) ok = decoder.finish(fed.events);
  if (!ok) fed.error = ok.error();
  llm::StreamCollector collector;
  for (const auto& event : fed.events) collector.add(event);
  fed.response = collector.response();
  fed.complete = collector.complete();
  return fed;
}

std::string describe(const llm::ChatResponse& response) {
  std::string out = fmt::format("id {}\nmodel {}\n", response.id, response.model);
  for (const auto& part : response.parts) out += line_of(part) + "\n";
  const llm::Usage& u = response.usage;
  out += fmt::format(
      "finish {}\nusage in={} cached={} written={}/{} audio={} out={} reasoning={} audio={} "
      "reported={}\n",
      llm::to_string(response.finish), u.input, u.cached_input, u.cache_write_input,
      u.cache_write_1h_input, u.audio_input, u.output, u.reasoning_output, u.audio_output,
      u.reported);
  return out;
}

std::shared_ptr<const JsonDocument> document(std::string_view json_text) {
  auto parsed = JsonDocument::parse(json_text);
  if (!parsed) throw std::invalid_argument(parsed.error().message);
  return *parsed;
}

std::vector<json::object> sse_objects(std::string_view text) {
  sse::Parser parser;
  std::vector<sse::Event> events;
  if (auto ok = parser.feed(text, events); !ok) throw std::invalid_argument(ok.error().message);
  std::vector<json::object> out;
  for (const auto& event : events) out.push_back(parse_json(event.data).value().get_object());
  return out;
}

}  // namespace asahi::llm_testing
