// Reads the streams of vendors that speak OpenAI's chat completions.
#include <algorithm>
#include <array>

#include "llm/wire/openai_chat.h"
#include "net/sse/parser.h"

namespace asahi::llm::wire {
namespace {

constexpr std::string_view kVendor = "the OpenAI-shaped vendor";

/// The end mark is "[DONE]". Some vendors of this shape never send it; their stream counts as whole
/// when a finish reason had come and the body ended between two events. A stream that breaks off
/// without a finish reason is cut, whatever its length.
class OpenAiChatStreamDecoder final : public StreamDecoder {
 public:
  Result<void> feed(std::string_view bytes, std::vector<StreamEvent>& out) override {
    if (done_) return {};
    frames_.clear();
    if (auto ok = parser_.feed(bytes, frames_); !ok) return ok;
    for (auto& frame : frames_) {
      if (auto ok = take(frame, out); !ok) return ok;
      if (done_) break;
    }
    return {};
  }

  Result<void> finish(std::vector<StreamEvent>& out) override {
    if (done_) return {};
    const bool between_events = !parser_.mid_event();
    if (!between_events) {
      // The last event's empty line may be missing; only the end mark is whole without it.
      frames_.clear();
      if (auto ok = parser_.feed("\n\n", frames_); !ok) return ok;
      if (frames_.size() == 1 && frames_.front().data == "[DONE]") return take(frames_[0], out);
      return stream_cut(kVendor);
    }
    if (!finished_) return stream_cut(kVendor);
    done_ = true;
    out.emplace_back().kind = Kind::kDone;
    return {};
  }

 private:
  using Kind = StreamEvent::Kind;

  struct Call {
    std::int64_t vendor_index;
    std::string id;
  };

  Result<void> take(sse::Event& frame, std::vector<StreamEvent>& out) {
    if (frame.data.empty()) return {};
    if (frame.data == "[DONE]") {
      done_ = true;
      out.emplace_back().kind = Kind::kDone;
      return {};
    }
    // Most frames fit into the buffer, so that reading one allocates nothing.
    json::monotonic_resource arena(buffer_.data(), buffer_.size());
    json::error_code code;
    json::parse_options options;
    options.max_depth = 64;
    const json::value value = json::parse(frame.data, code, &arena, options);
    if (code) return garbage(kVendor, "an event is not valid JSON");
    const auto* root = value.if_object();
    if (root == nullptr) return garbage(kVendor, "an event is not a JSON object");
    if (auto error = openai_embedded_error(*root)) return std::unexpected(std::move(*error));

    const std::size_t first = out.size();
    const bool closes = read_frame(*root, out);
    if (out.size() == first) out.emplace_back();  // kOther
    for (std::size_t i = first + 1; i < out.size(); ++i) out[i].frame_follows = true;
    auto& begins = out[first];
    begins.has_raw = true;
    begins.raw_shape = Shape::kOpenAiChat;
    begins.raw_closes = closes;
    begins.raw = std::move(frame.data);
    begins.raw_event = std::move(frame.event);
    return {};
  }

  /// True when the frame has a finish reason or usage.
  bool read_frame(const json::object& root, std::vector<StreamEvent>& out) {
    bool closes = false;
    if (!started_) {
      // Azure begins with a frame of filter results that has no id yet.
      const std::string_view id = string_at(root, "id");
      const std::string_view model = string_at(root, "model");
      if (!id.empty() || !model.empty()) {
        started_ = true;
        auto& event = out.emplace_back();
        event.kind = Kind::kStart;
        event.id = id;
        event.model = model;
      }
    }
    const auto* choices = array_at(root, "choices");
    const auto* choice =
        choices == nullptr || choices->empty() ? nullptr : choices->front().if_object();
    if (choice != nullptr) {
      if (const auto* delta = object_at(*choice, "delta")) read_delta(*delta, out);
      if (const auto reason = string_at(*choice, "finish_reason"); !reason.empty()) {
        closes = finished_ = true;
        auto& event = out.emplace_back();
        event.kind = Kind::kFinish;
        event.finish = openai_finish(reason, !calls_.empty());
      }
    }
    if (const auto* usage = openai_usage_object(root)) {
      closes = true;
      auto& event = out.emplace_back();
      event.kind = Kind::kUsage;
      event.usage = read_openai_usage(*usage);
    }
    return closes;
  }

