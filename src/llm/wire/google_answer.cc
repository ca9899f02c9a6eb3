#include <charconv>
#include <cmath>

#include "llm/wire/common.h"
#include "llm/wire/google.h"
#include "llm/wire/stream_frame.h"
#include "llm/wire/tool_ids.h"
#include "net/sse/parser.h"

namespace asahi::llm::wire::google {
namespace {

using Kind = StreamEvent::Kind;

// No real count comes near; it keeps sums of nonsense from overflowing.
std::int64_t count_at(const json::object& object, std::string_view key) {
  return std::clamp<std::int64_t>(int_at(object, key), 0, std::int64_t{1} << 52);
}

std::int64_t audio_tokens(const json::object& usage, std::string_view key) {
  const auto* details = array_at(usage, key);
  std::int64_t sum = 0;
  if (details == nullptr) return sum;
  for (const auto& detail : *details) {
    const auto* object = detail.if_object();
    if (object != nullptr && string_at(*object, "modality") == "AUDIO")
      sum += count_at(*object, "tokenCount");
  }
  return sum;
}

// Thoughts are billed as output but counted beside the candidates; what tools put into the prompt
// likewise.
Usage read_usage(const json::object& usage) {
  Usage out;
  out.reported = true;
  out.input = count_at(usage, "promptTokenCount") + count_at(usage, "toolUsePromptTokenCount");
  out.cached_input = std::min(count_at(usage, "cachedContentTokenCount"), out.input);
  out.audio_input = std::min(audio_tokens(usage, "promptTokensDetails"), out.input);
  out.reasoning_output = count_at(usage, "thoughtsTokenCount");
  out.output = count_at(usage, "candidatesTokenCount") + out.reasoning_output;
  out.audio_output = std::min(audio_tokens(usage, "candidatesTokensDetails"), out.output);
  return out;
}

FinishReason finish_of(std::string_view reason, bool called_tools) {
  if (reason == "STOP") return called_tools ? FinishReason::kToolCalls : FinishReason::kStop;
  if (reason == "MAX_TOKENS") return FinishReason::kLength;
  for (const std::string_view blocked :
       {"SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII",
        "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"}) {
    if (reason == blocked) return FinishReason::kContentFilter;
  }
  return reason == "FINISH_REASON_UNSPECIFIED" ? FinishReason::kUnknown : FinishReason::kError;
}

struct VendorWords {
  std::string_view message, status;
  int code = 0;
  bool bad_key = false;
  std::optional<std::chrono::milliseconds> retry_delay;
};

// "34s" or "1.5s", as google.rpc.RetryInfo writes durations.
std::optional<std::chrono::milliseconds> read_duration(std::string_view text) {
  if (!text.ends_with('s')) return std::nullopt;
  double seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size() - 1, seconds);
  if (error != std::errc() || end != text.data() + text.size() - 1) return std::nullopt;
  if (!(seconds >= 0) || seconds > 86'400) return std::nullopt;
  return std::chrono::milliseconds(std::llround(seconds * 1000));
}

// `body` is {"error": …}, or an array of it where a stream was asked for.
std::optional<VendorWords> read_error(const json::value& body) {
  const json::value* value = &body;
  if (const auto* list = body.if_array(); list != nullptr && !list->empty()) value = &list->front();
  const auto* root = value->if_object();
  const auto* error = root == nullptr ? nullptr : object_at(*root, "error");
  if (error == nullptr) return std::nullopt;
  VendorWords words{.message = string_at(*error, "message"),
                    .status = string_at(*error, "status"),
                    .code = static_cast<int>(int_at(*error, "code"))};
  if (const auto* details = array_at(*error, "details")) {
    for (const auto& detail : *details) {
      const auto* object = detail.if_object();
      if (object == nullptr) continue;
      words.bad_key = words.bad_key || string_at(*object, "reason") == "API_KEY_INVALID";
      if (auto delay = read_duration(string_at(*object, "retryDelay"))) words.retry_delay = delay;
    }
  }
  return words;
}

// Google answers 400 to a bad key; for the caller it is a vendor that refuses our credentials.
Error typed(const VendorWords& words, int status, const http::Headers& headers) {
  Error error = vendor_error(words.bad_key ? 401 : status, headers, words.message, words.status);
  error.upstream_status = status;
  if (!error.retry_after) error.retry_after = words.retry_delay;
  return error;
}

Error typed_inside_200(const VendorWords& words) {
  const bool status = words.code >= 400 && words.code < 600;
  return typed(words, status ? words.code : 502, http::Headers());
}

/// Turns GenerateContentResponse objects, one or many, into events.
class FrameReader {
 public:
  bool finished() const { return finished_; }

