#include <algorithm>
#include <map>

#include "llm/wire/openai_responses.h"
#include "llm/wire/stream_frame.h"
#include "net/sse/parser.h"

namespace asahi::llm::wire::responses {
namespace {

using Kind = StreamEvent::Kind;

/// What of one output item has been given out; a whole item and its deltas end up as the same
/// events.
struct ItemState {
  bool text = false;  ///< some text, refusal or thought
  bool started = false;
  bool arguments = false;
  std::size_t tool_index = 0;
  std::string part;  ///< of a thought: which of its parts the last piece belonged to
};

class ItemReader {
 public:
  explicit ItemReader(std::vector<StreamEvent>& out, std::size_t& tool_calls)
      : out_(out), tool_calls_(tool_calls) {}

  /// A finished item: whatever its deltas have not said yet.
  void read(const json::object& item, ItemState& state) {
    const auto type = string_at(item, "type");
    if (type == "message") read_message(item, state);
    if (type == "reasoning") read_reasoning(item, state);
    if (type == "function_call") {
      start_call(item, state);
      if (!state.arguments) add_arguments(string_at(item, "arguments"), state);
    }
  }

  void start_call(const json::object& item, ItemState& state) {
    if (std::exchange(state.started, true)) return;
    state.tool_index = tool_calls_++;
    StreamEvent& event = add_event(out_, Kind::kToolCallStart);
    event.tool_index = state.tool_index;
    event.tool_id = string_at(item, "call_id", string_at(item, "id"));
    event.tool_name = string_at(item, "name");
  }

  void add_arguments(std::string_view text, ItemState& state) {
    if (text.empty()) return;
    state.arguments = true;
    add_event(out_, Kind::kToolCallDelta, std::string(text)).tool_index = state.tool_index;
  }

  void add_text(Kind kind, std::string_view text, ItemState& state) {
    if (text.empty()) return;
    state.text = true;
    add_event(out_, kind, std::string(text));
  }

  /// The parts of a thought are paragraphs of one text.
  void add_thought(std::string part, std::string_view text, ItemState& state) {
    if (text.empty()) return;
    const bool paragraph = state.text && state.part != part;
    state.part = std::move(part);
    state.text = true;
    std::string piece = paragraph ? "\n\n" : "";
    add_event(out_, Kind::kReasoning, piece += text);
  }

 private:
  void read_message(const json::object& item, ItemState& state) {
    const auto* content = array_at(item, "content");
    if (content == nullptr || state.text) return;
    for (const auto& part : *content) {
      const auto* object = part.if_object();
      if (object == nullptr) continue;
      const auto type = string_at(*object, "type");
      if (type == "output_text") add_text(Kind::kText, string_at(*object, "text"), state);
      if (type == "refusal") add_text(Kind::kRefusal, string_at(*object, "refusal"), state);
    }
  }

  void read_reasoning(const json::object& item, ItemState& state) {
    if (!state.text) {
      add_thoughts(item, "summary", state);
      add_thoughts(item, "content", state);
    }
    if (const auto encrypted = string_at(item, "encrypted_content"); !encrypted.empty()) {
      add_event(out_, Kind::kReasoning).encrypted = encrypted;
    }
  }

  void add_thoughts(const json::object& item, std::string_view list, ItemState& state) {
    const auto* parts = array_at(item, list);
    if (parts == nullptr) return;
    for (std::size_t i = 0; i < parts->size(); ++i) {
      const auto* object = (*parts)[i].if_object();
      if (object == nullptr) continue;
      add_thought(std::string(list) + std::to_string(i), string_at(*object, "text"), state);
    }
  }

  std::vector<StreamEvent>& out_;
  std::size_t& tool_calls_;
};

void add_start(const json::object& response, std::vector<StreamEvent>& out) {
  StreamEvent& event = add_event(out, Kind::kStart);
  event.id = string_at(response, "id");
  event.model = string_at(response, "model");
}

Result<void> add_end(const json::object& response, bool called_tools,
                     std::vector<StreamEvent>& out) {
  ASAHI_TRY(const FinishReason finish, read_finish(response, called_tools));
  add_event(out, Kind::kFinish).finish = finish;
  if (const auto* usage = object_at(response, "usage")) {
    add_event(out, Kind::kUsage).usage = read_openai_usage(*usage);
  }
  add_event(out, Kind::kDone);
  return {};
}

class ResponsesStream final : public StreamDecoder {
 public:
  Result<void> feed(std::string_view bytes, std::vector<StreamEvent>& out) override {
    std::vector<sse::Event> frames;
    if (auto ok = parser_.feed(bytes, frames); !ok) return ok;
    for (sse::Event& frame : frames) {
      // Routers that also serve chat completions may end with its mark.
      if (done_ || frame.data == "[DONE]") continue;
      const auto document = JsonDocument::parse(frame.data);
      const auto* root = document ? (*document)->root().if_object() : nullptr;
      if (root == nullptr) return garbage("OpenAI", "an event of the stream is not a JSON object");
      const std::size_t first = out.size();
      if (auto ok = read(*root, out); !ok) return ok;
      stamp_frame(out, first, Shape::kOpenAiResponses, std::move(frame.data),
                  std::move(frame.event));
    }
    return {};
  }

