#include "llm/wire/common.h"
#include "llm/wire/ollama.h"
#include "llm/wire/stream_frame.h"
#include "llm/wire/tool_ids.h"

namespace asahi::llm::wire::ollama {
namespace {

using Kind = StreamEvent::Kind;

constexpr std::size_t kMaxLine = 8 * 1024 * 1024;

/// Turns the objects of /api/chat, one or many, into events.
class LineReader {
 public:
  bool done() const { return done_; }

  Result<void> read(const json::value& value, std::vector<StreamEvent>& out) {
    const auto* line = value.if_object();
    if (line == nullptr) return garbage("Ollama", "it is not a JSON object");
    if (const json::value* error = find(*line, "error")) {
      const auto words =
          error->is_string() ? std::string_view(error->get_string()) : std::string_view();
      return std::unexpected(vendor_error_of_type({}, words));
    }
    if (!started_) {
      started_ = true;
      add_event(out, Kind::kStart).model = string_at(*line, "model");
    }
    if (const auto* message = object_at(*line, "message")) read_message(*message, out);
    if (bool_at(*line, "done")) read_end(*line, out);
    return {};
  }

 private:
  void read_message(const json::object& message, std::vector<StreamEvent>& out) {
    if (const auto text = string_at(message, "thinking"); !text.empty()) {
      add_event(out, Kind::kReasoning, std::string(text));
    }
    if (const auto text = string_at(message, "content"); !text.empty()) {
      add_event(out, Kind::kText, std::string(text));
    }
    const auto* calls = array_at(message, "tool_calls");
    if (calls == nullptr) return;
    for (const auto& call : *calls) {
      const auto* object = call.if_object();
      const auto* function = object == nullptr ? nullptr : object_at(*object, "function");
      if (function != nullptr) read_call(*object, *function, out);
    }
  }

  void read_call(const json::object& call, const json::object& function,
                 std::vector<StreamEvent>& out) {
    const json::value* given = find(function, "arguments");
    std::string arguments = "{}";
    if (given != nullptr)
      arguments = given->is_string() ? std::string(given->get_string()) : write_json(*given);
    StreamEvent start;
    start.kind = Kind::kToolCallStart;
    start.tool_index = tool_calls_;
    start.tool_name = string_at(function, "name");
    start.tool_id = string_at(call, "id");
    if (start.tool_id.empty())
      start.tool_id = make_tool_id({}, tool_calls_, start.tool_name, arguments);
    out.push_back(std::move(start));
    add_event(out, Kind::kToolCallDelta, std::move(arguments)).tool_index = tool_calls_++;
  }

  void read_end(const json::object& line, std::vector<StreamEvent>& out) {
    done_ = true;
    FinishReason finish = tool_calls_ > 0 ? FinishReason::kToolCalls : FinishReason::kStop;
    if (string_at(line, "done_reason") == "length") finish = FinishReason::kLength;
    add_event(out, Kind::kFinish).finish = finish;
    // A prompt found whole in its cache is not counted at all.
    if (find(line, "eval_count") != nullptr || find(line, "prompt_eval_count") != nullptr) {
      Usage usage;
      usage.reported = true;
      usage.input = std::max<std::int64_t>(0, int_at(line, "prompt_eval_count"));
      usage.output = std::max<std::int64_t>(0, int_at(line, "eval_count"));
      add_event(out, Kind::kUsage).usage = usage;
    }
    add_event(out, Kind::kDone);
  }

  bool started_ = false;
  bool done_ = false;
  std::size_t tool_calls_ = 0;
};

class OllamaStream final : public StreamDecoder {
 public:
  Result<void> feed(std::string_view bytes, std::vector<StreamEvent>& out) override {
    while (!bytes.empty()) {
      const std::size_t end = bytes.find('\n');
      line_.append(bytes.substr(0, end));
      if (line_.size() > kMaxLine) return garbage("Ollama", "a line is longer than 8 MiB");
      if (end == std::string_view::npos) return {};
      bytes.remove_prefix(end + 1);
      if (auto ok = take_line(out); !ok) return ok;
    }
    return {};
  }

  Result<void> finish(std::vector<StreamEvent>& out) override {
    // The last line may come without its newline; half a line is a cut, an error line is what it
    // says.
    if (auto ok = take_line(out); !ok && ok.error().reason != "vendor_garbage") return ok;
    if (!reader_.done()) return stream_cut("Ollama");
    return {};
  }

 private:
  Result<void> take_line(std::vector<StreamEvent>& out) {
    std::string line = std::exchange(line_, {});
    if (line.find_first_not_of(" \r\t") == std::string::npos) return {};
    if (reader_.done()) return {};
    const auto document = JsonDocument::parse(line);
    if (!document) return garbage("Ollama", document.error().message);
    const std::size_t first = out.size();
    if (auto ok = reader_.read((*document)->root(), out); !ok) return ok;
    stamp_frame(out, first, Shape::kOllama, std::move(line));
    return {};
  }

  LineReader reader_;
  std::string line_;
};

}  // namespace

Result<ChatResponse> decode_chat(std::string_view body) {
  auto document = JsonDocument::parse(body);
  if (!document) return garbage("Ollama", document.error().message);
  std::vector<StreamEvent> events;
  LineReader reader;
  if (auto ok = reader.read((*document)->root(), events); !ok) return std::unexpected(ok.error());
  if (!reader.done()) return garbage("Ollama", "it is not a finished answer (`done` is not true)");
  StreamCollector collector;
  for (const StreamEvent& event : events) collector.add(event);
  ChatResponse response = collector.response();
  response.shape = Shape::kOllama;
  response.original = std::move(*document);
  return response;
}

std::unique_ptr<StreamDecoder> make_stream_decoder() { return std::make_unique<OllamaStream>(); }

}  // namespace asahi::llm::wire::ollama