  Result<void> read(const json::value& value, std::vector<StreamEvent>& out) {
    if (auto words = read_error(value)) return std::unexpected(typed_inside_200(*words));
    const auto* frame = value.if_object();
    if (frame == nullptr) return garbage("Google", "it is not a JSON object");
    if (!started_) start(*frame, out);
    const auto* candidates = array_at(*frame, "candidates");
    if (candidates != nullptr && !candidates->empty()) {
      if (const auto* candidate = candidates->front().if_object()) read_candidate(*candidate, out);
    }
    const auto* feedback = object_at(*frame, "promptFeedback");
    if (feedback != nullptr && !string_at(*feedback, "blockReason").empty()) {
      finish(FinishReason::kContentFilter, out);
    }
    if (const auto* usage = object_at(*frame, "usageMetadata")) {
      add_event(out, Kind::kUsage).usage = read_usage(*usage);
    }
    return {};
  }

 private:
  void start(const json::object& frame, std::vector<StreamEvent>& out) {
    started_ = true;
    StreamEvent& event = add_event(out, Kind::kStart);
    event.id = id_ = string_at(frame, "responseId");
    event.model = string_at(frame, "modelVersion");
  }

  void read_candidate(const json::object& candidate, std::vector<StreamEvent>& out) {
    const auto* content = object_at(candidate, "content");
    const auto* parts = content == nullptr ? nullptr : array_at(*content, "parts");
    if (parts != nullptr) {
      for (const auto& part : *parts) {
        if (const auto* object = part.if_object()) read_part(*object, out);
      }
    }
    const auto reason = string_at(candidate, "finishReason");
    if (!reason.empty()) finish(finish_of(reason, tool_calls_ > 0), out);
  }

  void read_part(const json::object& part, std::vector<StreamEvent>& out) {
    const auto text = string_at(part, "text");
    if (!text.empty()) {
      add_event(out, bool_at(part, "thought") ? Kind::kReasoning : Kind::kText, std::string(text));
    }
    const auto* call = object_at(part, "functionCall");
    if (call == nullptr) return;
    const auto* args = object_at(*call, "args");
    const std::string arguments = args == nullptr ? "{}" : write_json(*args);
    StreamEvent start;
    start.kind = Kind::kToolCallStart;
    start.tool_index = tool_calls_;
    start.tool_name = string_at(*call, "name");
    start.tool_id = string_at(*call, "id");
    if (start.tool_id.empty())
      start.tool_id = make_tool_id(id_, tool_calls_, start.tool_name, arguments);
    const auto signature = string_at(part, "thoughtSignature");
    if (!signature.empty()) start.tool_id = sign_tool_id(start.tool_id, signature);
    out.push_back(std::move(start));
    add_event(out, Kind::kToolCallDelta, arguments).tool_index = tool_calls_++;
  }

  void finish(FinishReason reason, std::vector<StreamEvent>& out) {
    finished_ = true;
    add_event(out, Kind::kFinish).finish = reason;
  }

  std::string id_;
  bool started_ = false;
  bool finished_ = false;
  std::size_t tool_calls_ = 0;
};

class GoogleStream final : public StreamDecoder {
 public:
  Result<void> feed(std::string_view bytes, std::vector<StreamEvent>& out) override {
    std::vector<sse::Event> frames;
    if (auto ok = parser_.feed(bytes, frames); !ok) return ok;
    for (sse::Event& frame : frames) {
      const auto document = JsonDocument::parse(frame.data);
      if (!document) return garbage("Google", document.error().message);
      const std::size_t first = out.size();
      if (auto ok = reader_.read((*document)->root(), out); !ok) return ok;
      stamp_frame(out, first, Shape::kGoogle, std::move(frame.data), std::move(frame.event));
    }
    return {};
  }

  // Gemini has no end mark of its own: the answer is whole when a finish reason came and the body
  // ended properly.
  Result<void> finish(std::vector<StreamEvent>& out) override {
    if (!reader_.finished() || parser_.mid_event()) return stream_cut("Google");
    add_event(out, Kind::kDone);
    return {};
  }

 private:
  sse::Parser parser_;
  FrameReader reader_;
};

}  // namespace

Result<ChatResponse> decode_chat(std::string_view body) {
  auto document = JsonDocument::parse(body);
  if (!document) return garbage("Google", document.error().message);
  std::vector<StreamEvent> events;
  FrameReader reader;
  if (auto ok = reader.read((*document)->root(), events); !ok) return std::unexpected(ok.error());
  if (!reader.finished()) return garbage("Google", "it has no candidate with a finishReason");
  StreamCollector collector;
  for (const StreamEvent& event : events) collector.add(event);
  ChatResponse response = collector.response();
  response.shape = Shape::kGoogle;
  response.original = std::move(*document);
  return response;
}

std::unique_ptr<StreamDecoder> make_stream_decoder() { return std::make_unique<GoogleStream>(); }

Error decode_error(int status, const http::Headers& headers, std::string_view body) {
  const auto parsed = parse_json(body);
  const auto words = parsed ? read_error(*parsed) : std::nullopt;
  return words ? typed(*words, status, headers)
               : vendor_error(status, headers, body.substr(0, 1'000));
}

}  // namespace asahi::llm::wire::google