  Result<void> finish(std::vector<StreamEvent>&) override {
    if (!done_) return stream_cut("OpenAI");
    return {};
  }

 private:
  Result<void> read(const json::object& event, std::vector<StreamEvent>& out) {
    const auto type = string_at(event, "type");
    if (type == "error" || (type.empty() && event.contains("error"))) {
      const auto* nested = object_at(event, "error");
      return std::unexpected(read_error(nested == nullptr ? event : *nested));
    }
    if (const auto* response = object_at(event, "response"))
      return read_state(type, *response, out);
    read_delta(type, event, out);
    return {};
  }

  Result<void> read_state(std::string_view type, const json::object& response,
                          std::vector<StreamEvent>& out) {
    if (type == "response.created") add_start(response, out);
    if (type == "response.completed" || type == "response.incomplete" ||
        type == "response.failed") {
      done_ = true;
      return add_end(response, tool_calls_ > 0, out);
    }
    return {};
  }

  void read_delta(std::string_view type, const json::object& event, std::vector<StreamEvent>& out) {
    ItemReader reader(out, tool_calls_);
    ItemState& state = items_[int_at(event, "output_index")];
    const auto delta = string_at(event, "delta");
    if (type == "response.output_text.delta") {
      reader.add_text(Kind::kText, delta, state);
    } else if (type == "response.refusal.delta") {
      reader.add_text(Kind::kRefusal, delta, state);
    } else if (type == "response.reasoning_summary_text.delta") {
      reader.add_thought("summary" + std::to_string(int_at(event, "summary_index")), delta, state);
    } else if (type == "response.reasoning_text.delta") {
      reader.add_thought("content" + std::to_string(int_at(event, "content_index")), delta, state);
    } else if (type == "response.function_call_arguments.delta") {
      reader.add_arguments(delta, state);
    } else if (const auto* item = object_at(event, "item")) {
      if (type == "response.output_item.done") {
        reader.read(*item, state);
      } else if (type == "response.output_item.added" &&
                 string_at(*item, "type") == "function_call") {
        reader.start_call(*item, state);
      }
    }
  }

  sse::Parser parser_;
  std::map<std::int64_t, ItemState> items_;
  std::size_t tool_calls_ = 0;
  bool done_ = false;
};

}  // namespace

Error read_error(const json::object& error) {
  const auto code = string_at(error, "code");
  const auto message = string_at(error, "message");
  // The codes of a refused input: invalid_prompt, invalid_image_url, image_too_large …
  const bool refused = code.starts_with("invalid_") || code.find("image") != std::string_view::npos;
  if (refused && code != "invalid_api_key") return vendor_error(400, {}, message, code);
  return vendor_error_of_type(string_at(error, "type"), message, code);
}

Result<FinishReason> read_finish(const json::object& response, bool called_tools) {
  const auto status = string_at(response, "status", "completed");
  if (status == "completed") return called_tools ? FinishReason::kToolCalls : FinishReason::kStop;
  if (status == "incomplete") {
    const auto* details = object_at(response, "incomplete_details");
    const auto reason = details == nullptr ? std::string_view() : string_at(*details, "reason");
    return reason == "content_filter" ? FinishReason::kContentFilter : FinishReason::kLength;
  }
  if (const auto* error = object_at(response, "error")) return std::unexpected(read_error(*error));
  return garbage("OpenAI",
                 "the response is neither completed nor incomplete, and reports no error");
}

Result<ChatResponse> decode_response(std::string_view body) {
  auto document = JsonDocument::parse(body);
  if (!document) return garbage("OpenAI", document.error().message);
  const auto* root = (*document)->root().if_object();
  if (root == nullptr) return garbage("OpenAI", "it is not a JSON object");
  const auto* output = array_at(*root, "output");
  if (output == nullptr) {
    if (const auto* error = object_at(*root, "error")) return std::unexpected(read_error(*error));
    return garbage("OpenAI", "it has no array `output`");
  }
  std::vector<StreamEvent> events;
  std::size_t tool_calls = 0;
  add_start(*root, events);
  ItemReader reader(events, tool_calls);
  for (const auto& item : *output) {
    ItemState state;
    if (const auto* object = item.if_object()) reader.read(*object, state);
  }
  if (auto ok = add_end(*root, tool_calls > 0, events); !ok) return std::unexpected(ok.error());
  StreamCollector collector;
  for (const StreamEvent& event : events) collector.add(event);
  ChatResponse response = collector.response();
  response.shape = Shape::kOpenAiResponses;
  response.original = std::move(*document);
  return response;
}

std::unique_ptr<StreamDecoder> make_stream_decoder() { return std::make_unique<ResponsesStream>(); }

}  // namespace asahi::llm::wire::responses