  static void add_text(Kind kind, std::string_view text, std::vector<StreamEvent>& out) {
    if (text.empty()) return;
    auto& event = out.emplace_back();
    event.kind = kind;
    event.text = text;
  }

  void read_delta(const json::object& delta, std::vector<StreamEvent>& out) {
    add_text(Kind::kReasoning, openai_reasoning_text(delta), out);
    if (const auto* details = array_at(delta, "reasoning_details")) read_seals(*details, out);
    const json::value* content = find(delta, "content");
    if (content != nullptr) {
      if (const auto* text = content->if_string()) {
        add_text(Kind::kText, *text, out);
      } else if (const auto* parts = content->if_array()) {
        read_parts(*parts, out);
      }
    }
    add_text(Kind::kRefusal, string_at(delta, "refusal"), out);
    if (const auto* calls = array_at(delta, "tool_calls")) {
      for (std::size_t i = 0; i < calls->size(); ++i) {
        if (const auto* call = (*calls)[i].if_object()) read_call(*call, i, out);
      }
    }
    if (const auto* call = object_at(delta, "function_call")) {
      const std::string_view name = string_at(*call, "name");
      read_call_piece(0, name, *call, out);
    }
  }

  static void read_seals(const json::array& details, std::vector<StreamEvent>& out) {
    for (const auto& element : details) {
      const auto* detail = element.if_object();
      if (detail == nullptr) continue;
      const std::string_view signature = string_at(*detail, "signature");
      const std::string_view data = string_at(*detail, "data");
      if (signature.empty() && data.empty()) continue;
      auto& event = out.emplace_back();
      event.kind = Kind::kReasoning;
      event.signature = signature;
      event.encrypted = data;
    }
  }

  /// Mistral's reasoning models stream parts instead of text.
  static void read_parts(const json::array& parts, std::vector<StreamEvent>& out) {
    for (const auto& element : parts) {
      const auto* part = element.if_object();
      if (part == nullptr) continue;
      const auto* thinking = array_at(*part, "thinking");
      if (thinking == nullptr) {
        add_text(Kind::kText, string_at(*part, "text"), out);
        continue;
      }
      for (const auto& piece : *thinking) {
        if (const auto* object = piece.if_object()) {
          add_text(Kind::kReasoning, string_at(*object, "text"), out);
        }
      }
    }
  }

  void read_call(const json::object& call, std::size_t position, std::vector<StreamEvent>& out) {
    // Some vendors leave the index out and send each call whole.
    const std::int64_t index = int_at(call, "index", static_cast<std::int64_t>(position));
    if (const auto* function = object_at(call, "function")) {
      read_call_piece(index, string_at(call, "id"), *function, out);
    }
  }

  void read_call_piece(std::int64_t index, std::string_view id, const json::object& function,
                       std::vector<StreamEvent>& out) {
    // The newest call of that index: a vendor that never counts up starts a new call by a new id.
    auto known = std::ranges::find(calls_.rbegin(), calls_.rend(), index, &Call::vendor_index);
    if (known == calls_.rend() || (!id.empty() && !known->id.empty() && known->id != id)) {
      calls_.push_back({index, std::string(id)});
      known = calls_.rbegin();
      auto& event = out.emplace_back();
      event.kind = Kind::kToolCallStart;
      event.tool_index = calls_.size() - 1;
      event.tool_id = id;
      event.tool_name = string_at(function, "name");
    }
    const auto* object = object_at(function, "arguments");
    const std::string_view piece = string_at(function, "arguments");
    if (object == nullptr && piece.empty()) return;
    auto& event = out.emplace_back();
    event.kind = Kind::kToolCallDelta;
    event.tool_index = static_cast<std::size_t>(calls_.rend() - known - 1);
    event.text = object != nullptr ? write_json(*object) : std::string(piece);
  }

  sse::Parser parser_;
  std::vector<sse::Event> frames_;
  std::array<unsigned char, 8192> buffer_;
  std::vector<Call> calls_;
  bool started_ = false;
  bool finished_ = false;
  bool done_ = false;
};

}  // namespace

std::unique_ptr<StreamDecoder> make_openai_chat_stream_decoder() {
  return std::make_unique<OpenAiChatStreamDecoder>();
}

}  // namespace asahi::llm::wire
